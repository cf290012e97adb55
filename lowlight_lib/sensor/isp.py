"""From a mosaic to a picture and back.

`develop` is LibRaw's postprocess with the options that SID's targets were made with; `undevelop`
inverts its colour and tone steps, so that a photograph becomes the light a sensor would have seen.
Built in notebooks/01_raw_and_bayer, section 5.
"""

import dataclasses
import io
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..errors import RawFileError, ShapeError
from . import cfa as cfa_module
from .cameras import Camera, find_camera
from .colorimetry import bt709_decode, camera_from_srgb
from .dng import SMALLEST_DNG, encode_dng
from .raw import RawImage, _damaged, open_raw, read_opened

_SMALLEST_XTRANS = 512  # LibRaw's X-Trans demosaic works in tiles of 512 and refuses less


def develop(raw: RawImage | Path | str, *, auto_bright: bool = False) -> np.ndarray:
    """Turn a raw image into a picture, by the LibRaw call that made SID's targets.

    That call: camera white balance, no automatic brightness, the tone curve of ITU-R BT.709. The
    picture is not rotated: it lies pixel by pixel over the mosaic. LibRaw stretches the white level
    to the brightest pixel where that is between 75 % and 100 % of it; SID's targets have that too.
    Never call this in a forked worker process: LibRaw's threads deadlock there.
    `auto_bright` lets it brighten until 1 % of the pixels clip (for looking at, not scoring).
    Returns float32 (H, W, 3) in [0, 1], display-encoded. RawFileError: LibRaw cannot decode it.
    Source: Chen et al., "Learning to See in the Dark", CVPR 2018, released code.
    """
    import rawpy

    if not isinstance(raw, RawImage):
        with open_raw(raw) as opened:
            image, same = read_opened(*opened, raw)
            if same and not (len(image.cfa) == 6 and min(image.mosaic.shape) < _SMALLEST_XTRANS):
                return _postprocess(opened[0], auto_bright, raw)
        raw = image  # LibRaw would make another picture of the file, or none
    (h, w), cell = raw.mosaic.shape, raw.cfa.shape
    if raw.black_level.shape != cell or (raw.black_level % 1).any() or raw.white_level % 1:
        signal = np.rint(raw.normalized() * np.float32(65535)).clip(0, 65535)
        raw = dataclasses.replace(
            raw, mosaic=signal.astype(np.uint16), black_level=0, white_level=65535
        )
    with rawpy.imread(io.BytesIO(encode_dng(_large_enough(raw)))) as file:
        return _postprocess(file, auto_bright, raw.path)[:h, :w]


def _postprocess(file, auto_bright, source):
    import rawpy

    try:
        picture = file.postprocess(
            use_camera_wb=True, no_auto_bright=not auto_bright, output_bps=16, user_flip=0
        )
    except rawpy.LibRawError as e:
        raise _damaged(source, e) from e
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise RawFileError(f"develops to {picture.shape}, not to three colours", file=source)
    return picture.astype(np.float32) / np.float32(65535)


def undevelop(srgb: ArrayLike, camera: Camera | str) -> np.ndarray:
    """Invert `develop`: the noise-free mosaic that would have given this picture.

    Undoes the tone curve, then the colour matrix, then the white balance, then samples one colour
    at each filter. Colours outside the camera's gamut are clipped to it.
    Shapes: float (H, W, 3) in [0, 1], display-encoded -> float32 (H, W), 1 the white level.
    Source: Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019, without the
        steps that LibRaw's plain call does not have.
    """
    srgb = np.asarray(srgb, np.float32)
    if srgb.ndim != 3 or srgb.shape[2] != 3:
        raise ShapeError(f"a picture is (H, W, 3), got {srgb.shape}")
    if isinstance(camera, str):
        camera = find_camera(camera)
    light = bt709_decode(srgb) @ camera_from_srgb(camera.color_matrix).T.astype(np.float32)
    gains = np.asarray(camera.white_balance, np.float32)
    light = np.clip(light * (gains.min() / gains), 0, 1)  # the weakest gain meets white at 1
    colour = cfa_module.tile(camera.cfa, srgb.shape[:2])
    return np.take_along_axis(light, colour[..., None].astype(np.intp), axis=2)[..., 0]


def _large_enough(raw):
    """Extend a small mosaic at bottom and right, in the phase of its cell, to what LibRaw takes."""
    n = raw.cfa.shape[0]
    least = SMALLEST_DNG if n == 2 else _SMALLEST_XTRANS
    h, w = cfa_module.need_a_cell(raw)
    if min(h, w) >= least:
        return raw
    rows, cols = (cfa_module.whole_cells(s, 0, max(0, least - s), n) for s in (h, w))
    return dataclasses.replace(raw, mosaic=raw.mosaic[np.ix_(rows, cols)])
