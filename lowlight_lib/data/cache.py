"""Decode once, then read by memory map: memory use does not grow with the data set.

Every array is a `.npy` file with a `.json` beside it, written last, that says from which source it
was made, and the hashes of both: an interrupted build leaves a whole entry or none.
"""

import contextlib
import functools
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..errors import DataError, OutputError
from ..io.arrays import map_array
from ..io.files import atomic_write

FORMAT = 1
_THREADS = 8  # at most: each needs memory for a whole picture while that is developed


class ArrayCache:
    """The decoded arrays of a data root: in its `cache`, or in a folder below $LOWLIGHT_CACHE."""

    def __init__(self, data_root):
        self.root = Path(data_root).resolve()
        shared = os.environ.get("LOWLIGHT_CACHE")
        name = f"{self.root.name}-{_digest(str(self.root))[:12]}"
        self.folder = Path(shared) / name if shared else self.root / "cache"

    def get(self, source, kind, make):
        """(read-only memory map, notes) of that kind, made from `source` if there is no fresh one.

        `kind` says what is stored, in the file's name; `make` is a function of the source path ->
        (array, notes), notes a JSON dict. Raises what `make` does; OutputError on a full disk.
        """
        source = Path(source)
        paths = self._paths(source, kind)
        return _read(source, *paths) or self._build(source, make, *paths)

    def fill(self, wanted, desc="decode", progress=True) -> None:
        """Make all that is lacking of many entries, (source, kind, make) as `get` takes them, on
        all cores; long work, once. Raises the error of the first that fails; the others stay."""
        from tqdm.auto import tqdm

        wanted = list(dict.fromkeys(wanted))
        # LibRaw, zlib and numpy let threads run side by side; in a fork LibRaw would hang.
        pool = ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS))
        try:
            # No memory map is kept: each holds a file descriptor.
            done = pool.map(lambda entry: bool(self.get(*entry)), wanted)
            list(tqdm(done, desc=desc, total=len(wanted), disable=not progress))
        finally:  # after an error or Ctrl-C the rest is not begun
            pool.shutdown(cancel_futures=True)

    def _build(self, source, make, array_path, note_path):
        before = _stat(source)
        array, notes = make(source)
        note = {"format": FORMAT, "stat": before, "sha256": _sha256(source, *before)}
        note |= {"shape": list(array.shape), "dtype": str(array.dtype), "notes": notes}
        try:
            with atomic_write(array_path) as f:
                np.save(f, np.ascontiguousarray(array))
            note["array_sha256"] = _sha256(array_path, *_stat(array_path))
            _write(note_path, note)
        except OutputError as e:
            todo = "set LOWLIGHT_CACHE to a folder with space that you may write to"
            raise OutputError(e.what, file=e.file, todo=todo) from e
        found = _read(source, array_path, note_path)
        if not found:
            raise OutputError("cannot be read back", file=array_path, todo="check the disk")
        return found

    def _paths(self, source, kind):
        try:
            inner = source.resolve().relative_to(self.root)
        except ValueError:  # a link out of the root: keep its name, apart from the others
            inner = Path("elsewhere") / _digest(str(source))[:16]
        base = self.folder / inner
        return [base.with_name(f"{base.name}.{kind}.{ext}") for ext in ("npy", "json")]


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def _stat(path):
    s = path.stat()
    return [s.st_size, s.st_mtime_ns, s.st_ctime_ns]


@functools.cache
def _sha256(path, *_stat):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _write(path, note):
    with atomic_write(path, "w") as f:
        json.dump(note | {"check": _check(note)}, f)


def _check(note):
    """What a note says of itself, so that it is not used after an edit."""
    return _digest(json.dumps({k: v for k, v in note.items() if k != "check"}))


def _read(source, array_path, note_path):
    """(memory map, notes) of an entry that was made from this source; None where there is none."""
    now = _stat(source)
    try:
        note = json.loads(note_path.read_text())
        stat, notes = note["stat"], note["notes"]
        if note["format"] != FORMAT or note["check"] != _check(note):
            return None
        # Bytes are compared only where the size is the same and something else is not.
        if stat[0] != now[0] or (stat != now and note["sha256"] != _sha256(source, *now)):
            return None
        made, noted = (_stat(path) for path in (array_path, note_path))
        newer = max(made[1:]) > max(noted[1:])  # than the note, which was written last
        if newer and note["array_sha256"] != _sha256(array_path, *made):
            return None
        array = map_array(array_path)
        if [list(array.shape), str(array.dtype)] != [note["shape"], note["dtype"]]:
            return None
    except (OSError, DataError) as e:
        system = e if isinstance(e, OSError) else e.__cause__
        if isinstance(system, OSError) and not isinstance(system, FileNotFoundError):
            what = f"cannot be opened ({system.strerror or system})"
            raise OutputError(what, file=array_path) from e
        return None  # gone, or cut short
    except Exception:  # edited, in a dozen ways
        return None
    if stat != now or newer:  # copied or touched, not changed
        with contextlib.suppress(OutputError):
            _write(note_path, note | {"stat": now})
    return array, notes
