"""Any filter array as an RGGB mosaic, for networks that know Bayer only."""

import dataclasses

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import UnsupportedRawError
from . import cfa as cfa_module
from .raw import RawImage

_RADIUS = 3  # a 7x7 window holds a whole cell, and with it every colour
_ALIKE = 0.95  # correlation between the white-balanced colours of one place, as in photographs
_REACH = 20.0  # pixels; how fast neighbours forget each other. Nothing depends on it much
_NOISE = 0.01  # noise variance per pixel, of a signal variance of 1: see below
_STRIP = 64  # cells of height worked on at a time


def remosaic(raw: RawImage) -> RawImage:
    """Compute what an RGGB sensor would have recorded in the place of this one.

    Every filter array repeats, so an output pixel's place in the cell says which colours surround
    it and where. Take the best linear estimate of the wanted colour c at p from the 7x7 pixels q
    around it, each of its own colour k (ordinary kriging): weights w that minimise the expected
    squared error, under the condition that they add up to 1 over the pixels of colour c and to 0
    over those of each other colour, so that a flat patch of any colour comes out exact:

        [C + s^2 I   A] [w]   [c0]      C[q, r] = g(k_q) g(k_r) rho(k_q, k_r) exp(-|q - r| / 20)
        [A^T         0] [m] = [e_c]     c0[q]   = g(k_q) g(c)   rho(k_q, c)   exp(-|q - p| / 20)

    with A[q, k] = 1 where q is of colour k, e_c the unit vector of c, rho = 0.95 between colours
    and 1 within one, and g the reciprocal white-balance gains. So a missing red follows the edges
    that the greens around it show. With the noise s^2 no output pixel is noisier than a measured
    one, which dark pictures need; without it noise-free ones come out 2 dB better. A measured pixel
    is kept where its filter is the one that RGGB has there.
    Returns a RawImage of the same size, RGGB, with one black level (the mean of the old ones,
    rounded); values are rounded to whole DN and clipped to 0 .. white level.
    Raises UnsupportedRawError: a colour is missing in the cell. ShapeError: smaller than a cell.
    Source: Matheron, "Principles of Geostatistics", Economic Geology 1963; for filter arrays
        Trussell & Hartwig, "Mathematics for Demosaicking", IEEE TIP 2002.
    """
    missing = [c for k, c in enumerate(("red", "green", "blue")) if k not in raw.cfa]
    if missing:
        what = f"has no {' and no '.join(missing)} filters"
        todo = "use a raw of a sensor with three colours"
        raise UnsupportedRawError(what, file=raw.path, todo=todo)
    n, (h, w) = raw.cfa.shape[0], cfa_module.need_a_cell(raw)
    weights = _kernels(raw.cfa, raw.white_balance)
    black = np.rint(raw.black_level.mean())
    rows, cols = (cfa_module.whole_cells(s, _RADIUS, -s % n + _RADIUS, n) for s in (h, w))
    side = n + 2 * _RADIUS
    out = np.empty((h, w), np.uint16)
    for top in range(0, h, _STRIP * n):
        part = rows[top : top + _STRIP * n + 2 * _RADIUS]
        x = raw.mosaic[np.ix_(part, cols)].astype(np.float32)
        x -= cfa_module.look_up(raw.black_level, part, cols)
        cells = sliding_window_view(x, (side, side))[::n, ::n]  # (H/n, W/n, side, side)
        y = cells.reshape(-1, side * side) @ weights  # (cells, n * n)
        y = y.reshape(*cells.shape[:2], n, n).swapaxes(1, 2).reshape(cells.shape[0] * n, -1)
        y = y[: h - top, :w]
        y += black
        np.clip(np.rint(y, out=y), 0, raw.white_level, out=y)
        out[top : top + len(y)] = y
    return dataclasses.replace(raw, mosaic=out, cfa=cfa_module.RGGB.copy(), black_level=black)


def _kernels(cell, gains):
    """One kernel for each place of the cell, float32 (side * side, n * n)."""
    n = cell.shape[0]
    side, window = n + 2 * _RADIUS, 2 * _RADIUS + 1
    have = cfa_module.tile(np.roll(cell, (_RADIUS, _RADIUS), (0, 1)), (side, side))
    want = cfa_module.tile(cfa_module.RGGB, (n, n))
    place = np.moveaxis(np.mgrid[:window, :window], 0, -1).reshape(-1, 2) - _RADIUS
    near = np.exp(-np.linalg.norm(place[:, None] - place, axis=-1) / _REACH)
    centre = len(place) // 2
    scale = 1 / np.asarray(gains, np.float64)
    scale /= scale.max()
    between = (_ALIKE + (1 - _ALIKE) * np.eye(3)) * np.outer(scale, scale)
    kernels = np.zeros((side, side, n * n), np.float32)
    for k, ((i, j), wanted) in enumerate(np.ndenumerate(want)):
        colour = have[i : i + window, j : j + window].ravel()
        if colour[centre] == wanted:
            kernels[i + _RADIUS, j + _RADIUS, k] = 1
            continue
        a = np.eye(3)[colour]
        c = between[colour[:, None], colour] * near + _NOISE * np.eye(len(place))
        system = np.block([[c, a], [a.T, np.zeros((3, 3))]])
        right = np.append(between[colour, wanted] * near[centre], np.eye(3)[wanted])
        solved = np.linalg.solve(system, right)[: len(place)]
        kernels[i : i + window, j : j + window, k] = solved.reshape(window, window)
    return kernels.reshape(side * side, n * n)
