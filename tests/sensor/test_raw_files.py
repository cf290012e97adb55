"""Raw files of other people: DNGs mean what they say, damaged ones say what is wrong."""

import dataclasses
import os
import struct

import numpy as np
import pytest
import rawpy
from support.damage import mutated
from support.dngs import LEVELS, MOSAIC, dng, jpeg_dng, packed_as

from lowlight_lib.blocks.amplifier import estimate_amplification
from lowlight_lib.errors import LowlightError, RawFileError, UnsupportedRawError
from lowlight_lib.sensor import cfa
from lowlight_lib.sensor.isp import develop
from lowlight_lib.sensor.raw import RawImage, encode_dng, read_raw
from lowlight_lib.sensor.remosaic import remosaic

WHITE, CROP = LEVELS[1], (50720, "I", 2, (80, 56))
RNG = np.random.default_rng(0)


def rationals(*values, denominator=8):
    return tuple(part for v in values for part in (round(v * denominator), denominator))


def black_tags(cell, kind="2I"):
    cell = np.atleast_2d(cell)
    values = rationals(*cell.ravel()) if kind == "2I" else tuple(cell.ravel().tolist())
    return [(50713, "H", 2, cell.shape), (50714, kind, cell.size, values)]


def delta_tags(horizontal=(), vertical=()):
    both = ((50715, horizontal), (50716, vertical))
    return [(code, "2i", len(d), rationals(*d)) for code, d in both if len(d)]


# ---- black levels

CELLS = [[[512.25]], [[500.5, 501], [502, 503.125]], np.arange(16).reshape(4, 4) + 500.5]
CELLS += [[[500, 501, 502]], [[500], [501], [502]]]
DELTAS = [{}, {"horizontal": np.arange(96) / 8 - 3}, {"vertical": np.arange(64) / 4}]
DELTAS += [DELTAS[1] | DELTAS[2]]


@pytest.mark.parametrize("deltas", DELTAS)
@pytest.mark.parametrize("cell", CELLS)
def test_black_is_what_the_specification_says(cell, deltas, tmp_path):
    path = dng(tmp_path / "a.dng", MOSAIC, *black_tags(cell), *delta_tags(**deltas), levels=[WHITE])
    black = cfa.tile(np.asarray(cell, float), MOSAIC.shape)
    black = black + np.asarray(deltas.get("horizontal", [0]))
    black = black + np.asarray(deltas.get("vertical", [0]))[:, None]
    raw = read_raw(path)
    np.testing.assert_array_equal(cfa.tile(raw.black_level, MOSAIC.shape), black)
    signal = ((MOSAIC - black) / (16383 - black)).clip(0)
    np.testing.assert_allclose(raw.normalized(), signal, atol=1e-6)
    # All that uses the levels sees this signal, whatever their repeat; float32 and whole DN.
    plain = RawImage(np.rint(signal * 65535).astype(np.uint16), raw.cfa, 0, 65535)
    assert np.abs(develop(path) - develop(plain)).mean() < 1e-4  # its demosaic takes decisions
    assert np.abs(develop(raw) - develop(path)).mean() < 1e-4
    expected = estimate_amplification(plain.mosaic, 0, 65535, 5)
    assert estimate_amplification(MOSAIC, raw.black_level, 16383, 5) == pytest.approx(
        expected, 5e-3
    )
    for phase in ("GRBG", "GBRG", "BGGR"):
        other = dataclasses.replace(raw, cfa=cfa.from_name(phase))
        padded, (top, left) = cfa.to_rggb(other)
        signal = padded.normalized()
        np.testing.assert_array_equal(signal[top:, left:], raw.normalized())
        np.testing.assert_array_equal(signal[0, left:], raw.normalized()[top])
        first = signal[0, 0], raw.normalized()[top, left]
        assert first[0] == first[1]
    quad = dataclasses.replace(raw, cfa=cfa.XTRANS)
    by_hand = RawImage(np.rint(signal_of(quad) * 60000).astype(np.uint16), cfa.XTRANS, 0, 60000)
    np.testing.assert_allclose(
        remosaic(quad).normalized(), remosaic(by_hand).normalized(), atol=2 / 16383
    )


def signal_of(raw):
    """The signal in the levels that `remosaic` gives its result."""
    black = cfa.tile(raw.black_level, raw.mosaic.shape)
    level = np.rint(raw.black_level.mean())
    return ((raw.mosaic - black) / (raw.white_level - level)).clip(0, 1)


