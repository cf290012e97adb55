"""Published files: fetched from the first address that has them, verified, and unpacked.

What came so far lies in NAME.part, from which the next try goes on; NAME is whole and verified.
"""

import errno
import os
import re
import shutil
import tomllib
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from ..errors import DataError, OutputError
from .files import atomic_write, output_error

TRIES = 3  # at each address, where a connection breaks
LARGEST = 2**30  # bytes of a file in an archive
CHUNK = 2**16  # bytes; what a broken connection loses at most


@dataclass(frozen=True)
class Item:
    """One file of a manifest; size and hash only where somebody has really computed them."""

    name: str  # where it goes below the root, with forward slashes
    licence: str  # one line, said before anything is fetched
    urls: tuple[str, ...] = ()  # in the order to try; none where a script may not fetch it
    size: int | None = None  # bytes
    sha256: str | None = None  # 64 hexadecimal digits
    about: str = "of unknown size"  # the size in words
    by_hand: str = ""  # how to get it without a script; {target} is where to put it

    def __post_init__(self):
        place, texts = PurePosixPath(self.name), (self.licence, self.about, self.by_hand)
        inside = place.name and not place.is_absolute() and ".." not in place.parts
        sound = (
            (inside and "\\" not in self.name and isinstance(self.urls, list | tuple))
            and all(isinstance(text, str) for text in (*texts, *self.urls))
            and (self.size is None or (type(self.size) is int and self.size >= 0))
            and (self.sha256 is None or re.fullmatch("[0-9a-f]{64}", self.sha256))
        )
        if not sound:
            raise ValueError(f"{place} has a field that is not as `Item` wants it")


