"""Photographs of a folder: their splits, mini sets of them, and noise that is drawn anew."""

import numpy as np
import pytest
from support import tiny

from lowlight_lib.data import DATASETS, mini, open_dataset, scenes, simulated
from lowlight_lib.data.sid import SidDataset
from lowlight_lib.errors import DataError, OptionError
from lowlight_lib.recipes import find
from lowlight_lib.sensor import cameras, colorimetry, colour, noise
from lowlight_lib.sensor.raw import RawImage

BATCH = {"seed": 1, "size": 6, "crop": 32}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tiny.make_scenes(tmp_path_factory.mktemp("data"))


def test_splits_are_of_the_folders_or_drawn(tmp_path):
    for n in range(20):
        tiny.write_photo(tmp_path / f"{n}.png", tiny.picture(n, (8, 8)))
    drawn = scenes.split_photographs(tmp_path)
    assert [len(files) for files in drawn.values()] == [14, 2, 4]
    assert {f for files in drawn.values() for f in files} == {*tmp_path.glob("*.png")}
    assert drawn == scenes.split_photographs(tmp_path)
    tiny.write_photo(tmp_path / "test/a.png", tiny.picture(0, (8, 8)))
    with pytest.raises(DataError, match="too few pictures"):
        scenes.split_photographs(tmp_path)
    for n in range(3):
        tiny.write_photo(tmp_path / f"train/{n}.jpg", tiny.picture(n, (8, 8)))
    found = scenes.split_photographs(tmp_path)
    assert found["test"] == [tmp_path / "test/a.png"]
    assert {f.parent.name for f in found["train"] + found["val"]} == {"train"}


def test_a_file_is_reduced_to_what_is_worked_on(tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "MOST_PIXELS", 500)
    picture = tiny.picture(1, (42, 63))
    tiny.write_photo(tmp_path / "a.png", picture)
    found = scenes.photograph(tmp_path / "a.png")
    assert found.shape == (14, 20, 3)
    assert np.abs(found[0, 0] - picture[:3, :3].mean((0, 1))).max() < 2 / 255


def test_mini_sets_of_photographs(root, tmp_path):
    """In the layouts of the others, and made again where the photographs are not the same."""
    sets = ("SID", "LLRVD", "LOL", "pairs")
    mini.ensure(tmp_path, progress=False, sets=sets, photos=root / "photos", camera="nikon_d850")
    test = SidDataset(tmp_path, "test").prepare(progress=False)
    assert test.camera == "Nikon D850" and test.counts[1] == 1
    for key, name in (("llrvd", "train"), ("llrvd", "test"), ("pairs", "train"), ("lol", "test")):
        assert len(DATASETS[key](tmp_path, name)) >= 2
    made = mini.stills.mini_pairs(tmp_path, 0, scenes.split_photographs(root / "photos"))
    assert made.is_there() and not mini.stills.mini_pairs(tmp_path).is_there()
    tiny.write_photo(tmp_path / "own/train/x.png", tiny.picture(9, (40, 40)))
    for n, split in enumerate(("train", "train", "test")):
        tiny.write_photo(tmp_path / f"own/{split}/{n}.png", tiny.picture(n, (40, 40)))
    other = scenes.split_photographs(tmp_path / "own")
    assert not mini.stills.mini_pairs(tmp_path, 0, other).is_there()


def test_the_dark_mosaic_becomes_its_target(root, monkeypatch):
    """Without noise, amplified, balanced and developed: what is taught is what `restore` asks."""
    data = DATASETS["photos"](root, "train")
    flat = np.full((40, 40, 3), (90, 140, 60), np.uint8)
    monkeypatch.setattr(data, "_scene", lambda i: (flat, 1.0))
    quiet = noise.NoiseLevels(1e-5, 0.0, 0.0, None)
    for camera in data.cameras:
        monkeypatch.setattr(data, "_shot", lambda _, c=camera: simulated.Shot(c, quiet, 8.0))
        for x, y in zip(*data.batch(0, **BATCH), strict=True):
            cell = np.stack([x[0, a::2, b::2] for a, b in ((0, 0), (0, 1), (1, 1))], -1)
            shown = colorimetry.bt709_encode(
                cell * np.float32(data.white_balance) @ simulated._COLOURS
            )
            assert np.abs(shown - y.transpose(1, 2, 0)[::2, ::2]).max() < 5e-3


def test_gains_are_those_of_another_cameras_file():
    camera = noise.CAMERAS["nikon_d850"]
    file = RawImage(np.zeros((2, 2), np.uint16), noise.SONY_A7S2.cfa, 0, 1, (2.5, 1.0, 1.5),
                    camera.color_matrix)  # fmt: skip
    match = colour.match(file, simulated.REFERENCE)
    gains = np.array(file.white_balance) / simulated.REFERENCE.white_balance
    assert np.allclose(match.gains, gains / gains[1])


def test_noise_is_drawn_over_cameras_iso_and_ratio(root):
    data = DATASETS["photos"](root, "train")
    shots = [data._shot(np.random.default_rng(n)) for n in range(400)]
    assert {s.camera.model for s in shots} == {c.model for c in noise.CAMERAS.values()}
    ratios = [s.ratio for s in shots]
    assert 1 <= min(ratios) < 10 and 280 < max(ratios) <= 300 and np.median(ratios) > 30
    isos = [100 * s.levels.gain / s.camera.gain_range[0] for s in shots]
    assert 100 <= min(isos) < 130 and 10000 < max(isos) <= 12800


def test_one_camera_or_a_profile_is_drawn_where_a_recipe_names_it(root):
    recipe = find("redi", "release").replace(camera=str(cameras._PROFILES / "canon_70d.toml"))
    data = open_dataset(recipe, root, "train")
    shots = [data._shot(np.random.default_rng(n)) for n in range(40)]
    assert {s.camera.model for s in shots} == {cameras.CANON_70D.model}
    assert max(s.levels.gain for s in shots) > cameras.CANON_70D.gain_range[1]
    with pytest.raises(OptionError, match="sid has its own camera"):
        open_dataset(recipe.replace(dataset="sid"), root, "train")


def test_a_network_that_amplifies_itself_sees_the_dark(root):
    data = DATASETS["photos"](root, "train")
    dark, bright = (data.batch(0, **BATCH, amplify=a)[0] for a in (False, True))
    ratios = (bright / np.where(dark == 0, np.inf, dark)).max((1, 2, 3))
    assert (ratios > 1).all() and len(set(ratios.round(3).tolist())) == len(ratios)


def test_a_sixth_is_dead_leaves_in_training_alone(tmp_path):
    for n in range(13):
        tiny.write_photo(tmp_path / f"photos/{'test' if n > 11 else 'train'}/{n}.png",
                         tiny.picture(n, (8, 8)))  # fmt: skip
    for split, count in (("train", 2), ("val", 0)):
        names = [p.name for p in DATASETS["photos"](tmp_path, split).pairs]
        assert sum(n.startswith("leaves_") for n in names) == count
        assert len(names) == 6 * count or not count
