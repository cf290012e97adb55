"""What LLRVD and SMOID hold and lack; see `check`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError
from . import isp_info
from .clips import LAYOUTS, find_clips, folders, measure
from .finding import Finding
from .mini.note import read_note

CLIPS_A_SCENE = 3  # ratios of LLRVD, gains of SMOID
RATIOS = {"100", "125", "160", "200", "250", "320"}  # of LLRVD


def check_llrvd(folder: Path, deep: bool, progress: bool) -> Iterator[Finding]:
    """Scenes, clips and display parameters of LLRVD, per split."""
    yield from _check("llrvd", folder, deep, progress)


def check_smoid(folder: Path, deep: bool, progress: bool) -> Iterator[Finding]:
    """Scenes and clips of SMOID, per split."""
    yield from _check("smoid", folder, deep, progress)


def _check(dataset, folder, deep, progress):
    name, layout = folder.name, LAYOUTS[dataset]
    note = read_note(folder)  # of a mini set, which the published counts are no measure of
    if not _scenes(dataset, folder):
        inner = next((p for p in folders(folder) if _scenes(dataset, p)), None)
        if inner is None:
            yield Finding(f"{name}: no scenes are here", lack=True)
            return
        yield Finding(
            f"{name}: the scenes lie one level too deep, in {name}/{inner.name}/: move them up "
            f"to {name}/",
            lack=True,
        )
        folder = inner
    mini = "mini" in note
    if mini and not note.get("complete"):
        yield Finding(f"{name}: an unfinished mini set: `lowlight data mini` makes it", lack=True)
    for split, numbers in layout.splits.items():
        numbers = [n for n in numbers if not mini or n in note["scenes"]]
        yield from _split(dataset, folder, f"{name} {split}", numbers, mini, deep, progress)
    strangers = sorted(_scenes(dataset, folder) - {n for s in layout.splits.values() for n in s})
    if strangers:
        yield Finding(f"{name}: of no published split, so not used: scenes {_list(strangers)}")


def _split(dataset, folder, label, numbers, mini, deep, progress):
    from tqdm.auto import tqdm

    clips, there, wrong = [], [], defaultdict(list)
    for scene in tqdm(numbers, desc=label, disable=not progress, leave=False):
        before = len(clips), sum(map(len, wrong.values()))
        found = find_clips(dataset, folder, scene)
        try:
            for one in found:
                try:
                    clips.append(measure(LAYOUTS[dataset], *one))
                except DataError as e:
                    _note(wrong, folder, e)
        except DataError as e:
            _note(wrong, folder, e)
        if (len(clips), sum(map(len, wrong.values()))) != before:
            there.append(scene)
    text = f"{label}: {_n(clips, 'whole clip')} of {_n(there, 'scene')}"
    whole = f" (published: {CLIPS_A_SCENE * len(numbers)} of {len(numbers)})"
    yield Finding(text + ("" if mini else whole))
    missing = [n for n in numbers if n not in there]
    if missing:
        yield Finding(f"{label}: {_n(missing, 'scene')} missing: {_list(missing)}", lack=True)
    for what, names in wrong.items():
        things = _n(names, "thing")
        yield Finding(f"{label}: {things} wrong: {_list(names, 3)}: {what}", lack=True)
    few = [s for s in there if sum(c.scene == s for c in clips) < CLIPS_A_SCENE]
    if few and not wrong:
        yield Finding(
            f"{label}: {_n(few, 'scene')} with fewer than {CLIPS_A_SCENE} clips: {_list(few)}",
            lack=not mini,
        )
    if dataset == "llrvd":
        odd = sorted({c.group for c in clips} - RATIOS, key=float)
        if odd:
            yield Finding(f"{label}: ratios that the published set has not: {_list(odd)}")
        yield from _isp(folder, label, clips, deep)


def _isp(folder, label, clips, deep):
    """Are the display parameters of every frame there, and understood?"""
    frames = {c.scene: c.frames for c in clips}
    lacking, bad, read = [], defaultdict(list), 0
    for scene, n in frames.items():
        paths = [folder / f"ISP_info/{scene}/{k}.npy" for k in range(1, n + 1)]
        lacking += [p for p in paths if not p.is_file()]
        for path in paths if deep else paths[:1]:
            if path.is_file():
                try:
                    isp_info.read_frame(path)
                    read += 1
                except DataError as e:
                    _note(bad, folder, e)
    if lacking:
        names = [p.relative_to(folder).as_posix() for p in lacking]
        yield Finding(
            f"{label}: {_n(names, 'file')} of display parameters missing: {_list(names, 3)}; "
            "without any of a scene its pictures get grey-world colours",
            lack=True,
        )
    for what, names in bad.items():
        yield Finding(f"{label}: {len(names)} wrong: {_list(names, 3)}: {what}", lack=True)
    if read:
        yield Finding(f"{label}: {_n(range(read), 'file')} of display parameters opened and read")


def _scenes(dataset, folder):
    """Numbers of the scenes that leave a trace in a folder."""
    if dataset == "llrvd":
        places = [p for d in ("ratio_gt", "ratio_noisy_all") for p in folders(folder / d)]
        return {int(p.name) for p in places if p.name.isdecimal()}
    names = [p.name.removeprefix("_Scene") for p in folders(folder) if p.name.startswith("_Scene")]
    return {int(n) for n in names if n.isdecimal()}


def _note(table, folder, error):
    """Keep an error under what is wrong, by the file's name below the data set."""
    try:
        table[error.what].append(Path(error.file).relative_to(folder).as_posix())
    except ValueError:
        table[error.what].append(str(error.file))


def _n(items, noun):
    return f"{len(items)} {noun}{'s'[: len(items) != 1]}"


def _list(items, most=8):
    return ", ".join(map(str, items[:most])) + (", ..." if len(items) > most else "")
