"""What `lowlight data check` says of whole, incomplete and misplaced data sets."""

import shutil

import numpy as np
import pytest
from support import tiny

from lowlight_lib.data import sid_lists
from lowlight_lib.data.check import check
from lowlight_lib.data.issues import Issue
from lowlight_lib.data.photos import LolDataset
from lowlight_lib.data.sid_lists import read_list, sid_counts

SCENES = {"train": (1, 3), "val": (20001, 1), "test": (10034, 2)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A complete small set; that it is mini spares it the published counts."""
    root = tmp_path_factory.mktemp("whole")
    for split, (first, scenes) in SCENES.items():
        tiny.make_sid(root, scenes=scenes, split=split, first=first)
    (root / "SID/mini.json").write_text("{}")
    return root


@pytest.fixture
def root(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "root")
    return tmp_path / "root"


def lacks(report):
    return [i.text for i in report.issues if i.severity == "error"]


def snapshot(root):
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*")}


# ---- counting


def names(scene, burst, short_s, long_s=10, iso=200):
    short = f"./Sony/short/{scene:05d}_{burst:02d}_{short_s}s.ARW"
    return f"{short} ./Sony/long/{scene:05d}_00_{long_s}s.ARW ISO{iso} F8\n"


def test_counts_in_every_way(tmp_path):
    lines = [names(10003, b, s) for b in range(4) for s in (0.04, 0.1)]  # 8 pairs, 2 of them first
    lines += [names(10034, b, 0.1) for b in range(3)]  # misaligned: 3 pairs, 1 first
    lines += [names(10074, 0, s) for s in (0.033, 0.04, 0.1)]  # 3 pairs, all first
    (tmp_path / "list.txt").write_text("".join(lines))
    assert sid_counts(read_list(tmp_path / "list.txt", tmp_path)) == (14, 3, 11, 6, 5, 3)


# The structure of SID's own test list: scene, then frames at 0.033, 0.04 and 0.1 s. A frame of
# number n stands in the list once for each exposure that has more than n frames.
SHORT_SCENES = {  # targets of 10 s
    (0, 4, 10): "10003",
    (0, 2, 10): "10006 10011 10016 10022 10030 10032 10034 10040 10054 10055 10068 10069",
    (0, 2, 11): "10035",
    (0, 2, 12): "10045",
    (2, 10, 2): "10178 10187 10191 10193 10198 10203 10217 10226 10227 10228",
    (2, 10, 3): "10213",
    (2, 11, 2): "10192",
    (2, 12, 2): "10199",
    (2, 15, 2): "10185",
}
LONG_SCENES = {  # targets of 30 s
    (0, 0, 10): "10074 10077 10082 10087 10093 10101 10105 10106 10111 10116 10125 10126 10139 "
    "10140 10162 10163 10167 10170 10172",
    (0, 0, 9): "10103 10176",
}


def test_the_published_counts_follow_from_the_structure_of_the_published_list(tmp_path):
    lines = []
    for groups, long_s in ((SHORT_SCENES, 10), (LONG_SCENES, 30)):
        for frames, scenes in groups.items():
            for scene in map(int, scenes.split()):
                for s, n in zip(("0.033", "0.04", "0.1"), frames, strict=True):
                    lines += [names(scene, b, s, long_s) for b in range(n)]
    folder = tmp_path / "SID"
    folder.mkdir()
    (folder / "Sony_test_list.txt").write_text("".join(lines))
    counts = sid_counts(read_list(folder / "Sony_test_list.txt", folder))
    assert counts == sid_lists.PUBLISHED["Sony", "test"]
    text = str(check(tmp_path))
    for number in (598, 562, 93, 88, 50):
        assert str(number) in text
    assert "not the published one" not in text
    assert lacks(check(tmp_path))[:2] == [
        f"SID Sony {split}: no list file; Sony_{split}_list.txt belongs into {folder}"
        for split in ("train", "val")
    ]
    (folder / "Sony_test_list.txt").write_text("".join(lines[:-1]))
    assert "597 pairs instead of 598" in str(check(tmp_path))
    (folder / "mini.json").write_text("{}")
    assert "instead of" not in str(check(tmp_path)) and "(published:" not in str(check(tmp_path))


# ---- whole


def test_a_whole_set_is_found_whole_and_left_as_it_was(root):
    before = snapshot(root)
    for deep in (False, True):
        report = check(root, deep=deep)
        assert report.ok and report.exit_code == 0, str(report)
    assert snapshot(root) == before
    text = str(report)
    assert "SID Sony train: 3 pairs of 3 scenes; first of each burst 3" in text
    assert "1 without the misaligned scenes 10034, 10045, 10172" in text
    assert "6 of 6 listed files" in text and "6 opened, all readable" in text
    assert text.endswith("nothing is lacking")
    assert "3 opened" in str(check(root))


def test_the_mini_set_is_whole(mini_root):
    assert check(mini_root).ok


def test_lines_say_which_of_them_ask_for_something():
    assert str(Issue("a", "info")) == "  a"
    assert str(Issue("a")) == "! a"


# ---- what may be wrong, one at a time: (what happens to SID/, what is said about it)


def delete_list(sid):
    (sid / "Sony_val_list.txt").unlink()


def garble_list(sid):
    (sid / "Sony_val_list.txt").write_text("hello\n")


def delete_shorts(sid):
    for n in (1, 2):
        (sid / f"Sony/short/{n:05d}_00_0.1s.dng").unlink()


def empty_long(sid):
    (sid / "Sony/long/00001_00_10s.dng").write_bytes(b"")


def cut_short(sid):
    path = sid / "Sony/short/00001_00_0.1s.dng"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 8 // 10])


def garble_short(sid):
    path = sid / "Sony/short/00001_00_0.1s.dng"
    path.write_bytes(bytes(path.stat().st_size))  # of the right size, but no picture


def lower_case(sid):
    path = sid / "Sony_train_list.txt"
    path.write_text(path.read_text().replace("dng", "DNG"))


def lists_inside(sid):
    for path in sid.glob("*_list.txt"):
        path.rename(sid / "Sony" / path.name)


def nest_camera(sid):
    (sid / "Sony").rename(sid / "x")
    (sid / "Sony").mkdir()
    (sid / "x").rename(sid / "Sony/Sony")


def nest_all(sid):
    (sid / "SID").mkdir()
    for name in ("Sony", *(p.name for p in sid.glob("*_list.txt"))):
        (sid / name).rename(sid / "SID" / name)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (delete_list, ["Sony val: no list file; Sony_val_list.txt belongs into"]),
        (garble_list, ["line 1 is not"]),
        (delete_shorts, ["short: 2 files missing (00001_00_0.1s.dng, 00002_00_0.1s.dng)"]),
        (empty_long, ["long: 1 file empty, to be copied again (00001_00_10s.dng)"]),
        (cut_short, ["short: 1 file much smaller than the others"]),
        (garble_short, ["short: 1 file unreadable (00001_00_0.1s.dng)"]),
        (lower_case, ["short: 3 files spelt in other", "long: 3 files spelt in other"]),
        (lists_inside, ["the list lies in SID/Sony/ (where the unofficial code of REDI"] * 3),
        (nest_camera, ["one level too deep, in SID/Sony/Sony/: move them up to SID/Sony/"]),
        (nest_all, ["one level too deep, in SID/SID/Sony/", *["list lies in SID/SID/:"] * 3]),
    ],
    ids=lambda p: getattr(p, "__name__", ""),
)
def test_one_thing_lacking_is_one_thing_said(root, harm, said):
    harm(root / "SID")
    report = check(root, deep=True)
    assert len(lacks(report)) == len(said), str(report)
    for words, text in zip(said, lacks(report), strict=True):
        assert words in text
    assert report.exit_code == 1
    assert str(report).endswith(f"{len(said)} finding{'s'[: len(said) > 1]} to act on")


def test_the_folder_short_in_capitals(root):
    (root / "SID/Sony/short").rename(root / "SID/Sony/tmp")
    (root / "SID/Sony/tmp").rename(root / "SID/Sony/Short")
    [text] = lacks(check(root))
    assert "6 files spelt in other" in text


def test_windows_line_ends_are_only_remarked(root):
    path = root / "SID/Sony_train_list.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    report = check(root)
    assert report.ok and "Windows line ends" in str(report)


def test_a_few_files_are_opened_and_all_with_deep(root):
    shorts = sorted((root / "SID/Sony/short").iterdir())
    second = shorts[1]  # the first, the middle and the last are opened anyway
    second.write_bytes(bytes(second.stat().st_size))
    assert check(root).ok
    assert "1 file unreadable" in lacks(check(root, deep=True))[0]


def test_small_files_stand_out_only_where_they_should():
    small = sid_lists._too_small
    assert small({}) == []
    uniform = {str(i): 1000 + i for i in range(9)}
    assert small(uniform | {"cut": 890}) == ["cut"]
    assert small(uniform | {"other": 950}) == []
    varied = {str(i): int(s) for i, s in enumerate(np.linspace(500, 1500, 9))}
    assert small(varied | {"cut": 300}) == ["cut"]
    assert small(varied | {"less": 400}) == []


def test_fuji_is_looked_at_where_it_is(root):
    sid = root / "SID"
    shutil.copytree(sid / "Sony", sid / "Fuji")
    assert "Fuji short: 6 files, named by no list" in str(check(root))
    for split in SCENES:
        text = (sid / f"Sony_{split}_list.txt").read_text()
        (sid / f"Fuji_{split}_list.txt").write_text(text.replace("Sony", "Fuji"))
    report = check(root)
    assert report.ok and "SID Fuji short: 6 of 6 listed files" in str(report)
    (sid / "mini.json").unlink()
    assert "3 pairs instead of 1655" in str(check(root))


# ---- the wrong folder


def test_the_wrong_folder(root, tmp_path):
    assert "give its parent as the root" in str(check(root / "SID"))
    (root / "SID").rename(root / "dark")
    assert "a folder SID around it" in str(check(root / "dark"))
    assert "no data set is here" in str(check(root))
    assert "no such folder" in str(check(tmp_path / "none"))
    (tmp_path / "empty/SID").mkdir(parents=True)
    assert "no lists and no images" in str(check(tmp_path / "empty"))


def test_other_data_sets_slot_in(root, monkeypatch):
    def of_lol(folder, deep, progress):
        yield Issue(f"LOL: {folder.name} {deep} {progress}")

    def breaks(folder, deep, progress):
        raise PermissionError(13, "denied")
        yield

    (root / "LOL").mkdir()
    monkeypatch.setattr(LolDataset, "check", of_lol)
    assert lacks(check(root, deep=True)) == ["LOL: LOL True False"]
    monkeypatch.setattr(LolDataset, "check", breaks)
    assert "LOL: cannot be looked through" in lacks(check(root))[0]
