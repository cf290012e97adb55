"""Colour filter arrays: packing a mosaic into planes, and moving it without moving the filters.

All functions take numpy arrays and torch tensors alike and keep the kind; packing uses reshape and
swapaxes only, so that it exports to ONNX. Built in notebooks/01_raw_and_bayer, sections 3 and 4.
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

# The X-Trans cell in the phase that SID packs (its Fuji camera): red at the top left. The lower
# three rows are the upper ones, moved by three columns.
_UPPER = np.array([[0, 2, 1, 2, 0, 1], [1, 1, 0, 1, 1, 2], [1, 1, 2, 1, 1, 0]], np.uint8)
XTRANS = np.vstack([_UPPER, np.roll(_UPPER, 3, 1)])

# SID's X-Trans planes: for each, where in the 6x6 cell the four output phases
# ([0::2,0::2], [0::2,1::2], [1::2,0::2], [1::2,1::2]) take their pixel.
_XTRANS_PLANES = [
    [(0, 0), (0, 4), (3, 1), (3, 3)],  # R
    [(0, 2), (0, 5), (3, 2), (3, 5)],  # G
    [(0, 1), (0, 3), (3, 0), (3, 4)],  # B
    [(1, 2), (2, 5), (5, 2), (4, 5)],  # R
    [(2, 2), (1, 5), (4, 2), (5, 5)],  # B
    *([(r, c), (r, c + 3), (r + 3, c), (r + 3, c + 3)] for r in (1, 2) for c in (0, 1)),  # G
]


def name(cfa: ArrayLike) -> str:
    """Its name: "RGGB", "GRBG", "GBRG", "BGGR", "X-Trans", or "other"."""
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
    known, key = BAYER | {"XTRANS": XTRANS}, str(text).upper().replace("-", "").replace("_", "")
    if key not in known:
        raise ShapeError(f"{text!r} is no colour filter array", todo=f"use {', '.join(known)}")
    return known[key].copy()


def tile(cell: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Repeat a CFA-shaped cell (colours, black levels) over an image of shape (H, W)."""
    cell = np.asarray(cell)
    reps = [-(-s // c) for s, c in zip(shape, cell.shape, strict=True)]
    return np.tile(cell, reps)[: shape[0], : shape[1]]


def look_up(cell: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What a cell, repeated, has at some lines and columns: (len(rows), len(columns))."""
    return cell[np.ix_(rows % cell.shape[0], columns % cell.shape[1])]


def _need_multiple(x, n, what):
    h, w = x.shape[-2:]
    if h < n or w < n or h % n or w % n:
        what = f"{what} needs height and width to be multiples of {n}, got {h}x{w}"
        raise ShapeError(what, todo="crop the mosaic, or pad it by reflection as the models do")
    return h, w


def pack_mosaic(x: Grid) -> Grid:
    """Sort a Bayer mosaic into its four half-size planes, by position, row by row.

    Of an RGGB mosaic they are R, G1, G2, B.
    Shapes: (..., H, W) -> (..., 4, H/2, W/2); ShapeError where H or W is odd.
    Source: Chen et al., CVPR 2018, section 4.1 (whose code has R, G1, B, G2, unlike later ones).

    >>> pack_mosaic(np.array([[1, 2], [3, 4]])).ravel().tolist()
    [1, 2, 3, 4]
    """
    return _places(x, 2, "pack_mosaic")


def _places(x, n, what):
    """Sort a mosaic by place in its n x n cells: (..., H, W) -> (..., n * n, H/n, W/n)."""
    h, w = _need_multiple(x, n, what)
    lead = tuple(x.shape[:-2])
    x = x.reshape(*lead, h // n, n, w // n, n)  # (..., i, a, j, b)
    x = x.swapaxes(-4, -3).swapaxes(-3, -1)  # (..., a, i, j, b) -> (..., a, b, j, i)
    return x.swapaxes(-2, -1).reshape(*lead, n * n, h // n, w // n)  # (..., a, b, i, j)


def unpack_mosaic(x: Grid) -> Grid:
    """The exact inverse of `pack_mosaic`: (..., 4, H, W) -> (..., 2H, 2W)."""
    if x.ndim < 3 or x.shape[-3] != 4:
        raise ShapeError(f"unpack_mosaic needs (..., 4, H, W), got {tuple(x.shape)}")
    lead, (h, w) = tuple(x.shape[:-3]), x.shape[-2:]
    x = x.reshape(*lead, 2, 2, h, w)  # (..., a, b, i, j)
    x = x.swapaxes(-2, -1).swapaxes(-3, -1).swapaxes(-4, -3)  # (..., i, a, j, b)
    return x.reshape(*lead, 2 * h, 2 * w)


def pack_xtrans(x: Grid) -> Grid:
    """Sort an X-Trans mosaic into SID's nine planes: R, G, B, R, B, and four greens.

    Shapes: (..., H, W), H and W multiples of 6, in the phase of `XTRANS` -> (..., 9, H/3, W/3).
    Source: Chen et al., CVPR 2018, released code for the Fuji camera.
    """
    wanted = [6 * r + c for phases in _XTRANS_PLANES for r, c in phases]
    x = _places(x, 6, "pack_xtrans")[..., wanted, :, :]  # (..., 9 * 4, H/6, W/6)
    return unpack_mosaic(x.reshape(*x.shape[:-3], 9, 4, *x.shape[-2:]))


def to_rggb(raw: Raw) -> tuple[Raw, tuple[int, int]]:
    """Extend a Bayer raw by reflection so that its top left pixel is red.

    Returns the RawImage, RGGB, and the offset: (rows, columns) added at top and left; a result of
    the network is cropped back with `[..., offset[0]:, offset[1]:]`.
    Raises UnsupportedRawError: not Bayer. ShapeError: smaller than one cell.
    """
    return _in_phase(raw, RGGB, "Bayer")


def to_xtrans(raw: Raw) -> tuple[Raw, tuple[int, int]]:
    """`to_rggb` for X-Trans: by up to five lines at top and left, to the phase of `XTRANS`."""
    return _in_phase(raw, XTRANS, "X-Trans")


def _in_phase(raw, like, kind):
    starting = starts(raw.cfa, like)
    if not starting:
        what = f"is a {name(raw.cfa)} mosaic, and this network takes {kind} alone"
        todo = "use a network for Bayer mosaics; sensor.remosaic turns any other into one"
        raise UnsupportedRawError(what, file=raw.path, todo=todo)
    need_a_cell(raw)
    n = len(like)
    top, left = min(((-i % n, -j % n) for i, j in starting), key=sum)
    if not (top or left):
        return raw, (0, 0)
    mosaic = np.pad(raw.mosaic, ((top, 0), (left, 0)))
    mosaic[:top] = mosaic[n : n + top]
    mosaic[:, :left] = mosaic[:, n : n + left]
    # Adding a line moves every phase-bound quantity by one, the black levels too.
    small = raw.black_level.shape == raw.cfa.shape  # repeats with the filters; others as a whole
    lines = (whole_cells(s, t, 0, n) for s, t in zip(raw.mosaic.shape, (top, left), strict=True))
    black = look_up(raw.black_level, *(at[:n] if small else at for at in lines))
    return dataclasses.replace(raw, mosaic=mosaic, cfa=like.copy(), black_level=black), (top, left)


def need_a_cell(raw: Any) -> tuple[int, int]:
    """(H, W) of a raw's mosaic; ShapeError where that is smaller than a cell."""
    (h, w), n = raw.mosaic.shape, raw.cfa.shape[0]
    if min(h, w) < n:
        raise ShapeError(f"a mosaic of {h}x{w} does not hold one {n}x{n} cell", file=raw.path)
    return h, w


def whole_cells(size: int, before: int, after: int, n: int) -> np.ndarray:
    """Line numbers that extend `size` lines in the phase of an n-line cell: a line outside copies
    the nearest line inside that is a whole number of cells away.

    >>> whole_cells(4, 1, 2, 2).tolist()
    [1, 0, 1, 2, 3, 2, 3]
    """
    if size < n:
        raise ShapeError(f"{size} lines do not hold one cell of {n}")
    i = np.arange(-before, size + after)
    i = np.where(i < 0, i % n, i)
    return i - np.maximum(i - size + n, 0) // n * n


def flip(mosaic: Grid, direction: Literal["horizontal", "vertical"]) -> Grid:
    """Mirror the scene and keep the sensor: one line is dropped at each end, and the phase stays.

    Shapes: (..., H, W), Bayer, any phase, H and W even -> (..., H, W - 2) or (..., H - 2, W);
        ShapeError where H or W is odd, or less than 4 along the flipped axis.
    Source: Liu et al., "Learning Raw Image Denoising with Bayer Pattern Unification and Bayer
        Preserving Augmentation", CVPRW 2019. Built in notebooks/01_raw_and_bayer, section 4.

    >>> flip(np.array([[10, 20, 10, 20], [30, 40, 30, 40]]), "horizontal").tolist()
    [[10, 20], [30, 40]]
    """
    if direction not in ("horizontal", "vertical"):
        raise ShapeError(f"unknown direction {direction!r}", todo='use "horizontal" or "vertical"')
    _need_multiple(mosaic, 2, "flip")
    axis = -1 if direction == "horizontal" else -2
    if mosaic.shape[axis] < 4:
        raise ShapeError(f"too small to flip {direction}ly: {tuple(mosaic.shape)}", todo="need 4")
    return mirror(mosaic[..., 1:-1] if axis == -1 else mosaic[..., 1:-1, :], axis)


def rot90(mosaic: Grid) -> Grid:
    """Turn the scene 90 degrees counter-clockwise and keep the sensor, but for its two greens.

    Shapes: (..., H, W), RGGB or BGGR (the others change under any turn) -> (..., W - 2, H).
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
