"""The page of a calibrated camera: figures, numbers and what to see in them, in one file.

calibration.html.jinja says how it looks; it opens from the disk, without a server or a network.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np

from ..io.files import atomic_write
from ..sensor.calibrate import Calibration
from ..sensor.noise import tukey_quantile


def write_page(calibration: Calibration, path: Path | str) -> None:
    """Write the page of a calibration; OutputError where it cannot be written."""
    import jinja2

    figures: dict = {"transfer": _photon_transfer(calibration), "lines": _lines(calibration)}
    figures["noise"] = [(r.iso, _dark_noise(r.dark)) for r in calibration.results if r.dark]
    template = Path(__file__).with_name("calibration.html.jinja").read_text(encoding="utf-8")
    env = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = env.from_string(template).render(calibration._asdict(), figures=figures)
    with atomic_write(path) as f:
        f.write(page.encode("utf-8", "backslashreplace"))


def _figure(width, height, columns=1):
    """(axes, a function that gives the figure as text of a PNG)."""
    from matplotlib.figure import Figure

    figure, buffer = Figure((width, height), dpi=144, layout="constrained"), io.BytesIO()
    axes = figure.subplots(1, columns, squeeze=False)[0]

    def png():
        figure.savefig(buffer, format="png")
        return base64.b64encode(buffer.getvalue()).decode()

    return axes, png


def _photon_transfer(calibration):
    (ax,), png = _figure(8, 4.5)
    x = np.geomspace(1, calibration.camera.white_level, 100)
    for k, r in enumerate(r for r in calibration.results if r.transfer):
        t, colour = r.transfer, f"C{k % 10}"
        some = np.argsort(t.mean)[np.linspace(0, len(t.mean) - 1, 300).astype(int)]
        ax.plot(t.mean[some], t.variance[some], "os^vD*P"[k % 7], color=colour, ms=3, alpha=0.4)
        floor = r.dark.variance.value if r.dark else 0
        label = f"ISO {r.iso:g}: K = {t.gain.value:.4g} DN per electron"
        ax.plot(x, t.gain.value * x + floor, color=colour, label=label)
    names = {"xlabel": "mean above black (DN)", "ylabel": "variance from frame to frame (DN²)"}
    ax.set(xscale="log", yscale="log", **names)
    ax.legend()
    return png()


def _lines(calibration):
    axes, png = _figure(12, 3.6, 3)
    both = [r for r in calibration.results if r.dark and r.transfer]
    gains = [r.transfer.gain.value for r in both]
    low, high = calibration.camera.gain_range
    x = np.geomspace(low, high, 50)
    titles = "read noise, standard deviation", "read noise, Tukey-lambda scale", "row noise"
    for ax, title, (name, (slope, bias, _)) in zip(
        axes, titles, calibration.lines.items(), strict=True
    ):
        scales = [getattr(r.dark, name) for r in both]
        bars = [1.96 * s.draws.std() for s in scales]
        ax.errorbar(gains, [s.value for s in scales], bars, fmt="o", capsize=4, label="measured")
        ax.plot(x, np.exp(bias.value) * x**slope.value, label=f"slope {slope.value:.2f}")
        ax.set(xscale="log", yscale="log", title=title, xlabel="K (DN per electron)")
        ax.set_ylabel("scale (DN)")
        ax.legend()
    return png()


def _dark_noise(dark):
    from scipy import stats

    (plot, rows, picture), png = _figure(14, 4, 3)
    values, shares = dark.plot.values, dark.plot.shares
    tukey = dark.tukey.value * tukey_quantile(shares, dark.tukey_shape.value)
    plot.plot(tukey, values, "o", ms=4, label=f"Tukey-lambda, PPCC {dark.ppcc['tukey']:.5f}")
    gauss = dark.gauss.value * stats.norm.ppf(shares)
    plot.plot(gauss, values, "x", ms=4, label=f"Gauss, PPCC {dark.ppcc['gauss']:.5f}")
    plot.axline((0, 0), slope=1, color="black", lw=0.8, label="equal")
    names = {"xlabel": "of the fitted distribution (DN)", "ylabel": "of your read noise (DN)"}
    plot.set(title="probability plot", **names)
    (n, h), chance = dark.rows.shape, dark.variance.value / dark.shading.shape[1]
    offsets = dark.rows - dark.rows.mean(1, keepdims=True)
    power = (np.abs(np.fft.rfft(offsets - offsets.mean(0))) ** 2).sum(0) / (n - 1) / h
    rows.semilogy(np.fft.rfftfreq(h)[1:], power[1:], lw=0.8, label="measured")
    rows.axhline(dark.row.value**2 + chance, color="C1", label="row noise as fitted")
    rows.axhline(chance, color="black", ls=":", label="no row noise")
    names = {"xlabel": "frequency (cycles per line)", "ylabel": "power (DN²)"}
    rows.set(title="spectrum of the lines' offsets", **names)
    drawn = picture.imshow(dark.shading[::4, ::4], cmap="cividis")
    picture.set(title="dark shading", xticks=[], yticks=[])
    picture.figure.colorbar(drawn, ax=picture, label="above black (DN)", shrink=0.8)
    plot.legend()
    rows.legend()
    return png()
