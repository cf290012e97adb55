"""SID's files: the list files beside `Sony/short` and `Sony/long`, and what they hold and lack.

    SID/Sony_train_list.txt   ./Sony/short/00001_00_0.1s.ARW ./Sony/long/00001_00_10s.ARW ISO200 F8

SID has a Bayer part, Sony, and an X-Trans part, Fuji.

Source: Chen et al., "Learning to See in the Dark", CVPR 2018, and its published lists.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from statistics import median

from ..errors import DataError
from ..sensor.raw import read_raw
from . import issues
from .issues import Issue, info

CAMERAS = ("Sony", "Fuji")  # SID's two parts
SPLITS = ("train", "val", "test")
MAX_RATIO = 300
MISALIGNED = (10034, 10045, 10172)  # test scenes whose target moved
_NAME = re.compile(r"(\d+)_(\d+)_(\d+(?:\.\d+)?)s\.\w+$")

# In each of the ways in which papers count them, and as counted from the authors' lists.
COUNTS = (
    "pairs",
    "scenes",
    "pairs without the misaligned scenes",
    "first frames of bursts",
    "first frames without the misaligned scenes",
    "first frames of 0.1 s",
)
PUBLISHED = {
    ("Sony", "train"): (1865, 161, None, 280),
    ("Sony", "val"): (234, 20, None, 36),
    ("Sony", "test"): (598, 50, 562, 93, 88, 50),
    ("Fuji", "train"): (1655, 135),
    ("Fuji", "val"): (218, 17),
    ("Fuji", "test"): (524, 41),
}


@dataclass(frozen=True)
class SidPair:
    """One line of a list file: a short exposure, the input, and a long one of the same scene."""

    input: Path
    target: Path
    scene: int
    burst: int
    input_s: float
    target_s: float

    @property
    def name(self) -> str:
        return self.input.stem

    @property
    def ratio(self) -> float:
        """min(target_s / input_s, 300), the amplification that makes up for the missing light."""
        return min(self.target_s / self.input_s, MAX_RATIO)


def read_list(path, folder) -> list[SidPair]:
    """Parse a list file; Windows line ends, empty lines and a byte order mark do no harm.

    Args:
        path: the list file.
        folder: SID/, which the lines are relative to.
    Raises:
        DataError: no such list, a line that is none, or one that points outside `folder`.
    """
    path, folder = Path(path), Path(folder).resolve()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as e:
        todo = "make mini data with `lowlight data mini ROOT`, or put SID's list files there"
        raise DataError("does not exist", file=path, todo=todo) from e
    except (OSError, UnicodeDecodeError) as e:
        raise DataError(f"cannot be read ({e})", file=path) from e
    pairs = []
    for n, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        names = [_NAME.search(w) for w in words[:2]]
        if len(words) < 2 or None in names or names[0][1] != names[1][1]:
            raise DataError(f"line {n} is not `short long ISO F` of one scene: {line!r}", file=path)
        files = [Path(w.replace("\\", "/")) for w in words[:2]]
        for word, file in zip(words, files, strict=False):
            # A Windows path has a drive or a root of its own, which other systems do not see.
            if PureWindowsPath(word).anchor or file.is_absolute() or ".." in file.parts:
                raise DataError(f"line {n} points outside the data root: {word!r}", file=path)
        seconds = [float(m[3]) for m in names]
        if min(seconds) <= 0:
            raise DataError(f"line {n} has an exposure of 0 s: {line!r}", file=path)
        numbers = int(names[0][1]), int(names[0][2])
        pairs.append(SidPair(*(folder / f for f in files), *numbers, *seconds))
    if not pairs:
        raise DataError("lists no image", file=path, todo="get the list again")
    return pairs


def sid_counts(pairs) -> tuple[int, ...]:
    """How many images a list has, in each way of COUNTS."""
    first = [p for p in pairs if p.burst == 0]
    aligned = [sum(p.scene not in MISALIGNED for p in some) for some in (pairs, first)]
    at_100ms = sum(p.input_s == 0.1 for p in first)
    return len(pairs), len({p.scene for p in pairs}), aligned[0], len(first), aligned[1], at_100ms


def check_sid(folder, deep=False, progress=False):
    """Issues of the lists and the raw files of each camera; see `base.Dataset.check`."""
    # A mini set has lists of its own; the published counts are not its measure.
    mini = (folder / issues.NOTE).is_file()
    bases = (folder, folder / "SID")
    found = [
        c for c in CAMERAS if any((b / c).is_dir() or any(b.glob(f"{c}_*_list.txt")) for b in bases)
    ]
    if not found:
        yield Issue(f"SID: no lists and no images of {' or '.join(CAMERAS)}")
    for camera in found:
        base = folder
        for inner in (folder / "SID", folder / camera):
            if (inner / camera).is_dir() and "short" not in _names(folder / camera):
                base = inner
                place = (inner / camera).relative_to(folder.parent).as_posix()
                yield Issue(
                    f"SID {camera}: the images lie one level too deep, in {place}/: move them "
                    f"up to SID/{camera}/"
                )
        pairs, there = [], _files_below(base)
        for split in SPLITS:
            pairs += yield from _check_list(folder, base, camera, split, mini)
        for kind, side in (("short", "input"), ("long", "target")):
            wanted = sorted({getattr(p, side).relative_to(base.resolve()) for p in pairs})
            label = f"SID {camera} {kind}"
            if wanted:
                yield from _check_files(label, base, wanted, there, deep, progress)
            elif unlisted := sum(p.parent == Path(camera, kind) for p in there):
                yield info(f"{label}: {unlisted} files, named by no list")


def _check_list(folder, base, camera, split, mini):
    """Issues of one list file; returns its pairs, their paths below `base`."""
    label, name = f"SID {camera} {split}", f"{camera}_{split}_list.txt"
    places = [folder / name, base / name, folder / camera / name, base / camera / name]
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        yield Issue(f"{label}: no list file; {name} belongs into {folder}")
        return []
    if path.parent != folder:
        why = " (where the unofficial code of REDI wants it)" if path.parent.name == camera else ""
        place = path.parent.relative_to(folder.parent).as_posix()
        yield Issue(f"{label}: the list lies in {place}/{why}: move it into SID/, beside {camera}/")
    try:
        pairs = read_list(path, base)
    except DataError as e:
        yield Issue(f"{label}: {e}")
        return []
    counts, published = sid_counts(pairs), () if mini else PUBLISHED[camera, split]
    n, scenes, aligned, first, first_aligned, at_100ms = counts
    text = f"{n} pairs of {scenes} scenes; first of each burst {first}"
    if (camera, split) == ("Sony", "test"):
        moved = ", ".join(map(str, MISALIGNED))
        text = (
            f"{n} pairs of {scenes} scenes; {aligned} without the misaligned scenes {moved}; "
            f"first of each burst {first}, without the misaligned {first_aligned}, at 0.1 s "
            f"{at_100ms}"
        )
    if published:
        text += f" (published: {', '.join(str(p) for p in published if p is not None)})"
    yield info(f"{label}: {text}")
    beside = zip(counts, COUNTS, published, strict=False)
    differs = [f"{n} {what} instead of {p}" for n, what, p in beside if p not in (None, n)]
    if differs:
        yield Issue(f"{label}: the list is not the published one: {'; '.join(differs)}")
    if b"\r\n" in path.read_bytes():
        yield info(f"{label}: the list has Windows line ends; harmless here, not everywhere")
    return pairs


def _check_files(label, base, wanted, there, deep, progress):
    """Issues of the raw files that the lists name: there, whole, readable."""
    sizes = {p: there[p] for p in wanted if p in there}
    # A name in other letters opens on some systems and not on others; so does a folder's.
    spelt = {str(p).casefold() for p in there}
    others = [p for p in wanted if p not in there]
    other_case = [p for p in others if str(p).casefold() in spelt]
    empty = [p for p, size in sizes.items() if not size]
    small = _too_small({p: s for p, s in sizes.items() if s})
    yield info(f"{label}: {len(sizes)} of {len(wanted)} listed files")
    for paths, what in (
        ([p for p in others if p not in other_case], "missing"),
        (other_case, "spelt in other capital and small letters than in the list"),
        (empty, "empty, to be copied again"),
        (small, "much smaller than the others, so probably cut short, to be copied again"),
    ):
        if paths:
            yield Issue(f"{label}: {issues.files(paths, what)}")
    good, errors = [p for p in sizes if p not in {*empty, *small}], []
    opened = issues.to_open(good, deep, label, progress)
    for path in opened:
        with issues.noted(errors):
            read_raw(base / path)
    if errors:
        yield issues.unreadable(label, errors)
    elif opened:
        yield info(f"{label}: {len(opened)} opened, all readable")


def _too_small(sizes):
    """A camera that does not compress writes one size; then a tenth less is already wrong."""
    if not sizes:
        return []
    middle = median(sizes.values())
    uniform = sum(abs(s - middle) <= 0.05 * middle for s in sizes.values()) > len(sizes) / 2
    return [p for p, s in sizes.items() if s < middle * (0.9 if uniform else 1 / 3)]


def _names(folder):
    """What is in a folder, spelt as it is; [] where there is none."""
    return os.listdir(folder) if folder.is_dir() else []


def _files_below(folder):
    """{path, relative and spelt as it is: size} of all files; links to folders are followed."""
    places = os.walk(folder, followlinks=True)
    paths = (Path(place, name) for place, _, names in places for name in names)
    return {p.relative_to(folder): p.stat().st_size for p in paths if p.is_file()}
