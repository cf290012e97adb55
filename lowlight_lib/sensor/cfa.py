"""Colour filter arrays: packing a mosaic into planes, and moving it without moving the filters.

All functions take numpy arrays and torch tensors alike and keep the kind; packing uses reshape and
swapaxes only, so it exports to ONNX as it stands. Built in notebooks/01_raw_and_bayer.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ShapeError, UnsupportedRawError

if TYPE_CHECKING:
    import torch

    Grid = TypeVar("Grid", np.ndarray, torch.Tensor)  # the kind that goes in comes out
Raw = TypeVar("Raw", bound=Any)  # a raw.RawImage; that file imports this one

RGGB = np.array([[0, 1], [1, 2]], np.uint8)
BAYER = {"RGGB": RGGB, "GRBG": RGGB[:, ::-1], "GBRG": RGGB[::-1], "BGGR": RGGB[::-1, ::-1]}

# The X-Trans cell in the phase that SID packs: red at the top left (its Fuji camera).
XTRANS = np.array(
    [
        [0, 2, 1, 2, 0, 1],
        [1, 1, 0, 1, 1, 2],
        [1, 1, 2, 1, 1, 0],
        [2, 0, 1, 0, 2, 1],
        [1, 1, 2, 1, 1, 0],
        [1, 1, 0, 1, 1, 2],
    ],
    np.uint8,
)

# SID's first five X-Trans planes: for each, where in the 6x6 cell the four output phases
# ([0::2,0::2], [0::2,1::2], [1::2,0::2], [1::2,1::2]) take their pixel.
_XTRANS_PLANES = (
    ((0, 0), (0, 4), (3, 1), (3, 3)),  # R
    ((0, 2), (0, 5), (3, 2), (3, 5)),  # G
    ((0, 1), (0, 3), (3, 0), (3, 4)),  # B
    ((1, 2), (2, 5), (5, 2), (4, 5)),  # R
    ((2, 2), (1, 5), (4, 2), (5, 5)),  # B
)


def name(cfa: ArrayLike) -> str:
    """Name of a colour filter array: "RGGB", "GRBG", "GBRG", "BGGR", "X-Trans", or "other"."""
    cfa = np.asarray(cfa)
    if cfa.shape == (2, 2):
        return next((k for k, v in BAYER.items() if np.array_equal(v, cfa)), "other")
    return "X-Trans" if starts(cfa, XTRANS) else "other"


def starts(cell: ArrayLike, like: ArrayLike) -> list[tuple[int, ...]]:
    """The places (row, column) of a cell from which it, repeated, reads as the cell `like`.

    >>> starts(BAYER["GBRG"], RGGB), starts(XTRANS, XTRANS)
    ([(1, 0)], [(0, 0), (3, 3)])
    """
    cell = np.asarray(cell)
    spots = np.ndindex(*cell.shape)
    return [s for s in spots if np.array_equal(np.roll(cell, [-i for i in s], (0, 1)), like)]


def from_name(text: str) -> np.ndarray:
    """The inverse of `name`, case-insensitive: "rggb" -> uint8 (2, 2), "x-trans" -> (6, 6)."""
    key = str(text).upper().replace("-", "").replace("_", "")
    if key == "XTRANS":
        return XTRANS.copy()
    if key in BAYER:
        return BAYER[key].copy()
    raise ShapeError(f"{text!r} is no colour filter array", todo=f"use {', '.join(BAYER)}, XTRANS")


def tile(cell: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Repeat a CFA-shaped cell (colours, black levels) over an image of shape (H, W)."""
    cell = np.asarray(cell)
    reps = [-(-s // c) for s, c in zip(shape, cell.shape, strict=True)]
    return np.tile(cell, reps)[: shape[0], : shape[1]]


def _need_multiple(x, n, what):
    h, w = x.shape[-2:]
    if h < n or w < n or h % n or w % n:
        raise ShapeError(
            f"{what} needs height and width to be multiples of {n}, got {h}x{w}",
            todo="crop the mosaic, or pad it by reflection as the models do",
        )
    return h, w


def pack_mosaic(x: Grid) -> Grid:
    """Sort a Bayer mosaic into its four half-size planes, by position, row by row.

    Plane 0 holds the pixels at (even row, even column), then (even, odd), (odd, even), (odd, odd);
    for an RGGB mosaic that is R, G1, G2, B.

    Args:
        x: (..., H, W) numpy array or tensor, H and W even.
    Returns:
        (..., 4, H/2, W/2), same kind and dtype.
    Raises:
        ShapeError: H or W is odd.
    Source: Chen et al., "Learning to See in the Dark", CVPR 2018, section 4.1 (whose released code
        orders the planes R, G1, B, G2; by position is what later systems use).
    Built in notebooks/01_raw_and_bayer, section 3.

    >>> pack_mosaic(np.array([[1, 2], [3, 4]])).ravel().tolist()
    [1, 2, 3, 4]
    """
    h, w = _need_multiple(x, 2, "pack_mosaic")
    lead = tuple(x.shape[:-2])
    x = x.reshape(*lead, h // 2, 2, w // 2, 2)  # (..., i, a, j, b)
    x = x.swapaxes(-4, -3).swapaxes(-3, -1)  # (..., a, i, j, b) -> (..., a, b, j, i)
    return x.swapaxes(-2, -1).reshape(*lead, 4, h // 2, w // 2)  # (..., a, b, i, j)


def unpack_mosaic(x: Grid) -> Grid:
    """The exact inverse of `pack_mosaic`: (..., 4, H, W) -> (..., 2H, 2W)."""
    if x.ndim < 3 or x.shape[-3] != 4:
        raise ShapeError(f"unpack_mosaic needs (..., 4, H, W), got {tuple(x.shape)}")
    lead, (h, w) = tuple(x.shape[:-3]), x.shape[-2:]
    x = x.reshape(*lead, 2, 2, h, w)  # (..., a, b, i, j)
    x = x.swapaxes(-2, -1).swapaxes(-3, -1).swapaxes(-4, -3)  # (..., i, a, j, b)
    return x.reshape(*lead, 2 * h, 2 * w)


def pack_xtrans(x: Grid) -> Grid:
    """Sort an X-Trans mosaic into SID's nine planes at a third of the size.

    A 6x6 cell has 36 pixels and gives 2x2 outputs of 9 planes: R, G, B, R, B, and four greens.

    Args:
        x: (..., H, W), H and W multiples of 6, in the phase of `XTRANS` (red at the top left).
    Returns:
        (..., 9, H/3, W/3).
    Source: Chen et al., CVPR 2018, released code for the Fuji camera.
    """
    h, w = _need_multiple(x, 6, "pack_xtrans")
    lead = tuple(x.shape[:-2])
    cells = x.reshape(*lead, h // 6, 6, w // 6, 6)
    thirds = x.reshape(*lead, h // 3, 3, w // 3, 3)
    planes = []
    for spots in _XTRANS_PLANES:
        phases = [cells[..., :, r, :, c] for r, c in spots]  # four of (..., H/6, W/6)
        planes.append(unpack_mosaic(_stack(phases)))
    # Four of the five greens that every 3x3 block holds.
    planes += [thirds[..., :, r, :, c] for r, c in ((1, 0), (1, 1), (2, 0), (2, 1))]
    return _stack(planes)


def _stack(planes: list[Any]) -> Any:
    """Stack along a new axis -3, numpy or torch."""
    if isinstance(planes[0], np.ndarray):
        return np.stack(planes, -3)
    import torch

    return torch.stack(planes, -3)


def to_rggb(raw: Raw) -> tuple[Raw, tuple[int, int]]:
    """Pad a Bayer raw so that its top left pixel is red.

    One reflected row and/or column goes on at the top and left where needed. Reflection (the edge
    line itself not repeated) keeps the parity of every line, so the new line has the right filters.

    Args:
        raw: a `RawImage` (any object with `mosaic` (H, W), `cfa`, `black_level`, as a dataclass).
    Returns:
        (raw, offset): the padded RawImage, RGGB, and (rows, columns) added at top and left; a
        result of the network is cropped back with `[..., offset[0]:, offset[1]:]`.
    Raises:
        UnsupportedRawError: the mosaic is not Bayer.

    >>> from lowlight_lib.sensor.raw import RawImage
    >>> raw = RawImage(np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint16), BAYER["GRBG"])
    >>> padded, offset = to_rggb(raw)
    >>> padded.mosaic.tolist(), offset
    ([[2, 1, 2, 3, 4], [6, 5, 6, 7, 8]], (0, 1))
    """
    kind = name(raw.cfa)
    if kind not in BAYER:
        raise UnsupportedRawError(
            f"a {kind} mosaic ({raw.cfa.shape[0]}x{raw.cfa.shape[1]} cell) has no RGGB phase",
            file=raw.path,
            todo="this step takes Bayer mosaics only",
        )
    top, left = {"RGGB": (0, 0), "GRBG": (0, 1), "GBRG": (1, 0), "BGGR": (1, 1)}[kind]
    h, w = raw.mosaic.shape
    if h < 2 or w < 2:
        raise ShapeError(f"a mosaic of {h}x{w} is too small to hold one {kind} cell", file=raw.path)
    if not (top or left):
        return raw, (0, 0)
    padded = np.pad(raw.mosaic, ((top, 0), (left, 0)), mode="reflect")
    # Adding a line moves every phase-bound quantity by one, the black levels too.
    black = np.roll(raw.black_level, (top, left), (0, 1))
    return dataclasses.replace(raw, mosaic=padded, cfa=RGGB.copy(), black_level=black), (top, left)


def to_xtrans(raw: Raw) -> tuple[Raw, tuple[int, int]]:
    """Extend an X-Trans raw so that its top left pixel lies in the phase of `XTRANS`.

    What `to_rggb` is for Bayer. No reflection keeps the phase of a 6x6 cell, so the up to five new
    lines at top and left are copies from exactly one cell further in.

    Args:
        raw: a `RawImage`, X-Trans in any of its phases.
    Returns:
        (raw, offset): the extended RawImage and (rows, columns) added at top and left.
    Raises:
        UnsupportedRawError: the mosaic is not X-Trans.
        ShapeError: it is smaller than one cell.
    """
    found = starts(raw.cfa, XTRANS)
    if not found:
        raise UnsupportedRawError(
            f"is a {name(raw.cfa)} mosaic, and this network takes X-Trans alone",
            file=raw.path,
            todo="use a network for Bayer mosaics; X-Trans files fit those too, by a remosaic",
        )
    top, left = min(((-i % 6, -j % 6) for i, j in found), key=sum)
    if not (top or left):
        return raw, (0, 0)
    h, w = need_a_cell(raw)
    extended = raw.mosaic[np.ix_(whole_cells(h, top, 0, 6), whole_cells(w, left, 0, 6))]
    black = np.roll(raw.black_level, (top, left), (0, 1))
    raw = dataclasses.replace(raw, mosaic=extended, cfa=XTRANS.copy(), black_level=black)
    return raw, (top, left)


def need_a_cell(raw: Any) -> tuple[int, int]:
    """(H, W) of a raw's mosaic, or a ShapeError that names the file where that is under a cell."""
    (h, w), n = raw.mosaic.shape, raw.cfa.shape[0]
    if min(h, w) < n:
        raise ShapeError(f"a mosaic of {h}x{w} does not hold one {n}x{n} cell", file=raw.path)
    return h, w


def whole_cells(size: int, before: int, after: int, n: int) -> np.ndarray:
    """Line numbers that extend `size` lines in the phase of an n-line cell.

    A line outside is a copy of the nearest line inside that is a whole number of cells away.

    >>> whole_cells(4, 1, 2, 2).tolist()
    [1, 0, 1, 2, 3, 2, 3]
    """
    if size < n:
        raise ShapeError(f"{size} lines do not hold one cell of {n}")
    i = np.arange(-before, size + after)
    i = np.where(i < 0, i % n, i)
    return i - np.maximum(i - size + n, 0) // n * n


def flip(mosaic: Grid, direction: Literal["horizontal", "vertical"]) -> Grid:
    """Mirror the scene and keep the sensor: the top left pixel keeps its colour.

    A plain mirror of a Bayer mosaic changes its phase (RGGB becomes GRBG), so a network that
    packs by position sees greens where it learned reds. One line is dropped at each end first.

    Args:
        mosaic: (..., H, W) numpy array or tensor, Bayer, any phase; H and W even.
        direction: "horizontal" (left-right) or "vertical" (up-down).
    Returns:
        (..., H, W - 2) or (..., H - 2, W), a view where the array type allows one.
    Raises:
        ShapeError: H or W is odd, or less than 4 along the flipped axis.
    Source: Liu et al., "Learning Raw Image Denoising with Bayer Pattern Unification and Bayer
        Preserving Augmentation", CVPRW 2019.
    Built in notebooks/01_raw_and_bayer, section 4.

    >>> flip(np.array([[10, 20, 10, 20], [30, 40, 30, 40]]), "horizontal").tolist()
    [[10, 20], [30, 40]]
    """
    axes = {"horizontal": -1, "vertical": -2}
    if direction not in axes:
        raise ShapeError(f"unknown direction {direction!r}", todo='use "horizontal" or "vertical"')
    _need_multiple(mosaic, 2, "flip")
    if mosaic.shape[axes[direction]] < 4:
        raise ShapeError(f"too small to flip {direction}ly: {tuple(mosaic.shape)}", todo="need 4")
    return mirror(_inner(mosaic, axes[direction]), axes[direction])


def rot90(mosaic: Grid) -> Grid:
    """Turn the scene 90 degrees counter-clockwise and keep the sensor.

    Two columns are dropped first (the mirror inside a rotation is what moves the phase). The two
    greens of a cell exchange their places, which are green either way.

    Args:
        mosaic: (..., H, W), RGGB or BGGR (the others change under any turn); H, W even, W >= 4.
    Returns:
        (..., W - 2, H).
    """
    return flip(mosaic, "horizontal").swapaxes(-1, -2)


def mirror(x: Grid, axis: int) -> Grid:
    """Reverse one of the last two axes of an array or tensor, phase or no phase."""
    if isinstance(x, np.ndarray):
        return np.flip(x, axis)
    import torch

    if x.dtype == torch.uint16:  # torch cannot flip this type
        return x.view(torch.int16).flip(axis).view(torch.uint16)
    return x.flip(axis)  # torch has no negative strides


def _inner(x, axis):
    return x[..., 1:-1] if axis == -1 else x[..., 1:-1, :]
