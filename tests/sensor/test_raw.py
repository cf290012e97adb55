"""Raw files: what is written comes back, what cannot be read says why, and nothing is lost."""

import dataclasses
import errno
import io
import os
import struct

import numpy as np
import pytest
import rawpy
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lowlight_lib.errors import (
    LowlightError,
    OutputError,
    RawFileError,
    ShapeError,
    UnsupportedRawError,
)
from lowlight_lib.io import files
from lowlight_lib.sensor import cfa
from lowlight_lib.sensor.colorimetry import daylight_gains
from lowlight_lib.sensor.raw import RawImage, encode_dng, read_raw, write_dng

ORDERS = ["RGGB", "GRBG", "GBRG", "BGGR", "XTRANS"]
RAMP = np.arange(1024, dtype=np.uint16).reshape(32, 32)
MATRIX = ((0.5838, -0.1430, -0.0246), (-0.3497, 1.1477, 0.2297), (-0.0748, 0.1885, 0.5778))


def other_dng(path, pixels, cell=None, *, tags=(), photometric="cfa", active=None, black=None):
    """A DNG that `write_dng` would not write: margins, missing tags, other kinds of pixels."""
    all_tags = [
        (272, "s", 0, "Test camera", True),
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (50708, "s", 0, "Test camera", True),
        (50717, "I", 1, 60000, True),
        *tags,
    ]
    if cell is not None:
        n = cell.shape[0]
        all_tags += [
            (33421, "H", 2, (n, n), True),
            (33422, "B", n * n, bytes(cell.ravel().tolist()), True),
        ]
    if black is not None:
        n = black.shape[0]
        all_tags += [
            (50713, "H", 2, (n, n), True),
            (50714, "H", n * n, tuple(black.ravel().tolist()), True),
        ]
    if active is not None:
        all_tags.append((50829, "I", 4, active, True))
    tifffile.imwrite(
        path, pixels, photometric=photometric, extratags=all_tags, metadata=None, software=False
    )


def rationals(values, kind):
    parts = tuple(p for v in values for p in (round(v * 10000), 10000))
    return (kind, len(parts) // 2, parts)


def matrix_tags():
    kind, n, parts = rationals(np.ravel(MATRIX), "2i")
    return [(50721, kind, n, parts, True), (50778, "H", 1, 21, True)]


def neutral_tag(white_balance):
    kind, n, parts = rationals([1 / g for g in white_balance], "2I")
    return (50728, kind, n, parts, True)


# ---------------------------------------------------------------------------------------------
# there and back


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("order", ORDERS)
def test_dng_comes_back_bit_for_bit(order, bits, tmp_path, make_raw):
    cell = cfa.from_name(order)
    raw = make_raw(
        (45, 61),
        order,
        seed=bits,
        white_level=2**bits - 1,
        black_level=np.arange(cell.size).reshape(cell.shape) * 3 + 20,
        white_balance=(2.1234, 1.0, 1.5678),
        color_matrix=MATRIX,
        exposure_s=1 / 30,
        iso=400,
        model="Test camera",
    )
    raw.mosaic[0, :2] = 0, 2**bits - 1  # both ends of the range
    write_dng(tmp_path / "a.dng", raw)
    back = read_raw(tmp_path / "a.dng")
    assert back.mosaic.dtype == np.uint16
    np.testing.assert_array_equal(back.mosaic, raw.mosaic)
    np.testing.assert_array_equal(back.cfa, raw.cfa)
    np.testing.assert_array_equal(back.black_level, raw.black_level)
    assert back.white_level == raw.white_level
    # The promise of write_dng: rationals of a file, then float32 in LibRaw.
    np.testing.assert_allclose(back.white_balance, raw.white_balance, atol=1e-4)
    np.testing.assert_allclose(back.color_matrix, raw.color_matrix, atol=1e-4)
    assert (back.model, back.iso, back.orientation) == ("Test camera", 400, 1)
    assert np.float32(back.exposure_s) == np.float32(raw.exposure_s)
    assert back.path == str(tmp_path / "a.dng")


@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    height=st.integers(22, 60),
    width=st.integers(22, 60),
    order=st.sampled_from(ORDERS),
    seed=st.integers(0, 99),
)
@example(height=22, width=22, order="BGGR", seed=0)  # the smallest that LibRaw takes
@example(height=23, width=35, order="XTRANS", seed=0)
def test_any_size_comes_back(tmp_path_factory, make_raw, height, width, order, seed):
    path = tmp_path_factory.mktemp("size") / "a.dng"
    raw = make_raw((height, width), order, seed, black_level=seed)
    write_dng(path, raw)
    back = read_raw(path)
    np.testing.assert_array_equal(back.mosaic, raw.mosaic)
    np.testing.assert_array_equal(back.cfa, raw.cfa)
    np.testing.assert_array_equal(back.black_level, raw.black_level)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.floats(2**-17, 3600, width=32))
