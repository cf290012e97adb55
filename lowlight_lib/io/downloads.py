"""Published files: fetched from the first address that has them, verified, and unpacked.

What came so far lies in NAME.part, and the next try goes on from there. A file gets its name only
after its size and hash are right.
"""

from __future__ import annotations

import os
import re
import shutil
import tomllib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DataError, OutputError
from .files import atomic_write, output_error

TRIES = 3  # at each address, where a connection breaks
CHUNK = 2**16  # bytes; what a broken connection loses at most


@dataclass(frozen=True)
class Item:
    """One file of a manifest.

    Attributes:
        name: where it goes below the root, with forward slashes.
        licence: one line, said before anything is fetched.
        urls: addresses in the order to try; none where a script may not or cannot fetch it.
        size, sha256: bytes, and 64 hexadecimal digits, where somebody has really computed them.
        about: the size in words, where bytes are not known.
        by_hand: how to get it without a script; {target} is where to put it.
    """

    name: str
    licence: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    about: str = "of unknown size"
    by_hand: str = ""


def read_manifest(path) -> tuple[Item, ...]:
    """The files of a TOML manifest: a `licence`, then [[file]] tables with the fields of `Item`."""
    table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    return tuple(Item(**({"licence": table["licence"]} | entry)) for entry in table["file"])


