"""Photographs that are not raw: PNG, JPEG, BMP, TIFF and WebP, as RGB, upright, at full depth."""

import threading
import warnings
from pathlib import Path
from typing import cast

import numpy as np
import psutil

from ..errors import DataError
from .files import open_input

PHOTOS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")  # Pillow knows others, for some it runs programs
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # what the files begin with
_MOST = 2**30  # pixels, and OpenCV's limit
_SWITCH = threading.Lock()
_ORIENTATION, _DNG_VERSION = 0x0112, 0xC612  # tags


def read_photo(path) -> np.ndarray:
    """`read_pixels` as a network takes it: float32 (H, W, 3) in [0, 1], display-encoded."""
    return to_float(read_pixels(path))


def read_pixels(path) -> np.ndarray:
    """Decode a photograph, turned upright as its EXIF orientation asks.

    Grey becomes three equal colours, transparency is dropped (not blended), of several frames the
    first counts. Colour profiles are not applied: the values are taken for sRGB. Returns (H, W, 3),
    uint8, uint16, or float32 in [0, 1]; DataError for what is missing, damaged, huge, or raw.
    """
    path = Path(path)
    if path.suffix.lower() not in PHOTOS:
        todo = f"use {', '.join(PHOTOS)}; a camera's raw file goes to a system that takes raw"
        raise DataError("is not called a picture", file=path, todo=todo)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged tags
            pixels, orientation = _decode(path)
        if pixels.ndim not in (2, 3):
            raise ValueError(f"it is no flat picture: {pixels.shape}")
    except DataError:
        raise
    except Exception as e:  # what is no picture, or a damaged one, fails in a dozen ways
        todo = "copy it again, or save it as PNG or as TIFF without compression"
        raise DataError(f"cannot be read as a picture ({e})", file=path, todo=todo) from e
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    pixels = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., :1].repeat(3, -1)
    return np.ascontiguousarray(upright(pixels, orientation))


def upright(picture, orientation):
    """Turn a picture (H, W, ...) as its EXIF orientation (1..8) asks; a view."""
    picture = picture.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else picture
    picture = picture[:, ::-1] if orientation in (2, 3, 6, 7) else picture
    return picture[::-1] if orientation in (3, 4, 7, 8) else picture


def to_float(pixels) -> np.ndarray:
    """Integers -> float32 in [0, 1]: 255 or 65535 becomes 1; floats stay."""
    pixels = np.asarray(pixels)
    top = 1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    return pixels.astype(np.float32) / np.float32(top)


def _decode(path):
    """(pixels as they lie in the file, EXIF orientation that is left to apply)."""
    from PIL import Image

    with open_input(path) as f:
        head = f.read(25)
    if not head:
        raise DataError("is empty (0 bytes)", file=path, todo="copy it again")
    deep = _decode_deep_tiff(path) if head.startswith(_TIFF) else None
    if deep is not None:
        return deep
    with _SWITCH:  # Pillow's own limit is half of what some cameras take
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            opened = Image.open(path, formats=_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = before
    with opened as image:
        _refuse_huge(*image.size)
        image.load()  # first: Pillow turns a TIFF by itself, and then takes its orientation away
        orientation = image.getexif().get(_ORIENTATION, 1)
        if image.format == "PNG" and head[24] == 16:  # of which Pillow keeps 8 bits
            return _decode_opencv(path), orientation
        return np.asarray(image.convert("RGB")), orientation


def _refuse_huge(width, height):
    """As small files can claim large pictures, which are 15 bytes a pixel until they are floats."""
    if width * height > _MOST or 15 * width * height > psutil.virtual_memory().available:
        raise ValueError(f"it is too large: {width} x {height} exceeds limits")


def _decode_deep_tiff(path):
    """The same for a TIFF of more than 8 bits a colour; None for others, which Pillow can read."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = cast("tifffile.TiffPage", file.pages[0])
        bits, kind = page.bitspersample, getattr(page.photometric, "name", page.photometric)
        if kind == "CFA" or _DNG_VERSION in page.tags:
            raise ValueError("it is a camera's raw file, for a system that takes raw")
        if bits <= 8:
            return None
        if kind not in ("MINISBLACK", "RGB"):
            raise ValueError(f"it has {bits}-bit {kind} colours")
        _refuse_huge(page.size // page.samplesperpixel, 1)
        if len(page.dataoffsets) < np.prod(page.chunked):
            raise ValueError("parts of it are missing")
        try:
            pixels = page.asarray()
        except ValueError as e:  # compressed in a way that tifffile alone does not know
            # OpenCV knows more ways, but mixes up other layouts than these without a word.
            samples = (1,) if kind == "MINISBLACK" else (3, 4)
            known = page.samplesperpixel in samples and bits in (16, 32)
            if page.planarconfig != 1 or not known:
                raise ValueError(f"it cannot be unpacked: {e}") from e
            return _whole(_decode_opencv(path)), 1  # it turns every TIFF upright
        if page.planarconfig == 2 and pixels.ndim == 3:  # whole planes, one after the other
            pixels = np.moveaxis(pixels, 0, -1)
        tag = page.tags.get(_ORIENTATION)
        return _whole(pixels), (int(tag.value) if tag else 1)


def _decode_opencv(path):
    """What OpenCV makes of a PNG or TIFF, as RGB."""
    import cv2

    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("it is damaged, or compressed in an unknown way")
    return pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0]]


def _whole(pixels):
    """uint16, or floats in [0, 1]; the range of anything else would be a guess."""
    top = 1 if pixels.dtype.kind == "f" else 65535
    if not (pixels.dtype.kind in "uif" and pixels.min() >= 0 and pixels.max() <= top):
        found = f"{pixels.dtype} from {pixels.min()} to {pixels.max()}"
        raise ValueError(f"it holds {found}, not 0 to {top}")
    return pixels.astype(np.float32 if top == 1 else np.uint16)
