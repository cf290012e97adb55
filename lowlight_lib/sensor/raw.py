"""Raw files: `read_raw` opens what a camera wrote, `write_dng` writes what a camera could have.

LibRaw (through rawpy) decodes; this module turns its many conventions into one plain dataclass.
Built in notebooks/01_raw_and_bayer.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import RawFileError, ShapeError, UnsupportedRawError
from ..io.files import atomic_write
from . import cfa as cfa_module
from . import dng
from .dng import encode_dng

# LibRaw's flip code -> EXIF orientation.
_ORIENTATION = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}


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
        black = np.broadcast_to(np.asarray(self.black_level, np.float32), cell.shape).copy()
        if not (np.isfinite(black).all() and black.max() < self.white_level):
            what = f"white level {self.white_level} is not above black level {black.max():g}"
            todo = "check the levels; for a .npy mosaic give --black and --white"
            raise UnsupportedRawError(what, file=self.path, todo=todo)
        matrix = self.color_matrix
        if matrix is not None:
            matrix = np.asarray(matrix, np.float32).reshape(3, 3)
        # The class is frozen, and its __dict__ is not.
        vars(self).update(cfa=cell.astype(np.uint8), black_level=black, color_matrix=matrix)

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


def read_raw(path: Path | str) -> RawImage:
    """Open a camera's raw file (ARW, NEF, CR2, RAF, DNG, ...), copy all out and close it.

    Raises:
        RawFileError: missing, unreadable, empty, truncated, or not a raw file.
        UnsupportedRawError: a raw without a three-colour filter array (linear, monochrome, Foveon).
    Built in notebooks/01_raw_and_bayer, section 1.
    """
    import rawpy

    with _open(path) as raw:
        try:
            if raw.raw_type != rawpy.RawType.Flat or raw.raw_pattern is None or raw.num_colors < 3:
                what = "is a raw file without a colour filter array (linear, monochrome or Foveon)"
                raise _unsupported(path, what)
            mosaic = np.array(raw.raw_image_visible, np.uint16)  # a copy: LibRaw frees its own
            # The indices of one cell from the top left *visible* pixel: `raw_pattern` starts at the
            # margin's corner, which on sensors with odd margins is another phase.
            n = len(raw.raw_pattern)
            index = np.array(raw.raw_colors_visible[:n, :n])
            names = [chr(c) for c in raw.color_desc]
            if raw.num_colors != 3 or not {names[i] for i in np.unique(index)} <= set("RGB"):
                what = f"has the filter colours {raw.color_desc.decode()!r}, not red, green, blue"
                raise _unsupported(path, what)
            black = np.asarray(raw.black_level_per_channel, np.float32)[index]
            white = float(raw.white_level)
            balance = _white_balance(raw)
            matrix = np.asarray(raw.rgb_xyz_matrix, np.float32)[:3]
            sizes, other = raw.sizes, raw.other
        except rawpy.LibRawError as e:
            raise _damaged(path, e) from e
    cell = np.vectorize(lambda i: "RGB".index(names[i]))(index).astype(np.uint8)
    if cell.shape == (2, 2) and sorted(cell.ravel()) != [0, 1, 1, 2]:  # 4x4 cells look like this
        raise _unsupported(path, "has a filter array that is neither Bayer nor X-Trans")
    tags = dng.read_tags(path)
    if white <= 255 and dng.model_of(tags) is None:  # LibRaw knows some cameras by file size alone
        what = f"has no header, and LibRaw guesses an 8-bit camera of {mosaic.shape} from its size"
        todo = "if it is a bare array, save it as .npy and give --black, --white and --cfa"
        raise UnsupportedRawError(what, file=path, todo=todo)
    if tags.get(dng.END, 0) > Path(path).stat().st_size:  # LibRaw does not miss the last few pixels
        raise RawFileError("ends before its pixels do", file=path, todo="copy it again")
    return RawImage(
        mosaic=mosaic,
        cfa=cell,
        black_level=dng.black_of(tags, black, sizes),
        white_level=int(white),
        white_balance=balance,
        color_matrix=matrix if matrix.any() else dng.matrix_of(tags),
        orientation=_ORIENTATION.get(sizes.flip, 1),
        model=dng.model_of(tags),
        exposure_s=_shortest(other.shutter_speed),
        iso=_shortest(other.iso_speed) or tags.get(dng.ISO),
        path=str(path),
    )


def write_dng(path: Path | str, raw: RawImage) -> None:
    """Write an uncompressed DNG that rawpy reads back unchanged.

    Pixels, levels and exposure come back bit-exactly (as LibRaw's float32), white balance and
    matrix within 1e-4. The file appears, or replaces an older one, only once it is complete.

    Args:
        raw: any bit depth up to 16 (the white level says which), sides >= 22.
    Raises:
        ShapeError: smaller than LibRaw reads, or a black level that is not a whole number.
        OutputError: the disk is full, or the place cannot be written.
    Source: Adobe, "Digital Negative (DNG) Specification", 1.7.
    """
    data = encode_dng(raw)
    with atomic_write(path) as f:
        f.write(data)


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
    except ValueError as e:  # a zero byte in it, say
        raise RawFileError(f"is no file name ({e})", file=repr(str(path))) from e
    except OSError as e:
        raise RawFileError(f"cannot be read ({e.strerror})", file=path, todo="check access") from e
    if size == 0:
        raise RawFileError("is empty (0 bytes)", file=path, todo="copy it again from the card")
    try:
        return rawpy.imread(str(path))
    except UnicodeEncodeError as e:
        raise RawFileError("has a name that is not Unicode", file=path, todo="rename it") from e
    except rawpy.LibRawFileUnsupportedError as e:
        todo = "give a camera's raw file (ARW, NEF, DNG, ...); a JPEG or PNG goes to pairlie"
        raise RawFileError("is not a raw file that LibRaw knows", file=path, todo=todo) from e
    except rawpy.LibRawError as e:
        raise _damaged(path, e) from e


def _damaged(path, error):
    text = error.args[0] if error.args else error
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    what = f"is damaged or truncated (LibRaw: {text})"
    return RawFileError(what, file=path, todo="copy it again from the card")


def _unsupported(path, what):
    return UnsupportedRawError(what, file=path, todo="use a raw from a Bayer or X-Trans sensor")


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
