"""Packed raw frames as pictures, the short way in which papers on raw video show them.

Gains for red, green and blue, the two greens averaged, a colour matrix, gamma 2.2: one colour pixel
a Bayer cell, so half the mosaic's resolution, and nothing is interpolated; or demosaiced, in full.

    picture = clip(CCM @ (R, (G1 + G2) / 2, B) of clip(gains * packed)) ** (1 / 2.2)

LLRVD has gains and a matrix a frame. SMOID has neither: there the gains make the average of a frame
grey, and the mosaic is demosaiced (bilinearly; BRVE's authors do not say how).
Source: Zhang et al., "Binarized Low-light Raw Video Enhancement", CVPR 2024, released code.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ShapeError
from .cfa import unpack_mosaic

GAMMA = 2.2
RGGB = (0, 1, 1, 2)  # the colours of the planes R, G1, G2, B


def display(
    packed: ArrayLike,
    white_balance: ArrayLike | None = None,
    ccm: ArrayLike | None = None,
    *,
    planes: Sequence[int] = RGGB,
    order: Sequence[int] | None = None,
) -> np.ndarray:
    """Turn packed planes into a picture, float32 (..., H, W, 3) in [0, 1], display-encoded.

    Args:
        packed: float (..., 4, H, W), 0 black, 1 white.
        white_balance: gains (3,) for r, g, b, or (..., 3), one set a frame; None: `grey_world` of
            all of `packed`. Several versions of a clip are shown alike with the gains of one.
        ccm: (3, 3) or (..., 3, 3), white-balanced camera RGB -> linear sRGB; None: none.
        planes: the colour of each plane, 0 R, 1 G, 2 B.
        order: the place of each plane in the cell of an RGGB mosaic, 0 to 3, to demosaic it, which
            makes the picture (..., 2H, 2W, 3).
    Raises ShapeError: not four planes, or gains and matrices that do not fit.
    """
    packed = _four(packed)
    gains = grey_world(packed, planes) if white_balance is None else white_balance
    gains = _each(gains, packed, (3,))[..., list(planes)]  # (..., 4)
    balanced = np.clip(packed * gains[..., None, None], 0, 1)
    rgb = _three(balanced, planes) if order is None else _demosaic(balanced, order)
    if ccm is not None:
        rgb = np.clip(rgb @ _each(ccm, packed, (3, 3)).swapaxes(-1, -2)[..., None, :, :], 0, 1)
    return rgb ** np.float32(1 / GAMMA)


def grey_world(packed: ArrayLike, planes: Sequence[int] = RGGB) -> np.ndarray:
    """Gains (3,) float32 that give red, green and blue of packed planes (..., 4, H, W) one mean,
    the mean of all. A colour that is nowhere is not multiplied.
    """
    rgb = _three(_four(packed), planes)
    means = rgb.reshape(-1, 3).mean(0, dtype=np.float64)
    return np.divide(means.mean(), means, out=np.ones(3), where=means > 0).astype(np.float32)


def _four(packed):
    packed = np.asarray(packed, np.float32)
    if packed.ndim < 3 or packed.shape[-3] != 4:
        raise ShapeError(f"packed frames are (..., 4, H, W), got {packed.shape}")
    return packed


def _three(packed, planes):
    """(..., 4, H, W) -> (..., H, W, 3), the planes of a colour averaged."""
    if sorted(planes) != [0, 1, 1, 2]:
        raise ShapeError(f"four planes are one 0 (R), two 1 (G), one 2 (B), got {planes}")
    colours = [np.equal(planes, colour) for colour in range(3)]
    return np.stack([packed[..., found, :, :].mean(-3) for found in colours], -1)


def _demosaic(packed, order):
    """(..., 4, H, W) -> (..., 2H, 2W, 3), in 16 bits, which OpenCV can interpolate."""
    import cv2

    mosaics = unpack_mosaic(packed[..., np.argsort(order), :, :])
    flat = np.rint(mosaics * 65535).astype(np.uint16).reshape(-1, *mosaics.shape[-2:])
    rgb = np.stack([cv2.cvtColor(m, cv2.COLOR_BayerRGGB2RGB) for m in flat])
    return rgb.reshape(*mosaics.shape, 3).astype(np.float32) / np.float32(65535)


def _each(values, packed, shape):
    """Gains or matrices, one for all frames or one a frame, to broadcast with (..., shape)."""
    values = np.asarray(values, np.float32)
    each = (*packed.shape[:-3], *shape)
    if values.shape not in (shape, each):
        raise ShapeError(f"{shape} for all or {each} for each frame, got {values.shape}")
    return values
