"""Mini SID of any camera: its model, its filters, and when it is made again."""

import json

import numpy as np
import pytest
from support.mosaics import SONY

from lowlight_lib.data import mini, scenes
from lowlight_lib.data.sid import SidDataset
from lowlight_lib.errors import DataError, OptionError, ShapeError
from lowlight_lib.sensor import cameras, cfa
from lowlight_lib.sensor.raw import read_raw


def small_leaves(seed, real=scenes.dead_leaves):
    return real(seed, (96, 120), 80)


@pytest.fixture
def two_scenes(monkeypatch):
    """Two small scenes instead of twenty, so that a set takes a tenth of a second."""
    monkeypatch.setattr(scenes, "dead_leaves", small_leaves)
    leaves = {"train": ["leaves_2"], "val": [], "test": ["leaves_1"]}
    monkeypatch.setattr(mini.stills, "PICTURES", leaves)


def listed(root):
    return sorted(p.name for p in (root / "SID").glob("*_list.txt"))


def test_mini_sid_of_another_camera(tmp_path, two_scenes):
    mini.stills.MiniSid(tmp_path, 3, "nikon_d850", "grbg").make(progress=False)
    raw = read_raw(tmp_path / "SID/Sony/short/10001_00_0.1s.dng")
    assert (raw.model, cfa.name(raw.cfa), raw.white_level) == ("Nikon D850", "GRBG", 15520)
    assert (raw.black_level == 400).all()
    np.testing.assert_allclose(raw.white_balance, cameras.NIKON_D850.white_balance, atol=1e-3)
    with pytest.raises(OptionError, match="unknown camera"):
        mini.stills.MiniSid(tmp_path, camera="kodak")
    with pytest.raises(ShapeError, match="filter array"):
        mini.stills.MiniSid(tmp_path, cfa="rgbw")
    with pytest.raises(OptionError, match="train, val, test"):
        mini.stills.MiniSid(tmp_path, splits=("tests",))
    assert len(listed(tmp_path)) == 3  # nothing was touched


def test_mini_x_trans_is_named_fuji_and_leaves_nothing_of_the_old_set(tmp_path, two_scenes):
    mini.stills.MiniSid(tmp_path).make(progress=False)
    own = tmp_path / "SID/Sony/short/mine.dng"
    own.write_bytes(b"mine")
    mini.stills.MiniSid(tmp_path, 0, "canon_70d", "xtrans", ("test",)).make(progress=False)
    assert listed(tmp_path) == ["Fuji_test_list.txt"]
    assert [p.name for p in (tmp_path / "SID/Sony").rglob("*.dng")] == ["mine.dng"]
    raw = read_raw(tmp_path / "SID/Fuji/long/10001_00_10s.dng")
    assert np.array_equal(raw.cfa, cfa.XTRANS)
    with pytest.raises(DataError, match="Sony_train_list"):
        SidDataset(tmp_path, "train")
    mini.stills.MiniSid(tmp_path).make(progress=False)
    assert listed(tmp_path) == [f"Sony_{s}_list.txt" for s in ("test", "train", "val")]


def test_ensure_makes_what_is_not_there(tmp_path, two_scenes, monkeypatch):
    made, real = [], mini.MiniSid.make
    monkeypatch.setattr(mini.MiniSid, "make", lambda *a: made.append(a) or real(*a))

    def times(**options):
        made.clear()
        mini.ensure(tmp_path, progress=False, **{"sets": "SID"} | options)
        return len(made)

    assert times() == 1
    # a set of the first version says nothing of filters and splits
    note = {"mini": 1, "camera": SONY.model, "seed": 0, "complete": True}
    (tmp_path / "SID/mini.json").write_text(json.dumps(note))
    assert times() == 0
    assert times(camera="ILCE-7SM2", cfa="RGGB") == 0
    assert times(splits=("test",)) == 0  # it is in there
    assert times(again=True) == 1
    assert times(camera="nikon_d850", splits=("test",)) == 1
    assert times(camera="nikon_d850", splits=("test",)) == 0
    assert times(camera="nikon_d850") == 1  # the other splits are missing
    assert times(camera="nikon_d850", cfa="x-trans") == 1
    assert times(camera="nikon_d850", cfa="XTRANS") == 0
    assert times() == 1


def test_mini_on_the_command_line(tmp_path, two_scenes, lowlight):
    code, _, err = lowlight(
        "data", "mini", tmp_path, "--camera", "Canon EOS 5D Mark IV", "--cfa", "xtrans"
    )
    assert code == 0, err
    raw = read_raw(tmp_path / "SID/Fuji/short/00001_00_0.1s.dng")
    assert raw.model == "Canon EOS 5D Mark IV"
