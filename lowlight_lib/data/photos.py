"""Photographs of one scene: `pairs/`, two or more exposures a folder, and LOL, dark and bright.

    pairs/1/a.jpg  pairs/1/b.jpg  pairs/church/001.png ...      any names, any number
    LOL/our485/low/2.png  LOL/our485/high/2.png                 training; LOL/eval15 is for testing

Source: Fu et al., CVPR 2023 (PairLIE), and Wei et al., "Deep Retinex Decomposition for Low-Light
Enhancement", BMVC 2018 (LOL), in the layouts they publish.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError, OptionError
from ..io.pictures import PHOTOS, read_pixels, to_float
from ..models import Task
from . import issues
from .base import Dataset, random_lines, turn
from .cache import ArrayCache
from .issues import Issue, info

LOL_SPLITS = {"train": "our485", "test": "eval15"}
# Pairs of the published LOL, and folders of the authors' training set of PairLIE.
PUBLISHED = {"train": 485, "test": 15, "pairs": 324}


@dataclass(frozen=True)
class Scene:
    """Pictures of one scene, pixel upon pixel: exposures in the order of their names, or LOL's
    (low, high)."""

    name: str
    files: tuple[Path, ...]
    ratio = 1.0  # a photograph is not amplified

    @property
    def input(self) -> Path:
        return self.files[0]


class PhotoDataset(Dataset):
    """What both data sets share: scenes, decoded once into memory maps."""

    task = Task.PHOTO
    two_exposures = True

    def __init__(self, data_root, scenes, split, cache=None):
        self.cache = cache or ArrayCache(data_root)
        super().__init__(split, scenes, self._decoded)

    def prepare(self, progress=True):
        wanted = [(f, "photo", _decode) for scene in self.pairs for f in scene.files]
        self.cache.fill(wanted, f"decode {self.split}", progress)
        for scene in self.pairs:
            self._size(scene.files)
        return self

    def picture(self, path) -> np.ndarray:
        """One of a scene's files: float32 (H, W, 3) in [0, 1]."""
        return to_float(self._map(path))

    def input(self, i) -> np.ndarray:
        """The first picture of a scene, LOL's dark one: float32 (H, W, 3) in [0, 1]."""
        return self.picture(self.pairs[i].input)

    def _decoded(self, path):
        return self.cache.get(path, "photo", _decode)[0]

    def _size(self, files):
        """(height, width) of all pictures of a scene; DataError where they differ."""
        first, *others = [self._map(f).shape[:2] for f in files]
        for file, size in zip(files[1:], others, strict=True):
            if size != first:
                raise DataError(
                    f"is {size[0]} x {size[1]} but {files[0]} is {first[0]} x {first[1]}",
                    file=file,
                    todo="take it out: the pictures of a scene lie pixel upon pixel",
                )
        return first

    def _two(self, files, rng):
        return files

    def _draw(self, i, rng, crop, frames):
        files = self._two(self.pairs[i].files, rng)
        return files, [random_lines(rng, size, crop) for size in self._size(files)]

    def _cut(self, i, where, turns, crop, amplify):
        files, (rows, cols) = where
        both = (turn(self._map(f)[rows][:, cols], turns) for f in files)
        return [to_float(pixels).transpose(2, 0, 1) for pixels in both]


def _decode(path):
    return read_pixels(path), {}


class PairsDataset(PhotoDataset):
    """`pairs/`: folders of any names, each with two or more exposures of one scene, for training.

    A batch holds two different exposures of a scene, drawn at random; there are no targets.

    Args:
        data_root: the folder that holds pairs/.
        split: "train"; there is no other.
        cache: an ArrayCache; default one below the data root.
    Attributes:
        pairs: list of Scene, folders and files in natural order (2 before 10).
    Raises:
        DataError: no folders, or one with fewer than two pictures.
    """

    folder_name = "pairs"
    tested_on = "lol"

    def __init__(self, data_root, split="train", *, cache=None):
        if split != "train":
            raise OptionError(f"pairs/ has no {split!r} split", todo="train on it, test on LOL")
        super().__init__(data_root, read_pairs(Path(data_root) / "pairs"), split, cache)

    def _two(self, files, rng):
        return tuple(files[i] for i in rng.choice(len(files), 2, replace=False))

    @classmethod
    def check(cls, folder, deep=False, progress=False):
        lonely = [p for p in _listing(folder, Path.is_dir) if len(photos_in(p)) < 2]
        if lonely:
            text = f"{len(lonely)} folders hold fewer than two pictures, and cannot be trained on"
            yield Issue(f"pairs: {text}: {issues.first([p.name for p in lonely])}")
            good = [p for p in _listing(folder, Path.is_dir) if p not in lonely]
            scenes = [Scene(p.name, tuple(photos_in(p))) for p in good]
        else:
            try:
                scenes = read_pairs(folder)
            except DataError as e:
                yield Issue(f"pairs: {e}")
                return
        counts = sorted(Counter(len(s.files) for s in scenes).items())
        split = ", ".join(f"{n} of {k} exposures" for k, n in counts)
        of = f"PairLIE's authors have {PUBLISHED['pairs']}"
        yield info(f"pairs: {len(scenes)} scenes ({split}); {of}")
        yield from _check_pictures("pairs", scenes, deep, progress)


