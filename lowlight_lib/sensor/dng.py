"""The DNG side of raw files: writing one that LibRaw reads back exactly, and reading its tags.

Source: Adobe, "Digital Negative (DNG) Specification", 1.7.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import threading
from fractions import Fraction
from typing import Any, cast

import numpy as np

from ..errors import RawFileError, ShapeError, UnsupportedRawError
from .cfa import look_up

# LibRaw calls anything smaller "not a raw file" (seen at 21 and 22 lines with LibRaw 0.22).
SMALLEST_DNG = 22

# DNG and TIFF/EP tag numbers (Adobe DNG specification 1.7).
_MAKE, _MODEL, _ORIENT, _EXPOSURE, ISO, _EXIF_IFD = 271, 272, 274, 33434, 34855, 34665
_CFA_DIM, _CFA, _DNG_VERSION, _UNIQUE_MODEL = 33421, 33422, 50706, 50708
_BLACK_DIM, _BLACK, _WHITE, _NEUTRAL = 50713, 50714, 50717, 50728
_MATRIX1, _ILLUMINANT1, _D65 = 50721, 50778, 21
# name: (tag, how many numbers it has or None for any, the lowest, whether pixels depend on it).
_NUMBERS = {
    "iso": (ISO, None, 1, False), "balance": (50727, 3, 1e-6, False),
    "matrix1": (_MATRIX1, 9, -1e6, False), "illuminant1": (_ILLUMINANT1, 1, 0, False),
    "matrix2": (50722, 9, -1e6, False), "illuminant2": (50779, 1, 0, False),
    "matrix3": (52531, 9, -1e6, False), "illuminant3": (52529, 1, 0, False),
    "black_dim": (_BLACK_DIM, 2, 1, True), "black": (_BLACK, None, 0, True),
    "delta_h": (50715, None, -1e6, True), "delta_v": (50716, None, -1e6, True),
    "white": (_WHITE, None, 1e-6, True), "layout": (50711, 1, 1, True),
    "crop_origin": (50719, 2, 0, True), "crop_size": (50720, 2, 1, True),
    "active": (50829, 4, 0, True),
}  # fmt: skip
_CFA_PHOTOMETRIC, _LINEAR_PHOTOMETRIC, _OLD_JPEG, _LOSSLESS_JPEG = 32803, 34892, 6, 7
COMPRESSIONS = {8: "deflate", 9: "VC-5", 34892: "lossy JPEG", 52546: "JPEG XL"}
_MOST_PAGES = 8  # a damaged chain can be endless
_MOST_LEVELS = 4096  # that LibRaw has room for
# EXIF's light sources, the nearest to D65 (in mired) first.
_LIGHTS = (21, 10, 19, 12, 22, 11, 1, 4, 9, 18, 20, 13, 23, 2, 14, 15, 24, 16, 3, 17)
CONVERT = "convert it, or the camera's own file, with Adobe DNG Converter"
_SWITCH = threading.Lock()


def encode_dng(raw: Any) -> bytes:
    """The bytes that `raw.write_dng` writes, from a RawImage."""
    import tifffile

    if min(raw.mosaic.shape) < SMALLEST_DNG:
        what = f"a DNG of {raw.mosaic.shape} is smaller than LibRaw reads"
        raise ShapeError(what, todo=f"make both sides at least {SMALLEST_DNG}")
    levels = np.append(raw.black_level.ravel(), raw.white_level)
    whole = (levels == np.round(levels)).all() and levels.min() >= 0 and levels.max() <= 65535
    if not whole or len(levels) > _MOST_LEVELS + 1:
        what = f"levels {np.unique(levels)[:99].tolist()} are not whole numbers from 0 to 65535"
        raise ShapeError(what, todo="round them; black ones have up to 4096 places")
    gains = np.asarray(raw.white_balance, np.float64)
    numbers = [*gains, raw.exposure_s or 0, raw.iso or 0]
    if not (np.isfinite(numbers).all() and gains.min() > 0 and min(numbers) >= 0):
        raise ShapeError(f"white balance, exposure and ISO are not all positive: {numbers}")
    # TIFF strings are 7-bit ASCII
    model = (raw.model or "Low-Light Lab mosaic").encode("ascii", "replace").decode()
    tags = [
        (_MODEL, "s", 0, model, True),
        (_ORIENT, "H", 1, int(raw.orientation), True),
        (_CFA_DIM, "H", 2, raw.cfa.shape, True),
        (_CFA, "B", raw.cfa.size, bytes(raw.cfa.ravel().tolist()), True),
        (_DNG_VERSION, "B", 4, bytes([1, 4, 0, 0]), True),
        (_UNIQUE_MODEL, "s", 0, model, True),
        (_BLACK_DIM, "H", 2, raw.black_level.shape, True),
        (_BLACK, "I", raw.black_level.size, tuple(levels[:-1].astype(int).tolist()), True),
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
    plain = {"photometric": "cfa", "metadata": None, "software": False}
    # Uncompressed: LibRaw cannot read tifffile's codecs.
    tifffile.imwrite(buffer, np.ascontiguousarray(raw.mosaic), extratags=tags, **plain)
    return buffer.getvalue()


def _rationals(values):
    """TIFF rationals, flat: the closest fraction whose two parts fit into 31 bits."""
    limit = 2**31 - 1
    pairs = (Fraction(float(v)).limit_denominator(int(limit / max(1, abs(v)))) for v in values)
    return tuple(part for p in pairs for part in (p.numerator, p.denominator))


def read_tags(path) -> dict[str, Any]:
    """What a TIFF-like raw file says in its tags, checked; {} where it is another container.

    Returns the numbers of `_NUMBERS` as float64 arrays, but "iso" as one or None; "model", text or
    None; "is_dng"; "named", who made it is said; "compression" and "is_float" of its mosaic.
    Raises RawFileError: parts of the mosaic lie outside of the file, or are zeros.
        UnsupportedRawError: a tag that the pixels depend on is of another type, count or range.
    """
    import tifffile

    with _quiet():
        try:
            file = tifffile.TiffFile(path)
        except Exception:  # any other container (CR3, RAF): LibRaw tells us what we need
            return {}
        with file:
            return _checked(file, path)


def _checked(file, path):
    pages = _pages(file.pages)
    page = _mosaic_of(pages)
    found: dict[str, Any] = {"is_dng": any(_DNG_VERSION in p.tags for p in pages)}
    if not (_is_whole(page, file.filehandle) if page else _holds_panasonic(file, pages)):
        what = "is damaged or truncated: pixels are missing, or zeros are in their place"
        raise RawFileError(what, file=path, todo="copy it again from the card")
    if page:
        found |= {"compression": int(page.compression), "is_float": page.sampleformat == 3}
        pages.insert(0, page)
    texts = [_first(pages, code) for code in (_MODEL, _UNIQUE_MODEL, _MAKE)]
    texts = [t.value.strip("\0 ") if t and isinstance(t.value, str) else None for t in texts]
    found |= {"model": texts[0] or texts[1] or None, "named": found["is_dng"] or bool(texts[2])}
    for name, (code, count, lowest, needed) in _NUMBERS.items():
        tag = _first(pages, code)
        if tag is None:
            continue
        a = _numbers(tag)[: 1 if name == "iso" else None]
        if len(a) and count in (None, len(a)) and lowest <= a.min() and a.max() < 2**32:
            found[name] = a
        elif needed and found["is_dng"]:
            what = f"has a damaged tag {tag.name} (type {tag.dtype}, {tag.count} values)"
            raise UnsupportedRawError(what, file=path, todo=CONVERT)
    for exif in (p.tags[_EXIF_IFD].value for p in pages if _EXIF_IFD in p.tags):
        exif = exif if isinstance(exif, dict) else {}
        iso = exif.get("ISOSpeedRatings") or exif.get("PhotographicSensitivity")
        if isinstance(iso, int) and iso > 0:
            found.setdefault("iso", [iso])
    return found | {"iso": int(found["iso"][0]) if "iso" in found else None}


def _first(pages, code):
    return next((p.tags[code] for p in pages if code in p.tags), None)


def _pages(pages, inner=True):
    """The image directories of a file that can be read, each before its own."""
    import tifffile

    found = []
    with contextlib.suppress(Exception):  # the rest of a damaged chain
        for page in itertools.islice(pages or (), _MOST_PAGES):
            if isinstance(page, tifffile.TiffPage):
                found += [page, *(_pages(page.pages, False) if inner else ())]
    return found


def _mosaic_of(pages):
    """The page that holds the mosaic, or the linear raw, or Canon's; None where it is unclear."""
    rank = {_CFA_PHOTOMETRIC: 2, _LINEAR_PHOTOMETRIC: 1}
    fit = [p for p in pages if p.photometric in rank or p.compression == _OLD_JPEG]

    def order(p):
        return rank.get(p.photometric, 0), p.subfiletype == 0, sum(p.databytecounts)

    return max(fit, key=order, default=None)


