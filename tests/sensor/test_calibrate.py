"""A calibration from files: which frames are used, what is said of the others, the profile."""

import dataclasses

import numpy as np
import pytest
from support import calibration as simulated

from lowlight_lib.data import mini
from lowlight_lib.errors import OptionError
from lowlight_lib.sensor import noise
from lowlight_lib.sensor.calibrate import calibrate, profile_text
from lowlight_lib.sensor.cameras import CAMERAS, find_camera, read_profile

SHAPE = (256, 384)
SONY = CAMERAS["sony_a7s2"]


@pytest.fixture(scope="module")
def frames():
    """(8 dark frames, 3 pairs of flats) of ISO 800."""
    return simulated.arrays(SONY, 800, np.random.default_rng(0), shape=SHAPE)


@pytest.fixture
def folder(tmp_path, frames):
    """The same in files; folder.add(name, mosaic) adds one."""
    darks, pairs = frames
    for k, x in enumerate(darks):
        simulated.write(tmp_path / f"dark/{k}.dng", x, SONY)
    for k, x in enumerate(f for pair in pairs for f in pair):
        simulated.write(tmp_path / f"flat/{k}.dng", x, SONY)
    return tmp_path


def said(folder):
    return "\n".join(calibrate(folder, progress=False).notes)


def test_a_profile_comes_back_as_the_camera_that_was_measured(tmp_path):
    isos = (200, 800, 3200)
    root = simulated.folder_of(tmp_path / "frames", SONY, isos, named=False, shape=SHAPE)
    done = calibrate(root, progress=False)
    assert done.notes == []
    (tmp_path / "mine.toml").write_text(profile_text(done), encoding="utf-8")
    camera = read_profile(tmp_path / "mine.toml")
    assert camera == done.camera == find_camera(str(tmp_path / "mine.toml"))
    same = ("model", "cfa_name", "black_level", "white_level")
    assert [getattr(camera, n) for n in same] == [getattr(SONY, n) for n in same]
    np.testing.assert_allclose(camera.color_matrix, SONY.color_matrix, atol=1e-4)
    assert camera.iso_range == (100, 3200)
    for iso in isos:
        a, b = (noise.noise_levels(c, iso) for c in (camera, SONY))
        np.testing.assert_allclose([a.gain, a.read], [b.gain, b.read], rtol=0.02)
        assert a.row == pytest.approx(b.row, rel=0.06)  # of 2048 lines: 1.6 % and the line's error
    assert camera.tukey_shape == pytest.approx(SONY.tukey_shape, abs=0.01)


def test_a_measured_camera_takes_the_mini_data(tmp_path):
    mine = dataclasses.replace(SONY, model="Mine", gain_range=(0.1, 0.8))  # up to ISO 800
    root = mini.ensure(tmp_path, progress=False, camera=mine, splits=("test",))
    names = [p for p in (root / "SID/Sony/short").iterdir()]
    again = dataclasses.replace(mine, tukey_shape=0.1)  # the same camera, measured again
    before = {p.name: p.read_bytes() for p in names}
    mini.ensure(tmp_path, progress=False, camera=again, splits=("test",))
    after = {p.name: p.read_bytes() for p in (root / "SID/Sony/short").iterdir()}
    assert before.keys() == after.keys() and all(before[k] != after[k] for k in before)


def test_one_iso_takes_its_slopes_from_the_cameras_that_are_known(folder):
    done = calibrate(folder, progress=False)
    assert "rest on 1 ISO" in "\n".join(done.notes) and len(done.notes) == 1
    assert done.camera.gauss[::2] == (0.5681, 0.2487)  # the middle ones of the table in FACTS
    assert noise.noise_levels(done.camera, 800).gain == pytest.approx(SONY.gain(800), rel=0.02)


