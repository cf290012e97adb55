"""Figures of the notebooks: one look, rows of photographs, mosaics in their filter colours.

A figure is drawn when its cell ends, as pyplot does; no function here returns one.
"""

from __future__ import annotations

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from ..sensor import cfa as cfa_module

DPI = 90
_SMALL = 120  # images with fewer lines than this are drawn with hard pixel edges

# Filter colours on paper: dark enough for white letters. The letters are the signal.
_PAINT = {0: "#b03030", 1: "#2e7d32", 2: "#2b50aa"}


def style() -> None:
    """Set the house style; call it once in the first code cell that plots.

    Cividis for maps, dashes and markers beside colours, no box around plots. In a notebook it also
    stores every figure as a PNG of at most 256 colours, a third of the usual size.
    """
    mpl.rc("figure", dpi=DPI)
    mpl.rc("figure.constrained_layout", use=True)
    mpl.rc("savefig", dpi=DPI)
    mpl.rc("image", cmap="cividis")
    mpl.rc("font", size=9)
    mpl.rc("legend", frameon=False)
    colours, dashes = ["#1b4f8a", "#d1731a", "#3a3a3a", "#7aa6c2"], ["-", "--", "-.", ":"]
    mpl.rc("axes", titlesize=9, prop_cycle=mpl.cycler(color=colours, linestyle=dashes))
    mpl.rc("axes.spines", top=False, right=False)
    _store_small_pngs()


def show(images, titles=None, *, columns=None, width=7.0, limits=(0, 1), cmap="gray", bar=None):
    """Draw images side by side, without axes.

    Args:
        images: one or a list of numpy arrays or tensors: (H, W) grey, (H, W, 3) or (3, H, W)
            colour in [0, 1] (what lies outside is clipped), or integers 0 to 255.
        titles: a list of as many strings.
        columns: panels a row; all in one row by default.
        width: of the whole figure in inches.
        limits: (low, high) that grey images span, or None for each one's own range.
        cmap: colour map of grey images.
        bar: label, with unit, of a colour bar for the last image.
    """
    images = [_as_picture(x) for x in (images if isinstance(images, (list, tuple)) else [images])]
    axes = _panels([x.shape[0] / x.shape[1] for x in images], titles, columns, width)
    low, high = limits or (None, None)
    for ax, x in zip(axes, images, strict=True):
        kind = "nearest" if x.shape[0] < _SMALL else "antialiased"
        drawn = ax.imshow(x, cmap=cmap, vmin=low, vmax=high, interpolation=kind)
    if bar:
        axes[-1].figure.colorbar(drawn, ax=axes[-1], label=bar, shrink=0.8)


def show_cells(cells, titles=None, *, width=8.0) -> None:
    """Draw colour filter arrays with a letter in each filter.

    Args:
        cells: a list of (h, w) arrays of 0=R 1=G 2=B.
        titles: a list of as many strings.
    """
    axes = _panels([c.shape[0] / c.shape[1] for c in cells], titles, None, width)
    paint = np.array([mpl.colors.to_rgb(_PAINT[i]) for i in range(3)])
    for ax, cell in zip(axes, cells, strict=True):
        ax.imshow(paint[cell])
        for (i, j), colour in np.ndenumerate(cell):
            ax.text(j, i, "RGB"[colour], color="white", ha="center", va="center", weight="bold")
        ax.hlines(np.arange(cell.shape[0] + 1) - 0.5, -0.5, cell.shape[1] - 0.5, "white", lw=1)
        ax.vlines(np.arange(cell.shape[1] + 1) - 0.5, -0.5, cell.shape[0] - 0.5, "white", lw=1)


def tint(mosaic, cfa) -> np.ndarray:
    """Paint each pixel of a mosaic in the colour of its filter: (H, W) in [0, 1] -> (H, W, 3)."""
    mosaic = np.asarray(mosaic)
    colour = cfa_module.tile(cfa, mosaic.shape)
    return mosaic[..., None] * (colour[..., None] == np.arange(3))


def _panels(shapes, titles, columns, width):
    """Axes without frames for panels of these height/width ratios, as a list."""
    columns = columns or len(shapes)
    rows = -(-len(shapes) // columns)
    height = rows * (width / columns * max(shapes) + (0.3 if titles else 0))
    _, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    axes = list(axes.flat)
    for ax in axes:
        ax.set_axis_off()
    for ax, title in zip(axes, titles or (), strict=False):
        ax.set_title(title)
    return axes[: len(shapes)]


def _as_picture(x):
    """What imshow takes, from an array or a tensor."""
    x = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    if x.ndim == 3 and x.shape[0] == 3 and x.shape[2] != 3:
        x = x.transpose(1, 2, 0)
    if x.dtype == bool or x.ndim == 2:
        return x
    return x if x.dtype == np.uint8 else np.clip(x, 0, 1)


def _store_small_pngs():
    """In a notebook: figures become palette PNGs, so that photographs do not swell the file."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return
    import matplotlib_inline.backend_inline  # noqa: F401  (sets its own formatter when imported)
    from matplotlib.figure import Figure

    shell.display_formatter.formatters["image/png"].for_type(Figure, _small_png)


def _small_png(figure) -> bytes:
    from PIL import Image

    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", bbox_inches="tight", pad_inches=0.05)
    palette = Image.open(full).convert("RGB").quantize(256)
    palette.save(small, format="png", optimize=True)
    return small.getvalue()
