"""The mini sets of clips, the scripts that help to get the real ones, and what is in a clip."""

import hashlib

import numpy as np
import pytest
from support.system import Dies, script

from lowlight_lib.data import DATASETS, mini, scenes
from lowlight_lib.data.check import check
from lowlight_lib.data.llrvd_smoid import LlrvdDataset, SmoidDataset
from lowlight_lib.data.mini import stills
from lowlight_lib.data.mini import video as mini_video
from lowlight_lib.errors import DataError, OptionError

SPLITS = ("train", "val", "test")


@pytest.fixture
def small(monkeypatch):
    """Three scenes of three small frames a set, so that a set takes a moment."""
    monkeypatch.setattr(mini_video, "FRAMES", 3)
    pictures = {
        "LLRVD": {1: "chelsea", 7: "coffee", 35: "astronaut"},
        "SMOID": {4: "chelsea", 1: "coffee", 6: "china"},
    }
    monkeypatch.setattr(mini_video, "PICTURES", pictures)
    monkeypatch.setattr(mini_video, "SHAPES", dict.fromkeys(pictures, (16, 20)))


def prints(root):
    """Hash of every array below a root."""
    paths = sorted(root.rglob("*.npy"))
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths
    }


# ---- what they are


def test_splits_share_no_photograph():
    for name, pictures in mini_video.PICTURES.items():
        by_split = {
            split: {p for n, p in pictures.items() if n in DATASETS[name.lower()].splits[split]}
            for split in SPLITS
        }
        assert sum(map(len, by_split.values())) == len(pictures)
        for split, photographs in zip(SPLITS, (scenes.TRAIN, scenes.VAL, scenes.TEST), strict=True):
            there = {p for p in by_split[split] if not p.startswith("leaves_")}
            assert there and there <= set(photographs)
            assert split == "train" or there == by_split[split]
    assert len(mini_video.PICTURES["LLRVD"]) >= 6 and len(mini_video.PICTURES["SMOID"]) >= 4


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
    assert total < 250e6


# ---- how they are made


def test_files_are_a_function_of_the_seed(small, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        mini.ensure(tmp_path / name, seed, progress=False, sets=("LLRVD", "SMOID"))
    a, b, c = (prints(tmp_path / n) for n in "abc")
    assert a == b and a.keys() == c.keys()
    same = {k for k in a if a[k] == c[k]}
    assert same == {k for k in a if "ISP_info" in k}
    assert "SMOID/_Scene6/Gain30Gain0/Bright/RAW/raw_target.npy" in a and len(a) == 39


def test_an_interrupted_set_is_made_again(small, tmp_path, monkeypatch):
    for seed in (0, 1):  # also over a finished set of another seed
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match="killed"):
            patch.setattr(mini_video.cfa, "pack_mosaic", Dies(mini_video.cfa.pack_mosaic))
            mini.ensure(tmp_path, seed, progress=False, sets="LLRVD")
        assert "an unfinished mini set" in str(check(tmp_path))
        mini.ensure(tmp_path, seed, progress=False, sets="LLRVD")
        assert not check(tmp_path).errors and mini_video.MiniLlrvd(tmp_path, seed).is_there()
    mini.ensure(tmp_path / "other", 1, progress=False, sets="LLRVD")
    assert prints(tmp_path / "other") == {
        k: v for k, v in prints(tmp_path).items() if not k.startswith("other")
    }


def test_a_set_that_is_half_removed_is_not_whole(small, tmp_path, monkeypatch):
    """Killed while the old set makes room for the new one."""
    mini.ensure(tmp_path, progress=False, sets="LLRVD")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match="killed"):
        patch.setattr(mini_video.shutil, "rmtree", Dies(mini_video.shutil.rmtree))
        mini.ensure(tmp_path, progress=False, sets="LLRVD", again=True)
    assert not mini_video.MiniLlrvd(tmp_path).is_there()


