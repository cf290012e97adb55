"""The mini sets of clips, the scripts that help to get the real ones, and what is in a clip."""

import json

import numpy as np
import pytest
from support import tiny
from support.system import script

from lowlight_lib.data import DATASETS, mini
from lowlight_lib.data.check import check
from lowlight_lib.data.llrvd_smoid import LlrvdDataset, SmoidDataset
from lowlight_lib.data.mini import video as mini_video

SPLITS = ("train", "val", "test")


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
    for folder, scenes in (
        (tiny.make_llrvd(tmp_path, scenes=(1, 7, 35), ratios=(100, 125, 250)), [1, 7, 35]),
        (tiny.make_smoid(tmp_path, scenes=(1, 4, 6)), [1, 4, 6]),
    ):
        note = {"mini": 1, "complete": True, "scenes": scenes}
        (folder / "mini.json").write_text(json.dumps(note))
    assert module.main([str(tmp_path)]) == 0
    (tmp_path / name / "mini.json").unlink()  # as if it were a part of the real one
    assert module.main([str(tmp_path)]) == 1
    assert "have fewer than 3 clips" in capsys.readouterr().out
