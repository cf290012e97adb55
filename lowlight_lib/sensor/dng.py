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

from ..errors import RawFileError, ShapeError, UnsupportedRawError
from .cfa import look_up

# LibRaw calls anything smaller "not a raw file" (seen at 21 and 22 lines with LibRaw 0.22).
SMALLEST_DNG = 22

# DNG and TIFF/EP tag numbers (Adobe DNG specification 1.7).
_MAKE, _MODEL, _ORIENT, _EXPOSURE, ISO, _EXIF_IFD = 271, 272, 274, 33434, 34855, 34665
_CFA_DIM, _CFA, _DNG_VERSION, _UNIQUE_MODEL = 33421, 33422, 50706, 50708
_BLACK_DIM, _BLACK, _WHITE, _NEUTRAL = 50713, 50714, 50717, 50728
_MATRIX1, _ILLUMINANT1, _D65 = 50721, 50778, 21
# name: (tag, how many numbers it has, the lowest, whether the pixels mean something else by it).
# Where no count is said, any will do.
_NUMBERS = {
    "iso": (ISO, None, 1, False),
    "matrix1": (_MATRIX1, 9, -1e6, False),
    "matrix2": (50722, 9, -1e6, False),
    "matrix3": (52531, 9, -1e6, False),
    "illuminant1": (_ILLUMINANT1, 1, 0, False),
    "illuminant2": (50779, 1, 0, False),
    "illuminant3": (52529, 1, 0, False),
    "balance": (50727, 3, 1e-6, False),
    "layout": (50711, 1, 1, True),
    "black_dim": (_BLACK_DIM, 2, 1, True),
    "black": (_BLACK, None, 0, True),
    "delta_h": (50715, None, -1e6, True),
    "delta_v": (50716, None, -1e6, True),
    "white": (_WHITE, None, 1e-6, True),
    "crop_origin": (50719, 2, 0, True),
    "crop_size": (50720, 2, 1, True),
    "active": (50829, 4, 0, True),
}
_CFA_PHOTOMETRIC, _LINEAR_PHOTOMETRIC, _JPEG_OF_OLD, _LOSSLESS_JPEG = 32803, 34892, 6, 7
_COMPRESSIONS = {8: "deflate", 9: "VC-5", 34892: "lossy JPEG", 52546: "JPEG XL"}
_MOST_LEVELS = 4096  # that LibRaw has room for
# Colour temperatures of EXIF's light sources, as the DNG specification has them.
_KELVIN = {1: 5500, 2: 4150, 3: 2850, 4: 5500, 9: 5500, 10: 6500, 11: 7500, 12: 6400, 13: 5050}
_KELVIN |= {14: 4150, 15: 3525, 16: 2925, 17: 2850, 18: 5500, 19: 6500, 20: 5500, 21: 6500}
_KELVIN |= {22: 7500, 23: 5000, 24: 3200}
_SWITCH = threading.Lock()


def encode_dng(raw: Any) -> bytes:
    """The bytes that `raw.write_dng` writes, from a RawImage."""
    import tifffile

    if min(raw.mosaic.shape) < SMALLEST_DNG:
        what = f"a DNG of {raw.mosaic.shape} is smaller than LibRaw reads"
        raise ShapeError(what, todo=f"make both sides at least {SMALLEST_DNG}")
    levels = np.append(raw.black_level.ravel(), raw.white_level)
    if raw.black_level.size > _MOST_LEVELS:
        what = f"black levels that repeat over {raw.black_level.shape} are more than LibRaw reads"
        raise ShapeError(what, todo="subtract them from the mosaic")
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
    pixels = np.ascontiguousarray(raw.mosaic)  # uncompressed: LibRaw cannot read tifffile's codecs
    plain = {"metadata": None, "software": False}
    tifffile.imwrite(buffer, pixels, photometric="cfa", extratags=tags, **plain)
    return buffer.getvalue()


def _rationals(values):
    """TIFF rationals, flat: the closest fraction whose two parts fit into 31 bits."""
    limit = 2**31 - 1
    pairs = (Fraction(float(v)).limit_denominator(int(limit / max(1, abs(v)))) for v in values)
    return tuple(part for p in pairs for part in (p.numerator, p.denominator))


