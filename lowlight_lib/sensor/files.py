"""Writing files so that a name never holds half a file."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from pathlib import Path

from ..errors import OutputError


@contextlib.contextmanager
def atomic_write(path, mode="wb"):
    """Open a temporary neighbour of `path`; rename it over `path` once it is complete.

    The data is flushed to the disk before the rename, so after a crash or a kill the name holds
    either the old file or the whole new one. On any error the temporary file is removed.

    Raises:
        OutputError: no space left, no access, or the place does not exist.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, mode, **text) as f:
                yield f
                f.flush()
                os.fsync(f.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as e:
        raise output_error(path, e) from e


def output_error(path, error: OSError) -> OutputError:
    """Say what an operating system error means to somebody who wanted to write `path`."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        what, todo = "no space left on the device", "free some space; nothing was left half-written"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        what, todo = "may not be written here", "choose another folder or change its rights"
    else:
        what, todo = f"cannot be written ({error.strerror or error})", "check the path"
    return OutputError(what, file=path, todo=todo)
