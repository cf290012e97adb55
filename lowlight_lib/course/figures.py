"""Figures of the notebooks: one look, rows of photographs, mosaics in their filter colours."""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ..sensor import cfa as cfa_module

_FILTERS = ("#b03030", "#2e7d32", "#2b50aa")  # R, G, B: dark enough for white letters


def style() -> None:
    """Set the house style, with figures stored as PNG of 256 colours, a third of the usual size."""
    mpl.rc(("figure", "savefig"), dpi=90)  # pyright: ignore[reportArgumentType]  (takes tuples)
    mpl.rc("figure.constrained_layout", use=True)
    mpl.rc("image", cmap="cividis")
    mpl.rc("font", size=9)
    mpl.rc("legend", frameon=False)
    colours, dashes = ["#1b4f8a", "#d1731a", "#3a3a3a", "#7aa6c2"], ["-", "--", "-.", ":"]
    mpl.rc("axes", titlesize=9, prop_cycle=mpl.cycler(color=colours, linestyle=dashes))  # pyright: ignore[reportAttributeAccessIssue]  (not in its stubs)
    mpl.rc("axes.spines", top=False, right=False)
    if shell := get_ipython():
        import matplotlib_inline.backend_inline  # noqa: F401  (sets its own formatter when imported)

        shell.display_formatter.formatters["image/png"].for_type(Figure, _small_png)


def show(images, titles=None, *, columns=None, width=7.0, limits=(0, 1), cmap="gray", bar=None):
    """Draw images side by side, without axes.

    Args:
        images: one or a list of numpy arrays or tensors: (H, W) grey, (H, W, 3) or (3, H, W)
            colour in [0, 1] (what lies outside is clipped), or integers 0 to 255.
        columns: panels a row, by default all; width: of the whole figure in inches.
        limits: (low, high) that grey images span, None: each one's own range.
        bar: label, with unit, of a colour bar for the last image.
    """
    images = [_as_picture(x) for x in (images if isinstance(images, (list, tuple)) else [images])]
    low, high = limits or (None, None)
    for ax, x in _panels(images, titles, columns, width):
        kind = "nearest" if len(x) < 120 else "antialiased"  # small ones get hard pixel edges
        drawn = ax.imshow(x, cmap=cmap, vmin=low, vmax=high, interpolation=kind)
    if bar:
        ax.figure.colorbar(drawn, ax=ax, label=bar, shrink=0.8)


def show_cells(cells, titles=None) -> None:
    """Draw colour filter arrays, a list of (h, w) arrays of 0=R 1=G 2=B, with their letters."""
    colours = np.array([to_rgb(colour) for colour in _FILTERS])
    for ax, cell in _panels(cells, titles, None, 8):
        ax.imshow(colours[cell])
        for (i, j), colour in np.ndenumerate(cell):
            ax.text(j, i, "RGB"[colour], color="white", ha="center", va="center", weight="bold")
        ax.hlines(np.arange(cell.shape[0] + 1) - 0.5, -0.5, cell.shape[1] - 0.5, "white", lw=1)
        ax.vlines(np.arange(cell.shape[1] + 1) - 0.5, -0.5, cell.shape[0] - 0.5, "white", lw=1)


def tint(mosaic, cfa) -> np.ndarray:
    """Paint each pixel of a mosaic in the colour of its filter: (H, W) in [0, 1] -> (H, W, 3)."""
    mosaic = np.asarray(mosaic)
    colour = cfa_module.tile(cfa, mosaic.shape)
    return mosaic[..., None] * (colour[..., None] == np.arange(3))


def _panels(images, titles, columns, width):
    """(axes without a frame, image) for each of the images, in rows of `columns`."""
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    tallest = max(x.shape[0] / x.shape[1] for x in images)
    height = rows * (width / columns * tallest + (0.3 if titles else 0))
    _, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, title in zip(axes.flat, titles or (), strict=False):
        ax.set_title(title)
    return list(zip(axes.flat, images, strict=False))


def _as_picture(x):
    """What imshow takes, from an array or a tensor."""
    x = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    if x.ndim == 3 and x.shape[0] == 3 and x.shape[2] != 3:
        x = x.transpose(1, 2, 0)
    return x if x.ndim == 2 or x.dtype == np.uint8 else np.clip(x, 0, 1)


def _small_png(figure) -> bytes:
    from PIL import Image

    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", bbox_inches="tight", pad_inches=0.05)
    palette = Image.open(full).convert("RGB").quantize(256)
    palette.save(small, format="png", optimize=True)
    return small.getvalue()