def read_tags(path) -> dict[str, Any]:
    """What a TIFF-like raw file says in its tags, checked; {} where it is another container.

    Returns:
        the numbers of `_NUMBERS` as float64 arrays, and "is_dng"; "model", text or None;
        "named", whether it says who made it; "compression" and "is_float" of its mosaic.
    Raises:
        UnsupportedRawError: a tag that the pixels depend on is of another type, count or range.
        RawFileError: pixels are missing: parts of the mosaic lie outside of the file, or are zeros.
    """
    import tifffile

    with _quiet():
        try:
            file = tifffile.TiffFile(path)
        except Exception:  # any other container (CR3, RAF): LibRaw tells us what we need
            return {}
        with file:
            pages = _pages(file)
            page = _mosaic_of(pages)
            found = {"is_dng": any(_DNG_VERSION in p.tags for p in pages)}
            if not (_is_whole(page, file.filehandle) if page else _holds_panasonic(file)):
                what = "is damaged or truncated: pixels are missing, or zeros are in their place"
                raise RawFileError(what, file=path, todo="copy it again from the card")
            if page:
                found |= {"compression": int(page.compression), "is_float": page.sampleformat == 3}
            pages = [page, *pages] if page else pages
            texts = [_text(pages, code) for code in (_MODEL, _UNIQUE_MODEL, _MAKE)]
            found |= {"model": texts[0] or texts[1], "named": bool(texts[2]) or found["is_dng"]}
            for name, (code, count, lowest, needed) in _NUMBERS.items():
                tag = next((p.tags[code] for p in pages if code in p.tags), None)
                if tag is None:
                    continue
                a = _numbers(tag)[: 1 if name == "iso" else None]
                if len(a) and count in (None, len(a)) and lowest <= a.min() and a.max() < 2**32:
                    found[name] = a
                elif needed and found["is_dng"]:
                    what = f"has a damaged tag {tag.name} (type {tag.dtype}, {tag.count} values)"
                    todo = "convert it again with the program that made it, or use the original"
                    raise UnsupportedRawError(what, file=path, todo=todo)
            if "iso" not in found:
                found |= _iso_of_exif(pages)
    return found


def _pages(file):
    """All image directories of a file that can be read, each before its own."""
    import tifffile

    found = []
    with contextlib.suppress(Exception):  # the rest of a damaged chain
        for page in file.pages:
            if isinstance(page, tifffile.TiffPage):
                found.append(page)
                subs = page.pages or ()
                found += [sub for sub in subs if isinstance(sub, tifffile.TiffPage)]
    return found


def _mosaic_of(pages):
    """The page that holds the mosaic, or the linear raw; None where it cannot be told."""

    def size(page):
        return int(page.subfiletype) == 0, sum(page.databytecounts)

    kinds = (
        lambda p: p.photometric == _CFA_PHOTOMETRIC,
        lambda p: p.photometric == _LINEAR_PHOTOMETRIC,
        lambda p: p.compression == _JPEG_OF_OLD,  # Canon's
    )
    fitting = (list(filter(kind, pages)) for kind in kinds)
    return max(next(filter(None, fitting), []), key=size, default=None)


