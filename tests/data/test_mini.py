"""How mini sets are made, left alone, and made again; those of SID for any camera."""

import json

import imageio.v3 as iio
import numpy as np
import pytest
from support import tiny
from support.system import Dies, script

from lowlight_lib.data import DATASETS, mini, photos, scenes
from lowlight_lib.data.base import NOTE, read_note
from lowlight_lib.data.check import check
from lowlight_lib.data.llrvd_smoid import LlrvdDataset, SmoidDataset
from lowlight_lib.data.mini import stills, video
from lowlight_lib.errors import DataError, LowlightError, OptionError, ShapeError
from lowlight_lib.sensor import cameras, cfa, noise
from lowlight_lib.sensor.raw import read_raw

SPLITS = ("train", "val", "test")
every_set = pytest.mark.parametrize("name", mini.SETS)


@pytest.fixture
def small(monkeypatch):
    """Sets of two or three small scenes, so that each takes a moment."""
    real = scenes.dead_leaves
    monkeypatch.setattr(scenes, "dead_leaves", lambda n, *a: real(n, *a or ((96, 120), 80)))
    leaves = {"train": ("leaves_2", "leaves_3"), "val": (), "test": ("leaves_1",)}
    monkeypatch.setattr(stills, "PICTURES", leaves)
    monkeypatch.setattr(video, "FRAMES", 3)
    clips = {
        "LLRVD": {1: "leaves_1", 7: "leaves_2", 35: "leaves_3"},
        "SMOID": {4: "leaves_1", 1: "leaves_2", 6: "leaves_3"},
    }
    monkeypatch.setattr(video, "PICTURES", clips)
    monkeypatch.setattr(video, "SHAPES", dict.fromkeys(clips, (16, 20)))


def files(folder):
    """What is in a folder, but for the note of a mini set."""
    paths = (p for p in folder.rglob("*") if p.is_file() and p.name != NOTE)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


def listed(root):
    return sorted(p.name for p in (root / "SID").glob("*_list.txt"))


# ---- every set


@every_set
def test_files_are_a_function_of_the_seed(small, tmp_path, name):
    a, b, c = (
        files(mini.ensure(tmp_path / n, seed, progress=False, sets=name) / name)
        for n, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert a == b and a.keys() == c.keys() and len(a) >= 5
    same = {k for k in a if a[k] == c[k]}
    assert same == {k for k in a if "ISP_info" in k or k.endswith("_list.txt")}


@every_set
def test_an_interrupted_set_is_made_again(small, tmp_path, monkeypatch, name):
    for seed in (0, 1):  # also over a finished set of another seed
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match="killed"):
            patch.setattr(noise, "expose", Dies(noise.expose))
            mini.ensure(tmp_path, seed, progress=False, sets=name)
        assert "an unfinished mini set" in str(check(tmp_path))
        mini.ensure(tmp_path, seed, progress=False, sets=name)
        assert "an unfinished mini set" not in str(check(tmp_path))
    other = mini.ensure(tmp_path / "other", 1, progress=False, sets=name)
    assert files(other / name) == files(tmp_path / name)


def test_a_set_that_is_half_removed_is_not_whole(small, tmp_path, monkeypatch):
    """Killed while the old set makes room for the new one."""
    mini.ensure(tmp_path, progress=False, sets="LLRVD")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match="killed"):
        patch.setattr(video.shutil, "rmtree", Dies(video.shutil.rmtree))
        mini.ensure(tmp_path, progress=False, sets="LLRVD", again=True)
    assert not mini.MiniLlrvd(tmp_path).is_there()


