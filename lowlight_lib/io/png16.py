"""PNG files of 16 bits a colour, which Pillow hands out with 8.

In the dark the lower eight bits are the picture: of a photograph with a mean of 0.02 they leave
1300 levels where there would be 5.
Source: the PNG specification (ISO/IEC 15948), sections 5.3 (chunks) and 9 (filters).
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {0: 1, 2: 3, 4: 2, 6: 4}  # colour type -> values a pixel; palettes have no 16 bits


def is_png16(head) -> bool:
    """Do the first bytes (26 or more) begin a PNG of 16 bits?"""
    return head[:8] == SIGNATURE and head[12:16] == b"IHDR" and head[24] == 16


def read_png16(path) -> np.ndarray:
    """Decode a PNG of 16 bits.

    Returns:
        uint16 (H, W, C): C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha).
    Raises:
        DataError: damaged, cut short, or interlaced.
    """
    header, data = _chunks(path)
    w, h, _, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if interlaced:
        what = "is an interlaced PNG of 16 bits, which is not read"
        raise DataError(what, file=path, todo="save it without interlacing")
    if colour not in _COLOURS or not (w and h):
        raise DataError("has a damaged PNG header", file=path, todo="copy it again")
    size = 2 * _COLOURS[colour]  # bytes a pixel
    wanted = h * (1 + w * size)  # each line begins with the number of its filter
    lines = np.frombuffer(zlib.decompressobj().decompress(data, wanted), np.uint8)
    if lines.size < wanted:
        raise DataError("is cut short", file=path, todo="copy it again")
    lines = lines.reshape(h, -1)
    if lines[:, 0].max() > 4:
        raise DataError("has lines of an unknown filter", file=path, todo="copy it again")
    values = _unfilter(lines[:, 0], lines[:, 1:].reshape(h, w, size))
    return values.view(">u2").astype(np.uint16)


def _chunks(path):
    """The header, and the compressed data of all IDAT chunks; each chunk carries a checksum."""
    file, at, header, parts = Path(path).read_bytes(), len(SIGNATURE), b"", []
    while at + 12 <= len(file):
        (length,), kind = struct.unpack(">I", file[at : at + 4]), file[at + 4 : at + 8]
        body, check = file[at + 8 : at + 8 + length], file[at + 8 + length : at + 12 + length]
        if len(check) < 4 or zlib.crc32(kind + body) != int.from_bytes(check):
            break
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            parts.append(body)
        elif kind == b"IEND":
            break
        at += 12 + length
    if len(header) != 13:
        raise DataError("has a damaged PNG header", file=path, todo="copy it again")
    return header, b"".join(parts)


def _unfilter(kinds, delta):
    """Undo the prediction of each byte from its left, upper and upper left neighbour, modulo 256.

    A byte needs those three, so the pixels of one anti-diagonal are independent of each other, and
    are computed at once: H + W steps instead of H * W.

    Args:
        kinds: uint8 (H,): 0 none, 1 left, 2 up, 3 their mean, 4 whichever of the three is nearest
            to left + up - upper left.
        delta: uint8 (H, W, bytes a pixel).
    """
    h, w, size = delta.shape
    out = np.zeros((h + 1, w + 1, size), np.uint8)  # beyond the edges there are zeros
    for t in range(h + w - 1):
        row = np.arange(max(0, t - w + 1), min(h, t + 1))
        col = t - row
        left, up, corner = (
            out[row + i, col + j].astype(np.int16) for i, j in ((1, 0), (0, 1), (0, 0))
        )
        to_left, to_up = np.abs(up - corner), np.abs(left - corner)
        to_corner = np.abs(left + up - 2 * corner)
        nearest = np.where(to_up <= to_corner, up, corner)
        nearest = np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest)
        guesses = (np.zeros_like(left), left, up, (left + up) >> 1, nearest)
        guess = np.choose(kinds[row][:, None], guesses)
        out[row + 1, col + 1] = (delta[row, col] + guess) & 255
    return np.ascontiguousarray(out[1:, 1:])
