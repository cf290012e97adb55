"""Colour matrices, white balance and the tone curve of ITU-R BT.709."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

# CIE XYZ (D65) from linear sRGB, the figures LibRaw computes with (ITU-R BT.709 primaries).
XYZ_FROM_SRGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)


def camera_from_srgb(color_matrix: ArrayLike) -> np.ndarray:
    """Linear sRGB -> white-balanced camera RGB, (3, 3); each row sums to 1, so white stays white.

    From XYZ -> camera (3, 3), as a DNG's ColorMatrix is.
    """
    m = np.asarray(color_matrix, np.float64) @ XYZ_FROM_SRGB
    return m / m.sum(1, keepdims=True)


def daylight_gains(color_matrix: ArrayLike) -> tuple[float, float, float]:
    """White-balance gains (r, 1, b) for D65 daylight that follow from a colour matrix."""
    r, g, b = 1 / (np.asarray(color_matrix, np.float64) @ XYZ_FROM_SRGB).sum(1)
    return (float(r / g), 1.0, float(b / g))


def bt709_encode(x: ArrayLike) -> np.ndarray:
    """Linear light in [0, 1] -> ITU-R BT.709 signal: 4.5 x below 0.018, 1.099 x^0.45 - 0.099."""
    x = np.clip(np.asarray(x, np.float32), 0, 1)
    return np.where(x < 0.018, 4.5 * x, 1.099 * x**0.45 - 0.099).astype(np.float32)


def bt709_decode(y: ArrayLike) -> np.ndarray:
    """The inverse of `bt709_encode`."""
    y = np.clip(np.asarray(y, np.float32), 0, 1)
    curved = np.maximum((y + 0.099) / 1.099, 0) ** (1 / 0.45)
    return np.where(y < 0.081, y / 4.5, curved).astype(np.float32)