@every_set
def test_data_of_others_are_never_overwritten(small, tmp_path, name):
    """Without the note it could be anybody's; and nothing else is made before that is found."""
    folder = mini.ensure(tmp_path, progress=False, sets=name) / name
    (folder / NOTE).unlink()
    before = files(tmp_path)
    for sets in (name, None):
        with pytest.raises(DataError, match=r"that (is|are) not (of )?a mini set"):
            mini.ensure(tmp_path, 5, progress=False, sets=sets, again=True)
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["pairs", "LOL"])
def test_pictures_of_ones_own_stop_it(small, tmp_path, name):
    folder = mini.ensure(tmp_path, progress=False, sets=name) / name
    own = folder / "mine" / "a.png"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    before = files(tmp_path)
    with pytest.raises(DataError, match="not of a mini set"):
        mini.ensure(tmp_path, 5, progress=False, sets=name)
    assert files(tmp_path) == before
    own.unlink()
    outside, note = tmp_path / "mine.png", json.loads((folder / NOTE).read_text())
    outside.write_bytes(b"mine")
    note["files"].append("../mine.png")
    (folder / NOTE).write_text(json.dumps(note))
    mini.ensure(tmp_path, 5, progress=False, sets=name)  # replaced, and nothing beside it
    assert outside.exists()


def test_scenes_of_ones_own_stay(small, tmp_path):
    mini.ensure(tmp_path, progress=False, sets=("LLRVD", "SID"))
    own = [tmp_path / "LLRVD/ratio_gt/11/gt.npy", tmp_path / "SID/Sony/short/mine.dng"]
    for path in own:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
    mini.ensure(tmp_path, progress=False, sets=("LLRVD", "SID"), again=True)
    assert [path.read_bytes() for path in own] == [b"mine"] * 2


def test_ensure_makes_what_is_not_there(small, tmp_path, monkeypatch):
    made = []
    for kind in (mini.MiniSid, video.MiniVideo, stills.MiniPhotos):
        real = kind.make
        monkeypatch.setattr(kind, "make", lambda s, *a, f=real: made.append(s.name) or f(s, *a))

    def sets(*args, **options):
        made.clear()
        mini.ensure(tmp_path, *args, progress=False, **options)
        return made

    assert sets(sets="smoid") == ["SMOID"]
    assert sets() == ["SID", "LLRVD", "LOL", "pairs"]
    assert sets(sets=("SMOID", "pairs")) == []
    assert sets(1, sets=("SMOID",)) == ["SMOID"]
    assert sets(sets=("SMOID",), again=True) == ["SMOID"]
    (tmp_path / "LOL/eval15/low/3.png").unlink()
    assert sets(sets="lol") == ["LOL"]  # what is not whole is made again
    nikon = {"camera": "nikon_d850"}
    for options, expected in (
        ({"sets": "SID"}, []),
        ({"camera": "ILCE-7SM2", "cfa": "RGGB", "splits": ("test",)}, []),  # they are in there
        (nikon | {"splits": ("test",)}, ["SID"]),
        (nikon | {"splits": ("test",)}, []),
        (nikon, ["SID"]),  # the other splits are missing
        (nikon | {"cfa": "x-trans"}, ["SID"]),
        (nikon | {"cfa": "XTRANS"}, []),
        ({"sets": "SID"}, ["SID"]),
    ):
        assert sets(**options) == expected, options
    with pytest.raises(OptionError, match="use SID, LLRVD, SMOID"):
        sets(sets=("SICE",))


def test_on_the_command_line(small, tmp_path, lowlight):
    code, said, _ = lowlight("data", "mini", tmp_path, "--only", "llrvd", "--only", "SMOID")
    assert code == 0
    assert "mini LLRVD is in" in said and "mini SMOID is in" in said and "SID is" not in said
    words = ("--camera", "Canon EOS 5D Mark IV", "--cfa", "xtrans")
    code, _, err = lowlight("data", "mini", tmp_path, *words)
    assert code == 0, err
    raw = read_raw(tmp_path / "SID/Fuji/short/00001_00_0.1s.dng")
    assert raw.model == "Canon EOS 5D Mark IV"


# ---- SID of other cameras


