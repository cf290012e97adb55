"""Photographs in pairs/ and LOL/, their mini sets, their scripts."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from support.system import script

from lowlight_lib.data import photos as pairs
from lowlight_lib.data.check import check
from lowlight_lib.errors import DataError, OptionError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (11, 14, 3), np.uint8)


def save(path, picture=RGB, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path


def complaint(read, *args):
    with pytest.raises(DataError, match=": ") as caught:
        read(*args)
    assert caught.value.file is not None
    return str(caught.value)


# ---- pairs/


def exposures(root, layout, shape=(20, 26)):
    """pairs/NAME/FILE for {name: files}; each picture's red says the scene, green the exposure."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.uint8)
    for i, (name, files) in enumerate(layout.items()):
        for k, file in enumerate(files):
            picture = np.stack([np.full_like(x, 10 * i + k), y, x], -1)
            save(root / "pairs" / name / file, picture)
    return root


@pytest.fixture
def three(tmp_path):
    """Three scenes of 2, 3 and 4 exposures, whatever they are called."""
    layout = {"10": ["b.png", "a.bmp"], "2": ["10.png", "9.png", "1.tif"],
              "Küche 1": ["x.png", "y.PNG", "z.tiff", "ä.png"]}  # fmt: skip
    root = exposures(tmp_path, layout)
    for junk in (".DS_Store", "2/Thumbs.db", "2/._1.png", "__MACOSX/1.png", "readme.txt"):
        (root / "pairs" / junk).parent.mkdir(exist_ok=True)
        (root / "pairs" / junk).write_text("junk")
    return root


def test_any_names_and_any_number_in_natural_order(three):
    data = pairs.PairsDataset(three)
    assert [(s.name, [f.name for f in s.files]) for s in data.pairs] == [
        ("2", ["1.tif", "9.png", "10.png"]),
        ("10", ["a.bmp", "b.png"]),
        ("Küche 1", ["x.png", "y.PNG", "z.tiff", "ä.png"]),
    ]
    assert len(data) == 3 and data.picture(data.pairs[0].files[0]).shape == (20, 26, 3)


