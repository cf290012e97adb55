"""The page of a calibrated camera: figures, numbers and what to see in them, in one file.

calibration.html.jinja says how it looks; it opens from the disk, without a server or a network.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np

from ..io.files import atomic_write
from ..sensor.calibrate import Calibration, filled
from ..sensor.noise import tukey_quantile


def write_page(calibration: Calibration, path: Path | str) -> None:
    """Write the page of a calibration; OutputError where it cannot be written."""
    figures = [_figure(r.dark, r.transfer) for r in calibration.results]
    template = Path(__file__).with_name("calibration.html.jinja")
    with atomic_write(path) as f:
        page = filled(template, calibration, html=True, figures=figures)
        f.write(page.encode("utf-8", "backslashreplace"))


def _figure(dark, flat):
    """Photon transfer, probability plot, spectrum of the rows and dark shading: text of a PNG."""
    from matplotlib.figure import Figure
    from scipy import stats

    figure, png = Figure((14, 8), dpi=144, layout="constrained"), io.BytesIO()
    transfer, plot, rows, shading = figure.subplots(2, 2).flat
    transfer.loglog(flat.mean, flat.variance, ".", ms=3, alpha=0.3, label="blocks")
    x, gain = np.geomspace(1, flat.mean.max()), flat.gain.value
    transfer.loglog(x, gain * x + dark.variance.value, label=f"K = {gain:.4g} DN per electron")
    transfer.set(title="photon transfer", xlabel="mean above black (DN)", ylabel="variance (DN²)")
    for name, marker, scale, quantiles in (
        ("tukey", "o", dark.tukey, tukey_quantile(dark.plot.shares, dark.tukey_shape.value)),
        ("gauss", "x", dark.gauss, stats.norm.ppf(dark.plot.shares)),
    ):
        label = f"{name}, PPCC {dark.ppcc[name]:.5f}"
        plot.plot(scale.value * quantiles, dark.plot.values, marker, ms=4, label=label)
    plot.axline((0, 0), slope=1, color="black", lw=0.8, label="equal")
    plot.set(title="probability plot", xlabel="fitted (DN)", ylabel="your read noise (DN)")
    (n, h), chance = dark.rows.shape, dark.variance.value / dark.shading.shape[1]
    power = (np.abs(np.fft.rfft(dark.rows - dark.rows.mean(0))) ** 2).sum(0) / (n - 1) / h
    rows.semilogy(np.fft.rfftfreq(h)[1:], power[1:], lw=0.8, label="offsets of the lines")
    rows.axhline(dark.row.value**2 + chance, color="C1", label="row noise as fitted")
    rows.axhline(chance, color="black", ls=":", label="no row noise")
    rows.set(title="row spectrum", xlabel="frequency (cycles per line)", ylabel="power (DN²)")
    drawn = shading.imshow(dark.shading[::4, ::4], cmap="cividis")
    shading.set(title="dark shading", xticks=[], yticks=[])
    figure.colorbar(drawn, ax=shading, label="above black (DN)")
    for ax in (transfer, plot, rows):
        ax.legend()
    figure.savefig(png, format="png")
    return base64.b64encode(png.getvalue()).decode()
