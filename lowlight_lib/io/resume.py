"""A downloader that goes on where an earlier try stopped, for any mirror of the same file.

pooch takes any callable as its downloader; this one keeps what came in NAME.part, asks for the rest
(HTTP Range), trusts no answer that does not continue it, and hands over only the published file.
"""

from __future__ import annotations

import contextlib
import json
import os
import re

from ..errors import DataError
from .manifest import mismatch

CHUNK = 2**16  # what a broken connection loses at most


class DownloadError(DataError):
    """No mirror gave the file, or what one gave is not the published file."""


class Resuming:
    """A downloader for pooch that keeps what came in `part` and goes on from there."""

    def __init__(self, item, part, timeout, progress):
        self.item, self.part, self.timeout, self.progress = item, part, timeout, progress
        self.note = part.with_name(part.name + ".json")  # whose bytes these are

    def __call__(self, url, output_file, pooch):
        import requests

        complete = False
        while not complete:
            before = size(self.part)
            try:
                complete = self._get(url)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as e:
                # Broken after it gave something: worth another try. A stalled one is not.
                if size(self.part) <= before or _stalled(e):
                    raise
        wrong = mismatch(self.part, self.item)
        if wrong:
            self._forget()
            raise DownloadError(f"gave another file: {wrong}")
        os.replace(self.part, output_file)
        self._forget()

    def _get(self, url) -> bool:
        """One request; True once the server has nothing more to give."""
        import requests
        from tqdm.auto import tqdm

        have, tag = self._usable(url)
        if have and have == self.item.wire_size:
            return True
        headers = {"Accept-Encoding": "identity"}  # bytes as they lie there
        if have:
            headers |= {"Range": f"bytes={have}-"} | ({"If-Range": tag} if tag else {})
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as r:
            start, total = _span(r, have)
            if r.status_code == 416 and have == total:
                return True
            if start is None:  # what is there is no beginning of what this server has
                self._forget()
                return False
            if None not in (self.item.wire_size, total) and total != self.item.wire_size:
                raise DownloadError(f"announced {total} bytes, expected {self.item.wire_size}")
            self._remember(url, r)
            bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, leave=False,
                       desc=self.part.stem, disable=not self.progress)  # fmt: skip
            most = self.item.wire_size or total or float("inf")
            with bar, open(self.part, "ab" if start else "wb") as f:
                for chunk in r.iter_content(CHUNK):
                    f.write(chunk)
                    bar.update(len(chunk))
                    if f.tell() > most:
                        break  # `mismatch` will say what is wrong
        if size(self.part) < (total or 0):
            raise requests.ConnectionError("cut short")
        return True

    def _usable(self, url):
        """(bytes to go on from, the mark of the version that they are from)."""
        have, note = size(self.part), read_json(self.note)
        tag = note.get("tag") if note.get("url") == url else None
        # Halves of two files are found out by the hash; without one only the mark can tell.
        if have > (self.item.wire_size or have) or not (self.item.hashed or tag):
            self._forget()
            return 0, None
        return have, tag

    def _remember(self, url, response):
        tag = response.headers.get("ETag", "W/")
        if tag.startswith("W/"):  # a weak one promises nothing about bytes
            tag = response.headers.get("Last-Modified")
        self.note.write_text(json.dumps({"url": url, "tag": tag}), encoding="utf-8")

    def _forget(self):
        for path in (self.part, self.note):
            path.unlink(missing_ok=True)


def _span(r, have):
    """(place where the answer begins, size of the whole file); None where unknown or unusable."""
    span = re.fullmatch(r"bytes (?:\*|(\d+)-\d+)/(\d+|\*)", r.headers.get("Content-Range", ""))
    total = int(span[2]) if span and span[2] != "*" else None
    if have and r.status_code == 416:
        return None, total
    r.raise_for_status()
    if "text/html" in r.headers.get("Content-Type", ""):
        raise DownloadError("answered with a web page instead of the file")
    packed = r.headers.get("Content-Encoding", "identity") != "identity"  # though told not to
    if have and r.status_code == 206:
        return (have if span and span[1] == str(have) and not packed else None), total
    if r.status_code != 200:  # 200 after a Range: it sends all of it again
        raise DownloadError(f"answered HTTP {r.status_code}")
    length = r.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() and not packed else None


def size(path) -> int:
    """Bytes of a file, 0 where there is none."""
    return os.path.getsize(path) if path.exists() else 0


def read_json(path) -> dict:
    """A JSON object; {} where there is none, or a damaged one."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _stalled(error):
    import requests
    from urllib3.exceptions import ReadTimeoutError

    return isinstance(error, requests.Timeout) or any(
        isinstance(a, ReadTimeoutError) for a in error.args
    )


def reason(error) -> str:
    """An error of the connection, in words that follow the address."""
    if getattr(error, "response", None) is not None:
        return f"answered HTTP {error.response.status_code}"
    if _stalled(error):
        return "gave nothing for too long"
    return f"cannot be reached, or broke off ({type(error).__name__})"
