"""LLRVD and SMOID as they lie on disk, and the batches that come of them; the display ISP."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tiny
from support.system import few_open_files

from lowlight_lib.data import DATASETS
from lowlight_lib.data.check import check
from lowlight_lib.data.llrvd_smoid import LlrvdDataset, SmoidDataset, read_isp_info
from lowlight_lib.data.video import VideoClip
from lowlight_lib.errors import DataError, ShapeError
from lowlight_lib.sensor.display import display, grey_world

TURNS = {"flips": (0.5, 0.5), "transpose": 0.5, "reverse": 0.5}


@pytest.fixture(scope="module")
def llrvd(tmp_path_factory):
    root = tmp_path_factory.mktemp("llrvd")
    tiny.make_llrvd(root, scenes=(1, 2, 7, 35))
    return root


@pytest.fixture
def root(llrvd, tmp_path):
    """A copy to spoil."""
    shutil.copytree(llrvd, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture(scope="module")
def smoid(tmp_path_factory):
    return tiny.make_smoid(tmp_path_factory.mktemp("smoid")).parent


# ---- what is there


def test_splits_are_the_published_ones():
    llrvd, smoid = (DATASETS[k].splits for k in ("llrvd", "smoid"))
    assert llrvd["test"] == (35, 42, 49, 56, 63, 70) and llrvd["val"] == (7, 14, 21, 28)
    assert [len(smoid[s]) for s in ("train", "val", "test")] == [70, 16, 17]
    assert [3 * len(llrvd[s]) for s in ("train", "val", "test")] == [180, 12, 18]
    for splits, last in ((llrvd, 70), (smoid, 103)):
        assert sorted(n for s in splits.values() for n in s) == list(range(1, last + 1))


def test_clips_of_llrvd(llrvd):
    data = LlrvdDataset(llrvd, "train").prepare(progress=False)
    assert len(data) == 4 and data.camera == "Sony A7R IV"
    assert [c.name for c in data.pairs] == ["1/100", "1/250", "2/100", "2/250"]
    folder = llrvd / "LLRVD"
    assert data.pairs[3] == VideoClip(
        "2/250", 2, "250", 250.0, folder / "ratio_noisy_all/2/250/lq.npy",
        folder / "ratio_gt/2/gt.npy", 6, 24, 32,
    )  # fmt: skip
    stored, bright = data.stored_input(3), np.load(data.pairs[3].target)
    assert isinstance(stored, np.memmap) and stored.shape == bright.shape == (6, 24, 32, 4)
    assert stored.dtype == np.uint16
    stored, bright = (a.transpose(0, 3, 1, 2).astype(np.float64) for a in (stored, bright))
    expected = np.clip((stored - 512) / (15360 - 512) * 250, 0, 1)
    np.testing.assert_allclose(data.input(3), expected, atol=1e-5)
    np.testing.assert_array_equal(data.input(3, slice(1, 3)), data.input(3)[1:3])
    np.testing.assert_array_equal(data.input(3, 4), data.input(3)[4:5])
    np.testing.assert_array_equal(data.input(3, [5, 0]), data.input(3)[[5, 0]])
    assert data.target(3).dtype == np.float32 and data.target(3).flags.c_contiguous
    other = LlrvdDataset(llrvd, "train", levels=(500, 1000)).target(3)
    np.testing.assert_allclose(other, np.clip((bright - 500) / 500, 0, 1), atol=1e-6)


def test_clips_of_smoid(smoid):
    data = SmoidDataset(smoid, "test")
    assert [(c.name, c.group, c.ratio) for c in data.pairs] == [
        ("_Scene6/Gain0", "0", 80.0), ("_Scene6/Gain15", "15", 15.0), ("_Scene6/Gain30", "30", 2.5),
    ]  # fmt: skip
    assert data.stored_input(1).shape == (5, 4, 10, 14) and data.isp(0) is None
    np.testing.assert_allclose(
        data.input(2), np.minimum(data.stored_input(2) / 65535 * 2.5, 1), rtol=1e-6
    )
    stored = np.load(data.pairs[2].target)
    np.testing.assert_allclose(data.target(2), stored / 65535, rtol=1e-6)


def test_many_clips_need_few_file_descriptors(tmp_path):
    ratios = tuple(range(100, 250))
    tiny.make_llrvd(tmp_path, scenes=(1,), shape=(8, 8), frames=2, ratios=ratios, info=False)
    with few_open_files(120):
        data = LlrvdDataset(tmp_path, "train")
        x, _ = data.batch(0, seed=0, size=len(data), crop=8, frames=2)
    assert len(x) == 150 and np.isfinite(x).all()


# ---- batches


def numbered(shape, channels_last=True):
    """A set of two clips in memory whose target numbers its own values; the dark clip 1/50."""
    kind = LlrvdDataset if channels_last else SmoidDataset
    data = kind.__new__(kind)
    data.levels = (0.0, 1.0)
    t, h, w = shape
    number = np.arange(t * h * w * 4, dtype=np.float32).reshape(t, 4, h, w) / (t * h * w * 4)
    number = number.transpose(0, 2, 3, 1) if channels_last else number
    data.pairs = [VideoClip("", 1, "50", 50.0, k, "gt", t, h, w) for k in ("a", "b")]
    data._map = lambda path: number if path == "gt" else number / 50
    return data, number


@given(
    shape=st.tuples(st.integers(1, 7), st.integers(1, 11), st.integers(1, 11)),
    frames=st.integers(1, 9), crop=st.integers(1, 14), step=st.integers(0, 50),
    last=st.booleans(),
)  # fmt: skip
def test_crops_fit_their_target_whatever_the_size(shape, frames, crop, step, last):
    """Short clips and small frames are reflected; dark and target are the same place and time."""
    data, _ = numbered(shape, last)
    x, y = data.batch(step, seed=0, size=2, crop=crop, frames=frames, **TURNS)
    assert x.shape == (2, frames, 4, crop, crop)
    np.testing.assert_allclose(x, y, atol=1e-6)
    dark, _ = data.batch(step, seed=0, size=2, crop=crop, frames=frames, amplify=False, **TURNS)
    np.testing.assert_allclose(dark, x / 50, atol=1e-6)


def test_each_augmentation_does_what_it_is_called(llrvd):
    data, number = numbered((4, 6, 6))
    clip = number.transpose(0, 3, 1, 2)
    none = {"flips": (0, 0), "transpose": 0, "reverse": 0}
    turns = {
        "reverse": (1, clip[::-1]),
        "transpose": (1, clip.swapaxes(2, 3)),
        "flips": ((1, 0), clip[..., ::-1]),
    }
    for name, (value, expected) in turns.items():
        _, y = data.batch(0, seed=0, size=1, crop=6, frames=4, **none | {name: value})
        np.testing.assert_allclose(y[0], expected, rtol=1e-6)
    _, y = data.batch(0, seed=0, size=1, crop=6, frames=4, **none | {"flips": (0, 1)})
    np.testing.assert_allclose(y[0], clip[:, :, ::-1], rtol=1e-6)
    # chance: each of the four in about half of the batches, so all sixteen combinations
    found = {
        data.batch(s, seed=0, size=1, crop=6, frames=4, **TURNS)[1].tobytes() for s in range(150)
    }
    assert len(found) == 16


# ---- bad files: what is done to LLRVD/, and what is said about which file


def spoil(path, change):
    np.save(path, change(np.load(path)))


LQ, GT = "ratio_noisy_all/2/100/lq.npy", "ratio_gt/2/gt.npy"


def truncate(folder):
    data = (folder / LQ).read_bytes()
    (folder / LQ).write_bytes(data[:-100])


BAD = {
    "missing": (lambda f: (f / GT).unlink(), "gt.npy: is missing"),
    "no ratios": (lambda f: shutil.rmtree(f / "ratio_noisy_all/2"), "2: holds no folder named"),
    "truncated": (truncate, "lq.npy: is cut short"),
    "empty": (lambda f: (f / LQ).write_bytes(b""), "lq.npy: is cut short"),
    "no array": (lambda f: (f / LQ).write_bytes(b"PK\x03\x04" * 99), "lq.npy: is cut short"),
    "pickled": (lambda f: np.save(f / LQ, {"a": 1}, allow_pickle=True), "lq.npy: is cut short"),
    "short": (lambda f: spoil(f / LQ, lambda a: a[:-1]), "lq.npy: holds 5 frames of 24x32, but"),
    "narrow": (lambda f: spoil(f / GT, lambda a: a[:, :, 1:]), "its gt.npy 6 frames of 24x31"),
    "planes": (lambda f: spoil(f / LQ, lambda a: a[..., :3]), r"is \(6, 24, 32, 3\), not four"),
    "order": (lambda f: spoil(f / LQ, lambda a: a.transpose(0, 3, 1, 2)), "not four packed"),
    "axes": (lambda f: spoil(f / LQ, lambda a: a[0]), "not four packed planes"),
    "dtype": (lambda f: spoil(f / LQ, lambda a: a.astype(np.int32)), "lq.npy: holds int32"),
    "word": (lambda f: (f / "ratio_noisy_all/2/100").rename(f / "ratio_noisy_all/2/x100"),
             "x100: is not named by a ratio"),
    "nan": (lambda f: (f / "ratio_noisy_all/2/nan").mkdir(), "nan: is not named by a ratio"),
    "zero": (lambda f: (f / "ratio_noisy_all/2/0").mkdir(), "0: is not named by a ratio"),
}  # fmt: skip


@pytest.mark.parametrize(("harm", "said"), BAD.values(), ids=BAD)
def test_a_bad_clip_is_named_and_checked(root, harm, said):
    harm(root / "LLRVD")
    with pytest.raises(DataError, match=said) as e:
        LlrvdDataset(root, "train")
    assert "To fix: " in str(e.value)
    LlrvdDataset(root, "test")  # the other splits are as they were
    assert e.value.what in str(check(root)) and check(root).exit_code == 1


def test_floats_are_read_and_nan_is_found(root):
    before = LlrvdDataset(root, "train").target(2)
    spoil(root / "LLRVD" / GT, lambda a: a.astype(np.float32))
    np.testing.assert_array_equal(LlrvdDataset(root, "train").target(2), before)
    a = np.load(root / "LLRVD" / GT)
    a[3, 4, 5, 0] = np.nan
    np.save(root / "LLRVD" / GT, a)
    data = LlrvdDataset(root, "train")
    np.testing.assert_array_equal(data.target(2, slice(3)), before[:3])
    with pytest.raises(DataError, match=r"gt\.npy: holds values that are not finite"):
        data.target(2)
    with pytest.raises(DataError, match="not finite"):
        data.batch(0, seed=0, size=4, crop=24, frames=6)


def test_smoid_folders(smoid, tmp_path):
    shutil.copytree(smoid, tmp_path, dirs_exist_ok=True)
    scene = tmp_path / "SMOID/_Scene6"
    (scene / ".hidden").mkdir()
    (scene / "notes.txt").write_text("x")
    assert len(SmoidDataset(tmp_path, "test")) == 3
    (scene / "Gain7Gain0").mkdir()
    with pytest.raises(DataError, match="Gain7Gain0: is not named by a gain"):
        SmoidDataset(tmp_path, "test")
    shutil.rmtree(scene)
    scene.mkdir()
    with pytest.raises(DataError, match="holds no folder named by a gain"):
        SmoidDataset(tmp_path, "test")


# ---- display


def test_display_parameters_come_from_the_restricted_reader(root):
    data = LlrvdDataset(root, "train")
    found = data.isp(0)
    assert [a.shape for a in found] == [(6, 3), (6, 3, 3)]
    np.testing.assert_allclose(found[1].sum(-1), 1, atol=1e-5)
    (root / "LLRVD/ISP_info/1/4.npy").unlink()
    with pytest.raises(DataError, match=r"4\.npy: does not exist"):
        data.isp(0)
    shutil.rmtree(root / "LLRVD/ISP_info/1")
    assert data.isp(0) is None
    assert data.pictures(0).shape == (6, 24, 32, 3)  # with grey-world gains
    assert "! LLRVD train: 1 scenes have no display parameters" in str(check(root))
    (root / "LLRVD/ISP_info/2/4.npy").unlink()
    assert "ISP_info/2/4.npy: does not exist" in str(check(root))


def test_pictures_show_the_scene_that_was_photographed(llrvd):
    """Through the inverse ISP, a camera and back: the picture of the target, but for its curve."""
    from lowlight_lib.sensor import colorimetry

    data = LlrvdDataset(llrvd, "train")
    scene = tiny.picture(1, (48, 64 + 12))[:, 4:68]  # frame 2
    binned = colorimetry.bt709_decode(scene).reshape(24, 2, 32, 2, 3).mean((1, 3)) ** (1 / 2.2)
    shown = data.pictures(0, frames=2)[0]
    assert np.abs(shown - binned)[1:-1, 1:-1].mean() < 0.02
    several = data.pictures(0, data.input(0, [2, 5]), [2, 5])
    assert several.shape == (2, 24, 32, 3) and several.min() >= 0 and several.max() <= 1


def test_display_follows_its_formula():
    rng = np.random.default_rng(0)
    packed = rng.random((2, 4, 3, 5), np.float32)
    gains, ccm = np.array([[2, 1, 1.5], [1, 1, 1]]), np.stack([tiny.CAMERA.color_matrix, np.eye(3)])
    shown = display(packed, gains, ccm)
    r, g1, g2, b = np.clip(packed[0, :, 1, 2] * [2, 1, 1, 1.5], 0, 1)
    linear = np.clip(ccm[0] @ [r, (g1 + g2) / 2, b], 0, 1)
    np.testing.assert_allclose(shown[0, 1, 2], linear ** (1 / 2.2), rtol=1e-5)
    np.testing.assert_allclose(shown[1], display(packed[1], [1, 1, 1]), rtol=1e-6)
    other = packed[:, [2, 0, 1, 3]]  # as SMOID has them
    np.testing.assert_allclose(display(other, gains, ccm, planes=(1, 0, 1, 2)), shown, rtol=1e-6)
    assert display(packed[0]).shape == (3, 5, 3) and shown.dtype == np.float32


def test_grey_world_gains_can_be_used_again():
    packed = np.random.default_rng(1).random((3, 4, 8, 8), np.float32) * 0.3
    packed[:, 0] *= 0.5
    gains = grey_world(packed)
    linear = display(packed, gains) ** 2.2
    assert np.ptp(linear.mean((0, 1, 2))) < 1e-3
    means = packed[:, 0].mean(), packed[:, 1:3].mean(), packed[:, 3].mean()
    np.testing.assert_allclose(linear.mean(), np.mean(means), rtol=1e-4)
    np.testing.assert_array_equal(display(packed), display(packed, gains))
    np.testing.assert_array_equal(display(packed[1], gains), display(packed, gains)[1])
    np.testing.assert_array_equal(grey_world(np.zeros((4, 2, 2))), np.ones(3))


def test_display_refuses_what_does_not_fit():
    packed = np.zeros((3, 4, 2, 2))
    for args, options, said in (
        ((packed[:, :3],), {}, "packed frames are"),
        ((packed, np.ones(4)), {}, "for each frame"),
        ((packed, np.ones((2, 3))), {}, "for each frame"),
        ((packed, None, np.eye(4)), {}, "for each frame"),
        ((packed,), {"planes": (0, 1, 2, 2)}, "four planes are"),
    ):
        with pytest.raises(ShapeError, match=said):
            display(*args, **options)


# ---- lowlight data check


def test_check_counts_what_is_there(llrvd, smoid):
    text = str(check(llrvd))
    assert "LLRVD train: 4 items of 2 scenes; opened 2" in text
    assert (
        "! LLRVD train: 60 of 60 scenes have fewer than 3 clips, such as (1, 2, 3, 4, 5, 6)" in text
    )
    text = str(check(smoid))
    assert "SMOID test: 3 items of 1 scenes" in text
    assert "! SMOID test: 16 of 17 scenes have fewer than 3 clips, such as (7, 8, 17," in text
    assert "! SMOID train: " in text and "holds no scene of the split train (4, 5, 9," in text


def test_check_sees_more_than_one_thing(root):
    folder = root / "LLRVD"
    truncate(folder)
    (folder / GT.replace("2", "1")).unlink()
    (folder / "ratio_noisy_all/7/oops").mkdir()
    np.save(folder / "ISP_info/35/1.npy", {"x": 1}, allow_pickle=True)
    text = str(check(root))
    for said in (
        "ratio_gt/1/gt.npy: is missing (and 1 more like it). To fix: complete the scene",
        f"! LLRVD val: {folder}/ratio_noisy_all/7/oops: is not named by a ratio",
        f"! LLRVD test: 1 of 1 opened cannot be used: {folder}/ISP_info/35/1.npy: has no white",
    ):
        assert said in text, text


# ---- what ISP_info says of a frame


def isp_info(tmp_path, **content):
    np.save(tmp_path / "1.npy", content, allow_pickle=True)
    return read_isp_info(tmp_path / "1.npy")


CCM = np.array([[1.5, -0.3, -0.2], [-0.1, 1.2, -0.1], [0, -0.4, 1.4]])


@pytest.mark.parametrize(
    "content",
    [
        {"wb": np.array([2, 1, 1.5, 1.0]), "ccm": CCM},  # as published
        {"wb": [2, 0.5, 1.5, 1.5], "ccm": CCM.ravel().tolist()},
        {"wb": (2.0, 1.0, 1.5, 0.0), "ccm": CCM[None], "iso": 100},
        {"wb": np.float32([[2, 1, 1.5]]), "ccm": CCM},
    ],
)
def test_gains_and_matrices_in_every_form(tmp_path, content):
    gains, ccm = isp_info(tmp_path, **content)
    assert gains.dtype == ccm.dtype == np.float32
    np.testing.assert_allclose(gains, [2, 1, 1.5])
    np.testing.assert_allclose(ccm, CCM, rtol=1e-6)


def test_what_is_not_understood_is_shown(tmp_path):
    np.testing.assert_array_equal(isp_info(tmp_path, wb=[2, 1, 1])[1], np.eye(3))
    for content, said in (
        ({"awb_mode": 1, "lens": "x"}, r"no white balance wb: \{'awb_mode': 1, 'lens': 'x'\}"),
        ({}, r"no white balance wb: \{\}"),
        ({"wb": [1, 2]}, r"has gains \[1\. 2\.\]"),
        ({"wb": ["a", "b", "c"]}, "no array of numbers"),
        ({"wb": [1, np.nan, 1]}, "has gains .*nan"),
        ({"wb": [1, np.inf, 1]}, "has gains .*inf"),
        ({"wb": [0, 1, 1]}, "has gains .*above 0"),
        ({"wb": [1, 1, 1], "ccm": np.eye(4)}, "no array of numbers .*16"),
        ({"wb": [1, 1, 1], "ccm": np.full(9, np.nan)}, "all finite"),
    ):
        with pytest.raises(DataError, match=said):
            isp_info(tmp_path, **content)
    np.save(tmp_path / "1.npy", np.zeros(3))
    with pytest.raises(DataError, match="no white balance"):
        read_isp_info(tmp_path / "1.npy")
