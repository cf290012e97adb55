"""Raw files: `read_raw` opens what a camera wrote, `write_dng` writes what a camera could have.

LibRaw (through rawpy) decodes; this module turns its many conventions into one plain dataclass.
Built in notebooks/01_raw_and_bayer.
"""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..errors import RawFileError, ShapeError, UnsupportedRawError
from . import cfa as cfa_module
from .files import atomic_write

# LibRaw calls anything smaller "not a raw file" (seen at 21 and 22 lines with LibRaw 0.22).
SMALLEST_DNG = 22

# LibRaw's flip code -> EXIF orientation.
_ORIENTATION = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}

# DNG and TIFF/EP tag numbers (Adobe DNG specification 1.7).
_MODEL, _ORIENT, _EXPOSURE, _ISO, _EXIF_IFD = 272, 274, 33434, 34855, 34665
_CFA_DIM, _CFA, _DNG_VERSION, _UNIQUE_MODEL = 33421, 33422, 50706, 50708
_BLACK_DIM, _BLACK, _WHITE, _NEUTRAL = 50713, 50714, 50717, 50728
_MATRIX1, _MATRIX2, _ILLUMINANT1, _ILLUMINANT2, _BALANCE = 50721, 50722, 50778, 50779, 50727
_ACTIVE_AREA = 50829
_D65 = 21
_CFA_PHOTOMETRIC = 32803
_END = "end"  # in `_tags`: where the pixels of the mosaic end in the file


@dataclass(frozen=True)
class RawImage:
    """One exposure as the sensor recorded it.

    Attributes:
        mosaic: uint16 (H, W), margins cut off, not rotated.
        cfa: uint8 (2, 2) or (6, 6), colour of each filter from the top left pixel; 0=R 1=G 2=B.
        black_level: float32 of cfa's shape, the value of no light at each place of the cell, in DN.
        white_level: the value at which the sensor saturates, in DN.
        white_balance: (r, g, b) gains with g = 1; daylight where the file says nothing.
        color_matrix: CIE XYZ (D65) -> camera, float32 (3, 3), or None where nobody knows it.
        orientation: EXIF orientation 1..8 (1 = as stored).
        model, exposure_s, iso: what the file says of the camera, the exposure time in seconds and
            the sensitivity; None where it says nothing.
        path: the file it came from, or None.
    """

    mosaic: np.ndarray
    cfa: np.ndarray = dataclasses.field(default_factory=cfa_module.RGGB.copy)
    black_level: np.ndarray | float = 0.0
    white_level: float = 65535
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    color_matrix: np.ndarray | None = None
    orientation: int = 1
    model: str | None = None
    exposure_s: float | None = None
    iso: float | None = None
    path: str | None = None

    def __post_init__(self):
        fix = lambda k, v: object.__setattr__(self, k, v)  # noqa: E731  (the class is frozen)
        cell = np.asarray(self.cfa)
        if self.mosaic.ndim != 2 or self.mosaic.dtype != np.uint16:
            raise ShapeError(
                f"a mosaic is uint16 (H, W), got {self.mosaic.dtype} {self.mosaic.shape}",
                file=self.path,
            )
        if cell.shape not in ((2, 2), (6, 6)) or not np.isin(cell, (0, 1, 2)).all():
            raise UnsupportedRawError(
                f"a CFA is a 2x2 or 6x6 cell of 0, 1, 2, got {cell.tolist()}", file=self.path
            )
        black = np.broadcast_to(np.asarray(self.black_level, np.float32), cell.shape).copy()
        if not (np.isfinite(black).all() and black.max() < self.white_level):
            raise UnsupportedRawError(
                f"white level {self.white_level} is not above black level {black.max():g}",
                file=self.path,
                todo="check the levels; for a .npy mosaic give --black and --white",
            )
        fix("cfa", cell.astype(np.uint8))
        fix("black_level", black)
        if self.color_matrix is not None:
            fix("color_matrix", np.asarray(self.color_matrix, np.float32).reshape(3, 3))

    def normalized(self) -> np.ndarray:
        """The signal: float32 (H, W), 0 at black, 1 at white.

        What lies below black is clipped to 0, as both published raw systems do (a lesson of
        notebooks/02: that clip turns symmetric noise into a bias); values above white stay.
        """
        black = self.black_level
        if (black == black[0, 0]).all():
            level, span = black[0, 0], np.float32(self.white_level - black[0, 0])
        else:
            level = cfa_module.tile(black, self.mosaic.shape)
            span = np.float32(self.white_level) - level
        x = self.mosaic.astype(np.float32)
        np.subtract(x, level, out=x)
        np.maximum(x, 0, out=x)
        return np.divide(x, span, out=x)


