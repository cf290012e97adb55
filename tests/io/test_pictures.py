"""Photographs from disk: every odd kind of file, whole, upright, at full depth."""

import os
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from lowlight_lib.errors import DataError
from lowlight_lib.io import pictures
from lowlight_lib.io.pictures import read_photo, read_pixels
from lowlight_lib.sensor.raw import write_dng

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (11, 14, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (11, 14, 3), np.uint16)
ADAM7 = [
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
]


def png_of_16_bits(picture, interlaced=False, size=None, chunks=()):
    """A PNG file, byte by byte, as Pillow writes none of this depth."""
    h, w, c = picture.shape
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    rows = [row for y, x, dy, dx in passes for row in picture[y::dy, x::dx] if row.size]
    data = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows))
    header = struct.pack(
        ">IIBBBBB", *(size or (w, h)), 16, {1: 0, 2: 4, 3: 2, 4: 6}[c], 0, 0, interlaced
    )
    file = b"\x89PNG\r\n\x1a\n"
    for name, body in [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]:
        file += struct.pack(">I", len(body)) + name + body
        file += struct.pack(">I", zlib.crc32(name + body))
    return file


def save(path, picture=RGB, **options):
    Image.fromarray(picture).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "TIFF", "webp"])
def test_common_formats_without_loss(suffix, tmp_path):
    path = save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    picture = read_photo(path)
    assert picture.dtype == np.float32
    np.testing.assert_array_equal(picture, RGB.astype(np.float32) / 255)


def test_jpeg_is_what_pillow_makes_of_it(tmp_path):
    for mode in ("RGB", "L", "CMYK"):
        path = tmp_path / "a.jpg"
        Image.fromarray(RGB).convert(mode).save(path)
        np.testing.assert_array_equal(read_pixels(path), Image.open(path).convert("RGB"))


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16"])
def test_grey_alpha_and_palettes(mode, tmp_path):
    if mode == "I;16":
        image, expected = Image.fromarray(DEEP[..., 0]), DEEP[..., [0, 0, 0]]
    elif mode == "P":
        image = Image.fromarray(RGB).quantize(16)
        expected = np.asarray(image.convert("RGB"))
    else:
        image = Image.fromarray(RGB).convert(mode)
        expected = np.asarray(Image.fromarray(RGB).convert("RGB" if mode == "RGBA" else mode))
        if mode == "LA":
            expected = expected[..., 0]
        if expected.ndim == 2:
            expected = np.stack([expected.astype(np.uint8) * (255 if mode == "1" else 1)] * 3, -1)
    if "A" in mode:
        image.putalpha(Image.fromarray(RGB[..., 1]))  # half transparent: the colours stay
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png"), expected)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("c", [1, 2, 3, 4])
def test_sixteen_bits_of_png_stay_sixteen(c, interlaced, tmp_path):
    a = RNG.integers(0, 65536, (11, 14, c), np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(png_of_16_bits(a, interlaced))
    expected = a[..., :3] if c > 2 else a[..., [0, 0, 0]]
    np.testing.assert_array_equal(read_pixels(path), expected)
    np.testing.assert_allclose(read_photo(path), expected / 65535, atol=1e-7)  # float32


@pytest.mark.parametrize("bits", ["L", "RGB"])
def test_the_first_of_several_pictures_counts(bits, tmp_path):
    first, second = (Image.fromarray(a).convert(bits) for a in (RGB, 255 - RGB))
    for name in ("a.png", "a.tif", "a.webp"):
        options = {"lossless": True} if name == "a.webp" else {}
        first.save(tmp_path / name, save_all=True, append_images=[second], **options)
        np.testing.assert_array_equal(
            read_pixels(tmp_path / name), np.asarray(first.convert("RGB"))
        )
    tifffile.imwrite(tmp_path / "a.tif", np.stack([DEEP, DEEP // 2]), photometric="rgb")
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif"), DEEP)


# ---- TIFF of more than 8 bits

LIGHT = (DEEP / 65535).astype(np.float32)
ALPHA = np.dstack([DEEP, DEEP[..., 0]])


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (DEEP, {}),
        (DEEP, {"compression": "zlib", "predictor": True}),
        (DEEP, {"bigtiff": True, "byteorder": ">"}),
        (ALPHA, {"extrasamples": ["unassalpha"]}),
        (np.moveaxis(DEEP, -1, 0), {"planarconfig": "separate"}),
        (DEEP[..., 0], {"photometric": "minisblack"}),
        (
            DEEP[..., :2],
            {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]},
        ),
        (LIGHT, {}),
    ],
)
def test_deep_tiff(data, options, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", data, **({"photometric": "rgb"} | options))
    grey = options.get("photometric") == "minisblack"
    expected = LIGHT if data is LIGHT else DEEP[..., [0, 0, 0]] if grey else DEEP
    found = read_pixels(tmp_path / "a.tif")
    assert found.dtype == data.dtype
    np.testing.assert_array_equal(found, expected)


LZW, DEFLATE, PACKBITS = 5, 8, 32773


@pytest.mark.parametrize("compression", [LZW, DEFLATE, PACKBITS])
@pytest.mark.parametrize("data", [DEEP, ALPHA, DEEP[..., 0], LIGHT])
def test_compressed_deep_tiff(data, compression, tmp_path):
    path = tmp_path / "a.tif"
    bgr = data if data.ndim == 2 else data[..., [2, 1, 0, 3][: data.shape[2]]]
    expected = data[..., :3] if data.ndim == 3 else data[..., None].repeat(3, -1)
    for predictor in (1, 2, 3) if data is LIGHT else (1, 2):  # none, differences, of floats
        flags = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
        assert cv2.imwrite(path, bgr, [*flags, cv2.IMWRITE_TIFF_PREDICTOR, predictor])
        found = read_pixels(path)
        assert found.dtype == data.dtype
        np.testing.assert_array_equal(found, expected)


def test_deep_tiff_that_cannot_be_trusted_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, LIGHT * 3, photometric="rgb")
    with pytest.raises(DataError, match="not 0 to 1"):
        read_photo(path)
    tifffile.imwrite(path, ALPHA, photometric="separated")
    with pytest.raises(DataError, match="has 16-bit SEPARATED colours"):
        read_photo(path)
    tifffile.imwrite(path, DEEP, photometric="rgb")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"a\.tif: .* To fix"):
        read_photo(path)


