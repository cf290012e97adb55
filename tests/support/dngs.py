"""Small DNGs of every kind, by tifffile: tags, levels, and lossless JPEG as cameras pack."""

import struct

import numpy as np
import tifffile

LEVELS = ((50714, "I", 1, 512), (50717, "I", 1, 16383))
MOSAIC = np.random.default_rng(0).integers(600, 16000, (64, 96)).astype(np.uint16)


def dng(path, array, *tags, levels=LEVELS, cell=((0, 1), (1, 2)), model="Test camera", **options):
    """A DNG of an array with CFA tags, a version, levels and what else is said; gives the path."""
    n = len(cell)
    cfa = [(33421, "H", 2, (n, n)), (33422, "B", n * n, bytes(np.ravel(cell).tolist()))]
    cfa += [(50706, "B", 4, bytes([1, 4, 0, 0]))] + ([(272, "s", 0, model)] if model else [])
    extra = [(*tag, True) for tag in (*cfa, *levels, *tags)]
    plain = {"photometric": "cfa", "metadata": None, "software": False}
    tifffile.imwrite(path, array, extratags=extra, **plain, **options)
    return path


def jpeg_dng(path, mosaic=MOSAIC):
    """The same, packed as lossless JPEG, in one strip."""
    parts, (h, w) = iter([lossless_jpeg(mosaic)]), mosaic.shape
    dng(path, parts, shape=(h, w), dtype="u2", compression="zlib", rowsperstrip=h)
    return packed_as(path, 7)  # what tifffile cannot write by itself


def packed_as(path, compression):
    """A DNG that says of its pixels that they are packed in that way."""
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["Compression"].overwrite(compression)
    return path


def lossless_jpeg(part):
    """ITU-T T.81, process 14: two components side by side, each predicted from its left."""
    h, w = part.shape
    x = part.astype(int).reshape(h, w // 2, 2)
    before = np.concatenate([np.full((1, 1, 2), 1 << 15), x[:-1, :1]])  # of a line's first: above
    diff = (x - np.concatenate([before, x[:, :-1]], 1) + 32768) % 65536 - 32768
    bits = []
    for d in diff.ravel().tolist():  # category k in five bits, then k bits
        k = abs(d).bit_length()
        bits.append(
            f"{k:05b}" + (f"{d if d >= 0 else d + (1 << k) - 1:0{k}b}" if 0 < k < 16 else "")
        )
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")

    def segment(marker, body):
        return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body

    table = bytes([0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    frame = struct.pack(">BHHB", 16, h, w // 2, 2) + bytes([0, 0x11, 0, 1, 0x11, 0])
    scan = bytes([2, 0, 0, 1, 0, 1, 0, 0])
    head = segment(0xC4, b"\0" + table) + segment(0xC3, frame) + segment(0xDA, scan)
    return b"\xff\xd8" + head + data + b"\xff\xd9"