def read_raw(path) -> RawImage:
    """Open a camera's raw file.

    Everything is copied out and the file is closed before this returns.

    Args:
        path: a file that LibRaw decodes as a colour filter array (ARW, NEF, CR2, RAF, DNG, ...).
    Returns:
        RawImage, without the sensor's margins, as stored (not rotated).
    Raises:
        RawFileError: missing, unreadable, empty, truncated, or not a raw file.
        UnsupportedRawError: a raw without a three-colour filter array (linear, monochrome, Foveon).
    Built in notebooks/01_raw_and_bayer, section 1.
    """
    import rawpy

    with _open(path) as raw:
        try:
            if raw.raw_type != rawpy.RawType.Flat or raw.raw_pattern is None or raw.num_colors < 3:
                raise UnsupportedRawError(
                    "is a raw file without a colour filter array (linear, monochrome or Foveon)",
                    file=path,
                    todo="use a raw from a Bayer or X-Trans sensor",
                )
            mosaic = np.array(raw.raw_image_visible, np.uint16)  # a copy: LibRaw frees its own
            index = _cell(raw, path)
            names = [chr(c) for c in raw.color_desc]
            if raw.num_colors != 3 or not {names[i] for i in np.unique(index)} <= set("RGB"):
                raise UnsupportedRawError(
                    f"has the filter colours {raw.color_desc.decode()!r}, not red, green and blue",
                    file=path,
                    todo="use a raw from a Bayer or X-Trans sensor",
                )
            black = np.asarray(raw.black_level_per_channel, np.float32)[index]
            white = float(raw.white_level)
            balance = _white_balance(raw)
            matrix = np.asarray(raw.rgb_xyz_matrix, np.float32)[:3]
            sizes, other = raw.sizes, raw.other
            raw_white_ok = white > black.max()
        except rawpy.LibRawError as e:
            raise _damaged(path, e) from e
    if not raw_white_ok:
        raise UnsupportedRawError(
            f"says white level {white:g} and black level {black.max():g}", file=path
        )
    cell = np.vectorize(lambda i: "RGB".index(names[i]))(index).astype(np.uint8)
    if cell.shape == (2, 2) and sorted(cell.ravel()) != [0, 1, 1, 2]:  # 4x4 cells look like this
        raise UnsupportedRawError(
            "has a filter array that is neither Bayer nor X-Trans",
            file=path,
            todo="use a raw from a Bayer or X-Trans sensor",
        )
    tags = _tags(path)
    if tags.get(_END, 0) > Path(path).stat().st_size:  # LibRaw does not miss the last few pixels
        raise RawFileError("ends before its pixels do", file=path, todo="copy it again")
    if not matrix.any():
        matrix = _dng_matrix(tags)
    black = _dng_black(tags, black, sizes)
    return RawImage(
        mosaic=mosaic,
        cfa=cell,
        black_level=black,
        white_level=int(white),
        white_balance=balance,
        color_matrix=matrix,
        orientation=_ORIENTATION.get(sizes.flip, 1),
        model=tags.get(_MODEL) or tags.get(_UNIQUE_MODEL),
        exposure_s=_shortest(other.shutter_speed),
        iso=_shortest(other.iso_speed) or tags.get(_ISO),
        path=str(path),
    )


