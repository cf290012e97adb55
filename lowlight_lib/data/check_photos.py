"""What LOL/ and pairs/ hold and lack, for `lowlight data check ROOT`; see `data.check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError
from ..io.pictures import read_pixels
from .finding import SAMPLES, Finding, some
from .photos import LOL_SPLITS, Scene, _listing, photos_in, read_lol, read_pairs

# Pairs of the published LOL, and folders of the authors' training set of PairLIE.
PUBLISHED = {"train": 485, "test": 15, "pairs": 324}


def check_lol(folder: Path, deep: bool, progress: bool) -> Iterator[Finding]:
    """Counts, counterparts, empty files and sizes of LOL/our485 and LOL/eval15."""
    mini = (folder / "mini.json").is_file()
    for split, name in LOL_SPLITS.items():
        label, place = f"LOL {name}", folder / name
        if not place.is_dir():
            inner = next((p for p in _listing(folder, Path.is_dir) if (p / name).is_dir()), None)
            where = f"; it lies in {inner.name}/: move it up into LOL/" if inner else ""
            yield Finding(f"{label} ({split}): is not there{where}", lack=True)
            continue
        try:
            scenes = read_lol(place)
        except DataError as e:
            yield Finding(f"{label}: {e}", lack=True)
            continue
        published = "" if mini else f" (published: {PUBLISHED[split]})"
        yield Finding(f"{label}: {len(scenes)} pairs{published}")
        if not mini and len(scenes) != PUBLISHED[split]:
            yield Finding(f"{label}: {len(scenes)} pairs instead of {PUBLISHED[split]}", lack=True)
        yield from _pictures(label, scenes, deep, progress)


def check_pairs(folder: Path, deep: bool, progress: bool) -> Iterator[Finding]:
    """Folders, exposures, empty files and sizes of pairs/."""
    lonely = [p for p in _listing(folder, Path.is_dir) if len(photos_in(p)) < 2]
    if lonely:
        names = ", ".join(p.name for p in lonely[:3]) + (", ..." if len(lonely) > 3 else "")
        text = f"{len(lonely)} folders hold fewer than two pictures, and cannot be trained on"
        yield Finding(f"pairs: {text}: {names}", lack=True)
        good = [p for p in _listing(folder, Path.is_dir) if p not in lonely]
        scenes = [Scene(p.name, tuple(photos_in(p))) for p in good]
    else:
        try:
            scenes = read_pairs(folder)
        except DataError as e:
            yield Finding(f"pairs: {e}", lack=True)
            return
    counts = Counter(len(s.files) for s in scenes)
    split = ", ".join(f"{n} of {k} exposures" for k, n in sorted(counts.items()))
    yield Finding(f"pairs: {len(scenes)} scenes ({split}); PairLIE's authors have "
                  f"{PUBLISHED['pairs']}")  # fmt: skip
    yield from _pictures("pairs", scenes, deep, progress)


def _pictures(label, scenes, deep, progress):
    """Findings about the files: empty, unreadable, of unequal size within a scene."""
    from tqdm.auto import tqdm

    empty = [f for s in scenes for f in s.files if not f.stat().st_size]
    if empty:
        yield Finding(f"{label}: {some(empty, 'empty, to be copied again')}", lack=True)
    good = [s for s in scenes if not {*empty} & {*s.files}]
    tried = good if deep else [good[i * (len(good) - 1) // 2] for i in range(SAMPLES) if good]
    bad, sizes, opened = {}, Counter(), 0
    for scene in tqdm(dict.fromkeys(tried), desc=label, disable=not progress, leave=False):
        shapes = {}
        for file in scene.files:
            try:
                shapes[file] = read_pixels(file).shape[:2]
                opened += 1
            except DataError as e:
                bad[file] = e.what
        sizes.update(shapes.values())
        if len(set(shapes.values())) > 1:
            text = ", ".join(f"{f.name} {h} x {w}" for f, (h, w) in shapes.items())
            yield Finding(f"{label} {scene.name}: sizes differ: {text}", lack=True)
    if bad:
        why = next(iter(bad.values()))
        yield Finding(f"{label}: {some(list(bad), 'unreadable')}: {why}", lack=True)
    elif opened:
        (h, w), _ = sizes.most_common(1)[0]
        yield Finding(f"{label}: {opened} opened, all readable, most are {h} x {w}")
