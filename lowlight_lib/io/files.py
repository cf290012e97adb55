"""Writing files so that a name never holds half a file, and pictures as PNG, TIFF or JPEG."""

import contextlib
import os
import re
import stat
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, LowlightError, OptionError, OutputError
from .png import write_png

PICTURES = (".png", ".tiff", ".tif", ".jpg", ".jpeg")


@contextlib.contextmanager
def atomic_write(path, mode="wb"):
    """Open a temporary neighbour of `path`; rename it over `path` once it is complete, so that
    the name always holds a whole file. OutputError for no space, or no access."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode, **text) as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as e:  # torch.save makes the latter of the former
        cause = e if isinstance(e, OSError) else e.__context__
        if not isinstance(cause, OSError):
            raise
        raise output_error(path, cause) from e
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_picture(path, picture) -> None:
    """Write a picture, float (H, W, 3), display-encoded, clipped to [0, 1], as .png (8 bit), .tiff
    or .tif (16 bit), .jpg or .jpeg (8 bit, quality 95); OptionError for another suffix."""
    if (suffix := Path(path).suffix.lower()) not in PICTURES:
        what = f"a picture is not written as {suffix or 'a name without suffix'!r}"
        raise OptionError(what, todo=f"use {', '.join(PICTURES)}")
    with atomic_write(path) as f:
        if suffix.startswith(".tif"):
            import tifffile

            tifffile.imwrite(f, to_integers(picture, 16), photometric="rgb", software=False)
        elif suffix == ".png":
            write_png(f, to_integers(picture, 8))
        else:
            from PIL import Image

            Image.fromarray(to_integers(picture, 8)).save(f, "JPEG", quality=95)


def to_integers(picture, bits) -> np.ndarray:
    """float in [0, 1] -> uint8 (bits = 8) or uint16 (bits = 16), rounded and clipped."""
    picture = np.asarray(picture, np.float32)
    out = np.empty(picture.shape, np.uint8 if bits == 8 else np.uint16)
    for i in range(0, len(out), 64):  # lines: floats of all would be the larger half of the memory
        scaled = np.clip(picture[i : i + 64], 0, 1) * np.float32(2**bits - 1)
        out[i : i + 64] = np.rint(scaled, out=scaled)
    return out


def make_folder(folder) -> Path:
    """Make a folder and make sure that it can be written to; OutputError at once if not."""
    probe = (folder := Path(folder)) / f".{uuid.uuid4().hex[:8]}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as e:
        raise output_error(folder, e) from e
    return folder


def this_process() -> list:
    """[id, start time] of this process, for a file that says who is at work in a folder."""
    import psutil

    return [os.getpid(), psutil.Process().create_time()]


def is_running(process) -> bool:
    """Whether what `this_process` said is still there: ids are used again. False for other data."""
    import psutil

    try:
        pid, began = process
        return psutil.Process(pid).create_time() == began
    except (psutil.Error, TypeError, ValueError, OverflowError):
        return False


def open_input(path, error: type[LowlightError] = DataError, todo="check its name and place"):
    """Open a file of people's for reading, bytes; `error`, a class of ours, where that fails, as it
    does for a pipe or a device, which would be waited for without end."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            return open(path, "rb")
    except OSError as e:
        missing = isinstance(e, FileNotFoundError)
        what = "does not exist" if missing else f"cannot be read ({e.strerror})"
        raise error(what, file=path, todo=todo) from e
    except ValueError as e:  # a zero byte in it, say
        raise error(f"is no file name ({e})", file=repr(str(path)), todo="check it") from e
    what = "is a folder" if stat.S_ISDIR(mode) else "is a pipe or a device, not a file"
    raise error(what, file=path, todo="name a file")


def files_in(folder, suffixes) -> list[Path]:
    """The files in a folder with these suffixes, of any case, as `listing` has them."""
    return listing(folder, lambda p: p.suffix.lower() in suffixes and p.is_file())


def listing(folder, wanted) -> list[Path]:
    """What of a folder is wanted, in natural order (2 before 10); [] where there is none. Names
    that begin with . or __ are of systems (.DS_Store, ._1.png, __MACOSX)."""
    try:
        inside = list(Path(folder).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as e:
        raise DataError(f"cannot be looked into ({e.strerror or e})", file=folder) from e
    named = (p for p in inside if not p.name.startswith((".", "__")) and wanted(p))
    return sorted(named, key=_natural)


def _natural(path):
    parts = re.split(r"(\d+)", path.name)
    return [int(p) if i % 2 else p.casefold() for i, p in enumerate(parts)], path.name


def output_error(path, error: OSError) -> OutputError:
    """Say what an operating system error means to somebody who wanted to write `path`."""
    why = (error.strerror or f"perhaps no space left: {error}").lower()  # numpy's has no strerror
    todo = "choose another folder, free space, or change rights"
    return OutputError(f"cannot be written ({why})", file=path, todo=todo)
