"""What is published: manifests of files with their size, hash and licence, and the comparison.

A manifest is TOML (data_scripts/manifests/): a `licence`, then one [[file]] table a file with the
fields of `Item`. A hash is there only where somebody has really read or computed it.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DataError


@dataclass(frozen=True)
class Item:
    """One file of a manifest.

    Attributes:
        name: where it goes below the root, with forward slashes.
        licence: one line, said before anything is fetched.
        urls: mirrors in the order to try; none where a script may not or cannot fetch it.
        size, sha256, git_blob: what is known: bytes, and hashes in hexadecimal (a git blob id is
            the sha1 of "blob SIZE", a zero byte and the content).
        text: a text file, of which size and hashes count with Unix line ends.
        about: the size in words, where bytes are not known.
        by_hand: how to get it without a script; {target} is where to put it.
    """

    name: str
    licence: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    git_blob: str | None = None
    text: bool = False
    about: str = ""
    by_hand: str = ""

    def __post_init__(self):
        object.__setattr__(self, "urls", tuple(self.urls))
        path = PurePosixPath(self.name)
        if path.is_absolute() or ".." in path.parts or not re.fullmatch(r"[\w. /-]+", self.name):
            raise DataError(f"{self.name!r} is no name below the root")
        for kind, digits in (("sha256", 64), ("git_blob", 40)):
            value = getattr(self, kind)
            if value is not None and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
                raise DataError(f"{self.name}: {value!r} is no {kind}")

    @property
    def hashed(self) -> bool:
        return bool(self.sha256 or self.git_blob)

    @property
    def wire_size(self) -> int | None:
        """Bytes that a server must announce; a text may come with other line ends."""
        return None if self.text else self.size

    @property
    def how_large(self) -> str:
        return human(self.size) if self.size is not None else self.about or "of unknown size"


def human(size) -> str:
    """Bytes for people: 133675 -> "133.7 kB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def read_manifest(path) -> tuple[Item, ...]:
    """The files of a TOML manifest: `licence`, then [[file]] tables with the fields of `Item`."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        common = {"licence": table["licence"]}
        return tuple(Item(**(common | entry)) for entry in table["file"])
    except DataError as e:
        raise DataError(e.what, file=path) from e
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise DataError(f"is not a manifest ({e})", file=path) from e


def mismatch(path, item) -> str | None:
    """What is wrong with a file, expected against found; None where all that is known agrees.

    Raises:
        DataError: it cannot be read.
    """
    try:
        if item.wire_size not in (None, os.path.getsize(path)):  # spares reading it
            return f"expected {item.size} bytes, found {os.path.getsize(path)}"
        found = fingerprint(path, item.text)
    except OSError as e:
        raise DataError(f"cannot be read ({e.strerror or e})", file=path) from e
    for what in ("size", "sha256", "git_blob"):
        wanted = getattr(item, what)
        if wanted not in (None, found[what]):
            return f"expected {what} {wanted}, found {found[what]}"
    return None


def fingerprint(path, text=False) -> dict:
    """Size, sha256 and git blob id of a file; of a text as it is with Unix line ends."""
    if text:
        chunks = [Path(path).read_bytes().replace(b"\r\n", b"\n")]
        size = len(chunks[0])
        return _digests(size, chunks)
    with open(path, "rb") as f:
        return _digests(os.path.getsize(path), iter(lambda: f.read(2**20), b""))


def _digests(size, chunks):
    sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    for chunk in chunks:
        sha256.update(chunk)
        blob.update(chunk)
    return {"size": size, "sha256": sha256.hexdigest(), "git_blob": blob.hexdigest()}
