"""The DNG side of raw files: writing one that LibRaw reads back exactly, and reading its tags.

Source: Adobe, "Digital Negative (DNG) Specification", 1.7.
"""

from __future__ import annotations

import contextlib
import io
import logging
import threading
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import ShapeError

# LibRaw calls anything smaller "not a raw file" (seen at 21 and 22 lines with LibRaw 0.22).
SMALLEST_DNG = 22

# DNG and TIFF/EP tag numbers (Adobe DNG specification 1.7).
_MODEL, _ORIENT, _EXPOSURE, ISO, _EXIF_IFD = 272, 274, 33434, 34855, 34665
_CFA_DIM, _CFA, _DNG_VERSION, _UNIQUE_MODEL = 33421, 33422, 50706, 50708
_BLACK_DIM, _BLACK, _WHITE, _NEUTRAL = 50713, 50714, 50717, 50728
_MATRIX1, _MATRIX2, _ILLUMINANT1, _ILLUMINANT2, _BALANCE = 50721, 50722, 50778, 50779, 50727
_ACTIVE_AREA = 50829
_D65 = 21
_CFA_PHOTOMETRIC = 32803
_SWITCH = threading.Lock()
END = "end"  # in `read_tags`: where the pixels of the mosaic end in the file


def encode_dng(raw: Any) -> bytes:
    """The bytes that `raw.write_dng` writes, from a RawImage."""
    import tifffile

    if min(raw.mosaic.shape) < SMALLEST_DNG:
        what = f"a DNG of {raw.mosaic.shape} is smaller than LibRaw reads"
        raise ShapeError(what, todo=f"make both sides at least {SMALLEST_DNG}")
    levels = np.append(raw.black_level.ravel(), raw.white_level)
    if (levels != np.round(levels)).any() or levels.min() < 0 or levels.max() > 65535:
        what = f"levels {np.unique(levels).tolist()} are not whole numbers from 0 to 65535"
        raise ShapeError(what, todo="round them: LibRaw keeps levels as integers")
    gains = np.asarray(raw.white_balance, np.float64)
    numbers = [*gains, raw.exposure_s or 0, raw.iso or 0]
    if not (np.isfinite(numbers).all() and gains.min() > 0 and min(numbers) >= 0):
        raise ShapeError(f"white balance, exposure and ISO are not all positive: {numbers}")
    n = raw.cfa.shape[0]
    # TIFF strings are 7-bit ASCII
    model = (raw.model or "Low-Light Lab mosaic").encode("ascii", "replace").decode()
    tags = [
        (_MODEL, "s", 0, model, True),
        (_ORIENT, "H", 1, int(raw.orientation), True),
        (_CFA_DIM, "H", 2, (n, n), True),
        (_CFA, "B", n * n, bytes(raw.cfa.ravel().tolist()), True),
        (_DNG_VERSION, "B", 4, bytes([1, 4, 0, 0]), True),
        (_UNIQUE_MODEL, "s", 0, model, True),
        (_BLACK_DIM, "H", 2, (n, n), True),
        (_BLACK, "I", n * n, tuple(raw.black_level.ravel().astype(int).tolist()), True),
        (_WHITE, "I", 1, int(raw.white_level), True),
        (_NEUTRAL, "2I", 3, _rationals(1 / gains), True),
    ]
    if raw.color_matrix is not None:
        tags.append((_MATRIX1, "2i", 9, _rationals(raw.color_matrix.ravel()), True))
        tags.append((_ILLUMINANT1, "H", 1, _D65, True))
    if raw.exposure_s:
        tags.append((_EXPOSURE, "2I", 1, _rationals([raw.exposure_s]), True))
    if raw.iso:
        tags.append((ISO, "I", 1, round(raw.iso), True))
    buffer = io.BytesIO()
    pixels = np.ascontiguousarray(raw.mosaic)  # uncompressed: LibRaw cannot read tifffile's codecs
    plain = {"metadata": None, "software": False}
    tifffile.imwrite(buffer, pixels, photometric="cfa", extratags=tags, **plain)
    return buffer.getvalue()