@pytest.mark.parametrize("active", [(3, 5, 61, 90), (2, 4, 64, 96), (1, 1, 64, 95)])
def test_black_and_crop_count_from_the_active_area(active, tmp_path):
    top, left, _, right = active
    cell, deltas = np.arange(12).reshape(4, 3) + 400.5, np.arange(right - left) / 8
    tags = [*black_tags(cell), *delta_tags(deltas), (50829, "I", 4, active)]
    tags += [(50719, "I", 2, (7, 9)), (50720, "H", 2, (61, 42))]
    raw = read_raw(dng(tmp_path / "a.dng", MOSAIC, *tags, levels=[WHITE]))
    np.testing.assert_array_equal(raw.mosaic, MOSAIC[top + 9 : top + 51, left + 7 : left + 68])
    r, c = np.mgrid[9:51, 7:68]
    black = cell[r % 4, c % 3] + deltas[c]
    np.testing.assert_array_equal(cfa.tile(raw.black_level, raw.mosaic.shape), black)
    assert raw.cfa.tolist() == [[2, 1], [1, 0]]  # the cell, too, counts from there
    assert develop(tmp_path / "a.dng").shape == (42, 61, 3)


@pytest.mark.parametrize("size", [(80, 56), (96, 64), (60, 22)])
def test_a_crop_is_what_is_shown(size, tmp_path):
    kinds = [((8, 4), "H"), ((0, 0), "I"), (rationals(5, 3), "2I")]
    origin, kind = kinds[0] if size == (80, 56) else kinds[1] if size == (96, 64) else kinds[2]
    tags = [(50719, kind, 2, origin), (50720, "I", 2, size)]
    raw = read_raw(dng(tmp_path / "a.dng", MOSAIC, *tags))
    x, y = {"2I": (5, 3)}.get(kind, origin)
    np.testing.assert_array_equal(raw.mosaic, MOSAIC[y : y + size[1], x : x + size[0]])
    # LibRaw's picture of the whole, but for the lines at the border, which saw their neighbours.
    assert develop(tmp_path / "a.dng").shape == (*raw.mosaic.shape, 3)


def test_libraws_picture_stays_libraws(tmp_path, shared):
    for path in (dng(tmp_path / "a.dng", MOSAIC), shared / "samples" / "nikon_d1_bggr.nef"):
        options = {"use_camera_wb": True, "no_auto_bright": True, "output_bps": 16, "user_flip": 0}
        with rawpy.imread(str(path)) as file:
            expected = file.postprocess(**options) / np.float32(65535)
            mosaic, black = file.raw_image_visible.copy(), file.black_level_per_channel
        np.testing.assert_array_equal(develop(path), expected)
        np.testing.assert_array_equal(read_raw(path).mosaic, mosaic)
        assert set(read_raw(path).black_level.ravel()) == set(black)


# ---- matrices, floats, names


@pytest.mark.parametrize(
    "lights, best", [((23, 17), 0), ((17, 23), 1), ((17, 21), 1), ((23, 22), 1), ((20, 23), 0),
                     ((0, 17), 1), ((11, 3), 0), ((255, 23), 1)],
)  # fmt: skip
def test_the_matrix_for_the_light_nearest_to_daylight(lights, best, tmp_path):
    tags = [(50778 + k, "H", 1, light) for k, light in enumerate(lights)]
    tags += [(50721 + k, "2i", 9, rationals(*(np.eye(3).ravel() + k))) for k in (0, 1)]
    raw = read_raw(dng(tmp_path / "a.dng", MOSAIC, *tags))
    np.testing.assert_array_equal(raw.color_matrix, np.eye(3) + best)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
@pytest.mark.parametrize("kind", ["f2", "f4"])
@pytest.mark.parametrize("white", [1, 2])
def test_floats_are_read_as_they_are(kind, white, options, tmp_path):
    signal = (MOSAIC / 16383).astype(kind)
    levels = [(50714, "2I", 1, rationals(0.125)), (50717, "I", 1, white)][2 - white :]
    raw = read_raw(dng(tmp_path / "a.dng", signal, levels=levels, **options))
    black = 0.125 if len(levels) == 2 else 0
    expected = ((signal.astype(float) - black) / (white - black)).clip(0)
    np.testing.assert_allclose(raw.normalized(), expected, atol=2e-5)  # 16 bits
    assert np.abs(develop(raw) - develop(tmp_path / "a.dng")).max() < 1e-3


def test_eight_bits_and_no_name(tmp_path):
    levels = [(50714, "I", 1, 8), (50717, "I", 1, 255)]
    small = (MOSAIC >> 6).astype(np.uint8)
    raw = read_raw(dng(tmp_path / "a.dng", small, levels=levels, model=None))
    np.testing.assert_array_equal(raw.mosaic, small)
    assert raw.model is None and raw.white_level == 255


# ---- what is not read