def test_mini_sid_of_another_camera(tmp_path, small):
    mini.MiniSid(tmp_path, 3, "nikon_d850", "grbg").make(progress=False)
    raw = read_raw(tmp_path / "SID/Sony/short/10001_00_0.1s.dng")
    assert (raw.model, cfa.name(raw.cfa), raw.white_level) == ("Nikon D850", "GRBG", 15520)
    assert (raw.black_level == 400).all()
    np.testing.assert_allclose(raw.white_balance, cameras.NIKON_D850.white_balance, atol=1e-3)
    for kind, words, options in (
        (OptionError, "unknown camera", {"camera": "kodak"}),
        (ShapeError, "filter array", {"cfa": "rgbw"}),
        (OptionError, "train, val, test", {"splits": ("tests",)}),
    ):
        with pytest.raises(kind, match=words):
            mini.MiniSid(tmp_path, **options)
    assert len(listed(tmp_path)) == 3  # nothing was touched


def test_mini_x_trans_is_named_fuji_and_leaves_nothing_of_the_old_set(tmp_path, small):
    mini.MiniSid(tmp_path).make(progress=False)
    mini.MiniSid(tmp_path, 0, "canon_70d", "xtrans", ("test",)).make(progress=False)
    assert listed(tmp_path) == ["Fuji_test_list.txt"] and not [*tmp_path.rglob("Sony/*/*")]
    raw = read_raw(tmp_path / "SID/Fuji/long/10001_00_10s.dng")
    assert np.array_equal(raw.cfa, cfa.XTRANS)
    mini.MiniSid(tmp_path).make(progress=False)
    assert listed(tmp_path) == [f"Sony_{s}_list.txt" for s in ("test", "train", "val")]


# ---- the pictures in them


def test_mini_sets_are_published_layouts_in_the_dark(small, tmp_path):
    mini.ensure(tmp_path, progress=False, sets=("LOL", "pairs"))
    dark = photos.PairsDataset(tmp_path).prepare(progress=False)
    means = [[dark.picture(f).mean() for f in s.files] for s in dark.pairs]
    assert [len(m) for m in means] == [3, 2] and all(sorted(m, reverse=True) == m for m in means)
    assert min(min(m) for m in means) > 0.02 and max(max(m) for m in means) < 0.25
    train, test = (photos.LolDataset(tmp_path, s) for s in ("train", "test"))
    assert (len(train), len(test)) == (2, 1)
    for i in range(1):
        low, high = test.input(i), test.target(i)
        assert low.shape == high.shape == (96, 120, 3)
        assert 0.02 < low.mean() < 0.25 < high.mean() < 0.7
        # Sensor noise: after matching the means the dark picture is far rougher than the bright.
        rough = [np.abs(np.diff(a, axis=1)).mean() for a in (low * high.mean() / low.mean(), high)]
        assert rough[0] > 1.3 * rough[1]
    assert np.asarray(iio.imread(test.pairs[0].files[0])).dtype == np.uint8


def test_pictures_of_one_photograph_are_one_scene(mini_root, tmp_path):
    plan = stills.mini_lol(mini_root).plan
    shown = {f.split("/")[2][:-4]: picture for picture, shots in plan.items() for f in shots}
    for split, counts in (("train", (15, 15)), ("test", (15, 12))):
        data = photos.LolDataset(mini_root, split)
        both = {(p.scene, shown[p.name]) for p in data.pairs}
        assert data.counts == counts and len(both) == counts[1]
        assert {p for s, p in both if s in data.drawn} == {p for _, p in both if "leaves" in p}
    assert len(photos.PairsDataset(mini_root).drawn) == 8
    folder = tmp_path / "LOL"
    for name in ("low", "high"):
        (folder / "eval15" / name).mkdir(parents=True)
        for k in (9, 10, 11, 12):
            (folder / "eval15" / name / f"{k}.png").touch()
    assert photos.LolDataset(tmp_path, "test").counts == (4, 4)  # nobody says that two are of one
    (folder / NOTE).write_text(json.dumps({"mini": 2, "synthetic": []}))
    assert [p.scene for p in photos.LolDataset(tmp_path, "test").pairs] == ["9", "9", "11", "11"]