BAD = {
    "light": ("dark/9.dng", lambda d, p: p[0][0], "light fell into the dark frame 9.dng"),
    "leak": ("dark/9.dng", lambda d, p: d[0] + np.arange(384, dtype="u2"), "light fell into"),
    "too dark": ("flat/9.dng", lambda d, p: d[0], "9.dng is too dark"),
    "clipped": ("flat/9.dng", lambda d, p: p[0][0] * 0 + 16383, "9.dng is clipped"),
    "alone": ("flat/9.dng", lambda d, p: p[0][0] * 2, "9.dng has no second flat"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_is_left_out_with_a_word(folder, frames, name):
    file, make, words = BAD[name]
    before = profile_text(calibrate(folder, progress=False))
    simulated.write(folder / file, make(*frames), SONY)
    done = calibrate(folder, progress=False)
    assert [n for n in done.notes if words in n and n.startswith("left out: ")]
    numbers = [[line for line in text.splitlines() if not line.startswith("notes")]
               for text in (before, profile_text(done))]  # fmt: skip
    assert numbers[0] == numbers[1]


def test_files_that_are_no_frames_are_left_out(folder):
    (folder / "notes.txt").write_text("ISO 800")
    (folder / "dark" / "0.jpg").write_bytes(b"\xff\xd8\xff\xe0 a picture")
    words = said(folder)
    assert "notes.txt" in words and "0.jpg" in words and "left out" in words


def test_a_flat_of_another_iso_has_no_partner(folder, frames):
    (folder / "flat/5.dng").unlink()
    simulated.write(folder / "flat/5.dng", frames[1][2][1], SONY, iso=1600)
    words = said(folder)
    assert "4.dng has no second flat" in words and "5.dng has no second flat" in words
    assert "ISO 800: 8 dark frames and 2 pairs" in words
    assert "left out: ISO 1600, with 0 dark frames and 0 pairs" in words


DOUBTFUL = {
    "few": (lambda d: d[:3], None, "3 dark frames and 3 pairs"),
    "flicker": (None, lambda a, b: (a, _lit(b, 1.1)), "differ in level by 1"),
    "uneven": (None, lambda a, b: (_shaded(a), _shaded(b)), "lit very unevenly"),
    "hot": (lambda d: [_hot(f) for f in d], None, "hot or dead"),
    "denoised": (lambda d: [_smooth(f) for f in d], lambda a, b: (_smooth(a), _smooth(b)),
                 "neighbours in the dark frames are alike"),
    "half clipped": (None, lambda a, b: (_lit(a, 2.2), _lit(b, 2.2)), "is clipped"),
    "cut off": (lambda d: [np.maximum(f, 512) - 512 for f in d], None,
                "below which nothing is recorded"),
}  # fmt: skip


def _lit(f, factor):
    return np.clip((f.astype(float) - 512) * factor + 512, 0, 16383)


def _shaded(f):
    return _lit(f, np.geomspace(0.02, 1, f.shape[1]))


def _hot(f):
    return np.where(np.random.default_rng(0).random(f.shape) < 0.002, 9000, f)


def _smooth(f):
    return (f + np.roll(f, 2, 1).astype(float) + np.roll(f, -2, 1)) / 3


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_doubtful_result_comes_with_a_caveat(tmp_path, frames, name):
    change_darks, change_pair, words = DOUBTFUL[name]
    darks, pairs = frames
    darks = change_darks(darks) if change_darks else darks
    pairs = [change_pair(*p) for p in pairs] if change_pair else pairs
    for k, x in enumerate(darks):
        simulated.write(tmp_path / f"dark/{k}.dng", x, SONY)
    for k, x in enumerate(f for pair in pairs for f in pair):
        simulated.write(tmp_path / f"flat/{k}.dng", x, SONY)
    assert words in said(tmp_path)


def test_an_iso_that_software_makes_is_told(tmp_path):
    real = {200: 200, 800: 800, 3200: 1600}  # the last one is 1600, multiplied
    for k, (iso, true) in enumerate(real.items()):
        darks, pairs = simulated.arrays(SONY, true, np.random.default_rng(k), shape=SHAPE)
        for j, x in enumerate([*darks, *(f for pair in pairs for f in pair)]):
            simulated.write(tmp_path / f"{iso}_{j:02d}.dng", x, SONY, iso)
    assert "K at" not in (words := said(tmp_path)) and "off proportion to the ISO" in words


REFUSED = {
    "another camera": ({"model": "Other"}, SHAPE, "Other"),
    "another size": ({}, (256, 386), "386"),
    "other filters": ({"cfa": np.array([[1, 0], [2, 1]])}, SHAPE, "GRBG"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_frames_of_two_cameras_are_refused(folder, frames, name):
    says, shape, words = REFUSED[name]
    simulated.write(folder / "flat/9.dng", np.resize(frames[1][0][0], shape), SONY, **says)
    with pytest.raises(OptionError, match=f"9.dng: is of another camera or size.*{words}"):
        calibrate(folder, progress=False)


@pytest.mark.parametrize("keep, words", [("dark", "8 dark frames and 0 pairs"),
                                         ("flat", "0 dark frames and 3 pairs")])  # fmt: skip
def test_half_of_the_frames_is_not_enough(folder, keep, words):
    for path in (folder / {"dark": "flat", "flat": "dark"}[keep]).iterdir():
        path.unlink()
    with pytest.raises(OptionError, match=f"(?s)an ISO can be measured.*{words} of flats: frames"):
        calibrate(folder, progress=False)


@pytest.mark.parametrize("bits, name", [(8, "RGGB"), (12, "XTRANS"), (14, "BGGR")])
def test_any_camera_from_a_folder_with_spaces(tmp_path, bits, name):
    unit = 2.0 ** (bits - 14)
    camera = dataclasses.replace(
        SONY, cfa_name=name, black_level=int(512 * unit) + 8, white_level=2**bits - 1,
        gain_range=(1.5 * unit / 16, 6 * unit), tukey=(0.0, np.log(max(0.6, 2 * unit)), 0.1),
    )  # fmt: skip
    darks, pairs = simulated.arrays(camera, 800, np.random.default_rng(bits), shape=SHAPE)
    for k, x in enumerate([*darks, *(f for pair in pairs for f in pair)]):
        folder = tmp_path / "My Camera" / ("Dark Frames" if k < len(darks) else "FLATS 1")
        simulated.write(folder / f"IMG ({k}).DNG", x, camera)
    done = calibrate(tmp_path / "My Camera", progress=False)
    assert done.camera.cfa_name == name and len(done.notes) == 1  # one ISO
    assert done.results[0].transfer.gain.value == pytest.approx(camera.gain(800), rel=0.03)
    assert abs(done.camera.black_level - camera.black_level) <= 1


def test_a_lens_cap_that_was_always_off(folder, frames):
    for k in range(8):
        simulated.write(folder / f"dark/{k}.dng", frames[1][0][k % 2], SONY)
    with pytest.raises(OptionError, match=r"(?s)light fell into.*0 dark frames"):
        calibrate(folder, progress=False)


def test_an_empty_folder_is_no_camera(tmp_path):
    with pytest.raises(OptionError, match="holds no raw file"):
        calibrate(tmp_path, progress=False)
    with pytest.raises(OptionError, match="holds no raw file"):
        calibrate(tmp_path / "none", progress=False)
