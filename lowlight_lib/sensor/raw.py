"""Raw files: `read_raw` opens what a camera wrote, `write_dng` writes what a camera could have.

LibRaw (through rawpy) decodes; this module turns its many conventions into one plain dataclass.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import LowlightError, RawFileError, ShapeError, UnsupportedRawError
from ..io.files import atomic_write, open_input
from . import cfa as cfa_module
from . import dng
from .dng import encode_dng

# What LibRaw's cameras call their files; TIFF and JPEG, which some do too, are photographs.
RAW_FILES = (
    ".3fr", ".ari", ".arw", ".bay", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff",
    ".gpr", ".iiq", ".k25", ".kdc", ".mdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".ori",
    ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
# LibRaw's flip code -> EXIF orientation.
_ORIENTATION = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
# What files begin with that are known by more than their size, beside TIFF.
_HEADS = (b"FUJIFILM", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"\0MRM", b"FOVb", b"II\x1a\0\0\0HEAP")
_LOST = 4, 32  # lines and columns of the last corner
_OTHERS = (
    "give a camera's raw file (ARW, NEF, DNG, ...), or bare pixels as .npy with --black, --white "
    "and --cfa; a JPEG or PNG goes to pairlie"
)
_DEVELOP = "develop it with another program, and give that picture to pairlie"


@dataclass(frozen=True)
class RawImage:
    """One exposure as the sensor recorded it.

    Attributes:
        mosaic: uint16 (H, W), margins cut off, not rotated.
        cfa: uint8 (2, 2) or (6, 6), colour of each filter from the top left pixel; 0=R 1=G 2=B.
        black_level: float32, the value of no light in DN, at each place of a cell that repeats: of
            cfa's shape, or another one of the file's, which may be as large as the mosaic.
        white_level: the value at which the sensor saturates, in DN.
        white_balance: (r, g, b) gains with g = 1; daylight where the file says nothing.
        color_matrix: CIE XYZ (D65) -> camera, float32 (3, 3), or None where nobody knows it.
        orientation: EXIF orientation 1..8 (1 = as stored).
        model, exposure_s, iso, path: what the file says of the camera, the exposure time in
            seconds and the sensitivity, and which file it is; None where it says nothing.
    """

    mosaic: np.ndarray
    cfa: np.ndarray = dataclasses.field(default_factory=cfa_module.RGGB.copy)
    black_level: np.ndarray = 0.0  # type: ignore[assignment]  # a number is made an array
    white_level: float = 65535
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    color_matrix: np.ndarray | None = None
    orientation: int = 1
    model: str | None = None
    exposure_s: float | None = None
    iso: float | None = None
    path: str | None = None

    def __post_init__(self):
        cell = np.asarray(self.cfa)
        if self.mosaic.ndim != 2 or self.mosaic.dtype != np.uint16:
            what = f"a mosaic is uint16 (H, W), got {self.mosaic.dtype} {self.mosaic.shape}"
            raise ShapeError(what, file=self.path)
        if cell.shape not in ((2, 2), (6, 6)) or not np.isin(cell, (0, 1, 2)).all():
            what = f"a CFA is a 2x2 or 6x6 cell of 0, 1, 2, got {cell.tolist()}"
            raise UnsupportedRawError(what, file=self.path)
        black = np.array(self.black_level, np.float32)
        with contextlib.suppress(ValueError):  # a cell of its own
            black = np.broadcast_to(black, cell.shape).copy()
        if black.ndim != 2 or not black.size:
            raise ShapeError(f"black levels are a cell, got {black.shape}", file=self.path)
        check_levels(black, self.white_level, self.path)
        if (matrix := self.color_matrix) is not None:
            matrix = np.asarray(matrix, np.float32).reshape(3, 3)
        # The class is frozen, and its __dict__ is not.
        vars(self).update(cfa=cell.astype(np.uint8), black_level=black, color_matrix=matrix)

    def normalized(self) -> np.ndarray:
        """The signal: float32 (H, W), 0 at black, 1 at white.

        What lies below black is clipped to 0, as published raw systems do, which turns symmetric
        noise into a bias (notebooks/02); values above white stay."""
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


def check_levels(black, white, file=None, error: type[LowlightError] = UnsupportedRawError) -> None:
    """Raise `error` for levels that leave no room, or are out of all range."""
    low, high = float(np.min(black)), float(np.max(black))
    if not (low > -(2**16) and high + 1 <= white < 2**32):
        what = f"white level {white:g} is not above black level {high:g}, or they are out of range"
        raise error(what, file=file, todo="check the levels; for a .npy give --black and --white")


def read_raw(path: Path | str) -> RawImage:
    """Open a camera's raw file; of a DNG the part which its tags want to be shown.

    Raises RawFileError: missing, unreadable, empty, truncated, or not a raw file.
        UnsupportedRawError: a raw without a three-colour filter array (linear, monochrome, Foveon),
        of pixels that are not square, or packed in a way that LibRaw does not know.
    Built in notebooks/01_raw_and_bayer, section 1.
    """
    with open_raw(path) as opened:
        return read_opened(*opened, path)[0]


def read_opened(raw, tags, path) -> tuple[RawImage, bool]:
    """The RawImage of what `open_raw` gives, and whether LibRaw knows (and develops) all of it."""
    import rawpy

    if raw.raw_type != rawpy.RawType.Flat or raw.raw_pattern is None or raw.num_colors < 3:
        raise _unsupported(path, "is raw without a colour filter array (linear, mono or Foveon)")
    sizes, other = raw.sizes, None
    with contextlib.suppress(ValueError, OverflowError, OSError):  # a date that is none
        other = raw.other
    if (aspect := sizes.pixel_aspect) != 1:
        raise _unsupported(path, f"has pixels that are not square ({aspect:g} to 1)", _DEVELOP)
    # The indices of one cell from the top left *visible* pixel: `raw_pattern` starts at the
    # margin's corner, which on sensors with odd margins is another phase.
    n = len(raw.raw_pattern)
    index = np.array(raw.raw_colors_visible[:n, :n])
    names = [chr(c) for c in raw.color_desc]
    if raw.num_colors != 3 or not {names[i] for i in np.unique(index)} <= set("RGB"):
        raise _unsupported(path, f"has the filter colours {raw.color_desc.decode()!r}, not R, G, B")
    known = np.asarray(raw.black_level_per_channel, np.float32)[index]
    cell = np.vectorize(lambda i: "RGB".index(names[i]))(index).astype(np.uint8)
    if cell.shape == (2, 2) and sorted(cell.ravel()) != [0, 1, 1, 2]:  # as 4x4 cells look
        raise _unsupported(path, "has a filter array that is neither Bayer nor X-Trans")
    crop = dng.crop_of(tags, sizes, path)
    black, white = dng.black_of(tags, known, sizes, crop, path), int(raw.white_level)
    if tags.get("is_float"):  # LibRaw's own way loses halves, fractions of black, and predictors
        mosaic, black, white = dng.read_floats(path, tags, sizes, black)
    else:
        mosaic = raw.raw_image_visible
    mosaic = np.array(mosaic[crop], np.uint16)  # a copy: LibRaw frees its own
    matrix = np.asarray(raw.rgb_xyz_matrix, np.float32)[:3]
    known_matrix = bool(matrix.any() and np.isfinite(matrix).all())
    _refuse_lost(mosaic, white, path)
    cell = cfa_module.look_up(cell, *(c.start + np.arange(n) for c in crop))
    image = RawImage(
        mosaic, cell, black, white, _white_balance(raw),
        color_matrix=matrix if known_matrix else dng.matrix_of(tags),
        orientation=_ORIENTATION.get(sizes.flip, 1),
        model=tags.get("model"),
        exposure_s=_shortest(getattr(other, "shutter_speed", None)),
        iso=_shortest(getattr(other, "iso_speed", None)) or tags.get("iso"),
        path=str(path),
    )  # fmt: skip
    same = mosaic.shape == (sizes.height, sizes.width) and np.array_equal(image.black_level, known)
    return image, same and not tags.get("is_float")


def _refuse_lost(mosaic, white, path):
    """What decoders leave where pixels are missing: zeros, or the last value or two for ever."""
    corner = mosaic[-_LOST[0] :, -_LOST[1] :]
    lost = (corner == corner[:1]).all() and (corner[:, 2:] == corner[:, :-2]).all()
    if lost and corner.max() <= 0.75 * white:  # brighter ones can be light
        what = f"is damaged or truncated: all its last pixels have the value {corner[0, -1]}"
        raise RawFileError(what, file=path, todo="copy it again from the card")


def write_dng(path: Path | str, raw: RawImage) -> None:
    """Write an uncompressed DNG that rawpy reads back unchanged.

    Pixels, levels and exposure come back bit-exactly (as LibRaw's float32), white balance and
    matrix within 1e-4.
    Raises ShapeError: sides below 22, which LibRaw cannot read, or levels that are no whole
        numbers. OutputError: the disk is full, or the place cannot be written.
    Source: Adobe, "Digital Negative (DNG) Specification", 1.7.
    """
    data = encode_dng(raw)
    with atomic_write(path) as f:
        f.write(data)


@contextlib.contextmanager
def open_raw(path):
    """(an opened rawpy.RawPy, what `dng.read_tags` says); each way to fail, also within the block,
    is a RawFileError that says what to do."""
    import rawpy

    with open_input(path, RawFileError, "check its name and rights") as f:
        head = f.read(16)
        if not head:
            raise RawFileError("is empty (0 bytes)", file=path, todo="copy it again from the card")
        tags: dict = {}
        try:
            tags = dng.read_tags(path)
            if tags.get("layout", [1])[0] != 1:
                raise _unsupported(path, "has staggered pixels (its CFALayout is not 1)", _DEVELOP)
            with rawpy.imread(str(path)) as file:
                if not (tags.get("named") or head.startswith(_HEADS) or head[4:11] == b"ftypcrx"):
                    f.seek(0)
                    _refuse_guess(file, f.read(), path)
                yield file, tags
        except (LowlightError, MemoryError):
            raise
        except UnicodeEncodeError as e:
            raise RawFileError("has a name that is not Unicode", file=path, todo="rename it") from e
        except Exception as e:  # of LibRaw, or tags that make no sense
            packed = dng.COMPRESSIONS.get(tags.get("compression", 1))
            packed = "floats" if tags.get("is_float") else packed
            if packed and tags["is_dng"]:
                what = f"is packed as {packed}, which LibRaw cannot unpack"
                raise _unsupported(path, what, dng.CONVERT) from e
            if isinstance(e, rawpy.LibRawFileUnsupportedError):
                what = "is not a raw file that LibRaw knows, or pixels without a header"
                raise RawFileError(what, file=path, todo=_OTHERS) from e
            raise _damaged(path, e) from e


def _refuse_guess(raw, data, path):
    """LibRaw knows some cameras by the size of their files alone: not if a byte more is there."""
    import rawpy

    try:
        rawpy.imread(io.BytesIO(data + b"\0")).close()
    except rawpy.LibRawError as e:
        size = raw.sizes
        what = f"has no header, and LibRaw guesses {size.height}x{size.width} pixels from its size"
        todo = "if it is a bare array, save it as .npy and give --black, --white and --cfa"
        raise UnsupportedRawError(what, file=path, todo=todo) from e


def _damaged(path, error):
    said = error.args[0] if error.args else error
    said = said.decode(errors="replace") if isinstance(said, bytes) else said
    what = f"is damaged or truncated ({said})"
    return RawFileError(what, file=path, todo="copy it again from the card")


def _unsupported(path, what, todo="use a raw from a Bayer or X-Trans sensor"):
    return UnsupportedRawError(what, file=path, todo=todo)


def _white_balance(raw):
    """(r, g, b) with g = 1; daylight where the file has zeros. (1, 1, 1) is valid (Nikon D1)."""
    for gains in (raw.camera_whitebalance, raw.daylight_whitebalance):
        r, g, b = gains[:3]
        if min(r, g, b) > 0 and np.isfinite([r, g, b]).all():
            return (r / g, 1.0, b / g)
    return (1.0, 1.0, 1.0)


def _shortest(value):
    """A float32 of LibRaw as the shortest decimal that means it (0.1, not 0.10000000149)."""
    return float(str(np.float32(value))) if value and np.isfinite(value) else None
