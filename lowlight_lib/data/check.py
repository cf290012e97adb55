"""What a data root holds and lacks, in words and counts: `lowlight data check ROOT`.

One function a data set in `CHECKS`; it gets the folder that bears the data set's name and yields
findings. Nothing is changed on disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ..errors import DataError, LowlightError
from .check_photos import check_lol, check_pairs
from .check_video import check_llrvd, check_smoid
from .finding import SAMPLES, Finding, some
from .sid import MISALIGNED, SidPair, read_list

SPLITS = ("train", "val", "test")
CAMERAS = ("Sony", "Fuji")

# Counted from the authors' lists; the test list of Sony in the ways in which papers count it.
PUBLISHED = {
    ("Sony", "train"): {"pairs": 1865, "scenes": 161, "first": 280},
    ("Sony", "val"): {"pairs": 234, "scenes": 20, "first": 36},
    ("Sony", "test"): {
        "pairs": 598, "scenes": 50, "pairs_aligned": 562, "first": 93, "first_aligned": 88,
        "first_0.1s": 50,
    },
    ("Fuji", "train"): {"pairs": 1655, "scenes": 135},
    ("Fuji", "val"): {"pairs": 218, "scenes": 17},
    ("Fuji", "test"): {"pairs": 524, "scenes": 41},
}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What `check` found: `ok`, `exit_code`, `findings`, and as a string the lines to print."""

    root: Path
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not any(f.lack for f in self.findings)

    @property
    def exit_code(self) -> int:
        return 0 if self.ok else 1

    def __str__(self):
        lacks = sum(f.lack for f in self.findings)
        end = "nothing is lacking" if self.ok else f"{lacks} finding{'s'[: lacks > 1]} to act on"
        return "\n".join([f"{self.root}:", *map(str, self.findings), end])


def check(root, deep=False, progress=False) -> Report:
    """Look through a data root.

    Args:
        root: the folder that holds SID/ and its like.
        deep: open every raw file instead of a few of each kind; minutes for the real set.
        progress: show a bar while files are opened.
    """
    root = Path(root)
    findings = []
    for name, of_one in CHECKS.items():
        try:
            if (root / name).is_dir():
                findings += of_one(root / name, deep, progress)
        except OSError as e:
            findings.append(Finding(f"{name}: cannot be looked through ({e})", lack=True))
    if not findings:
        findings.append(Finding(_nothing(root), lack=True))
    return Report(root, tuple(findings))


def _nothing(root):
    if not root.is_dir():
        return "there is no such folder"
    if any((root / c).is_dir() or (root / f"{c}_train_list.txt").is_file() for c in CAMERAS):
        name = "its parent" if root.name == "SID" else "a folder SID around it, and its parent"
        return f"this looks like SID itself: give {name} as the root"
    for name, trace in (("LLRVD", "ratio_gt"), ("SMOID", "_Scene*"), ("LOL", "our485")):
        if any(root.glob(trace)):
            parent = "its parent" if root.name == name else f"a folder {name} around it, its parent"
            return f"this looks like {name} itself: give {parent} as the root"
    return f"no data set is here ({', '.join(CHECKS)}); `lowlight data mini` makes a small one"


# ---- SID


def sid_counts(pairs: list[SidPair]) -> dict[str, int]:
    """How many images a list has, in each of the ways in which papers count them.

    Returns:
        pairs, scenes; first: of each burst the first frame; ..._aligned: without the three test
        scenes whose target moved; first_0.1s: of the first frames those of 0.1 s.
    """
    first = [p for p in pairs if p.burst == 0]
    return {
        "pairs": len(pairs),
        "scenes": len({p.scene for p in pairs}),
        "pairs_aligned": sum(p.scene not in MISALIGNED for p in pairs),
        "first": len(first),
        "first_aligned": sum(p.scene not in MISALIGNED for p in first),
        "first_0.1s": sum(p.short_s == 0.1 for p in first),
    }


def check_sid(folder: Path, deep: bool, progress: bool) -> Iterator[Finding]:
    """Lists and raw files of SID, per camera."""
    # The mini set has lists of its own; the published counts are not its measure.
    mini = (folder / "mini.json").is_file()
    found = [c for c in CAMERAS if _traces(folder, c)]
    if not found:
        yield Finding(f"SID: no lists and no images of {' or '.join(CAMERAS)}", lack=True)
    for camera in found:
        base = folder
        for inner in (folder / "SID", folder / camera):
            if (inner / camera).is_dir() and not _in(folder / camera, "short"):
                base = inner
                place = (inner / camera).relative_to(folder.parent).as_posix()
                yield Finding(
                    f"SID {camera}: the images lie one level too deep, in {place}/: move them up "
                    f"to SID/{camera}/",
                    lack=True,
                )
        pairs = []
        for split in SPLITS:
            pairs += yield from _list(folder, base, camera, split, mini)
        yield from _files(base, camera, pairs, deep, progress)


def _traces(folder, camera):
    bases = (folder, folder / "SID")
    return any((b / camera).is_dir() or any(b.glob(f"{camera}_*_list.txt")) for b in bases)


