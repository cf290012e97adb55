"""Unpacking published archives: each file whole or absent, and nothing outside its folder."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ..errors import DataError, OutputError
from .files import atomic_write
from .manifest import human


def unpack(archive, folder, wanted) -> int:
    """Unpack the files that lie, at any depth, in the folders `wanted`; returns how many are new.

    Their checksums in the archive must be right. Files of the right size that are there already
    are kept, so an interrupted unpacking goes on where it stopped.

    Args:
        archive: a zip file.
        folder: what goes below it keeps the last parts of its name: .../Sony/short/a.ARW becomes
            FOLDER/Sony/short/a.ARW.
        wanted: tuples of folder names, such as ("Sony", "short").
    Raises:
        DataError: damaged, or with none of these folders.
        OutputError: no space, or no right to write.
    """
    folder = Path(folder)
    try:
        with zipfile.ZipFile(archive) as z:
            members = [(m, t) for m in z.infolist() if (t := _place(m, folder, wanted))]
            if not members:
                names = " and ".join("/".join(w) for w in wanted)
                raise DataError(f"holds no {names}", file=archive)
            todo = [(m, t) for m, t in members if not _there(t, m.file_size)]
            needed, free = sum(m.file_size for m, _ in todo), shutil.disk_usage(folder).free
            if needed > free:
                raise OutputError(f"needs {human(needed)}, {human(free)} are free", file=folder)
            for member, target in todo:
                with z.open(member) as source, atomic_write(target) as f:
                    shutil.copyfileobj(source, f, 2**20)
            return len(todo)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as e:
        raise DataError(f"is damaged ({e})", file=archive, todo="get it again") from e


def _place(member, folder, wanted):
    """Where a member goes; None for whatever else is in there."""
    parts = PurePosixPath(member.filename).parts
    if member.is_dir() or parts[-1].startswith("."):
        return None
    for names in wanted:
        if parts[-1 - len(names) : -1] == tuple(names):
            return folder.joinpath(*names, parts[-1])
    return None


def _there(path, size):
    return path.is_file() and path.stat().st_size == size
