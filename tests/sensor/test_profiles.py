"""Camera profiles: the built-in five, and those of other people."""

import pytest

from lowlight_lib.errors import OptionError
from lowlight_lib.sensor import cameras

SONY = (cameras._PROFILES / "sony_a7s2.toml").read_text(encoding="utf-8")


def test_a_profile_is_a_camera_wherever_one_is_named(tmp_path):
    (tmp_path / "mine.toml").write_text(SONY, encoding="utf-8")
    mine = cameras.find_camera(tmp_path / "mine.toml")
    assert mine == cameras.SONY_A7S2 == cameras.find_camera(str(tmp_path / "mine.toml"))
    assert mine.gain_range == (0.0939, 6.011) and mine.color_matrix[1][2] == 0.2297
    assert hash(mine) == hash(cameras.SONY_A7S2)


def test_tables_of_other_things_are_passed_by(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SONY + '\n[calibration]\nnotes = ["warm"]\n[[calibration.iso]]\niso = 100\n')
    assert cameras.find_camera(path) == cameras.SONY_A7S2


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("black_level = 512", "", "black_level is missing"),
        ("black_level = 512", "black_level = 20000", "levels"),
        ("black_level = 512", "black_level = nan", "black_level is not one finite"),
        ("black_level = 512", 'black_level = "512x"', "could not convert"),
        ("black_level = 512", "black_level = 512\nshutter = 1", "shutter"),
        ("black_level = 512", "black_level = ", "Invalid value"),
        ("[0.5838,", "[[0.5838],", "color_matrix|inhomogeneous|sequence"),
        ("gain_range = [0.0939", "gain_range = [7.0", "gain_range"),
        ('"RGGB"', '"RGGX"', "RGGX"),
        ('"Sony ILCE-7SM2"', "7", "no camera's profile"),
        ("aliases = [", "aliases = 5 #", "no camera's profile"),
        ("row = [", "row = [1e999, ", "row is not"),
    ],
)
def test_what_is_wrong_in_a_profile_is_said(tmp_path, old, new, said):
    path = tmp_path / "mine.toml"
    assert old in SONY
    path.write_text(SONY.replace(old, new), encoding="utf-8")
    with pytest.raises(OptionError, match=said) as error:
        cameras.find_camera(path)
    assert error.value.file == path


def test_a_profile_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(OptionError, match="cannot be read"):
        cameras.find_camera(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match="no camera's profile"):
        cameras.find_camera(tmp_path / "bytes.toml")
