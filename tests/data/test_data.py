"""The SID layout, mini and real, and the cache under it."""

import errno
import json
import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tiny
from support.system import few_open_files

from lowlight_lib.data.base import turn
from lowlight_lib.data.cache import ArrayCache
from lowlight_lib.data.sid import SidDataset, SidPair, read_list
from lowlight_lib.errors import DataError, OptionError, OutputError, RawFileError
from lowlight_lib.sensor import cfa, isp
from lowlight_lib.sensor.raw import read_raw


@pytest.fixture(scope="module")
def sid(tmp_path_factory):
    root = tmp_path_factory.mktemp("sid")
    tiny.make_sid(root)
    return root


# ---- the mini set


def test_mini_set_has_the_published_layout(mini_root):
    folder = mini_root / "SID"
    for split, least in (("train", 10), ("val", 2), ("test", 3)):
        pairs = read_list(folder / f"Sony_{split}_list.txt", folder)
        assert len({p.scene for p in pairs}) >= least
        assert {round(p.ratio) for p in pairs} == {100, 250, 300}
        assert max(p.target_s / p.input_s for p in pairs) > 300  # so that the clamp is exercised
    line = (folder / "Sony_test_list.txt").read_text().splitlines()[0]
    assert line.startswith("./Sony/short/10001_00_0.1s.dng ./Sony/long/10001_00_10s.dng ISO")


def test_mini_shorts_are_darker_by_the_ratio(mini_root):
    data = SidDataset(mini_root, "test")
    for i in (0, 3):
        pair = data.pairs[i]
        short, long = (read_raw(p) for p in (pair.input, pair.target))
        # unclipped signal: means of thousands of pixels, so the noise is far below 5 %
        lit = [r.mosaic.astype(float) - r.black_level[0, 0] for r in (short, long)]
        low = lit[1] < 0.5 * (long.white_level - long.black_level[0, 0])
        assert lit[1][low].mean() / lit[0][low].mean() == pytest.approx(
            pair.target_s / pair.input_s, rel=0.05
        )


# ---- list files


def write_list(folder, text, name="Sony_train_list.txt"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


GOOD = "./Sony/short/00001_00_0.04s.ARW ./Sony/long/00001_00_10s.ARW ISO200 F8"


def test_list_lines_survive_windows_and_editors(tmp_path):
    path = write_list(tmp_path, "\ufeff" + GOOD + "\r\n\r\n  " + GOOD + "   \r\n")
    pairs = read_list(path, tmp_path)
    assert len(pairs) == 2
    p = pairs[0]
    assert (p.scene, p.burst, p.input_s, p.target_s, p.name) == (1, 0, 0.04, 10.0, "00001_00_0.04s")
    assert p.ratio == pytest.approx(250)
    backslashes = write_list(tmp_path, GOOD.replace("/", "\\"))
    assert read_list(backslashes, tmp_path)[0].input == pairs[0].input


def test_ratio_is_clamped_to_300(tmp_path):
    path = write_list(tmp_path, GOOD.replace("0.04s", "0.033s"))
    assert read_list(path, tmp_path)[0].ratio == 300


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "lists no image"),
        ("hello", "line 1 is not"),
        (GOOD + "\nhello world", "line 2 is not"),
        (GOOD.replace("long/00001", "long/00002"), "of one scene"),
        (GOOD.replace("./Sony/short", "../../etc"), "outside the data root"),
        (GOOD.replace("./Sony/short", "/etc"), "outside the data root"),
        (GOOD.replace("./Sony/short", "./Sony/../../x"), "outside the data root"),
        (GOOD.replace("./Sony/short", "C:"), "outside the data root"),
        (GOOD.replace("./Sony/short", "C:\\Sony"), "outside the data root"),
        (GOOD.replace("0.04s", "0s"), "exposure of 0"),
        (GOOD.replace("0.04s", "0.0.4s"), "line 1 is not"),
    ],
)
def test_bad_lists_say_which_line(tmp_path, text, match):
    with pytest.raises(DataError, match=match) as e:
        read_list(write_list(tmp_path, text), tmp_path)
    assert "Sony_train_list.txt" in str(e.value)


def test_options_of_the_protocol(tmp_path):
    tiny.make_sid(tmp_path, split="test", first=10034, scenes=2)
    folder = tmp_path / "SID"
    first = folder / "Sony/short/10035_00_0.1s.dng"
    second = first.with_name("10035_01_0.1s.dng")
    second.write_bytes(first.read_bytes())
    path = folder / "Sony_test_list.txt"
    more = path.read_text().splitlines()[1].replace("10035_00_0.1s", "10035_01_0.1s")
    path.write_text(path.read_text() + more + "\n")
    assert len(SidDataset(tmp_path, "test", first_of_burst=False)) == 3
    assert len(SidDataset(tmp_path, "test")) == len(SidDataset(tmp_path, "test", exposure=0.1)) == 2
    with pytest.raises(DataError, match="holds no image with these options"):
        SidDataset(tmp_path, "test", exposure=0.04)
    left = SidDataset(tmp_path, "test", exclude_misaligned=True)
    assert [p.scene for p in left.pairs] == [10035]
    levels = SidDataset(tmp_path, "test", levels=(500, 16000)).input(0)
    assert (levels.black_level == 500).all() and levels.white_level == 16000