def _is_whole(page, file):
    """Whether all strips or tiles are there. Half-copied files have them cut off or as zeros."""
    parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if not parts or (page.is_tiled and len(parts) < np.prod(page.chunked)):
        return False
    for start, count in parts:
        if count < 1 or start + count > file.size:
            return False
        if page.compression == 1:
            continue
        file.seek(start)
        head, size = file.read(2), min(count, 1 << 16)
        file.seek(start + count - size)
        rest = file.read(size).rstrip(b"\0")
        sound = size - len(rest) <= max(64, size // 64)
        if page.compression == _LOSSLESS_JPEG:  # has marks of its own at both ends
            sound = head == b"\xff\xd8" and rest.endswith(b"\xff\xd9")
        if not sound:
            return False
    return True


def _holds_panasonic(file, pages):
    """The same for an RW2, which is a TIFF of its own kind; True for all else."""
    file.filehandle.seek(0)
    if file.filehandle.read(4) != b"IIU\0" or not pages:
        return True
    tags = pages[0].tags
    values = [_numbers(tags[code]) if code in tags else np.empty(0) for code in (2, 3, 280, 279)]
    width, height, offset, count = (int(v[0]) if len(v) else 0 for v in values)
    # Some models state more bytes than there are: a pixel takes eight bits and a seventh.
    return offset + min(count or 2**62, width * height * 8 // 7) <= file.filehandle.size


def _numbers(tag):
    """The numbers of a tag, float64; none where it holds something else, or what is not finite."""
    if tag.dtype in (2, 7):  # text, and bytes of any meaning
        return np.empty(0)
    value = list(tag.value) if isinstance(tag.value, bytes) else tag.value
    a = np.atleast_1d(np.asarray(value, np.float64)).ravel()
    if tag.dtype in (5, 10):  # rationals
        with np.errstate(all="ignore"):
            a = a[::2] / a[1::2]
    return a if np.isfinite(a).all() else np.empty(0)


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


def matrix_of(tags: dict[str, Any]) -> np.ndarray | None:
    """XYZ -> camera of a DNG, float32 (3, 3): of several the one for the light nearest to D65."""

    def distance(n):
        light = tags.get(f"illuminant{n}", [0])[0]
        return _LIGHTS.index(light) if light in _LIGHTS else len(_LIGHTS)

    known = [n for n in (1, 2, 3) if f"matrix{n}" in tags and tags[f"matrix{n}"].any()]
    if not known:
        return None
    matrix = tags[f"matrix{min(known, key=distance)}"].reshape(3, 3)
    return (tags.get("balance", np.ones(3))[:, None] * matrix).astype(np.float32)


def read_floats(path, tags: dict[str, Any], sizes, black: np.ndarray):
    """(mosaic, black level, white level) of a DNG of floats, in 65535ths of its brightest value."""
    import tifffile

    top, left = sizes.top_margin, sizes.left_margin
    try:
        with _quiet(), tifffile.TiffFile(path) as file:
            x = np.asarray(cast(Any, _mosaic_of(_pages(file.pages))).asarray(), np.float32)
        x = x[top : top + sizes.height, left : left + sizes.width]
        if x.shape != (sizes.height, sizes.width) or not np.isfinite(x).all():
            raise ValueError("they are not finite, or too few")
    except Exception as e:  # packed in a way that tifffile alone does not know, say
        raise UnsupportedRawError(f"holds unreadable floats ({e})", file=path, todo=CONVERT) from e
    white = float(tags.get("white", [1])[0])
    scale = np.float32(65535 / max(white, x.max()))
    return np.rint(x.clip(0) * scale), black * scale, float(white * scale)


def _corner(tags, sizes):
    """Where LibRaw's visible area begins in the active area, which DNG's tags count from."""
    return np.array([sizes.top_margin, sizes.left_margin]) - tags.get("active", np.zeros(2))[:2]


def crop_of(tags: dict[str, Any], sizes, path) -> tuple[slice, ...]:
    """Lines and columns of LibRaw's visible area that a DNG wants to be shown."""
    area = np.array([sizes.height, sizes.width])
    if "crop_size" not in tags:
        return tuple(slice(0, n) for n in area)
    start = np.rint(tags.get("crop_origin", np.zeros(2))[::-1] - _corner(tags, sizes)).astype(int)
    stop = start + np.rint(tags["crop_size"][::-1]).astype(int)
    # LibRaw may cut one line more at the top and left, to start at an even one.
    if (start < -1).any() or (stop > area).any():
        what = "wants a part to be shown (DefaultCropOrigin and -Size) that is not in its pixels"
        raise UnsupportedRawError(what, file=path, todo=CONVERT)
    return tuple(slice(max(0, a), b) for a, b in zip(start, stop, strict=True))


def black_of(tags: dict[str, Any], black: np.ndarray, sizes, crop, path) -> np.ndarray:
    """Black levels from the corner of the crop on: of a DNG what it says, else LibRaw's, `black`.

    The DNG specification's sum: a cell that repeats, one number a column and one a line. The result
    has no more lines and columns than it takes to repeat.
    """
    start, deltas = np.array([c.start for c in crop]), [None, None]
    if tags.get("is_dng"):
        deltas = [tags.get("delta_v"), tags.get("delta_h")]
        if "black" in tags or any(d is not None for d in deltas):
            values, start = tags.get("black", np.zeros(1)), start + _corner(tags, sizes)
            shape = tags.get("black_dim", (2, 2) if len(values) == 4 else (1, 1))
            shape = tuple(int(n) for n in shape) if len(values) > 1 else (1, 1)
            black = values.reshape(shape) if len(values) == np.prod(shape) else np.empty((0, 0))
    lines = [np.arange(c.stop - c.start) + int(s) for c, s in zip(crop, start, strict=True)]
    if not black.size or any(
        d is not None and len(d) <= at[-1] for d, at in zip(deltas, lines, strict=True)
    ):
        what = "has black levels that do not fill their repeat, or too few of their deltas"
        raise UnsupportedRawError(what, file=path, todo=CONVERT)
    lines = [
        at[:n] if d is None else at for d, at, n in zip(deltas, lines, black.shape, strict=True)
    ]
    level = look_up(black, *lines)
    for axis, delta in enumerate(deltas):
        if delta is not None:
            level = level + np.expand_dims(delta[lines[axis]], 1 - axis)
    return level.astype(np.float32)