def human(size) -> str:
    """Bytes for people: 133675 -> "133.7 kB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def fetch_all(items, root, *, mirrors=(), dry_run=False, **options) -> int:
    """Print the licences, then get and verify every file; say what to do by hand for the rest.

    Args:
        items: of `read_manifest`.
        root: folder that the names are relative to.
        mirrors: folders of addresses (https://host/path) to try first.
        dry_run: say what would happen, and touch neither disk nor network.
        options: of `fetch`.
    Returns:
        How many files are lacking or wrong afterwards; 0 for a dry run.
    Raises:
        OutputError: nothing can be written; the others would fail too.
    """
    for licence in dict.fromkeys(i.licence for i in items):
        print(f"Licence of {', '.join(i.name for i in items if i.licence == licence)}: {licence}")
    lacking = 0
    for item in items:
        target, urls = Path(root, item.name), _addresses(item, mirrors)
        if dry_run:
            how = "would be fetched, from the first that has it:" if urls else "is got by hand"
            size = item.about if item.size is None else human(item.size)
            print(f"{target} ({size}) {'is there' if target.exists() else how}")
            for url in [] if target.exists() else urls:
                print(f"    {url}")
        elif urls or target.exists():
            try:
                print(target, fetch(item, root, mirrors=mirrors, **options))
            except DataError as e:
                print(f"error: {e}")
                lacking += 1
        else:
            print(f"{target} is not fetched by this script. {item.by_hand.format(target=target)}")
            lacking += 1
    if dry_run:
        print("dry run: nothing was touched")
    return lacking


def fetch(item, root, *, mirrors=(), timeout=(10, 30), progress=True) -> str:
    """Get one file unless it is there, verify it, and say in words what was done.

    Args:
        mirrors: as in `fetch_all`.
        timeout: seconds to wait for a connection, and for the next packet.
        progress: show a bar.
    Raises:
        DataError: no address gave the published file (says what each answered), or another file
            lies there already (it is left alone).
        OutputError: no space, or no right to write.
    """
    import requests

    target = Path(root, item.name)
    if target.exists():
        try:
            return f"is there, {_verify(target, item)}"
        except DataError as e:
            what, todo = f"is not the published file: {e.what}", "move it away, then fetch it again"
            raise DataError(what, file=target, todo=todo) from e
    part = target.with_name(target.name + ".part")
    failures, tries = {}, TRIES * _addresses(item, mirrors)
    while tries:
        url = tries.pop(0)
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            _need_space(part.parent, item.name, (item.size or 0) - _size(part))
            if item.size is None or _size(part) != item.size:
                _download(url, part, timeout, progress)
            done = _verify(part, item)
            os.replace(part, target)
            return f"fetched from {url}, {done}"
        except (DataError, requests.HTTPError) as e:  # asking again would not help
            failures[url], tries = str(e), [u for u in tries if u != url]
            if isinstance(e, DataError):  # it gave another file
                part.unlink()
        except requests.RequestException as e:  # before OSError, which it is as well
            failures[url] = f"cannot be reached, or broke off ({type(e).__name__})"
            if "timed out" in str(e):
                failures[url] = "gave nothing for too long"
        except OSError as e:
            todo = "free some space, or choose another folder"
            if part.exists():
                todo += f"; what came so far stays in {part.name}"
            raise OutputError(output_error(target, e).what, file=target, todo=todo) from e
    todo = item.by_hand.format(target=target) or "try again later, or name another mirror"
    if _size(part):
        todo = "try again later: what came so far is kept"
    else:
        part.unlink(missing_ok=True)
    answers = "; ".join(f"{url} {answer}" for url, answer in failures.items())
    raise DataError(f"no mirror gave it: {answers}", file=target, todo=todo)


def _addresses(item, mirrors):
    name = PurePosixPath(item.name).name
    return [f"{base.rstrip('/')}/{name}" for base in mirrors] + list(item.urls)


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _need_space(folder, name, needed):
    free = shutil.disk_usage(folder).free
    if needed > free:
        what = f"has {human(free)} free, and {name} needs {human(needed)} more"
        raise OutputError(what, file=folder, todo="free some space, or choose another folder")


def _verify(path, item):
    """Size and hash in words; DataError where they are not the published ones."""
    import pooch

    size = _size(path)
    if not size:
        raise DataError("there is nothing in it (0 bytes)")
    if item.size not in (None, size):  # spares reading it
        raise DataError(f"expected {item.size} bytes, found {size}")
    if item.sha256 is None:
        return f"{human(size)}; nobody published its hash"
    found = pooch.file_hash(str(path), alg="sha256")
    if item.sha256 != found:
        raise DataError(f"expected sha256 {item.sha256}, found {found}")
    return f"{human(size)}, verified"


def _download(url, part, timeout, progress):
    """Fetch what `part` still lacks, or all of it where the server cannot continue."""
    import pooch
    import requests

    def begin(response, **_):
        """Cut the file to where the answer begins."""
        status, headers = response.status_code, response.headers
        if status == 416:  # this server has no more of it: start again
            file.truncate(0)
            raise requests.ConnectionError("nothing to continue with")
        if status >= 400:
            raise requests.HTTPError(f"answered HTTP {status}")
        if "text/html" in headers.get("Content-Type", ""):
            raise requests.HTTPError("answered with a web page instead of the file")
        if status in (200, 206):
            span = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
            file.truncate(int(span[1]) if span else 0)

    with open(part, "ab") as file:
        headers = {"Accept-Encoding": "identity"}  # the bytes as they lie there
        if file.tell():
            headers["Range"] = f"bytes={file.tell()}-"
        options = {"timeout": timeout, "headers": headers, "hooks": {"response": begin}}
        pooch.HTTPDownloader(progress, CHUNK, **options)(url, file, None)


def unpack(archive, folder, wanted) -> int:
    """Unpack what lies, at any depth of a zip file, in the folders `wanted`.

    .../Sony/short/a.ARW becomes FOLDER/Sony/short/a.ARW; whatever names the archive holds, nothing
    is written elsewhere. Checksums have to be right. Files of the right size that are there already
    are kept, so an interrupted unpacking goes on.

    Args:
        wanted: such as ["Sony/short", "Sony/long"].
    Returns:
        How many files are new.
    Raises:
        DataError: damaged, encrypted, or with none of these folders.
        OutputError: no space, or no right to write.
    """
    members = {}
    try:
        with zipfile.ZipFile(archive) as z:
            for member in z.infolist():
                place = PurePosixPath(member.filename)
                if not (member.is_dir() or place.name.startswith(".") or ":" in place.name):
                    found = [name for name in wanted if place.parent.match(name)]
                    members |= {Path(folder, name, place.name): member for name in found}
            if not members:
                raise DataError(f"holds no {' and '.join(wanted)}", file=archive)
            new = {p: m for p, m in members.items() if not p.exists() or _size(p) != m.file_size}
            _need_space(folder, archive, sum(m.file_size for m in new.values()))
            for path, member in new.items():
                with z.open(member) as source, atomic_write(path) as f:
                    shutil.copyfileobj(source, f, CHUNK)
            return len(new)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as e:
        raise DataError(f"is damaged ({e})", file=archive, todo="get it again") from e
