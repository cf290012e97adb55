"""What `lowlight data check` says of whole, incomplete and misplaced data sets."""

import json
import shutil

import pytest
from support import tiny

from lowlight_lib.data.check import check
from lowlight_lib.data.photos import LolDataset
from lowlight_lib.data.sid import MISALIGNED, SidDataset

SCENES = {"train": (1, 3), "val": (20001, 1), "test": (10034, 2)}
NOTE = json.dumps({"mini": 1, "complete": True})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A complete small set; that it is mini spares it the published counts."""
    root = tmp_path_factory.mktemp("whole")
    for split, (first, scenes) in SCENES.items():
        tiny.make_sid(root, scenes=scenes, split=split, first=first)
    (root / "SID/mini.json").write_text(NOTE)
    return root


@pytest.fixture
def root(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "root")
    return tmp_path / "root"


def snapshot(root):
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*")}


# ---- counting: the structure of SID's own test list: scene, then frames at 0.033, 0.04 and 0.1 s.
# A frame of number n stands in the list once for each exposure that has more than n frames.

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
    folder, lines = tmp_path / "SID", []
    for kind in ("short", "long"):
        (folder / "Sony" / kind).mkdir(parents=True)
    for groups, long_s in ((SHORT_SCENES, 10), (LONG_SCENES, 30)):
        for frames, scenes in groups.items():
            for scene in map(int, scenes.split()):
                target = f"./Sony/long/{scene:05d}_00_{long_s}s.ARW"
                for s, n in zip(("0.033", "0.04", "0.1"), frames, strict=True):
                    names = [f"./Sony/short/{scene:05d}_{b:02d}_{s}s.ARW" for b in range(n)]
                    lines += [f"{name} {target} ISO200 F8\n" for name in names]
                    for name in (*names, target):
                        (folder / name).write_text("x")
    path = folder / "Sony_test_list.txt"
    path.write_text("".join(lines))
    assert SidDataset(tmp_path, "test").counts == (598, 50)
    first = SidDataset(tmp_path, "test", first_of_burst=True)
    assert len(first) == 93 and sum(p.input_s == 0.1 for p in first.pairs) == 50
    assert len(SidDataset(tmp_path, "test", exclude_misaligned=True)) == 562
    both = SidDataset(tmp_path, "test", first_of_burst=True, exclude_misaligned=True)
    assert len(both) == 88 and not {p.scene for p in both.pairs} & {*MISALIGNED}
    text = str(check(tmp_path))
    assert "published are" not in text and "SID Sony test: 3 of 3 opened cannot be used" in text
    assert all(f"Sony_{split}_list.txt: does not exist" in text for split in ("train", "val"))
    path.write_text("".join(lines[:-1]))
    assert "SID Sony test: published are 598 items of 50 scenes" in str(check(tmp_path))
    (folder / "mini.json").write_text(NOTE)
    assert "published are" not in str(check(tmp_path))


def test_a_whole_set_is_found_whole_and_left_as_it_was(root):
    before = snapshot(root)
    for deep, count in ((False, 3), (True, 6)):
        report = check(root, deep=deep)
        assert not report.errors and report.exit_code == 0, str(report)
        assert f"SID Sony train: 3 items of 3 scenes; opened {count}" in str(report)
    assert snapshot(root) == before
    assert str(report).endswith("nothing is lacking")


LONG, SHORT = "Sony/long/00001_00_10s.dng", "Sony/short/00001_00_0.1s.dng"
VAL = "Sony_val_list.txt"


def overwrite(path, change):
    path.write_bytes(change(path.read_bytes()))


def lists_inside(sid):
    for path in sid.glob("*_list.txt"):
        path.rename(sid / "Sony" / path.name)


HARM = {
    "no list": (
        lambda f: (f / VAL).unlink(),
        ["Sony val: {sid}/Sony_val_list.txt: does not exist"],
    ),
    "no lines": (
        lambda f: (f / VAL).write_text("hello\n"),
        ["Sony val: {sid}/Sony_val_list.txt: line 1 is not"],
    ),
    "no inputs": (
        lambda f: [path.unlink() for path in sorted((f / "Sony/short").iterdir())[:2]],
        ["train: {sid}: 2 of 6 listed images are missing or empty, such as Sony/short/0"],
    ),
    "empty": (
        lambda f: (f / LONG).write_bytes(b""),
        ["1 of 6 listed images are missing or empty, such as Sony/long/00001_00_10s.dng"],
    ),
    "cut short": (
        lambda f: overwrite(f / SHORT, lambda data: data[: len(data) * 8 // 10]),
        ["Sony train: 1 of 6 opened cannot be used: {sid}/Sony/short/00001_00_0.1s"],
    ),
    "no picture, of the right size": (
        lambda f: overwrite(f / SHORT, lambda data: bytes(len(data))),
        ["Sony train: 1 of 6 opened cannot be used: {sid}/Sony/short/00001_00_0"],
    ),
    "lists inside": (lists_inside, [f"{split}_list.txt: does not exist" for split in SCENES]),
    "other folder": (
        lambda f: (f / "Sony/short").rename(f / "Sony/shorts"),
        ["3 of 6 listed", "1 of 2 listed", "2 of 4 listed"],
    ),
    "unfinished": (
        lambda f: (f / "mini.json").write_text(NOTE.replace("true", "false")),
        ["an unfinished mini set: `lowlight data mini"],
    ),
}


@pytest.mark.parametrize(("harm", "said"), HARM.values(), ids=HARM)
def test_one_thing_lacking_is_one_thing_said(root, harm, said):
    harm(root / "SID")
    report = check(root, deep=True)
    assert len(report.errors) == len(said), str(report)
    for words, text in zip(said, report.errors, strict=True):
        assert words.format(sid=(root / "SID").resolve()) in text
        assert "To fix: " in text or "unfinished" in text
    assert report.exit_code == 1 and str(report).endswith(f"to act on: {len(said)}")


def test_a_few_files_are_opened_and_all_with_deep(root):
    tiny.make_sid(root, scenes=8)
    second = sorted((root / "SID/Sony/short").iterdir())[1]
    second.write_bytes(bytes(second.stat().st_size))
    assert not check(root).errors
    assert "1 of 16 opened cannot be used" in check(root, deep=True).errors[0]


def test_fuji_is_looked_at_where_it_is(root):
    sid = root / "SID"
    shutil.copytree(sid / "Sony", sid / "Fuji")
    assert "SID Fuji train: " in check(root).errors[0]
    for split in SCENES:
        text = (sid / f"Sony_{split}_list.txt").read_text()
        (sid / f"Fuji_{split}_list.txt").write_text(text.replace("Sony", "Fuji"))
    report = check(root)
    assert not report.errors and "SID Fuji train: 3 items of 3 scenes" in str(report)
    (sid / "mini.json").unlink()
    assert "published are 1655 items of 135 scenes" in str(check(root))


def test_the_wrong_folder(root, tmp_path):
    for folder in (root / "SID", tmp_path / "none"):
        assert "no data set is here, none of SID, LLRVD" in str(check(folder))
        assert check(folder).exit_code == 1
    (tmp_path / "empty/SID").mkdir(parents=True)
    assert len(check(tmp_path / "empty").errors) == 3
    assert not check(root, only=["sid"]).errors
    assert "LOL/our485/low: is not there" in check(root, only=["lol"]).errors[0]


def test_a_folder_that_may_not_be_read_is_said(root, monkeypatch):
    def breaks(*_, **options):
        raise PermissionError(13, "denied")

    (root / "LOL").mkdir()
    monkeypatch.setattr(LolDataset, "__init__", breaks)
    assert check(root).errors == [f"! LOL {s}: [Errno 13] denied" for s in ("train", "test")]
