"""Fetching published files: mirrors in turn, resumed where a connection broke, verified at the end.

What came so far lies in NAME.part; a file gets its name only after size and hash are right. Where
no hash was ever published, the first one seen is recorded in fetched.json, said to be no more than
that, and held against the file from then on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from pathlib import Path, PurePosixPath

from ..errors import DataError, LowlightError, OutputError
from .files import atomic_write, output_error
from .manifest import fingerprint, human, mismatch
from .resume import DownloadError, Resuming, read_json, reason, size

TIMEOUT_S = (10, 30)  # to connect; between two packets
RECORD = "fetched.json"


def fetch_all(items, root, *, mirrors=(), dry_run=False, say=print, **options) -> int:
    """Say the licences, then get and verify every file; say what to do by hand for the rest.

    Args:
        items: of `manifest.read_manifest`.
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
            there = target.exists()
            say(f"{target} ({item.how_large}) {'is there' if there else how}")
            for url in [] if there else urls:
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
        timeout: seconds of silence after which a mirror is given up, or a pair: to connect, and
            between two packets.
        progress: show a bar.
    Raises:
        DownloadError: no mirror gave the published file; says what each answered.
        DataError: another file lies there already; it is left alone.
        OutputError: no space, or no right to write.
    """
    import pooch
    import requests

    target = Path(root, item.name)
    if target.exists():
        return _verified(item, root, "is there")
    part = target.with_name(target.name + ".part")
    failures = []
    for url in _addresses(item, mirrors):
        get = Resuming(item, part, timeout, progress)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _need_space(part, item)
            with _quiet(pooch.get_logger()):
                # No hash: `get` has verified the file before pooch gives it its name.
                pooch.retrieve(url, None, target.name, target.parent, downloader=get)
            return _verified(item, root, f"fetched from {url}")
        except DownloadError as e:
            failures.append(f"{url} {e.what}")
        except requests.RequestException as e:  # before OSError, which it is as well
            failures.append(f"{url} {reason(e)}")
        except OSError as e:
            kept = f"; what came so far stays in {part.name}" if part.exists() else ""
            todo = f"free some space, or choose another folder{kept}"
            raise OutputError(output_error(target, e).what, file=target, todo=todo) from e
    todo = "try again later: what came so far is kept" if part.exists() else item.by_hand
    todo = todo.format(target=target) or "try again later, or name another mirror"
    raise DownloadError(f"no mirror gave it: {'; '.join(failures)}", file=target, todo=todo)


def _addresses(item, mirrors):
    name = PurePosixPath(item.name).name
    return [f"{base.rstrip('/')}/{name}" for base in mirrors] + list(item.urls)


def _verified(item, root, done):
    """Hold the file against what is known of it, else against the record of its first use."""
    target, record = Path(root, item.name), read_json(Path(root, RECORD))
    seen = record.get(item.name)
    known = item if item.hashed or not seen else dataclasses.replace(item, **seen)
    wrong = mismatch(target, known)
    if wrong:
        what = "is not the published file" if item.hashed else "is not what was here at first"
        todo = "move it away, then fetch it again"
        raise DataError(f"{what}: {wrong}", file=target, todo=todo)
    if known.hashed:
        return f"{done}, {human(target.stat().st_size)}, verified"
    found = fingerprint(target, item.text)
    seen = {"size": found["size"], "sha256": found["sha256"]}
    with atomic_write(Path(root, RECORD), "w") as f:
        json.dump(record | {item.name: seen}, f, indent=1)
    return (
        f"{done}, {human(found['size'])}; nobody published its hash, so sha256 {found['sha256']} "
        f"is trusted from now on ({RECORD})"
    )


def _need_space(part, item):
    left, free = (item.wire_size or 0) - size(part), shutil.disk_usage(part.parent).free
    if left > free:
        what = f"has {human(free)} free, and {item.name} needs {human(left)} more"
        raise OutputError(what, file=part.parent, todo="free some space, or choose another folder")


@contextlib.contextmanager
def _quiet(logger):
    level = logger.level
    logger.setLevel("ERROR")  # the caller says what there is to say
    try:
        yield
    finally:
        logger.setLevel(level)