@example(1 / 8000)
@example(1 / 3)
@example(0.1)
@example(30.0)
@example(float(np.nextafter(np.float32(1), np.float32(2))))
def test_exposure_comes_back_as_the_same_float32(tmp_path_factory, make_raw, seconds):
    path = tmp_path_factory.mktemp("exposure") / "a.dng"
    write_dng(path, make_raw((22, 22), exposure_s=seconds))
    assert np.float32(read_raw(path).exposure_s) == np.float32(seconds)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(r=st.floats(0.25, 6), b=st.floats(0.25, 6))
def test_white_balance_comes_back_within_1e_4(tmp_path_factory, make_raw, r, b):
    path = tmp_path_factory.mktemp("balance") / "a.dng"
    write_dng(path, make_raw((22, 22), white_balance=(r, 1.0, b)))
    # atol as write_dng promises.
    np.testing.assert_allclose(read_raw(path).white_balance, (r, 1, b), rtol=0, atol=1e-4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_told_and_the_mosaic_is_not_turned(orientation, tmp_path, make_raw):
    raw = make_raw((24, 38), orientation=orientation)
    write_dng(tmp_path / "a.dng", raw)
    back = read_raw(tmp_path / "a.dng")
    assert back.orientation == orientation
    np.testing.assert_array_equal(back.mosaic, raw.mosaic)


def test_what_a_file_does_not_say_is_none(tmp_path, make_raw):
    write_dng(tmp_path / "a.dng", make_raw())
    back = read_raw(tmp_path / "a.dng")
    assert (back.exposure_s, back.iso, back.color_matrix) == (None, None, None)


def test_the_mosaic_owns_its_memory(tmp_path, make_raw):
    raw = make_raw((300, 400))
    write_dng(tmp_path / "a.dng", raw)
    back = read_raw(tmp_path / "a.dng")
    (tmp_path / "a.dng").unlink()
    assert back.mosaic.flags.owndata and back.mosaic.flags.writeable
    for seed in range(5):  # other files would reuse the memory that LibRaw freed
        write_dng(tmp_path / "b.dng", make_raw((300, 400), seed=seed + 1))
        read_raw(tmp_path / "b.dng")
    np.testing.assert_array_equal(back.mosaic, raw.mosaic)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc to count open files")
def test_no_file_stays_open(tmp_path, make_raw):
    write_dng(tmp_path / "a.dng", make_raw())
    (tmp_path / "bad.dng").write_bytes(b"II*\0" + bytes(5000))
    read_raw(tmp_path / "a.dng")  # imports and caches open what they open
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        read_raw(tmp_path / "a.dng")
        with pytest.raises(RawFileError, match=r"bad\.dng"):
            read_raw(tmp_path / "bad.dng")
    assert len(os.listdir("/proc/self/fd")) == before


# ---------------------------------------------------------------------------------------------
# conventions of other writers


@pytest.mark.parametrize("top, left", [(0, 0), (0, 1), (1, 0), (1, 1), (3, 5), (2, 4)])
@pytest.mark.parametrize("order", ORDERS)
def test_margins_odd_ones_too_keep_colours_and_black_levels(order, top, left, tmp_path):
    h, w = 61, 75
    cell = cfa.from_name(order).astype(int)
    n = cell.shape[0]
    black = np.arange(n * n).reshape(n, n) * 7 + 10
    r, c = np.mgrid[:h, :w]
    place = (r - top) % n, (c - left) % n  # a DNG counts the cell from the active area's corner
    number = r * w + c
    pixels = (black[place] + 400 * (1 + cell[place])).astype(np.uint16)
    pixels[:top], pixels[:, :left], pixels[h - 2 :], pixels[:, w - 3 :] = 0, 0, 0, 0
    active = (top, left, h - 2, w - 3)

    other_dng(tmp_path / "a.dng", pixels, cell, active=active, black=black)
    raw = read_raw(tmp_path / "a.dng")
    signal = raw.mosaic - cfa.tile(raw.black_level, raw.mosaic.shape)
    np.testing.assert_array_equal(
        signal, 400 * (1 + cfa.tile(raw.cfa.astype(int), raw.mosaic.shape))
    )
    # LibRaw may give up a line or two to start at an even one, no more.
    assert raw.mosaic.shape[0] >= h - 2 - top - 2 and raw.mosaic.shape[1] >= w - 3 - left - 3

    other_dng(tmp_path / "b.dng", number.astype(np.uint16), cell, active=active)
    seen = read_raw(tmp_path / "b.dng").mosaic.astype(int)  # one rectangle, inside the active area
    (r0, c0), (r1, c1) = divmod(seen[0, 0], w), divmod(seen[-1, -1], w)
    np.testing.assert_array_equal(seen, number[r0 : r1 + 1, c0 : c1 + 1])
    assert r0 >= top and c0 >= left and r1 < h - 2 and c1 < w - 3


def test_second_green_has_the_first_ones_white_balance(tmp_path):
    other_dng(tmp_path / "a.dng", RAMP, cfa.RGGB, tags=[*matrix_tags(), neutral_tag((2, 1, 1.6))])
    with rawpy.imread(str(tmp_path / "a.dng")) as file:
        assert file.camera_whitebalance[3] == 0  # the trap is there
    # 1e-4: four decimals in the file.
    np.testing.assert_allclose(read_raw(tmp_path / "a.dng").white_balance, (2, 1, 1.6), atol=1e-4)


def test_without_white_balance_it_is_daylight(tmp_path):
    other_dng(tmp_path / "a.dng", RAMP, cfa.RGGB, tags=matrix_tags())
    # LibRaw computes in float32 from four decimals: 1e-3 is far from any other illuminant.
    np.testing.assert_allclose(
        read_raw(tmp_path / "a.dng").white_balance, daylight_gains(MATRIX), atol=1e-3
    )


def test_white_balance_of_one_is_an_answer(tmp_path):
    tags = [*matrix_tags(), neutral_tag((1, 1, 1))]
    other_dng(tmp_path / "a.dng", RAMP, cfa.RGGB, tags=tags)
    assert read_raw(tmp_path / "a.dng").white_balance == (1.0, 1.0, 1.0)


def test_a_real_camera_file(shared):
    raw = read_raw(shared / "samples" / "nikon_d1_bggr.nef")
    assert raw.mosaic.shape == (1324, 2012) and cfa.name(raw.cfa) == "BGGR"
    assert (raw.black_level == 0).all() and raw.white_level == 4095
    assert raw.white_balance == (1.0, 1.0, 1.0)  # applied in the camera, and kept
    assert (raw.model, raw.exposure_s, raw.iso) == ("NIKON D1", 0.004, 200)
    assert raw.color_matrix.shape == (3, 3) and 0 < raw.mosaic.max() <= 4095


def test_a_real_crop_survives_the_trip(shared, tmp_path):
    pixels = np.fromfile(shared / "samples" / "dsc1339_512x768_u16_rggb.raw", "<u2")
    raw = RawImage(pixels.reshape(512, 768), black_level=600, white_level=16383)
    write_dng(tmp_path / "a.dng", raw)
    np.testing.assert_array_equal(read_raw(tmp_path / "a.dng").mosaic, raw.mosaic)


# ---------------------------------------------------------------------------------------------
# the signal


def test_normalized_by_hand():
    raw = RawImage(
        np.array([[100, 300], [60, 1100]], np.uint16),
        black_level=[[100, 200], [80, 100]],
        white_level=1100,
    )
    x = raw.normalized()
    assert x.dtype == np.float32
    # 60 lies below its black level; 1e-7 is the rounding of float32.
    np.testing.assert_allclose(x, [[0, 100 / 900], [0, 1]], atol=1e-7)


def test_normalized_keeps_what_lies_above_white():
    raw = RawImage(np.full((2, 2), 2000, np.uint16), black_level=0, white_level=1000)
    assert (raw.normalized() == 2).all()


@pytest.mark.parametrize(
    "kwargs, error, words",
    [
        ({"mosaic": np.zeros((4, 4), np.float32)}, ShapeError, "uint16"),
        ({"mosaic": np.zeros((4, 4, 1), np.uint16)}, ShapeError, "uint16"),
        ({"cfa": np.zeros((3, 3))}, UnsupportedRawError, "2x2 or 6x6 cell"),
        ({"cfa": np.full((2, 2), 3)}, UnsupportedRawError, "2x2 or 6x6 cell"),
        ({"black_level": 1000, "white_level": 1000}, UnsupportedRawError, "not above black"),
        ({"black_level": np.nan}, UnsupportedRawError, "not above black"),
    ],
)
def test_a_raw_image_refuses_nonsense(kwargs, error, words):
    with pytest.raises(error, match=words):
        RawImage(**{"mosaic": np.zeros((4, 4), np.uint16)} | kwargs)


# ---------------------------------------------------------------------------------------------
# bad files


def complaint(path, kind=RawFileError):
    """The message that reading `path` gives; it names the file and says what to do."""
    with pytest.raises(kind, match="To fix: ") as caught:
        read_raw(path)
    assert isinstance(caught.value, LowlightError)
    assert str(path) in str(caught.value)
    return str(caught.value)


def picture_bytes(kind):
    import imageio.v3 as iio

    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return iio.imwrite("<bytes>", pixels, extension=kind)


def test_a_missing_file_is_named(tmp_path):
    assert "does not exist" in complaint(tmp_path / "no.dng")


def test_a_folder_is_no_raw_file(tmp_path):
    assert "folder" in complaint(tmp_path)


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "a.ARW").touch()
    assert "empty" in complaint(tmp_path / "a.ARW")