def read_manifest(path) -> tuple[Item, ...]:
    """The files of a TOML manifest: a `licence`, then [[file]] tables with the fields of `Item`;
    DataError for anything else."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        return tuple(Item(**({"licence": table["licence"]} | entry)) for entry in table["file"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise DataError(f"is no manifest ({e!s:.200})", file=path, todo="see the others") from e


def human(size) -> str:
    """Bytes for people: 133675 -> "134kB"."""
    return tqdm.format_sizeof(size, "B")


def fetch_all(items, root, *, mirrors=(), dry_run=False, **options) -> int:
    """Print the licences, then `fetch` every file; how many are lacking or wrong afterwards.
    `mirrors` are folders of addresses to try first; a `dry_run` only says what would happen."""
    for licence in dict.fromkeys(i.licence for i in items):
        print(f"Licence of {', '.join(i.name for i in items if i.licence == licence)}: {licence}")
    lacking = 0
    for item in items:
        target = Path(root, item.name)
        urls = [f"{base.rstrip('/')}/{target.name}" for base in mirrors] + [*item.urls]
        if dry_run:
            how = "\n    ".join(["would be fetched, from the first that has it:", *urls])
            how = how if urls else "is got by hand"
            size = item.about if item.size is None else human(item.size)
            print(f"{target} ({size}) {'is there' if target.exists() else how}")
            continue
        try:
            print(target, fetch(replace(item, urls=urls), root, **options))
        except DataError as e:
            print(f"error: {e}")
            lacking += 1
    return lacking


def fetch(item, root, *, timeout=(10, 30), progress=True) -> str:
    """Get one file unless it is there, verify it, and say in words what was done. DataError: no
    address gave it, or another file lies there already. OutputError: no space, or no right."""
    import requests

    target = Path(root, item.name)
    if target.exists():
        return f"is there, {_verify(target, item)}"
    part = target.with_name(target.name + ".part")
    failures, tries = {}, TRIES * [*item.urls]
    while tries:
        url = tries.pop(0)
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            part.touch()
            have = part.stat().st_size
            if (item.size or 0) - have > shutil.disk_usage(part.parent).free:
                raise OSError(errno.ENOSPC, "no space left")
            if have != item.size:
                _download(url, part, timeout, progress, item.size)
            done = _verify(part, item)
            os.replace(part, target)
            return f"fetched from {url}, {done}"
        except DataError as e:  # asking again would not help
            failures[url], tries = e.what, [u for u in tries if u != url]
            if e.file:  # it gave another file
                part.write_bytes(b"")
        except requests.RequestException as e:  # before OSError, which it is as well
            failures[url] = f"cannot be reached, or broke off ({type(e).__name__})"
        except OSError as e:
            raise output_error(part, e) from e
    if failures and not part.stat().st_size:
        part.unlink()
    answers = "; ".join(f"{url} {answer}" for url, answer in failures.items())
    what = f"no mirror gave it: {answers}" if answers else "is not fetched by a script"
    todo = "try again later, or name another mirror; what came so far is kept"
    raise DataError(what, file=target, todo=item.by_hand.replace("{target}", str(target)) or todo)


def _verify(path, item):
    """Size and hash in words; DataError where they are not the published ones."""
    import pooch

    size, found = path.stat().st_size, "unread"
    if size and item.size in (None, size):
        found = pooch.file_hash(str(path)) if item.sha256 else None
        if found == item.sha256:
            return f"{human(size)}, {'verified' if found else 'and nobody published its hash'}"
    expected = f"expected {item.size or 'some'} bytes, sha256 {item.sha256}"
    what = f"is not the published file: {expected}; found {size}, {found}"
    raise DataError(what, file=path, todo="move it away, then fetch it again")


def _download(url, part, timeout, progress, size):
    """Fetch what `part` still lacks, or all of it where the server cannot continue."""
    import requests

    have = part.stat().st_size
    headers = {"Accept-Encoding": "identity"}  # the bytes as they lie there
    headers |= {"Range": f"bytes={have}-"} if have else {}
    with (
        requests.get(url, headers=headers, timeout=timeout, stream=True) as response,
        open(part, "r+b") as file,
        tqdm(unit="B", unit_scale=True, disable=not progress) as bar,
    ):
        status, kind = response.status_code, response.headers.get("Content-Type", "nothing")
        if status == 416:  # this server has no more of it: start again
            file.truncate(0)
            raise requests.ConnectionError
        if status >= 400 or "text/html" in kind:
            raise DataError(f"answered HTTP {status} with {kind} instead of the file")
        span = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range", ""))
        begin, length = int(span[1]) if span else 0, response.headers.get("Content-Length", "")
        if begin > have:
            raise DataError(f"answered from byte {begin} on instead of {have}")
        file.truncate(file.seek(begin))
        bar.reset(int(length) if length.isdecimal() else None)
        for chunk in response.iter_content(CHUNK):
            bar.update(file.write(chunk))
            if size is not None and file.tell() > size:
                break  # and be found another file


def unpack(archive, folder, wanted) -> int:
    """Unpack what lies, at any depth of a zip file, in the folders `wanted`; how many are new.

    With "Sony/short" wanted, .../Sony/short/a.ARW becomes FOLDER/Sony/short/a.ARW. Files of the
    right size are kept. DataError: damaged, or none of these folders. OutputError: no space.
    """
    members, new = {}, 0
    try:
        with zipfile.ZipFile(archive) as z:
            for member in z.infolist():
                place = PurePosixPath(member.filename)
                if not (member.is_dir() or place.name.startswith(".") or ":" in place.name):
                    found = [name for name in wanted if place.parent.match(name)]
                    members |= {Path(folder, name, place.name): member for name in found}
            if not members:
                raise DataError(f"holds no {' and '.join(wanted)}")
            for path, member in members.items():
                if not path.exists() or path.stat().st_size != member.file_size:
                    if member.file_size > LARGEST:
                        raise DataError(f"holds a file of {member.file_size} bytes")
                    content = z.read(member)  # first, so that an error of this is not of writing
                    with atomic_write(path) as f:
                        f.write(content)
                    new += 1
            return new
    except OutputError:
        raise
    except Exception as e:  # what is damaged, encrypted or missing fails in a dozen ways
        raise DataError(f"is damaged ({e!s:.200})", file=archive, todo="get it again") from e
