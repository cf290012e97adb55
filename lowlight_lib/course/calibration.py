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

_MARKS = "osv^D*Phx<>d"


def write_page(calibration: Calibration, path: Path | str) -> None:
    """Write the page of a calibration; OutputError where it cannot be written."""
    import jinja2

    template = Path(__file__).with_name("calibration.html.jinja").read_text(encoding="utf-8")
    env = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    drawn = {"transfer": _photon_transfer(calibration), "lines": _lines(calibration)}
    dark = [(r.iso, r.dark) for r in calibration.results if r.dark]
    drawn["noise"] = [(iso, _dark_noise(d)) for iso, d in dark]
    text = env.from_string(template).render(calibration._asdict(), figures=drawn)
    with atomic_write(path) as f:
        f.write(text.encode("utf-8", "backslashreplace"))


def _figure(width, height, columns=1):
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=120, layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        ax.grid(alpha=0.3)
    return figure, axes


def _png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def _photon_transfer(calibration):
    figure, (ax,) = _figure(8, 4.5)
    measured = [r for r in calibration.results if r.transfer]
    for k, r in enumerate(measured):
        mean, variance = r.transfer.mean, r.transfer.variance
        some = np.linspace(0, len(mean) - 1, 400).astype(int)
        order = np.argsort(mean)[some]
        ax.loglog(mean[order], variance[order], _MARKS[k % len(_MARKS)], color=f"C{k}", ms=3,
                  alpha=0.35)  # fmt: skip
        x = np.geomspace(1, calibration.camera.white_level, 100)
        floor = r.dark.variance.value if r.dark else 0
        label = f"ISO {r.iso:g}: K = {r.transfer.gain.value:.4g} DN/electron"
        ax.loglog(x, r.transfer.gain.value * x + floor, color=f"C{k}", label=label)
    ax.set(xlabel="mean above black (DN)", ylabel="variance from frame to frame (DN²)")
    ax.legend()
    return _png(figure)


def _lines(calibration):
    figure, axes = _figure(10, 3.4, 3)
    both = [r for r in calibration.results if r.dark and r.transfer]
    titles = {"gauss": "read noise, standard deviation", "tukey": "read noise, Tukey-lambda scale",
              "row": "row noise"}  # fmt: skip
    for ax, (name, (slope, bias, _)) in zip(axes, calibration.lines.items(), strict=True):
        gains = np.array([r.transfer.gain.value for r in both])
        scales = [getattr(r.dark, name) for r in both]
        bars = [1.96 * s.draws.std() for s in scales]
        ax.errorbar(gains, [s.value for s in scales], bars, fmt="o", label="measured, 95 %")
        x = np.geomspace(*np.array(calibration.camera.gain_range) * (0.9, 1.1), 50)
        ax.plot(x, np.exp(bias.value) * x**slope.value, label=f"slope {slope.value:.2f}")
        ax.set(xscale="log", yscale="log", title=titles[name], xlabel="K (DN per electron)")
        ax.legend()
    axes[0].set_ylabel("scale (DN)")
    return _png(figure)


def _dark_noise(dark):
    from scipy import stats

    figure, (plot, rows, picture) = _figure(13, 3.8, 3)
    values, shares = dark.plot.values, dark.plot.shares
    fits = {"tukey": dark.tukey.value * tukey_quantile(shares, dark.tukey_shape.value),
            "gauss": dark.gauss.value * stats.norm.ppf(shares)}  # fmt: skip
    for (name, x), mark in zip(fits.items(), "ox", strict=True):
        label = {"tukey": "Tukey-lambda", "gauss": "Gauss"}[name]
        plot.plot(x, values, mark, ms=4, label=f"{label}, PPCC {dark.ppcc[name]:.5f}")
    ends = [values.min(), values.max()]
    plot.plot(ends, ends, "k-", lw=0.8, label="equal")
    plot.set(title="probability plot", xlabel="of the fitted distribution (DN)",
             ylabel="of your read noise (DN)")  # fmt: skip
    plot.legend()
    offsets = dark.rows - dark.rows.mean(1, keepdims=True)
    offsets = offsets - offsets.mean(0)
    power = (np.abs(np.fft.rfft(offsets)) ** 2).mean(0) / offsets.shape[1]
    power *= len(offsets) / (len(offsets) - 1)
    rows.semilogy(np.fft.rfftfreq(offsets.shape[1])[1:], power[1:], lw=0.8, label="measured")
    chance = dark.variance.value / dark.shading.shape[1]
    rows.axhline(dark.row.value**2 + chance, color="C1", label="row noise as fitted")
    rows.axhline(chance, color="k", ls=":", label="no row noise")
    rows.set(title="spectrum of the lines' offsets", xlabel="cycles per line", ylabel="power (DN²)")
    rows.legend()
    picture.grid(False)
    shown = picture.imshow(dark.shading[::4, ::4], cmap="cividis")
    picture.set(title="dark shading: the mean dark frame, smoothed", xticks=[], yticks=[])
    figure.colorbar(shown, ax=picture, label="DN above black", shrink=0.8)
    return _png(figure)
