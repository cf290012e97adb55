"""Published files: fetched from one of several addresses, verified, and unpacked.

What came so far of a file lies in NAME.part, and the next try goes on from there. The file gets its
name only after its size and hash are right.

A manifest (data_scripts/manifests/) is TOML: a `licence`, then one [[file]] table a file with the
fields of `Item`. A size or hash stands there only where somebody has really read or computed it.
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

from ..errors import DataError, LowlightError, OutputError
from .files import atomic_write, output_error

TIMEOUT_S = (10, 30)  # to connect; between two packets
TRIES = 3  # at each address, where a connection breaks
CHUNK = 2**16  # bytes; what a broken connection loses at most


@dataclass(frozen=True)
class Item:
    """One file of a manifest.

    Attributes:
        name: where it goes below the root, with forward slashes.
        licence: one line, said before anything is fetched.
        urls: addresses in the order to try; none where a script may not or cannot fetch it.
        size, sha256: bytes, and 64 hexadecimal digits; None where they are not known.
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

    def __post_init__(self):
        path = PurePosixPath(self.name)
        if path.is_absolute() or ".." in path.parts or not re.fullmatch(r"[\w. /-]+", self.name):
            raise DataError(f"{self.name!r} is no name below the root")
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise DataError(f"{self.name}: {self.sha256!r} is no sha256")


def read_manifest(path) -> tuple[Item, ...]:
    """The files of a manifest; DataError where it is none."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        common = {"licence": table["licence"]}
        return tuple(Item(**(common | entry)) for entry in table["file"])
    except DataError as e:
        raise DataError(e.what, file=path) from e
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise DataError(f"is not a manifest ({e})", file=path) from e


def human(size) -> str:
    """Bytes for people: 133675 -> "133.7 kB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def fetch_all(items, root, *, mirrors=(), dry_run=False, say=print, **options) -> int:
    """Say the licences, then get and verify every file; say what to do by hand for the rest.

    Args:
        items: of `read_manifest`.
        root: folder that the names are relative to.
        mirrors: folders of addresses (https://host/path) to try first.
        dry_run: say what would happen, and touch neither disk nor network.
        say: takes a line of text.
        options: of `fetch`.
    Returns:
        How many files are lacking or wrong afterwards; 0 for a dry run.
    Raises:
        OutputError: nothing can be written; the others would fail too.
    """
    for licence in dict.fromkeys(i.licence for i in items):
        say(f"Licence of {', '.join(i.name for i in items if i.licence == licence)}: {licence}")
    lacking = 0
    for item in items:
        target, urls = Path(root, item.name), _addresses(item, mirrors)
        if dry_run:
            how = "would be fetched, from the first that has it:" if urls else "is got by hand"
            size = item.about if item.size is None else human(item.size)
            say(f"{target} ({size}) {'is there' if target.exists() else how}")
            for url in [] if target.exists() else urls:
                say(f"    {url}")
        elif urls or target.exists():
            try:
                say(f"{target} {fetch(item, root, mirrors=mirrors, **options)}")
            except OutputError:
                raise
            except LowlightError as e:
                say(f"error: {e}")
                lacking += 1
        else:
            say(f"{target} is not fetched by this script. {item.by_hand.format(target=target)}")
            lacking += 1
    if dry_run:
        say("dry run: nothing was touched")
    return lacking


def fetch(item, root, *, mirrors=(), timeout=TIMEOUT_S, progress=True) -> str:
    """Get one file unless it is there, verify it, and say in words what was done.

    Args:
        mirrors: as in `fetch_all`.
        timeout: seconds of silence after which a connection is given up, or a pair: to connect,
            and between two packets.
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
    part, failures = target.with_name(target.name + ".part"), []
    for url in _addresses(item, mirrors):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _need_space(part.parent, item.name, (item.size or 0) - _size(part))
            if not _size(part) or _size(part) != item.size:
                _download(url, part, timeout, progress)
            done = _verify(part, item)
            os.replace(part, target)
            return f"fetched from {url}, {done}"
        except DataError as e:
            part.unlink(missing_ok=True)
            failures.append(f"{url} {e.what}")
        except requests.RequestException as e:  # before OSError, which it is as well
            failures.append(f"{url} {e}")
            if not _size(part):
                part.unlink(missing_ok=True)
        except OSError as e:
            kept = f"; what came so far stays in {part.name}" if part.exists() else ""
            todo = f"free some space, or choose another folder{kept}"
            raise OutputError(output_error(target, e).what, file=target, todo=todo) from e
    todo = item.by_hand.format(target=target) or "try again later, or name another mirror"
    if _size(part):
        todo = "try again later: what came so far is kept"
    raise DataError(f"no mirror gave it: {'; '.join(failures)}", file=target, todo=todo)


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
        if response.status_code == 416:  # this server has no more of it: start again
            file.truncate(0)
            raise requests.ConnectionError("nothing to continue with")
        if response.status_code >= 400:
            raise requests.HTTPError(f"answered HTTP {response.status_code}")
        if not response.is_redirect:
            if "text/html" in response.headers.get("Content-Type", ""):
                raise requests.HTTPError("answered with a web page instead of the file")
            span = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            file.truncate(int(span[1]) if span else 0)

    for tries_left in reversed(range(TRIES)):
        with open(part, "ab") as file:
            headers = {"Accept-Encoding": "identity"}  # the bytes as they lie there
            if file.tell():
                headers["Range"] = f"bytes={file.tell()}-"
            options = {"timeout": timeout, "headers": headers, "hooks": {"response": begin}}
            try:
                return pooch.HTTPDownloader(progress, CHUNK, **options)(url, file, None)
            except requests.HTTPError:
                raise
            except requests.RequestException as e:
                if not tries_left:
                    broken = f"cannot be reached, or broke off ({type(e).__name__})"
                    said = "gave nothing for too long" if "timed out" in str(e) else broken
                    raise requests.RequestException(said) from e


def unpack(archive, folder, wanted) -> int:
    """Unpack the files that lie, at any depth, in the folders `wanted`; returns how many are new.

    Nothing is written elsewhere, whatever names the archive holds. Checksums must be right. Files
    of the right size that are there already are kept, so an interrupted unpacking goes on.

    Args:
        archive: a zip file.
        folder: what goes below it keeps the last parts of its name: .../Sony/short/a.ARW becomes
            FOLDER/Sony/short/a.ARW.
        wanted: such as ["Sony/short", "Sony/long"].
    Raises:
        DataError: damaged, encrypted, or with none of these folders.
        OutputError: no space, or no right to write.
    """
    try:
        with zipfile.ZipFile(archive) as z:
            members = {}
            for member in z.infolist():
                place = PurePosixPath(member.filename)
                if member.is_dir() or place.name.startswith(".") or ":" in place.name:
                    continue
                for name in wanted:
                    if place.parent.match(name):
                        members[Path(folder, name, place.name)] = member
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