def test_splits_share_no_photograph():
    clips = {
        name: {s: {p for n, p in pictures.items() if n in DATASETS[name.lower()].splits[s]}
               for s in SPLITS}
        for name, pictures in video.PICTURES.items()
    }  # fmt: skip
    assert not {"astronaut", "grace_hopper"} & {*scenes.TRAIN}
    assert {"retina", "hubble", "ihc"} <= {*scenes.TRAIN}
    assert {"motorcycle_left", "motorcycle_right"} <= {*scenes.TRAIN}
    assert len(scenes.VAL) >= 2 and len(scenes.TEST) >= 3
    for by_split in (stills.PICTURES, *clips.values()):
        for split, photographs in zip(SPLITS, (scenes.TRAIN, scenes.VAL, scenes.TEST), strict=True):
            there = {p for p in by_split[split] if not p.startswith("leaves_")}
            assert there and there <= set(photographs)
            assert split != "val" or there == {*by_split[split]}
        assert sum(map(len, by_split.values())) == len({p for s in SPLITS for p in by_split[s]})
    assert not {*scenes.TRAIN} & {*scenes.VAL, *scenes.TEST} and not {*scenes.VAL} & {*scenes.TEST}
    assert len(stills.PICTURES["test"]) == 12 and len(clips["LLRVD"]["test"]) == 6
    assert len(video.PICTURES["LLRVD"]) >= 6 and len(video.PICTURES["SMOID"]) >= 4


def test_photographs_are_even_and_in_range():
    for name in scenes.TRAIN[:3] + scenes.TEST:
        x = scenes.photograph(name)
        assert x.dtype == np.float32 and x.shape[2] == 3
        assert x.shape[0] % 2 == x.shape[1] % 2 == 0 and max(x.shape) <= scenes.LONGEST_SIDE
        assert 0 <= x.min() < 0.2 < x.max() <= 1
    with pytest.raises(LowlightError, match="unknown photograph"):
        scenes.photograph("cat")


def test_dead_leaves_are_reproducible_and_varied():
    a, b, c = (scenes.dead_leaves(s, (96, 128), 200) for s in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, c) and a.std() > 0.1


# ---- clips, and the scripts that help to get the real ones


@pytest.mark.parametrize(("dataset", "shape"), [("llrvd", (128, 160)), ("smoid", (120, 160))])
def test_mini_clips(mini_root, dataset, shape):
    groups = set()
    for split in SPLITS:
        data = DATASETS[dataset](mini_root, split)
        groups |= {c.group for c in data.pairs}
        assert len(data) == 3 * len({c.scene for c in data.pairs})
        for i, c in enumerate(data.pairs):
            assert (c.frames, c.height, c.width) == (10, *shape)
            assert data.stored_input(i).dtype == np.uint16
            dark, target = data.input(i), data.target(i)
            assert target.max() > 0.97  # well exposed
            # The same scene: in the mean of all frames the noise is small. Clipping at black and
            # white shifts a mean, most where the ratio is high.
            assert abs(dark.mean() - target.mean()) < 0.03
            psnr = -10 * np.log10(np.mean((dark - target) ** 2))
            assert 12 < psnr < 33, c.name
    assert groups == {
        "llrvd": {"100", "125", "160", "200", "250", "320"}, "smoid": {"0", "15", "30"},
    }[dataset]  # fmt: skip


def test_the_camera_is_said(mini_root):
    assert LlrvdDataset(mini_root, "test").camera == "Sony ILCE-7SM2"
    assert SmoidDataset(mini_root, "test").camera == "Canon EOS 700D"


def test_colours_are_those_of_the_photograph(mini_root):
    """A grey of the photograph is grey in the clip's picture, through wb and ccm."""
    data = LlrvdDataset(mini_root, "test")
    i = next(i for i, c in enumerate(data.pairs) if c.scene == 42)  # grace_hopper: white and navy
    shown = data.pictures(i)
    light = shown.min(-1) > 0.75
    assert light.mean() > 0.01
    assert np.abs(shown[light] - shown[light].mean(-1, keepdims=True)).mean() < 0.05