def _list(folder, base, camera, split, mini):
    """Findings about one list file; returns its pairs, their paths below `base`."""
    label, name = f"SID {camera} {split}", f"{camera}_{split}_list.txt"
    places = [folder / name, base / name, folder / camera / name, base / camera / name]
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        yield Finding(f"{label}: no list file; {name} belongs into {folder}", lack=True)
        return []
    if path.parent != folder:
        why = " (where the unofficial code of REDI wants it)" if path.parent.name == camera else ""
        yield Finding(
            f"{label}: the list lies in {path.parent.relative_to(folder.parent).as_posix()}/{why}: "
            f"move it into SID/, beside {camera}/",
            lack=True,
        )
    try:
        pairs = read_list(path, base)
    except DataError as e:
        yield Finding(f"{label}: {e}", lack=True)
        return []
    counts, published = sid_counts(pairs), {} if mini else PUBLISHED[camera, split]
    yield Finding(f"{label}: {_in_words(counts, camera, split)}{_compared(published)}")
    differs = [k for k in published if counts[k] != published[k]]
    if differs:
        what = "; ".join(f"{counts[k]} {_WORDS[k]} instead of {published[k]}" for k in differs)
        yield Finding(f"{label}: the list is not the published one: {what}", lack=True)
    if b"\r\n" in path.read_bytes():
        yield Finding(f"{label}: the list has Windows line ends; harmless here, not everywhere")
    return pairs


_WORDS = {
    "pairs": "pairs",
    "scenes": "scenes",
    "pairs_aligned": "pairs without the misaligned scenes",
    "first": "first frames of bursts",
    "first_aligned": "first frames without the misaligned scenes",
    "first_0.1s": "first frames of 0.1 s",
}


def _in_words(counts, camera, split):
    """In the order of PUBLISHED."""
    text = f"{counts['pairs']} pairs of {counts['scenes']} scenes; "
    if (camera, split) != ("Sony", "test"):
        return f"{text}first of each burst {counts['first']}"
    scenes = ", ".join(map(str, MISALIGNED))
    return (
        f"{text}{counts['pairs_aligned']} without the misaligned scenes {scenes}; first of each "
        f"burst {counts['first']}, without the misaligned {counts['first_aligned']}, at 0.1 s "
        f"{counts['first_0.1s']}"
    )


def _compared(published):
    return f" (published: {', '.join(map(str, published.values()))})" if published else ""


def _files(base, camera, pairs, deep, progress):
    """Findings about the raw files that the lists name: there, whole, readable."""
    for kind in ("short", "long"):
        label = f"SID {camera} {kind}"
        wanted = sorted({getattr(p, kind) for p in pairs})
        if not wanted:
            unlisted = len(_listing(base / camera / kind))
            if unlisted:
                yield Finding(f"{label}: {unlisted} files, named by no list")
            continue
        there = {d: _listing(d) for d in {p.parent for p in wanted}}
        sizes = {p: there[p.parent][p.name] for p in wanted if p.name in there[p.parent]}
        # A name in other letters opens on some systems and not on others.
        spelt = {d / n for d in there for n in _any_case(d)}
        others = [p for p in wanted if p not in sizes]
        other_case = [p for p in others if p.with_name(p.name.casefold()) in spelt]
        missing = sorted(set(others) - set(other_case))
        empty = [p for p, size in sizes.items() if not size]
        small = _too_small({p: s for p, s in sizes.items() if s})
        yield Finding(f"{label}: {len(sizes)} of {len(wanted)} listed files")
        for paths, what in (
            (missing, "missing"),
            (other_case, "spelt in other capital and small letters than in the list"),
            (empty, "empty, to be copied again"),
            (small, "much smaller than the others, so probably cut short, to be copied again"),
        ):
            if paths:
                yield Finding(f"{label}: {some(paths, what)}", lack=True)
        good = [p for p in sizes if p not in {*empty, *small}]
        tried = good if deep else [good[i * (len(good) - 1) // 2] for i in range(SAMPLES) if good]
        yield from _readable(label, dict.fromkeys(tried), progress)


def _readable(label, paths, progress):
    from tqdm.auto import tqdm

    from ..sensor.raw import read_raw

    bad = {}
    for path in tqdm(paths, desc=label, disable=not progress, leave=False):
        try:
            read_raw(path)
        except LowlightError as e:
            bad[path] = e.what
    if bad:
        yield Finding(f"{label}: {some(list(bad), 'unreadable')}: {next(iter(bad.values()))}", True)
    elif paths:
        yield Finding(f"{label}: {len(paths)} opened, all readable")


def _too_small(sizes):
    """A camera that does not compress writes one size; then a tenth less is already wrong."""
    if not sizes:
        return []
    middle = median(sizes.values())
    uniform = sum(abs(s - middle) <= 0.05 * middle for s in sizes.values()) > len(sizes) / 2
    return [p for p, s in sizes.items() if s < middle * (0.9 if uniform else 1 / 3)]


def _listing(folder):
    """{name: size} of the files in a folder, spelt as they are; {} where there is none."""
    if not _in(folder.parent, folder.name):
        return {}
    with os.scandir(folder) as entries:
        return {e.name: e.stat().st_size for e in entries if e.is_file()}


def _in(folder, name):
    """Is there an entry of exactly this spelling, also where the system does not care?"""
    return folder.is_dir() and name in os.listdir(folder)


def _any_case(folder):
    """Casefolded names in a folder whose own name may be spelt otherwise (Short for short)."""
    if not folder.parent.is_dir():
        return set()
    found = [n for n in os.listdir(folder.parent) if n.casefold() == folder.name.casefold()]
    return {n.casefold() for f in found for n in os.listdir(folder.parent / f)}


CHECKS: dict[str, Callable[[Path, bool, bool], Iterator[Finding]]] = {
    "SID": check_sid,
    "LLRVD": check_llrvd,
    "SMOID": check_smoid,
    "LOL": check_lol,
    "pairs": check_pairs,
}