def write_dng(path, raw: RawImage) -> None:
    """Write an uncompressed DNG that rawpy reads back unchanged.

    Pixels, levels and exposure come back bit-exactly (as LibRaw's float32), white balance and
    matrix within 1e-4. The file appears under its name only once it is complete.

    Args:
        path: where to; an existing file is replaced.
        raw: Bayer or X-Trans, any bit depth up to 16 (the white level says which), sides >= 22.
    Raises:
        ShapeError: smaller than LibRaw reads, or a black level that is not a whole number.
        OutputError: the disk is full, or the place cannot be written.
    Source: Adobe, "Digital Negative (DNG) Specification", 1.7.
    """
    data = encode_dng(raw)
    with atomic_write(path) as f:
        f.write(data)


def encode_dng(raw: RawImage) -> bytes:
    """The bytes that `write_dng` writes."""
    import tifffile

    if min(raw.mosaic.shape) < SMALLEST_DNG:
        raise ShapeError(
            f"a DNG of {raw.mosaic.shape[0]}x{raw.mosaic.shape[1]} is smaller than LibRaw reads",
            todo=f"make both sides at least {SMALLEST_DNG}",
        )
    if (raw.black_level != np.round(raw.black_level)).any() or raw.black_level.min() < 0:
        raise ShapeError(
            f"black levels {np.unique(raw.black_level).tolist()} are not whole numbers >= 0",
            todo="round them: LibRaw keeps black levels as integers",
        )
    n = raw.cfa.shape[0]
    model = raw.model or "Low-Light Lab mosaic"
    black = tuple(int(b) for b in raw.black_level.ravel())
    tags = [
        (_MODEL, "s", 0, model, True),
        (_ORIENT, "H", 1, int(raw.orientation), True),
        (_CFA_DIM, "H", 2, (n, n), True),
        (_CFA, "B", n * n, bytes(raw.cfa.ravel().tolist()), True),
        (_DNG_VERSION, "B", 4, bytes([1, 4, 0, 0]), True),
        (_UNIQUE_MODEL, "s", 0, model, True),
        (_BLACK_DIM, "H", 2, (n, n), True),
        (_BLACK, "I", n * n, black, True),
        (_WHITE, "I", 1, int(raw.white_level), True),
        (_NEUTRAL, "2I", 3, _rationals(1 / np.asarray(raw.white_balance, np.float64)), True),
    ]
    if raw.color_matrix is not None:
        tags += [
            (_MATRIX1, "2i", 9, _rationals(raw.color_matrix.ravel()), True),
            (_ILLUMINANT1, "H", 1, _D65, True),
        ]
    if raw.exposure_s:
        tags.append((_EXPOSURE, "2I", 1, _rationals([raw.exposure_s]), True))
    if raw.iso:
        tags.append((_ISO, "H", 1, min(int(raw.iso), 65535), True))
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        np.ascontiguousarray(raw.mosaic),
        photometric="cfa",
        compression=None,  # LibRaw does not read what tifffile compresses
        extratags=tags,
        metadata=None,
        software=False,
    )
    return buffer.getvalue()


# ---------------------------------------------------------------------------------------------
# helpers


def _open(path):
    """rawpy.imread, with every way it can fail turned into a RawFileError that says what to do."""
    import rawpy

    path = Path(path)
    try:
        size = path.stat().st_size
        with open(path, "rb") as f:
            f.read(1)
    except FileNotFoundError as e:
        raise RawFileError("does not exist", file=path, todo="check the name") from e
    except IsADirectoryError as e:
        raise RawFileError("is a folder", file=path, todo="name a raw file in it") from e
    except OSError as e:
        raise RawFileError(f"cannot be read ({e.strerror})", file=path, todo="check access") from e
    if size == 0:
        raise RawFileError("is empty (0 bytes)", file=path, todo="copy it again from the card")
    try:
        return rawpy.imread(str(path))
    except rawpy.LibRawFileUnsupportedError as e:
        raise RawFileError(
            "is not a raw file that LibRaw knows",
            file=path,
            todo="give a camera's raw file (ARW, NEF, CR2, RAF, DNG, ...); is it a JPEG or a text?",
        ) from e
    except rawpy.LibRawError as e:
        raise _damaged(path, e) from e


def _damaged(path, error):
    text = error.args[0] if error.args else error
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return RawFileError(
        f"is damaged or truncated (LibRaw: {text})", file=path, todo="copy it again from the card"
    )