# ---- batches


@given(
    name=st.sampled_from(["RGGB", "GRBG", "GBRG", "BGGR"]),
    shape=st.tuples(st.integers(30, 50), st.integers(30, 50)),
    crop=st.sampled_from([8, 16, 40]),
    step=st.integers(0, 50),
)
def test_crops_start_on_red_and_fit_their_target(name, shape, crop, step):
    """Whatever the CFA, size and augmentation, crop and target are the same place, red first.

    The mosaic holds the filter colours themselves, the target numbers its own pixels by filter.
    """
    cell = cfa.from_name(name)
    colours = cfa.tile(cell, shape).astype(int)
    place = np.arange(shape[0] * shape[1]).reshape(shape)
    mosaic = (1000 * colours + 100 + place % 7).astype(np.uint16)
    target = np.stack([mosaic] * 3, -1)
    data = SidDataset.__new__(SidDataset)
    data.pairs = [SidPair(None, None, 1, 0, 1.0, 10.0)]
    data.input = lambda i: tiny.raw_of(mosaic, cell, black_level=0, white_level=10)
    data.target = lambda i: target
    x, y = data.batch(step, seed=0, size=2, crop=crop, flips=(0.5, 0.2), transpose=0.5)
    dn = np.rint(x[:, 0])  # ratio 10, white 10: the DN themselves
    assert (dn // 1000 == cfa.tile(cfa.RGGB, (crop, crop))).all()
    assert np.array_equal(dn, np.rint(y[:, 0] * 65535))


def test_batches_of_a_foreign_phase_keep_their_black_levels(tmp_path):
    """Per-place black levels move with the crop."""
    levels = np.array([[10, 20], [30, 40]], np.float32)
    mosaic = np.tile(levels, (20, 20)).astype(np.uint16)  # everything black
    data = SidDataset.__new__(SidDataset)
    data.pairs = [SidPair(None, None, 1, 0, 1.0, 10.0)]
    raw = tiny.raw_of(mosaic, cfa.from_name("BGGR"), black_level=levels)
    data.input, data.target = lambda i: raw, lambda i: np.zeros((40, 40, 3), np.uint16)
    for step in range(4):
        assert data.batch(step, seed=0, size=2, crop=8, flips=(0, 0))[0].max() == 0
        x = data.batch(step, seed=0, size=2, crop=8, flips=(1, 1), transpose=1)[0]
        assert x.max() == 0


def test_target_is_the_papers_libraw_call(sid):
    data = SidDataset(sid, "train")
    direct = isp.develop(data.pairs[0].target)
    assert np.abs(data.target(0) / 65535 - direct).max() < 1e-5  # 16-bit rounding
    assert data.target(0).dtype == np.uint16


def test_sizes_that_differ_are_reported(tmp_path):
    folder = tiny.make_sid(tmp_path, scenes=1)
    tiny.make_sid(tmp_path / "other", scenes=1, shape=(64, 64))
    name = "Sony/long/00001_00_10s.dng"
    (folder / name).write_bytes((tmp_path / "other/SID" / name).read_bytes())
    with pytest.raises(DataError, match="00001_00_10s"):
        SidDataset(tmp_path, "train").batch(0, seed=0, size=1, crop=16)


@pytest.mark.parametrize("turns", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)])
def test_flips_as_the_authors_have_them(sid, turns):
    """Of packed planes each is turned like the target; of pixels the mosaic is."""
    chances = {"flips": turns[:2], "transpose": turns[2]}
    data = SidDataset(sid, "train")
    options = {"seed": 0, "size": 1, "crop": 32}
    x, y = data.batch(3, **options)  # as it lies
    for kept in ("planes", "pixels"):
        data.flips_keep = kept
        turned, target = data.batch(3, **options, **chances)
        assert np.array_equal(target[0], turn(y[0], turns, (1, 2)))
        seen, before = (a[0] if kept == "pixels" else cfa.pack_mosaic(a[0, 0]) for a in (turned, x))
        assert np.array_equal(seen, turn(before, turns, (1, 2)))


def test_crops_in_a_row_are_of_one_picture(sid, monkeypatch):
    data, seen = SidDataset(sid, "train"), []
    real = data._cut
    monkeypatch.setattr(data, "_cut", lambda i, where, *a: seen.append(i) or real(i, where, *a))
    for step in range(12):
        data.batch(step, seed=0, size=1, crop=8, repeat=4)
    assert [len(set(seen[i : i + 4])) for i in (0, 4, 8)] == [1, 1, 1]
    assert sorted(seen[::4]) == [0, 1, 2]


