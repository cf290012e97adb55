"""Figures of the notebooks: one look, rows of photographs, mosaics in their filter colours."""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ..sensor import cfa as cfa_module

_DPI = 144
_PIXELS = "pixel by pixel"  # marks a figure whose pixels are those of its pictures
_FILTERS = ("#b03030", "#2e7d32", "#2b50aa")  # R, G, B: dark enough for white letters


def style() -> None:
    """Set the house style: 144 dots an inch, full colour, each figure with its alternative text."""
    mpl.rc(("figure", "savefig"), dpi=_DPI)  # pyright: ignore[reportArgumentType]  (takes tuples)
    mpl.rc("figure.constrained_layout", use=True)
    mpl.rc("image", cmap="cividis")
    mpl.rc("font", size=9)
    mpl.rc("legend", frameon=False)
    colours, dashes = ["#1b4f8a", "#d1731a", "#3a3a3a", "#7aa6c2"], ["-", "--", "-.", ":"]
    mpl.rc("axes", titlesize=9, prop_cycle=mpl.cycler(color=colours, linestyle=dashes))  # pyright: ignore[reportAttributeAccessIssue]  (not in its stubs)
    mpl.rc("axes.spines", top=False, right=False)
    if shell := get_ipython():
        import matplotlib_inline.backend_inline  # noqa: F401  (sets its own formatter when imported)

        formatters = shell.display_formatter.formatters
        formatters["image/png"].for_type(Figure, lambda f: None if _has_photo(f) else _png(f))
        formatters["image/jpeg"].for_type(Figure, lambda f: _jpeg(f) if _has_photo(f) else None)


def alt(text) -> None:
    """Say what the current figure shows, for those who cannot see it; the last line of its cell."""
    plt.gcf().set_label(text)


def show(
    images, titles=None, *, columns=None, width=7.0, zoom=0, limits=(0, 1), cmap="gray", bar=None,
    alt="",
):  # fmt: skip
    """Draw images side by side, without axes.

    Args:
        images: one or a list of numpy arrays or tensors: (H, W) grey, (H, W, 3) or (3, H, W)
            colour in [0, 1] (what lies outside is clipped), or integers 0 to 255.
        columns: panels a row, by default all; width: of the whole figure in inches.
        zoom: a whole number: each pixel is drawn as so many of the screen, whatever `width` is; 1
            shows noise as it is, where a smaller picture would average it away.
        limits: (low, high) that grey images span, None: each one's own range.
        bar: label, with unit, of a colour bar for the last image. alt: what the figure shows.
    """
    images = [_as_picture(x) for x in (images if isinstance(images, (list, tuple)) else [images])]
    low, high = limits or (None, None)
    for ax, x in _panels(images, titles, columns, width, zoom):
        kind = "nearest" if zoom or len(x) < 120 else "antialiased"  # hard pixel edges
        drawn = ax.imshow(x, cmap=cmap, vmin=low, vmax=high, interpolation=kind)
    drawn.figure.set_label(alt)
    if bar:
        drawn.figure.colorbar(drawn, ax=drawn.axes, label=bar, shrink=0.8)


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


def _panels(images, titles, columns, width, zoom=0):
    """(axes without a frame, image) for each of the images, in rows of `columns`."""
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    head = 0.3 if titles else 0
    if zoom:
        tall, wide = (zoom * max(x.shape[k] for x in images) / _DPI for k in (0, 1))
        gap = 0.06
        size = columns * (wide + gap) - gap, rows * (tall + head + gap) - gap
        figure = plt.figure(figsize=size, layout="none")
        figure.set_gid(_PIXELS)
        axes = []
        for i, x in enumerate(images):
            row, column = divmod(i, columns)
            h, w = (zoom * n / _DPI for n in x.shape[:2])
            low = size[1] - row * (tall + head + gap) - head - h
            box = column * (wide + gap) / size[0], low / size[1], w / size[0], h / size[1]
            axes.append(figure.add_axes(box))
    else:
        tallest = max(x.shape[0] / x.shape[1] for x in images)
        height = rows * (width / columns * tallest + head)
        _, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
        axes = list(axes.flat)
    for ax in axes:
        ax.set_axis_off()
    for ax, title in zip(axes, titles or (), strict=False):
        ax.set_title(title)
    return list(zip(axes, images, strict=False))


def _as_picture(x):
    """What imshow takes, from an array or a tensor."""
    x = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    if x.ndim == 3 and x.shape[0] == 3 and x.shape[2] != 3:
        x = x.transpose(1, 2, 0)
    return x if x.ndim == 2 or x.dtype == np.uint8 else np.clip(x, 0, 1)


def _has_photo(figure):
    """Whether it shows a picture with many pixels, of which a PNG would be several times larger."""
    shown = (image.get_array() for ax in figure.axes for image in ax.images)
    return any(x is not None and x.shape[0] * x.shape[1] > 10_000 for x in shown)


def _png(figure):
    return _drawn(figure, format="png", pil_kwargs={"optimize": True})


def _jpeg(figure):
    return _drawn(figure, format="jpeg", pil_kwargs={"quality": 92, "subsampling": 0})


def _drawn(figure, **options):
    """(the bytes of a file, metadata of the output): how wide to show it, and what it shows."""
    from PIL import Image

    file = io.BytesIO()
    figure.savefig(file, bbox_inches="tight", pad_inches=0.05, **options)
    exact = figure.get_gid() == _PIXELS
    width = Image.open(file).width if exact else round(Image.open(file).width * 96 / _DPI)
    return file.getvalue(), {"width": width, "alt": figure.get_label()}
