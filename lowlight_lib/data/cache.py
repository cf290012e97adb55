"""Decode once, then read by memory map: memory use does not grow with the data set.

Every array is one `.npy` file with a `.json` beside it that says from which source file it was
made. The array is written first and the note last, each under a temporary name, so an interrupted
build leaves either a whole entry or none, and goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..errors import OutputError
from ..io.files import atomic_write

FORMAT = 1
_THREADS = 8  # at most: each needs memory for a whole picture while that is developed


class ArrayCache:
    """A folder of decoded arrays for one data set.

    Args:
        data_root: where the sources are.
        folder: where the cache goes; default `data_root/cache`, or below $LOWLIGHT_CACHE where a
            data root is read-only or shared.
    """

    def __init__(self, data_root, folder=None):
        self.root = Path(data_root).resolve()
        shared = os.environ.get("LOWLIGHT_CACHE")
        if folder is None and shared:  # many roots may share it: keep them apart
            name = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
            folder = Path(shared) / f"{self.root.name}-{name}"
        self.folder = Path(folder) if folder else self.root / "cache"

    def get(self, source, kind, make):
        """The array of that kind made from `source`, decoding it only if there is no fresh one.

        Args:
            source: path below the data root.
            kind: what is stored ("mosaic", "target-libraw0.22", ...); part of the file's name.
            make: function of the source path -> (array, notes), notes a JSON dict.
        Returns:
            (read-only memory map, notes).
        Raises:
            whatever `make` raises; OutputError when the cache cannot be written.
        """
        source = Path(source)
        array_path, note_path = self._paths(source, kind)
        note = _read_note(note_path)
        if note and _same_source(note, source, note_path):
            array = _open(array_path, note)
            if array is not None:
                return array, note["notes"]
        before = _stat(source)
        array, notes = make(source)
        array = np.ascontiguousarray(array)
        try:
            with atomic_write(array_path) as f:
                np.save(f, array)
            note = {
                "format": FORMAT,
                "stat": before,
                "sha256": _sha256(source),
                "shape": list(array.shape),
                "dtype": str(array.dtype),
                "notes": notes,
            }
            with atomic_write(note_path, "w") as f:
                json.dump(note, f)
        except OutputError as e:
            todo = "set LOWLIGHT_CACHE to a folder with space that you may write to"
            raise OutputError(e.what, file=e.file, todo=todo) from e
        array = _open(array_path, note)
        if array is None:
            raise OutputError("cannot be read back", file=array_path, todo="check the disk")
        return array, notes

    def fill(self, wanted, desc="decode", progress=True) -> None:
        """Make all that is lacking of many entries, on all cores; long work, once.

        In threads, which LibRaw, zlib and numpy let run side by side: it needs no second process,
        and in a forked one LibRaw would hang.

        Args:
            wanted: (source, kind, make) as `get` takes them; what is there twice is made once.
        Raises:
            the error of the first that fails, in their order; what others have made by then stays.
        """
        from tqdm.auto import tqdm

        wanted = list(dict.fromkeys(wanted))
        pool = ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS))
        try:
            done = pool.map(self._make, wanted)
            for _ in tqdm(done, desc=desc, total=len(wanted), disable=not progress):
                pass
        finally:  # after an error or Ctrl-C the rest is not begun
            pool.shutdown(cancel_futures=True)

    def _make(self, entry):
        self.get(*entry)  # its memory map is not kept: each holds a file descriptor

    def _paths(self, source, kind):
        try:
            inner = source.resolve().relative_to(self.root)
        except ValueError:  # a link out of the root: keep its name, apart from the others
            inner = Path("elsewhere") / hashlib.sha256(str(source).encode()).hexdigest()[:16]
        base = self.folder / inner
        return (base.with_name(f"{base.name}.{kind}.{ext}") for ext in ("npy", "json"))


def _stat(path):
    s = path.stat()
    return [s.st_size, s.st_mtime_ns, s.st_ctime_ns]


def _same_source(note, source, note_path):
    """Is the file the one the entry was made from? Its bytes are compared only on suspicion."""
    now = _stat(source)
    if note["stat"] == now:
        return True
    if note["stat"][0] != now[0] or note["sha256"] != _sha256(source):
        return False
    with contextlib.suppress(OutputError), atomic_write(note_path, "w") as f:
        json.dump(note | {"stat": now}, f)  # copied or touched, not changed
    return True


def _sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _read_note(path):
    try:
        note = json.loads(path.read_text())
        ok = note["format"] == FORMAT and {"stat", "sha256", "shape", "dtype", "notes"} <= set(note)
        return note if ok else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


# An array's header is read by Python's own parser, and that of 3.11 can fail with a SystemError
# ("recursion depth mismatch", python/cpython#106905) where two threads are in it.
_HEADERS = threading.Lock()


def _open(path, note):
    try:
        with _HEADERS:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, EOFError, ValueError):  # gone, or cut short: build it again
        return None
    except OSError as e:
        raise OutputError(f"cannot be opened ({e.strerror or e})", file=path) from e
    fits = list(array.shape) == note["shape"] and str(array.dtype) == note["dtype"]
    return array if fits else None