def test_ensure_makes_what_is_not_there(small, tmp_path, monkeypatch):
    real, made = mini.MiniLlrvd.make, []
    monkeypatch.setattr(
        mini_video.MiniVideo, "make", lambda s, *a: made.append(s.name) or real(s, *a)
    )
    monkeypatch.setattr(mini.MiniSid, "make", lambda s, *a: made.append(s.name))
    monkeypatch.setattr(stills.MiniPhotos, "make", lambda *a: None)

    def sets(*args, **options):
        made.clear()
        mini.ensure(tmp_path, *args, progress=False, **options)
        return made

    assert sets(sets="smoid") == ["SMOID"]
    assert sets() == ["SID", "LLRVD"]
    assert sets(sets=("SMOID", "LLRVD")) == []
    assert sets(1, sets=("SMOID",)) == ["SMOID"]
    assert sets(sets=("SMOID",), again=True) == ["SMOID"]
    assert sets(camera="nikon_d850") == sets(splits=("test",)) == sets(cfa="grbg") == ["SID"]
    with pytest.raises(OptionError, match="use SID, LLRVD, SMOID"):
        sets(sets=("SICE",))


def test_real_clips_are_never_overwritten(small, tmp_path):
    mini.ensure(tmp_path, progress=False, sets=("LLRVD", "SMOID"))
    (tmp_path / "LLRVD/mini.json").unlink()
    before = prints(tmp_path)
    for sets in (None, ("SMOID", "LLRVD")):
        with pytest.raises(DataError, match="LLRVD: holds a data set that is not a mini set"):
            mini.ensure(tmp_path, 5, progress=False, sets=sets)
    assert prints(tmp_path) == before and not (tmp_path / "SID").exists()


def test_scenes_of_ones_own_stay(small, tmp_path):
    mini.ensure(tmp_path, progress=False, sets="LLRVD")
    own = tmp_path / "LLRVD/ratio_gt/11/gt.npy"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    mini.ensure(tmp_path, progress=False, sets="LLRVD", again=True)
    assert own.read_bytes() == b"mine"


def test_on_the_command_line(small, tmp_path, lowlight):
    code, said, _ = lowlight("data", "mini", tmp_path, "--only", "llrvd", "--only", "SMOID")
    assert code == 0
    assert "mini LLRVD is in" in said and "mini SMOID is in" in said and "SID is" not in said
    assert len(LlrvdDataset(tmp_path, "test")) == len(LlrvdDataset(tmp_path, "train")) == 3


# ---- resampling


def test_resampling_moves_smoothly():
    y, x = np.mgrid[0:30, 0:40]
    picture = np.stack([x / 50, y / 50, (x + y) / 100], -1).astype(np.float32)
    got = mini_video.resample(picture, (2.25, 3.5), 1.1, (20, 25))
    rows, columns = 2.25 + 1.1 * np.arange(20), 3.5 + 1.1 * np.arange(25)
    np.testing.assert_allclose(got[..., 0], np.tile(columns / 50, (20, 1)), atol=1e-5)
    np.testing.assert_allclose(got[..., 1], np.tile(rows[:, None] / 50, (1, 25)), atol=1e-5)
    np.testing.assert_array_equal(mini_video.resample(picture, (4, 5), 1, (8, 9)),
                                  picture[4:12, 5:14])  # fmt: skip
    edge = mini_video.resample(picture, (-3, -3), 1, (36, 46))
    np.testing.assert_allclose(edge[:3, 10], np.tile(picture[0, 7], (3, 1)), atol=1e-6)


# ---- the scripts


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LLRVD", ["pan.baidu.com", "ratio_noisy_all/1/125/lq.npy", "ISP_info/1/1.npy"]),
        ("SMOID", ["drive.google.com", "_Scene1/Gain0Gain0/Dark/RAW/raw_input.npy"]),
    ],
)
def test_scripts_say_how_to_get_the_real_sets(small, tmp_path, capsys, name, said):
    module = script(f"get_{name.lower()}")
    assert module.main([str(tmp_path)]) == 1
    text = capsys.readouterr().out
    for words in (*said, f"{tmp_path / name}/", f"lowlight data check {tmp_path}"):
        assert words in text
    assert not list(tmp_path.iterdir())
    mini.ensure(tmp_path, progress=False, sets=name)
    assert module.main([str(tmp_path)]) == 0
    (tmp_path / name / "mini.json").unlink()  # as if it were a part of the real one
    assert module.main([str(tmp_path)]) == 1
    assert "have fewer than 3 clips" in capsys.readouterr().out