def test_neighbouring_frames_help(mini_root):
    """Motion is a few pixels: shifted by the right amount the next frame is much more alike."""
    data = LlrvdDataset(mini_root, "train")
    better, shifts = [], []
    for i in range(0, len(data), 3):
        a, b = data.target(i, slice(0, 2))[:, 1]
        inner = (slice(8, -8), slice(8, -8))
        errors = {
            (dy, dx): np.mean((np.roll(b, (dy, dx), (0, 1))[inner] - a[inner]) ** 2)
            for dy in range(-4, 5) for dx in range(-4, 5)
        }  # fmt: skip
        best = min(errors, key=errors.get)
        shifts.append(max(map(abs, best)))
        better.append(errors[0, 0] / errors[best])
    assert min(better) > 1.2 and np.median(better) > 1.5
    assert np.median(shifts) in (1, 2)  # of one, smooth but for its leaves, the leaf's own


def test_mini_sets_are_whole(mini_root):
    assert not check(mini_root, deep=True).errors
    total = sum(p.stat().st_size for s in mini.SETS for p in (mini_root / s).rglob("*.*"))
    assert total < 300e6
    for name, drawn in (("SID", 9 + 8), ("LOL", 9 + 8), ("pairs", 8), ("LLRVD", 3 + 3)):
        assert len(read_note(mini_root / name)["synthetic"]) == drawn


def test_resampling_moves_smoothly():
    y, x = np.mgrid[0:30, 0:40]
    picture = np.stack([x / 50, y / 50, (x + y) / 100], -1).astype(np.float32)
    got = video.resample(picture, (2.25, 3.5), 1.1, (20, 25))
    rows, columns = 2.25 + 1.1 * np.arange(20), 3.5 + 1.1 * np.arange(25)
    np.testing.assert_allclose(got[..., 0], np.tile(columns / 50, (20, 1)), atol=1e-5)
    np.testing.assert_allclose(got[..., 1], np.tile(rows[:, None] / 50, (1, 25)), atol=1e-5)
    np.testing.assert_array_equal(video.resample(picture, (4, 5), 1, (8, 9)),
                                  picture[4:12, 5:14])  # fmt: skip
    edge = video.resample(picture, (-3, -3), 1, (36, 46))
    np.testing.assert_allclose(edge[:3, 10], np.tile(picture[0, 7], (3, 1)), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LLRVD", ["pan.baidu.com", "ratio_noisy_all/1/125/lq.npy", "ISP_info/1/1.npy"]),
        ("SMOID", ["drive.google.com", "_Scene1/Gain0Gain0/Dark/RAW/raw_input.npy"]),
    ],
)
def test_scripts_say_how_to_get_the_real_sets(tmp_path, capsys, name, said):
    module = script(f"get_{name.lower()}")
    assert module.main([str(tmp_path)]) == 1
    text = capsys.readouterr().out
    for words in (*said, f"{tmp_path / name}/", f"lowlight data check {tmp_path}"):
        assert words in text
    assert not list(tmp_path.iterdir())
    for folder, numbers in (
        (tiny.make_llrvd(tmp_path, scenes=(1, 7, 35), ratios=(100, 125, 250)), [1, 7, 35]),
        (tiny.make_smoid(tmp_path, scenes=(1, 4, 6)), [1, 4, 6]),
    ):
        note = {"mini": 1, "complete": True, "scenes": numbers}
        (folder / "mini.json").write_text(json.dumps(note))
    assert module.main([str(tmp_path)]) == 0
    (tmp_path / name / "mini.json").unlink()  # as if it were a part of the real one
    assert module.main([str(tmp_path)]) == 1
    assert "have fewer than 3 clips" in capsys.readouterr().out