@pytest.mark.parametrize(
    "array, options, words",
    [
        (MOSAIC, {"tags": [(50718, "2I", 2, (1, 1, 2, 1))]}, "not square.*another program"),
        (MOSAIC, {"tags": [(50718, "2I", 2, (2, 1, 1, 1))]}, "not square.*another program"),
        (MOSAIC, {"tags": [(50711, "H", 1, 2)]}, "staggered.*another program"),
        (MOSAIC, {"packed": 9}, "VC-5.*Adobe DNG Converter"),
        (MOSAIC, {"packed": 52546}, "JPEG XL.*Adobe DNG Converter"),
        (MOSAIC, {"packed": 34892}, "lossy JPEG.*Adobe DNG Converter"),
        (MOSAIC, {"compression": "zlib"}, "deflate.*Adobe DNG Converter"),
        (MOSAIC, {"packed": 7}, "damaged or truncated"),  # no JPEG is there
        (np.full_like(MOSAIC, 512), {}, "damaged or truncated"),
        ((MOSAIC / 16383).astype("f2"), {"levels": (), "tile": (32, 48)}, "packed as floats"),
        (np.full((64, 96), np.nan, "f4"), {"levels": ()}, "not finite"),
        (MOSAIC, {"tags": [(50719, "H", 2, (90, 4)), CROP]}, "not in its pixels"),
        (MOSAIC, {"tags": [(50720, "I", 1, 80)]}, "damaged tag DefaultCropSize"),
        (MOSAIC, {"tags": [(50720, "I", 2, (0, 56))]}, "damaged tag DefaultCropSize"),
        (MOSAIC, {"levels": [(50714, "2I", 1, (1, 0)), WHITE]}, "damaged tag BlackLevel"),
        (MOSAIC, {"levels": [(50714, "B", 0, b""), WHITE]}, "damaged tag BlackLevel"),
        (MOSAIC, {"levels": [(50714, "s", 0, "512"), WHITE]}, "damaged tag BlackLevel"),
        (MOSAIC, {"levels": [(50714, "I", 3, (1, 2, 3)), WHITE]}, "do not fill their repeat"),
        (MOSAIC, {"tags": delta_tags(np.zeros(95))}, "too few of their deltas"),
        (MOSAIC, {"levels": [(50714, "I", 1, 20000), WHITE]}, "not above black"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_says_why(array, options, words, tmp_path):
    options = dict(options)
    tags, packed = options.pop("tags", ()), options.pop("packed", None)
    path = dng(tmp_path / "a.dng", array, *tags, **options)
    if packed:
        packed_as(path, packed)
    for call in (read_raw, develop):
        with pytest.raises(RawFileError, match=rf"a\.dng: .*{words}"):
            call(path)


@pytest.mark.parametrize(
    "tag, field, value",
    [
        ((34855, "H", 0, ()), "iso", None), ((34855, "B", 2, b"ab"), "iso", 97),
        ((34855, 7, 4, b"\0\1\2\3"), "iso", None), ((34855, "H", 3, (400, 0, 0)), "iso", 400),
        ((306, "s", 0, "9999:99:99 99:99:99"), "iso", None),
        ((272, "B", 4, b"ABCD"), "model", None), ((272, "H", 1, 7), "model", None),
        ((50721, "2i", 1, (1, 2)), "color_matrix", None),
        ((50721, "2i", 9, (0, 0) * 9), "color_matrix", None),
        ((50721, "s", 0, "matrix"), "color_matrix", None),
        ((50727, "2I", 2, (1, 1, 1, 1)), "color_matrix", None),
        ((50727, "2I", 3, (1, 0) * 3), "color_matrix", None),
    ],
)  # fmt: skip
def test_damaged_notes_are_left_out(tag, field, value, tmp_path):
    raw = read_raw(dng(tmp_path / "a.dng", MOSAIC, tag, model=None))
    assert getattr(raw, field) == value
    np.testing.assert_array_equal(raw.mosaic, MOSAIC)


@pytest.mark.parametrize("kind", ["cut", "zeros"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99, 0.999])
def test_half_copied_lossless_jpeg(part, kind, tmp_path):
    path = jpeg_dng(tmp_path / "a.dng")
    np.testing.assert_array_equal(read_raw(path).mosaic, MOSAIC)
    data = path.read_bytes()
    keep = int(len(data) * part)
    path.write_bytes(data[:keep] + bytes(len(data) - keep if kind == "zeros" else 0))
    with pytest.raises(RawFileError, match="damaged or truncated"):
        read_raw(path)


@pytest.mark.parametrize("value", [0, 512, 8192])
@pytest.mark.parametrize("lines", [4, 40])
def test_last_lines_of_one_value(value, lines, tmp_path):
    mosaic = MOSAIC.copy()
    mosaic[-lines:] = value
    with pytest.raises(RawFileError, match=rf"last pixels have the value {value}"):
        read_raw(dng(tmp_path / "a.dng", mosaic))
    mosaic[-lines:, ::2] += 1  # as a predictor of two components goes on
    with pytest.raises(RawFileError, match="last pixels"):
        read_raw(dng(tmp_path / "a.dng", mosaic))
    mosaic[-lines:] = 16383  # light
    assert (read_raw(dng(tmp_path / "a.dng", mosaic)).mosaic == mosaic).all()


def test_tiles_that_are_cut_away_are_the_cause(tmp_path):
    path = dng(tmp_path / "a.dng", MOSAIC, tile=(32, 48))
    np.testing.assert_array_equal(read_raw(path).mosaic, MOSAIC)
    data = path.read_bytes()
    for keep in (0.3, 0.6, 0.99):
        path.write_bytes(data[: int(len(data) * keep)])
        with pytest.raises(RawFileError, match="damaged or truncated: pixels are missing"):
            read_raw(path)


@pytest.mark.parametrize("size", [307200, 614400, 1409024, 2818048, 15967488, 10782464])
def test_no_header_no_guess(size, tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(RNG.integers(0, 4096, size // 2).astype("<u2").tobytes())
    for call in (read_raw, develop):
        with pytest.raises(RawFileError, match=r"no header.*--black, --white|not a raw file"):
            call(path)


@pytest.mark.parametrize("model", [b"NIKON D1", b"\0" * 8])
def test_a_panasonic_file_that_is_cut_off(model, tmp_path):
    """No sample is at hand: a header of its own kind, and then too few pixels."""
    entries = [(2, 4, 4000), (3, 4, 3000), (0x117, 4, 4000 * 3000 * 2), (0x118, 4, 4096)]
    body = b"".join(struct.pack("<HHII", code, kind, 1, v) for code, kind, v in entries)
    data = b"IIU\0" + struct.pack("<IH", 8, len(entries)) + body + model
    path = tmp_path / "a.RW2"
    path.write_bytes(data.ljust(1 << 20, b"\1"))
    with pytest.raises(RawFileError, match="damaged or truncated: pixels are missing"):
        read_raw(path)
    path.write_bytes(data.ljust(4096 + 4000 * 3000 * 8 // 7, b"\1"))
    with pytest.raises(RawFileError, match="not a raw file that LibRaw knows"):  # all are there
        read_raw(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("a system without pipes in folders")
    os.mkfifo(tmp_path / "a.dng")
    with pytest.raises(RawFileError, match="is a pipe"):
        read_raw(tmp_path / "a.dng")


# ---- fuzz


def outcome(path):
    try:
        raw = read_raw(path)
    except LowlightError as e:
        assert str(path) in str(e)
        return "own error"
    signal = raw.normalized()
    assert np.isfinite(signal).all()
    assert np.isfinite(raw.white_balance).all() and raw.black_level.max() < raw.white_level
    assert raw.model is None or isinstance(raw.model, str)
    assert raw.iso is None or 0 < raw.iso < np.inf
    return "result"


def fuzz(folder, count, seed=0):
    rng, found = np.random.default_rng(seed), {}
    tags = [*black_tags(CELLS[1]), *delta_tags(np.arange(96) / 8), (50719, "I", 2, (2, 2))]
    tags += [(50720, "I", 2, (80, 56)), (50721, "2i", 9, rationals(*np.eye(3).ravel()))]
    tags += [(50778, "H", 1, 23), (34855, "H", 1, 800)]
    files = [dng(folder / "0.dng", MOSAIC, *tags, levels=[WHITE]), jpeg_dng(folder / "1.dng")]
    files += [dng(folder / "2.dng", (MOSAIC / 16383).astype("f2"), levels=())]
    whole = [path.read_bytes() for path in files]
    whole.append(encode_dng(RawImage(MOSAIC, cfa.XTRANS, white_level=16383)))
    for n in range(count):
        path = folder / "x.dng"
        path.write_bytes(mutated(whole[n % len(whole)], rng, 6))
        kind = outcome(path)
        found[kind] = found.get(kind, 0) + 1
    return found


def test_damaged_files_are_errors_or_pictures(tmp_path):
    found = fuzz(tmp_path, 150)
    assert set(found) == {"own error", "result"}


@pytest.mark.slow
def test_many_damaged_files(tmp_path):
    print(fuzz(tmp_path, 20_000, seed=1))


@pytest.mark.parametrize(
    "levels", [(0, 0), (0, 1e-45), (0, 1e300), (0, np.inf), (-1e30, 1), (np.nan, 1), (0, np.nan)]
)
def test_levels_without_room(levels):
    with pytest.raises(UnsupportedRawError, match="white level"):
        RawImage(MOSAIC, black_level=levels[0], white_level=levels[1])