def _cell(raw, path):
    """The colour indices of one cell, from the top left *visible* pixel.

    `raw_pattern` starts at the margin's corner, which on sensors with odd margins is another
    phase; `raw_colors_visible` is right in every case.
    """
    n = raw.raw_pattern.shape[0]
    h, w = raw.raw_image_visible.shape
    if h < n or w < n:
        raise UnsupportedRawError(f"has only {h}x{w} visible pixels", file=path)
    return np.array(raw.raw_colors_visible[:n, :n])


def _white_balance(raw):
    """(r, g, b) with g = 1. LibRaw gives four; the second green's is 0 in most files.

    Zeros mean "not recorded" and fall back to daylight. (1, 1, 1) is an answer: some cameras (the
    Nikon D1) apply their white balance before they write the file.
    """
    for gains in (raw.camera_whitebalance, raw.daylight_whitebalance):
        r, g, b = gains[:3]
        if min(r, g, b) > 0 and np.isfinite([r, g, b]).all():
            return (r / g, 1.0, b / g)
    return (1.0, 1.0, 1.0)


def _shortest(value):
    """A float32 of LibRaw as the shortest decimal that means it (0.1, not 0.10000000149)."""
    return float(str(np.float32(value))) if value and np.isfinite(value) else None


def _rationals(values):
    """TIFF rationals, flat: the closest fraction whose two parts fit into 31 bits."""
    limit = 2**31 - 1
    pairs = (Fraction(float(v)).limit_denominator(int(limit / max(1, abs(v)))) for v in values)
    return tuple(part for p in pairs for part in (p.numerator, p.denominator))


def _tags(path):
    """TIFF tags of the first page (and its EXIF) as {number: value}; {} where it is no TIFF."""
    import logging

    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # makers' private tags are not ours
    try:
        with tifffile.TiffFile(path) as tif:
            tags, end = {}, 0
            for page in list(tif.pages)[::-1]:  # the first page wins
                tags |= {t.code: t.value for t in page.tags}
                for sub in page.pages or ():
                    tags |= {t.code: t.value for t in sub.tags if t.code not in tags}
                for p in (page, *(page.pages or ())):
                    if p.photometric == _CFA_PHOTOMETRIC and p.compression == 1:
                        parts = zip(p.dataoffsets, p.databytecounts, strict=True)
                        end = max(end, *(start + size for start, size in parts))
            tags[_END] = end
            exif = tags.get(_EXIF_IFD)
            if isinstance(exif, dict):
                iso = exif.get("ISOSpeedRatings") or exif.get("PhotographicSensitivity")
                tags.setdefault(_ISO, iso)
    except Exception:  # any other container (CR3, RAF): LibRaw has told us what we need
        return {}
    for key in (_MODEL, _UNIQUE_MODEL):
        if isinstance(tags.get(key), str):
            tags[key] = tags[key].strip("\0 ")
    if isinstance(tags.get(_ISO), tuple):
        tags[_ISO] = tags[_ISO][0]
    return tags


def _fractions(value):
    flat = np.asarray(value, np.float64).reshape(-1, 2)
    return (flat[:, 0] / flat[:, 1]).astype(np.float32)


def _dng_matrix(tags):
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


def _dng_black(tags, black, sizes):
    """Black levels of a DNG that has one for each place of the cell, from the visible corner on.

    A DNG counts them from its active area's corner. LibRaw may cut one line more, to start at an
    even one, and leaves the levels as they were; of an X-Trans cell rawpy only tells the first.
    """
    values = tags.get(_BLACK)
    if _DNG_VERSION not in tags or tags.get(_BLACK_DIM) != black.shape:
        return black
    if black.shape == (6, 6) and np.size(values) in (36, 72):
        rational = np.size(values) == 72
        black = _fractions(values) if rational else np.asarray(values, np.float32)
        black = black.reshape(6, 6)
    top, left = tags.get(_ACTIVE_AREA, (0, 0))[:2]
    return np.roll(black, (top - sizes.top_margin, left - sizes.left_margin), (0, 1))