def test_batches_are_two_different_exposures_of_the_same_place(three):
    data = pairs.PairsDataset(three).prepare(progress=False)
    scenes, chosen = [], set()
    for step in range(40):
        x, y = data.batch(step, seed=3, size=3, crop=8)
        assert x.shape == y.shape == (3, 3, 8, 8) and x.dtype == y.dtype == np.float32
        np.testing.assert_array_equal(x[:, 1:], y[:, 1:])  # row and column: the same crop
        reds = np.rint(255 * np.stack([x[:, 0, 0, 0], y[:, 0, 0, 0]], -1)).astype(int)
        assert (reds[:, 0] // 10 == reds[:, 1] // 10).all() and (reds[:, 0] != reds[:, 1]).all()
        scenes += (reds[:, 0] // 10).tolist()
        assert sorted(scenes[-3:]) == [0, 1, 2]  # an epoch is a step here
        chosen |= {tuple(r) for r in reds.tolist()}
    # Every ordered pair of exposures: 2 + 6 + 12 of them.
    assert len(chosen) == 20


def test_mirrors_turn_both_pictures(three):
    data = pairs.PairsDataset(three)
    options = {"seed": 0, "size": 3, "crop": 12}
    plain = data.batch(0, **options)
    for turn, undo in (
        ({"flips": (1, 0)}, lambda a: a[..., ::-1]),
        ({"flips": (0, 1)}, lambda a: a[..., ::-1, :]),
        ({"transpose": 1}, lambda a: a.swapaxes(-1, -2)),
    ):
        turned = data.batch(0, **options, **turn)
        for a, b in zip(turned, plain, strict=True):
            np.testing.assert_array_equal(undo(a), b)
            assert (a != b).any()


def test_small_pictures_go_on_by_reflection(tmp_path):
    data = pairs.PairsDataset(exposures(tmp_path, {"a": ["1.png", "2.png"]}, shape=(5, 1)))
    x, _ = data.batch(0, seed=0, size=1, crop=12)
    rows = np.pad(np.arange(5), (0, 7), mode="reflect")
    np.testing.assert_allclose(x[0, 1] * 255, np.repeat(rows[:, None], 12, 1), atol=1e-4)


@pytest.mark.parametrize(
    "layout, says",
    [
        ([], "no folder of exposures"),
        (["a.png", "b.png"], "into a folder of its own"),
        (["train/1/a.png", "train/1/b.png"], "train: holds no picture"),
        (["1/a.png", "2/a.png"], "two or more exposures (and 1 more like it)"),
        (["1/a.txt"], "1: holds no picture"),
    ],
)
def test_other_trees_than_pairs(layout, says, tmp_path):
    for name in layout:
        path = tmp_path / "pairs" / name
        if path.suffix == ".png":
            save(path)
        else:
            path.parent.mkdir(parents=True)
            path.write_text("")
    assert says in complaint(pairs.PairsDataset, tmp_path)


def test_a_bad_file_or_size_is_named(tmp_path):
    root = exposures(tmp_path, {"1": ["a.png", "b.png"]})
    save(root / "pairs/1/b.png", RGB)
    for use in (
        lambda: pairs.PairsDataset(root).prepare(progress=False),
        lambda: pairs.PairsDataset(root).batch(0, seed=0, size=1, crop=8),
    ):
        said = complaint(use)
        assert "b.png" in said and "a.png" in said and "11 x 14" in said and "20 x 26" in said
    (root / "pairs/1/b.png").write_bytes(b"")
    assert "empty" in complaint(lambda: pairs.PairsDataset(root).prepare(progress=False))
    with pytest.raises(OptionError, match="pairs has no 'test' split"):
        pairs.PairsDataset(root, "test")


# ---- LOL


def make_lol(root, split="eval15", names=("1.png", "22.png", "3.png"), shape=(20, 26)):
    for name in names:
        number = int(name.split(".")[0])
        for side, grey in (("low", number), ("high", 100 + number)):
            save(root / "LOL" / split / side / name, np.full((*shape, 3), grey, np.uint8))
    return root


def test_lol_as_published(tmp_path):
    make_lol(make_lol(tmp_path), "our485", ["7.png", "8.png"])
    data = pairs.LolDataset(tmp_path, "test")
    assert [s.name for s in data.pairs] == ["1", "3", "22"]
    assert data.input(2).mean() == np.float32(22 / 255)
    assert data.target(2).max() == np.float32(122 / 255)
    x, y = pairs.LolDataset(tmp_path, "train").batch(0, seed=0, size=2, crop=8)
    np.testing.assert_array_equal(np.rint(255 * (y - x)), 100)  # low, then high
    with pytest.raises(OptionError, match="no 'val' split"):
        pairs.LolDataset(tmp_path, "val")


def test_lol_that_is_not_whole(tmp_path):
    assert "is not there" in complaint(pairs.LolDataset, tmp_path)
    folder = make_lol(tmp_path) / "LOL/eval15"
    (folder / "high/22.png").unlink()
    (folder / "high/3.png").unlink()
    said = complaint(pairs.LolDataset, tmp_path)
    assert str(folder / "low/3.png") in said and "high/" in said and "as 2 have not" in said
    save(folder / "high/22.png")
    save(folder / "high/3.jpg")  # another format of the same name will do
    assert len(pairs.LolDataset(tmp_path)) == 3
    save(folder / "high/3.png")
    assert "twice" in complaint(pairs.LolDataset, tmp_path)


# ---- what `lowlight data check` says, and the scripts


def test_check_of_lol(tmp_path):
    root = make_lol(make_lol(tmp_path), "our485", ["7.png", "8.png"])
    folder, high = root / "LOL", root / "LOL/eval15/high/3.png"

    def said():
        return str(check(root, deep=True))

    assert "LOL test: 3 items of 3 scenes" in said()
    assert "LOL train: published are 485 items" in said()
    (folder / "mini.json").write_text(json.dumps({"mini": 1, "complete": True}))
    assert "nothing is lacking" in said()
    save(high, RGB)
    assert f"LOL test: 1 of 3 opened cannot be used: {high}: is 11 x 14 but" in said()
    high.write_text("no")
    assert f"{high}: cannot be read as a picture" in said()
    high.write_text("")
    assert f"{high}: is empty" in said() and "copy it again" in said()
    high.unlink()
    assert "no counterpart" in said()
    (folder / "our485").rename(folder / "our")
    assert f"LOL train: {folder}/our485/low: is not there" in said()


def test_check_of_pairs(three):
    text = str(check(three, deep=True))
    assert "pairs train: 3 items of 3 scenes; opened 3" in text and "nothing is lacking" in text
    (three / "pairs/10/a.bmp").unlink()
    assert f"! pairs train: {three}/pairs/10: holds one picture" in str(check(three))


def test_get_lol_says_how_and_unpacks(tmp_path, capsys):
    module = script("get_lol")
    target = tmp_path / "data"
    assert module.main([str(target), "--dry-run"]) == 0 and not target.exists()
    assert module.main([str(target)]) == 1
    text = capsys.readouterr().out
    assert "none stated" in text and "drive.google.com" in text and "LOL/eval15/low/1.png" in text
    real = make_lol(make_lol(tmp_path / "real"), "our485", ["7.png", "8.png"]) / "LOL"
    (target / "LOL").mkdir(parents=True)
    with zipfile.ZipFile(target / "LOL/LOLdataset.zip", "w") as z:
        for p in real.rglob("*.png"):
            z.write(p, f"LOLdataset/{p.relative_to(real).as_posix()}")
        z.writestr("__MACOSX/our485/low/._1.png", "junk")
        z.writestr("../../our485/readme.txt", "junk")
    assert module.main([str(target), "--unpack"]) == 1  # 2 pairs are not the published 485
    assert "10 new files" in capsys.readouterr().out
    for p in real.rglob("*.png"):
        assert (target / "LOL" / p.relative_to(real)).read_bytes() == p.read_bytes()
    assert len(list((target / "LOL").rglob("*.*"))) == 11 and not (tmp_path / "our485").exists()


def test_get_pairs_says_how_and_checks(three, tmp_path, capsys):
    module = script("get_pairs")
    assert module.main([str(tmp_path / "none")]) == 1
    text = capsys.readouterr().out
    assert "none stated" in text and "pairs/324/" in text and not (tmp_path / "none").exists()
    assert module.main([str(three)]) == 0
    assert "nothing is lacking" in capsys.readouterr().out