def set_tags(path, **values):
    """Change tags of a TIFF in place."""
    with tifffile.TiffFile(path, mode="r+b") as file:
        for name, value in values.items():
            file.pages[0].tags[name].overwrite(value)


def test_layouts_that_would_be_mixed_up_are_refused(tmp_path):
    """OpenCV unpacks whole planes, and grey with alpha, to something else."""
    path = tmp_path / "a.tif"
    for data, options in (
        (np.moveaxis(DEEP, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        (DEEP[..., :2], {"photometric": "minisblack", "planarconfig": "contig"}),
    ):
        tifffile.imwrite(path, data, compression="zlib", **options)
        set_tags(path, Compression=LZW)
        with pytest.raises(DataError, match=r"cannot be unpacked.*without compression"):
            read_photo(path)


# ---- orientation

ORIENTATION = 0x0112  # the tag


def save_turned(path, exif):
    """Write a file of the kind that its name says; returns the pixels as they lie in it."""
    if path.name == "deep.png":
        path.write_bytes(png_of_16_bits(DEEP, chunks=[(b"eXIf", exif.tobytes()[6:])]))
        return DEEP
    if path.name == "deep.tif":
        tags = [(ORIENTATION, 3, 1, exif[ORIENTATION], True)]
        tifffile.imwrite(path, DEEP, photometric="rgb", extratags=tags)
        return DEEP
    if path.name == "packed.tif":
        save(path, DEEP[..., 0], exif=exif, compression="tiff_lzw")
        return DEEP[..., [0, 0, 0]]
    save(path, exif=exif)
    return None


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.webp", "a.tif", "deep.png", "deep.tif", "packed.tif"]
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_once_as_exif_says(name, orientation, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = save_turned(tmp_path / name, exif)
    if stored is None:
        with Image.open(tmp_path / name) as image:
            expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    else:
        expected = pictures.upright(stored, orientation)
    np.testing.assert_array_equal(read_pixels(tmp_path / name), expected)


# ---- no photographs


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.png", None, "does not exist"),
        ("a.png", b"", "is empty"),
        ("b.jpg", b"<html>quota exceeded</html>", "cannot be read as a picture"),
        ("d.ARW", b"x", "takes raw"),
        ("e.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read"),
        ("f.tif", b"\x76\x2f\x31\x01\x02\0\0\0", "cannot be read as a picture"),  # OpenEXR
        ("g.tif", b"II*\0\x08\0\0\0", "cannot be read as a picture"),
    ],
)
def test_what_is_no_photograph_says_so(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: .*{says}"):
        read_photo(tmp_path / name)


def test_a_camera_file_is_known_by_its_content(tmp_path, make_raw):
    write_dng(tmp_path / "e.dng", make_raw((32, 32)))
    (tmp_path / "e.dng").rename(tmp_path / "e.tif")
    with pytest.raises(DataError, match="is a camera's raw file"):
        read_photo(tmp_path / "e.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_half_a_picture_is_refused(suffix, tmp_path):
    whole = save(tmp_path / f"c.{suffix}", np.tile(RGB, (9, 9, 1))).read_bytes()
    (tmp_path / f"c.{suffix}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"c\.{suffix}: cannot be read"):
        read_photo(tmp_path / f"c.{suffix}")


@pytest.mark.parametrize("cut", [20, 26, 40, 200, -20, -4])
def test_damaged_png_of_sixteen_bits(cut, tmp_path):
    path, whole = tmp_path / "a.png", png_of_16_bits(DEEP)
    path.write_bytes(whole[:cut])
    if cut != -4:  # all but the last checksum, of nothing
        with pytest.raises(DataError, match=r"a\.png: "):
            read_photo(path)
    path.write_bytes(whole[:70] + b"\xff" + whole[71:])
    with pytest.raises(DataError, match=r"a\.png: .*(damaged|broken|truncated|cannot)"):
        read_photo(path)


def test_a_small_file_that_claims_a_huge_picture_takes_no_memory(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_of_16_bits(DEEP, size=(60000, 60000)))
    with pytest.raises(DataError, match="exceeds limit"):
        read_photo(path)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DEEP, photometric="rgb")
    set_tags(path, ImageWidth=60000, ImageLength=60000)
    with pytest.raises(DataError, match="is too large"):
        read_photo(path)


def grey_png(path, width, height):
    """A sound PNG of one grey, 8 bits, however large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj()
    data = b"".join(packer.compress(b"\0" + b"\x40" * width) for _ in range(height))
    file = b"\x89PNG\r\n\x1a\n"
    for name, body in [(b"IHDR", head), (b"IDAT", data + packer.flush()), (b"IEND", b"")]:
        file += struct.pack(">I", len(body)) + name + body
        file += struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(file)
    return path


@pytest.mark.slow
def test_photographs_of_more_than_pillows_pixels(tmp_path):
    limit = Image.MAX_IMAGE_PIXELS
    found = read_pixels(grey_png(tmp_path / "a.png", 13400, 13400))
    assert found.shape == (13400, 13400, 3) and (found[-1] == 64).all()
    assert limit == Image.MAX_IMAGE_PIXELS


def test_pixels_that_memory_does_not_hold_are_refused(tmp_path, monkeypatch):
    path = grey_png(tmp_path / "a.png", 300, 200)
    memory = pictures.psutil.virtual_memory()._replace(available=300 * 200 * 15 - 1)
    monkeypatch.setattr(pictures.psutil, "virtual_memory", lambda: memory)
    with pytest.raises(DataError, match=r"a\.png: .*too large: 300 x 200"):
        read_pixels(path)


@pytest.mark.parametrize(
    "shape, options",
    [
        ((16, 16, 16), {"volumetric": True, "tile": (16, 16, 16)}),
        ((5, 16, 16, 16, 3), {"volumetric": True, "tile": (16, 16, 16), "photometric": "rgb"}),
        ((2, 3, 16, 16), {"photometric": "minisblack"}),
        ((2, 16, 16, 3), {"photometric": "rgb", "planarconfig": "contig"}),
    ],
)
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_tiffs_of_many_axes_are_flat_or_refused(shape, options, kind, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros(shape, kind), **options)
    try:
        assert read_pixels(path).shape == (16, 16, 3)
    except DataError as e:
        assert "a.tif" in str(e)


def test_a_pipe_is_no_photograph(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("a system without pipes in folders")
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="is a pipe"):
        read_pixels(tmp_path / "a.png")