@pytest.mark.parametrize("kind", ["text", ".jpg", ".png", ".tif"])
def test_a_file_of_another_kind_is_refused(kind, tmp_path):
    path = tmp_path / "a.NEF"  # whatever its name says
    path.write_bytes(b"not a picture\n" * 500 if kind == "text" else picture_bytes(kind))
    assert "not a raw file" in complaint(path)


@pytest.mark.parametrize("cut", [1, 8, 100, 300, 1000, -1000, -2, -1])
def test_a_truncated_dng_is_refused(cut, tmp_path, make_raw):
    path = tmp_path / "a.dng"
    path.write_bytes(encode_dng(make_raw((64, 64)))[:cut])
    complaint(path)


@pytest.mark.parametrize("part", [0.00001, 0.001, 0.01, 0.05, 0.3, 0.7, 0.99, -2000, -100, -1])
def test_a_truncated_nef_is_refused(part, tmp_path, shared):
    data = (shared / "samples" / "nikon_d1_bggr.nef").read_bytes()
    path = tmp_path / "a.nef"
    path.write_bytes(data[: int(part * len(data)) if part > 0 else part])
    complaint(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all files")
def test_a_file_without_permission_is_named(tmp_path, make_raw):
    write_dng(tmp_path / "a.dng", make_raw())
    (tmp_path / "a.dng").chmod(0)
    assert "cannot be read" in complaint(tmp_path / "a.dng")


def test_an_error_of_the_system_while_reading(tmp_path, make_raw, monkeypatch):
    write_dng(tmp_path / "a.dng", make_raw())

    def denied(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(RawFileError, match=r"a\.dng.*Permission denied.*To fix"):
        read_raw(tmp_path / "a.dng")


def test_a_linear_dng_is_refused(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 1000, (64, 64, 3)).astype(np.uint16)
    other_dng(tmp_path / "a.dng", pixels, photometric="linear_raw")
    assert "without a colour filter array" in complaint(tmp_path / "a.dng", UnsupportedRawError)


def test_a_monochrome_dng_is_refused(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 1000, (64, 64)).astype(np.uint16)
    path = tmp_path / "a.dng"
    other_dng(path, pixels, photometric="minisblack")
    data = path.read_bytes()
    entry = struct.pack("<HHIHH", 262, 3, 1, 1, 0)  # PhotometricInterpretation: minisblack
    assert data.count(entry) == 1
    path.write_bytes(data.replace(entry, struct.pack("<HHIHH", 262, 3, 1, 34892, 0)))  # linear raw
    assert "without a colour filter array" in complaint(path, UnsupportedRawError)


@pytest.mark.parametrize(
    "cell",
    [
        [[0, 1], [3, 2]],  # a fourth colour
        [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 2, 2], [1, 1, 2, 2]],  # a 4x4 "quad" array
    ],
)
def test_other_filter_arrays_are_refused(cell, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 1000, (64, 64)).astype(np.uint16)
    other_dng(tmp_path / "a.dng", pixels, np.array(cell))
    complaint(tmp_path / "a.dng", UnsupportedRawError)


# ---------------------------------------------------------------------------------------------
# writing


def test_what_is_too_small_for_libraw_is_not_written(tmp_path, make_raw):
    with pytest.raises(ShapeError, match="22"):
        write_dng(tmp_path / "a.dng", make_raw((21, 40)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("level", [0.5, -1.0])
def test_black_levels_are_whole_numbers(level, tmp_path, make_raw):
    with pytest.raises(ShapeError, match="whole"):
        write_dng(tmp_path / "a.dng", make_raw(black_level=level))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there_before", [False, True])
@pytest.mark.parametrize("moment", ["write", "fsync"])
def test_a_full_disk_leaves_nothing_half_written(
    moment, there_before, tmp_path, make_raw, monkeypatch
):
    path = tmp_path / "a.dng"
    raw = make_raw()
    if there_before:
        path.write_bytes(b"the old file")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    if moment == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:

        class FullDisk(io.FileIO):
            def write(self, data):
                super().write(data[: len(data) // 2])
                full()

        monkeypatch.setattr(files, "open", FullDisk, raising=False)
    with pytest.raises(OutputError, match=r"a\.dng.*no space left.*To fix"):
        write_dng(path, raw)
    assert [p.name for p in tmp_path.iterdir()] == (["a.dng"] if there_before else [])
    if there_before:
        assert path.read_bytes() == b"the old file"


def test_a_place_that_cannot_be_written(tmp_path, make_raw):
    (tmp_path / "file").write_text("x")
    for folder in ("file", "file/deeper"):
        with pytest.raises(OutputError, match="cannot be written"):
            write_dng(tmp_path / folder / "a.dng", make_raw())


def test_an_existing_file_is_replaced(tmp_path, make_raw):
    first, second = make_raw(seed=1), make_raw(seed=2)
    write_dng(tmp_path / "a.dng", first)
    write_dng(tmp_path / "a.dng", second)
    np.testing.assert_array_equal(read_raw(tmp_path / "a.dng").mosaic, second.mosaic)
    assert [p.name for p in tmp_path.iterdir()] == ["a.dng"]


def test_a_view_is_written_like_a_copy(make_raw):
    raw = make_raw((48, 64))
    view = dataclasses.replace(raw, mosaic=raw.mosaic[::2, ::-2])
    copy = dataclasses.replace(raw, mosaic=raw.mosaic[::2, ::-2].copy())
    assert encode_dng(view) == encode_dng(copy)


@pytest.mark.parametrize(
    "wrong",
    [
        {"white_level": 70000},
        {"white_level": 1000.5},
        {"white_balance": (0, 1, 1)},
        {"white_balance": (float("nan"), 1, 1)},
        {"exposure_s": float("inf")},
        {"iso": -100},
    ],
)
def test_what_a_dng_cannot_hold_is_refused(make_raw, tmp_path, wrong):
    with pytest.raises(ShapeError, match=r"whole numbers from 0|not all positive"):
        write_dng(tmp_path / "a.dng", dataclasses.replace(make_raw(), **wrong))
    assert not list(tmp_path.iterdir())


def test_models_and_sensitivities_of_any_kind(make_raw, tmp_path):
    write_dng(tmp_path / "a.dng", make_raw(model="K\u00e4mera", iso=102400))
    back = read_raw(tmp_path / "a.dng")
    assert back.model == "K?mera"
    assert back.iso == 102400