class LolDataset(PhotoDataset):
    """LOL as published: `LOL/our485` (train) and `LOL/eval15` (test), each with low/ and high/.

    Args:
        data_root: the folder that holds LOL/.
        split: "train" or "test".
        cache: an ArrayCache; default one below the data root.
    Attributes:
        pairs: list of Scene whose files are (low, high), in natural order.
    Raises:
        DataError: a folder or a counterpart is missing.
    """

    folder_name = "LOL"

    def __init__(self, data_root, split="test", *, cache=None):
        if split not in LOL_SPLITS:
            raise OptionError(f"LOL has no {split!r} split", todo=f"use {' or '.join(LOL_SPLITS)}")
        scenes = read_lol(Path(data_root) / "LOL" / LOL_SPLITS[split])
        super().__init__(data_root, scenes, split, cache)

    def target(self, i) -> np.ndarray:
        """The well exposed picture: float32 (H, W, 3) in [0, 1]."""
        return self.picture(self.pairs[i].files[1])

    @classmethod
    def check(cls, folder, deep=False, progress=False):
        mini = (folder / issues.NOTE).is_file()
        for split, name in LOL_SPLITS.items():
            label, place, published = f"LOL {name}", folder / name, PUBLISHED[split]
            if not place.is_dir():
                deeper = (p for p in _listing(folder, Path.is_dir) if (p / name).is_dir())
                inner = next(deeper, None)
                where = f"; it lies in {inner.name}/: move it up into LOL/" if inner else ""
                yield Issue(f"{label} ({split}): is not there{where}")
                continue
            try:
                scenes = read_lol(place)
            except DataError as e:
                yield Issue(f"{label}: {e}")
                continue
            beside = "" if mini else f" (published: {published})"
            yield info(f"{label}: {len(scenes)} pairs{beside}")
            if not mini and len(scenes) != published:
                yield Issue(f"{label}: {len(scenes)} pairs instead of {published}")
            yield from _check_pictures(label, scenes, deep, progress)


def _check_pictures(label, scenes, deep, progress):
    """Issues of the files: empty, unreadable, of unequal size within a scene."""
    empty = [f for s in scenes for f in s.files if not f.stat().st_size]
    if empty:
        yield Issue(f"{label}: {issues.files(empty, 'empty, to be copied again')}")
    good = [s for s in scenes if not {*empty} & {*s.files}]
    errors, sizes = [], Counter()
    for scene in issues.to_open(good, deep, label, progress):
        shapes = {}
        for file in scene.files:
            with issues.noted(errors):
                shapes[file] = read_pixels(file).shape[:2]
        sizes.update(shapes.values())
        if len(set(shapes.values())) > 1:
            text = ", ".join(f"{f.name} {h} x {w}" for f, (h, w) in shapes.items())
            yield Issue(f"{label} {scene.name}: sizes differ: {text}")
    if errors:
        yield issues.unreadable(label, errors)
    elif sizes:
        (h, w), _ = sizes.most_common(1)[0]
        yield info(f"{label}: {sizes.total()} opened, all readable, most are {h} x {w}")


def read_pairs(folder) -> list[Scene]:
    """The scenes below pairs/; DataError for a folder with fewer than two pictures."""
    folder = Path(folder)
    scenes = []
    for inner in _listing(folder, Path.is_dir):
        files = photos_in(inner)
        if len(files) < 2:
            deeper = not files and _listing(inner, Path.is_dir)
            up, out = "move the folders in it up into pairs/", "add one, or take the folder out"
            raise DataError(
                f"holds {'one picture' if files else 'no picture'}, and a scene needs two or more "
                "exposures",
                file=inner,
                todo=up if deeper else out,
            )
        scenes.append(Scene(inner.name, tuple(files)))
    if not scenes:
        loose = "; the pictures in it need a folder a scene" if photos_in(folder) else ""
        raise DataError(
            f"holds no folder of exposures{loose}",
            file=folder,
            todo="put two or more pictures of each scene into a folder of its own below it",
        )
    return scenes


def read_lol(folder) -> list[Scene]:
    """The pairs of LOL/our485 or LOL/eval15: files of one name in low/ and in high/."""
    folder = Path(folder)
    sides = {}
    for side in ("low", "high"):
        files = photos_in(folder / side)
        if not files:
            raise DataError(
                "holds no picture" if (folder / side).is_dir() else "is not there",
                file=folder / side,
                todo="LOL is LOL/our485/low, LOL/our485/high, LOL/eval15/low and LOL/eval15/high; "
                "data_scripts/get_lol.py says where it is had",
            )
        sides[side] = {f.stem: f for f in files}
        if len(sides[side]) < len(files):
            twice = next(f for f in files if sides[side][f.stem] != f)
            raise DataError("is there twice, with another suffix", file=twice, todo="keep one")
    for side, other in (("low", "high"), ("high", "low")):
        alone = [f for stem, f in sides[side].items() if stem not in sides[other]]
        if alone:
            others = f" (nor have {len(alone) - 1} others)" if len(alone) > 1 else ""
            raise DataError(
                f"has no counterpart in {other}/{others}",
                file=alone[0],
                todo="complete the data set, or take the file out",
            )
    return [Scene(stem, (low, sides["high"][stem])) for stem, low in sides["low"].items()]


def photos_in(folder) -> list[Path]:
    """The pictures in a folder, in natural order (2 before 10); others and hidden are passed by."""
    return _listing(folder, lambda p: p.suffix.lower() in PHOTOS and p.is_file())


def _listing(folder, wanted):
    """What of a folder is wanted, in natural order; [] where there is none.

    Names that begin with . or __ are of systems (.DS_Store, ._1.png, __MACOSX).
    """
    try:
        inside = list(Path(folder).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as e:
        raise DataError(f"cannot be looked into ({e.strerror or e})", file=folder) from e
    named = (p for p in inside if not p.name.startswith((".", "__")) and wanted(p))
    return sorted(named, key=_natural)


def _natural(path):
    parts = re.split(r"(\d+)", path.name)
    return [int(p) if i % 2 else p.casefold() for i, p in enumerate(parts)], path.name