def _is_whole(page, file):
    """Whether all strips or tiles are there. Half-copied files have them cut off or as zeros."""
    parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if not parts or len(parts) < np.prod(page.chunked or (1,)):
        return False
    for start, count in parts:
        if count < 1 or start + count > file.size:
            return False
        if page.compression == 1:
            continue
        file.seek(start)
        data = file.read(count)
        rest = data.rstrip(b"\0")
        if page.compression == _LOSSLESS_JPEG:  # has marks of its own at both ends
            sound = data.startswith(b"\xff\xd8") and rest[-2:] == b"\xff\xd9"
        else:
            sound = count - len(rest) <= max(64, count // 64)
        if not sound:
            return False
    return True


def _holds_panasonic(file):
    """The same for an RW2, which is a TIFF of its own kind; True for all else."""
    file.filehandle.seek(0)
    if file.filehandle.read(4) != b"IIU\0" or not file.pages:
        return True
    tags = file.pages[0].tags
    values = [_numbers(tags[code]) if code in tags else () for code in (2, 3, 280, 279)]
    width, height, offset, count = (int(v[0]) if len(v) else 0 for v in values)
    # Some models state more bytes than there are: a pixel takes eight bits and a seventh.
    return offset + min(count or 2**62, width * height * 8 // 7) <= file.filehandle.size


def _text(pages, code):
    values = [p.tags[code].value for p in pages if code in p.tags and p.tags[code].dtype == 2]
    return next((v.strip("\0 ") for v in values if isinstance(v, str)), "") or None


def _numbers(tag):
    """The numbers of a tag, float64; none where it holds something else, or what is not finite."""
    try:
        if tag.dtype in (2, 7):  # text, and bytes of any meaning
            return np.empty(0)
        value = list(tag.value) if isinstance(tag.value, bytes) else tag.value
        a = np.atleast_1d(np.asarray(value, np.float64)).ravel()
        if tag.dtype in (5, 10):  # rationals
            with np.errstate(all="ignore"):
                a = a[::2] / a[1::2]
        return a if np.isfinite(a).all() else np.empty(0)
    except Exception:  # its values lie outside of the file, say
        return np.empty(0)


def _iso_of_exif(pages):
    for page in pages:
        exif = page.tags[_EXIF_IFD].value if _EXIF_IFD in page.tags else None
        if isinstance(exif, dict):
            iso = exif.get("ISOSpeedRatings") or exif.get("PhotographicSensitivity")
            iso = iso[0] if isinstance(iso, tuple) and iso else iso
            if isinstance(iso, int) and iso > 0:
                return {"iso": np.array([iso], np.float64)}
    return {}


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
        return abs(1e6 / _KELVIN.get(light, 1000) - 1e6 / 6500)  # in mired, as light is compared

    known = [n for n in (1, 2, 3) if f"matrix{n}" in tags and tags[f"matrix{n}"].any()]
    if not known:
        return None
    matrix = tags[f"matrix{min(known, key=distance)}"].reshape(3, 3)
    return (tags.get("balance", np.ones(3))[:, None] * matrix).astype(np.float32)


def crop_of(tags: dict[str, Any], sizes, path) -> tuple[slice, slice]:
    """Lines and columns of LibRaw's visible area that a DNG wants to be shown."""
    height, width = sizes.height, sizes.width
    if "crop_size" not in tags:
        return slice(0, height), slice(0, width)
    top, left = _corner(tags, sizes)
    x, y = np.rint(tags.get("crop_origin", np.zeros(2))).astype(int)
    w, h = np.rint(tags["crop_size"]).astype(int)
    rows, columns = slice(max(0, y - top), y - top + h), slice(max(0, x - left), x - left + w)
    # LibRaw may cut one line more at the top and left, to start at an even one.
    if rows.stop > height or columns.stop > width or y - top < -1 or x - left < -1:
        what = f"wants a part of {h}x{w} to be shown, which is not in its {height}x{width} pixels"
        raise UnsupportedRawError(what, file=path, todo="convert it again from the original")
    return rows, columns


def compression_of(tags: dict[str, Any]) -> str | None:
    """How the pixels of a DNG are packed, in words; None for the ways that LibRaw always reads."""
    code = tags.get("compression", 1)
    if tags.get("is_float"):
        return "floats"
    if not tags.get("is_dng") or code in (1, _LOSSLESS_JPEG):
        return None
    return _COMPRESSIONS.get(code, f"compression {code}")


def read_floats(path, tags: dict[str, Any], sizes, black: np.ndarray):
    """(mosaic, black level, white level) of a DNG of floats, in 65535ths of its brightest value."""
    import tifffile

    with _quiet(), tifffile.TiffFile(path) as file:
        try:
            x = np.asarray(_mosaic_of(_pages(file)).asarray(), np.float32)
        except Exception as e:  # of a kind of packing or depth that tifffile alone does not know
            what = f"holds floats that cannot be unpacked ({e})"
            raise UnsupportedRawError(what, file=path, todo="convert it to whole numbers") from e
    top, left = sizes.top_margin, sizes.left_margin
    x = x[top : top + sizes.height, left : left + sizes.width]
    white = float(tags.get("white", np.ones(1))[0])
    if x.shape != (sizes.height, sizes.width) or not np.isfinite(x).all():
        raise RawFileError("holds values that are not finite", file=path, todo="convert it again")
    scale = 65535 / max(white, float(x.max()))
    return np.rint(x.clip(0) * np.float32(scale)), black * np.float32(scale), white * scale


def _corner(tags, sizes):
    """How far LibRaw's visible area begins below and right of the active area, which DNG's tags
    count from."""
    top, left = tags.get("active", np.zeros(4))[:2].astype(int)
    return sizes.top_margin - top, sizes.left_margin - left


def black_of(tags: dict[str, Any], black: np.ndarray, sizes, crop, path) -> np.ndarray:
    """Black levels from the corner of the crop on: of a DNG what it says, else LibRaw's, `black`.

    The DNG specification's sum: a cell that repeats, one number a column and one a line. The result
    has no more lines and columns than it takes to repeat.
    """
    top, left = (c.start for c in crop)
    n = len(black)
    if not tags.get("is_dng") or not {"black", "delta_h", "delta_v"} & {*tags}:
        return look_up(black, top + np.arange(n), left + np.arange(n))
    values = tags.get("black", np.zeros(1))
    usual = (2, 2) if "black_dim" not in tags and len(values) == 4 else (1, 1)
    dim = tuple(int(d) for d in tags.get("black_dim", usual))
    if len(values) == 1:
        dim = (1, 1)
    from_corner = np.add(_corner(tags, sizes), (top, left))
    lines = [np.arange(c.stop - c.start) + o for c, o in zip(crop, from_corner, strict=True)]
    deltas = [tags.get("delta_v"), tags.get("delta_h")]
    short = any(d is not None and len(d) <= at[-1] for d, at in zip(deltas, lines, strict=True))
    if len(values) != np.prod(dim) or short:
        what = f"has {len(values)} black levels for a repeat of {dim}, or too few of its deltas"
        raise UnsupportedRawError(what, file=path, todo="convert it again from the original")
    lines = [at[:r] if d is None else at for at, r, d in zip(lines, dim, deltas, strict=True)]
    level = look_up(values.reshape(dim), *lines)
    for axis, (at, delta) in enumerate(zip(lines, deltas, strict=True)):
        if delta is not None:
            level = level + np.expand_dims(delta[at], 1 - axis)
    return level.astype(np.float32)