def test_both_splits_are_trained_on(tmp_path):
    for split, first, count in (("train", 1, 2), ("val", 20001, 1)):
        tiny.make_sid(tmp_path, split=split, first=first, scenes=count)
    assert [p.scene for p in SidDataset(tmp_path, "train+val").pairs] == [1, 2, 20001]
    with pytest.raises(OptionError, match=r"no 'train\+all' split"):
        SidDataset(tmp_path, "train+all")


# ---- the cache


def counting(path):
    counting.calls += 1
    return np.frombuffer(path.read_bytes(), np.uint8).copy(), {"n": 1}


@pytest.fixture
def cache(tmp_path):
    counting.calls = 0
    source = tmp_path / "data" / "a.bin"
    source.parent.mkdir()
    source.write_bytes(b"12345678")
    return ArrayCache(tmp_path / "data"), source


def test_cache_decodes_once_and_maps(cache):
    store, source = cache
    for _ in range(3):
        array, notes = store.get(source, "raw", counting)
    assert counting.calls == 1 and notes == {"n": 1}
    assert isinstance(array, np.memmap) and bytes(array) == b"12345678"


def test_cache_notices_a_changed_source(cache):
    store, source = cache
    store.get(source, "raw", counting)
    stat = source.stat()
    source.write_bytes(b"87654321")  # same size, and the same time stamps as before
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert bytes(store.get(source, "raw", counting)[0]) == b"87654321"
    assert counting.calls == 2
    os.utime(source)  # touched only: not decoded again
    store.get(source, "raw", counting)
    assert counting.calls == 2


@pytest.mark.parametrize("damage", ["no note", "bad note", "no array", "short array"])
def test_cache_survives_an_interrupted_build(cache, damage):
    store, source = cache
    store.get(source, "raw", counting)
    array, note = (store.folder / f"a.bin.raw.{e}" for e in ("npy", "json"))
    {
        "no note": note.unlink,
        "bad note": lambda: note.write_text('{"format": 1'),
        "no array": array.unlink,
        "short array": lambda: array.write_bytes(array.read_bytes()[:-4]),
    }[damage]()
    for _ in range(2):
        assert bytes(store.get(source, "raw", counting)[0]) == b"12345678"
        assert counting.calls == 2


@pytest.mark.parametrize("note", [
    {"n": 2}, 5, None, [1], {"n": "1"}, "text",
])  # fmt: skip
def test_cache_does_not_use_an_edited_note(cache, note):
    store, source = cache
    store.get(source, "raw", counting)
    path = store.folder / "a.bin.raw.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"notes": note}))
    assert store.get(source, "raw", counting)[1] == {"n": 1}
    path.write_text("[" * 100_000)
    assert store.get(source, "raw", counting)[1] == {"n": 1}
    assert counting.calls == 3


@pytest.mark.parametrize("stamps", ["new", "as before"])
def test_cache_notices_other_data(cache, stamps):
    """Whose header, size and type are right; touched alone they are not made again."""
    store, source = cache
    store.get(source, "raw", counting)
    path = store.folder / "a.bin.raw.npy"
    stat, data = path.stat(), path.read_bytes()
    time.sleep(0.02)  # more than the clock of a file system takes between two ticks
    path.write_bytes(data[:-8] + bytes(8))
    if stamps == "as before":
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert bytes(store.get(source, "raw", counting)[0]) == b"12345678"
    assert counting.calls == 2
    time.sleep(0.02)
    os.utime(path)
    for _ in range(2):
        assert bytes(store.get(source, "raw", counting)[0]) == b"12345678"
    assert counting.calls == 2


def test_cache_leaves_nothing_of_a_failed_decode(cache):
    store, source = cache

    def fails(path):
        raise RawFileError("is damaged", file=path)

    with pytest.raises(RawFileError, match="is damaged"):
        store.get(source, "raw", fails)
    assert not list(store.folder.glob("**/*"))


def test_cache_on_a_full_disk_says_where_else(cache, monkeypatch):
    store, source = cache

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="LOWLIGHT_CACHE"):
        store.get(source, "raw", counting)
    assert not [p for p in store.folder.rglob("*") if p.is_file()]


def test_cache_can_be_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("LOWLIGHT_CACHE", str(tmp_path / "cache"))
    tiny.make_sid(tmp_path / "a", scenes=1)
    tiny.make_sid(tmp_path / "b", scenes=1, shape=(64, 64))
    shapes = [SidDataset(tmp_path / r, "train").input(0).mosaic.shape for r in "ab"]
    assert shapes == [(80, 96), (64, 64)]
    assert not (tmp_path / "a" / "cache").exists()


def test_many_images_need_few_file_descriptors(tmp_path):
    """Each memory map holds one; systems allow as few as 256, and SID has 2,026 files to train."""
    tiny.make_sid(tmp_path, scenes=90, shape=(24, 24))
    with few_open_files(150):
        x, _ = SidDataset(tmp_path, "train").batch(0, seed=0, size=90, crop=16)
    assert np.isfinite(x).all()
