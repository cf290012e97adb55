"""Arrays in files of other people, .npy and .npz: all that is wrong with one is one error."""

import contextlib
import io
import math
import os
import threading
import zipfile

import numpy as np
import psutil

from ..errors import DataError, LowlightError
from .files import open_input

# An array's header is read by Python's own parser, and that of 3.11 can fail with a SystemError
# ("recursion depth mismatch", python/cpython#106905) where two threads are in it.
_HEADERS = threading.Lock()


def read_arrays(path, error: type[LowlightError] = DataError) -> dict[str, np.ndarray]:
    """The arrays of a .npz by their names, or that of a .npy, called ""; `error` for what is
    missing, damaged, larger than memory, or no array."""
    with _guarded(path, error), open_input(path, error) as f:
        if not zipfile.is_zipfile(f):
            return {"": _read(f, f.seek(0, io.SEEK_END))}
        found = {}
        with zipfile.ZipFile(f) as archive:
            for member in archive.infolist():
                with archive.open(member) as part:
                    name = member.filename.removesuffix(".npy")
                    found[name] = _read(part, member.file_size)
        return found


def map_array(path, error: type[LowlightError] = DataError) -> np.ndarray:
    """The array of a .npy as a read-only memory map; `error` as in `read_arrays`."""
    with _guarded(path, error), open_input(path, error) as f:
        dtype, shape, order = _header(f, f.seek(0, io.SEEK_END))
        if not math.prod(shape):
            return np.zeros(shape, dtype)
        return np.memmap(f, dtype, "r", f.tell(), shape, order)


def _read(f, size):
    dtype, shape, order = _header(f, size)
    count = math.prod(shape) * dtype.itemsize
    if count > psutil.virtual_memory().available:
        raise ValueError(f"{dtype} {shape} does not fit into memory")
    data = bytearray(count)
    if f.readinto(data) < len(data):
        raise ValueError("it is cut short")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _header(f, size):
    """(dtype, shape, order) of the array that begins here, all of which is there."""
    f.seek(0)
    major, minor = np.lib.format.read_magic(f)
    with _HEADERS:
        shape, fortran, dtype = getattr(np.lib.format, f"read_array_header_{major}_{minor}")(f)
    if dtype.hasobject or not dtype.itemsize:
        raise ValueError(f"it holds {dtype}")
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize > size - f.tell():
        raise ValueError(f"it is cut short, or damaged: {dtype} {shape} in {size} bytes")
    return dtype, shape, "F" if fortran else "C"


@contextlib.contextmanager
def _guarded(path, error):
    try:
        yield
    except LowlightError:
        raise
    except Exception as e:  # a damaged header alone fails in a dozen ways
        kind = os.path.splitext(path)[1].lstrip(".") or "npy"
        what = f"is cut short, or cannot be read as {kind} ({e!s:.200})"
        raise error(what, file=path, todo="copy it again, or save it anew with numpy") from e