def _rationals(values):
    """TIFF rationals, flat: the closest fraction whose two parts fit into 31 bits."""
    limit = 2**31 - 1
    pairs = (Fraction(float(v)).limit_denominator(int(limit / max(1, abs(v)))) for v in values)
    return tuple(part for p in pairs for part in (p.numerator, p.denominator))


def read_tags(path) -> dict[Any, Any]:
    """TIFF tags of the first page (and its EXIF) as {number: value}; {} where it is no TIFF."""
    import tifffile

    def whole(pages):  # those that have tags of their own
        return [p for p in pages or () if isinstance(p, tifffile.TiffPage)]

    try:
        with _quiet(), tifffile.TiffFile(path) as tif:
            tags, end = {}, 0
            for page in whole(tif.pages)[::-1]:  # the first page wins
                tags |= {t.code: t.value for t in page.tags}
                subs = whole(page.pages)
                for sub in subs:
                    tags |= {t.code: t.value for t in sub.tags if t.code not in tags}
                for p in (page, *subs):
                    if p.photometric == _CFA_PHOTOMETRIC and p.compression == 1:
                        parts = zip(p.dataoffsets, p.databytecounts, strict=True)
                        end = max(end, *(start + size for start, size in parts))
            tags[END] = end
            exif = tags.get(_EXIF_IFD)
            if isinstance(exif, dict):
                iso = exif.get("ISOSpeedRatings") or exif.get("PhotographicSensitivity")
                tags.setdefault(ISO, iso)
    except Exception:  # any other container (CR3, RAF): LibRaw has told us what we need
        return {}
    for key in (_MODEL, _UNIQUE_MODEL):
        if isinstance(tags.get(key), str):
            tags[key] = tags[key].strip("\0 ")
    if isinstance(tags.get(ISO), tuple):
        tags[ISO] = tags[ISO][0]
    return tags


@contextlib.contextmanager
def _quiet():
    """Makers' private tags are not ours to complain about. One thread at a time has the switch."""
    log = logging.getLogger("tifffile")
    with _SWITCH:
        before, log.disabled = log.disabled, True
        try:
            yield
        finally:
            log.disabled = before


def model_of(tags: dict[Any, Any]) -> str | None:
    """The camera's name, or None."""
    return tags.get(_MODEL) or tags.get(_UNIQUE_MODEL)


def _fractions(value):
    flat = np.asarray(value, np.float64).reshape(-1, 2)
    return (flat[:, 0] / flat[:, 1]).astype(np.float32)


def matrix_of(tags: dict[Any, Any]) -> np.ndarray | None:
    """XYZ -> camera of a DNG, the one measured under D65 where there are two; None without."""
    matrix = tags.get(_MATRIX1)
    if _MATRIX2 in tags and tags.get(_ILLUMINANT1) != _D65:
        matrix = tags[_MATRIX2]
    if matrix is None or len(matrix) != 18:
        return None
    matrix = _fractions(matrix).reshape(3, 3)
    if _BALANCE in tags:
        matrix = _fractions(tags[_BALANCE])[:, None] * matrix
    return matrix


def black_of(tags: dict[Any, Any], black: np.ndarray, sizes) -> np.ndarray:
    """Black levels of a DNG that has one for each place of the cell, from the visible corner on.

    A DNG counts them from its active area's corner. LibRaw may cut one line more, to start at an
    even one, and leaves the levels as they were; of an X-Trans cell rawpy only tells the first.
    """
    values = tags.get(_BLACK, ())
    if _DNG_VERSION not in tags or tags.get(_BLACK_DIM) != black.shape:
        return black
    if black.shape == (6, 6) and np.size(values) in (36, 72):
        rational = np.size(values) == 72
        black = _fractions(values) if rational else np.asarray(values, np.float32)
        black = black.reshape(6, 6)
    top, left = tags.get(_ACTIVE_AREA, (0, 0))[:2]
    return np.roll(black, (top - sizes.top_margin, left - sizes.left_margin), (0, 1))
