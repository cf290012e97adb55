"""Photographs of one scene: `pairs/`, two or more exposures a folder, and LOL, dark and bright.

    pairs/1/a.jpg  pairs/1/b.jpg  pairs/church/001.png ...      any names, any number
    LOL/our485/low/2.png  LOL/our485/high/2.png                 training; LOL/eval15 is for testing
    LOL-test/raw/1.png  SICE-test/image/1.jpg ...   for testing, as PairLIE has them; see below

Source: Fu et al., CVPR 2023 (PairLIE), and Wei et al., "Deep Retinex Decomposition for Low-Light
Enhancement", BMVC 2018 (LOL), in the layouts they publish.
"""

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..io.files import files_in, listing
from ..io.pictures import PHOTOS, read_pixels, to_float
from ..models import Task
from .base import Dataset, gather, random_lines, read_note, turn
from .cache import ArrayCache

LOL_SPLITS = {"train": "our485", "test": "eval15"}
_PUBLISHED = {("LOL", "train"): (485, 485), ("LOL", "test"): (15, 15)}
_DARK = ("raw", "image", "low")  # what test folders call their dark pictures


@dataclass(frozen=True)
class Scene:
    """Pictures of one scene, pixel upon pixel: exposures by their names, or LOL's (low, high)."""

    name: str
    files: tuple[Path, ...]
    scene: str  # what they show
    ratio = 1.0  # a photograph is not amplified
    input = property(lambda self: self.files[0])


class PhotoDataset(Dataset):
    """What both data sets share: scenes, decoded once into memory maps."""

    task = Task.PHOTO
    two_exposures = True

    def __init__(self, data_root, split):
        self.cache = cache = ArrayCache(data_root)
        super().__init__(data_root, split, lambda path: cache.get(path, "photo", _decode)[0])

    def prepare(self, progress=True):
        wanted = [(f, "photo", _decode) for scene in self.pairs for f in scene.files]
        self.cache.fill(wanted, f"decode {self.split}", progress)
        for scene in self.pairs:
            _size(scene.files, self._map)
        return self

    def picture(self, path) -> np.ndarray:
        """One of a scene's files: float32 (H, W, 3) in [0, 1]."""
        return to_float(self._map(path))

    def input(self, i) -> np.ndarray:
        """The first picture of a scene, LOL's dark one: float32 (H, W, 3) in [0, 1]."""
        return self.picture(self.pairs[i].input)

    def inspections(self):
        return [functools.partial(_size, scene.files, read_pixels) for scene in self.pairs]

    def _two(self, files, rng):
        return files

    def _draw(self, i, rng, crop, frames):
        files = self._two(self.pairs[i].files, rng)
        return files, [random_lines(rng, size, crop) for size in _size(files, self._map)]

    def _cut(self, i, where, turns, crop, amplify):
        files, (rows, cols) = where
        both = (turn(self._map(f)[rows][:, cols], turns) for f in files)
        return [to_float(pixels).transpose(2, 0, 1) for pixels in both]


def _decode(path):
    return read_pixels(path), {}


def _size(files, read):
    """(height, width) of all pictures of a scene; DataError where they differ."""
    first, *others = [read(f).shape[:2] for f in files]
    for file, size in zip(files[1:], others, strict=True):
        if size != first:
            what = f"is {size[0]} x {size[1]} but {files[0]} is {first[0]} x {first[1]}"
            raise DataError(what, file=file, todo="take it out: a scene lies pixel upon pixel")
    return first


class PairsDataset(PhotoDataset):
    """`pairs/`: folders of two or more exposures of one scene, in natural order, for training: a
    batch holds two of a scene, drawn at random. DataError for no folders, or fewer pictures."""

    folder_name = "pairs"
    splits = ("train",)
    tested_on = "lol"

    def __init__(self, data_root, split="train"):
        super().__init__(data_root, split)
        self.pairs = gather(_read_scene, listing(self.folder, Path.is_dir))
        if not self.pairs:
            todo = "put two or more pictures of each scene into a folder of its own below it"
            raise DataError("holds no folder of exposures", file=self.folder, todo=todo)

    def _two(self, files, rng):
        return tuple(files[i] for i in rng.choice(len(files), 2, replace=False))


class LolDataset(PhotoDataset):
    """LOL as published; DataError where a folder or a counterpart is missing."""

    folder_name = "LOL"
    splits = LOL_SPLITS

    def __init__(self, data_root, split="test"):
        super().__init__(data_root, split)
        self.pairs = _read_lol(*self._folders(split))
        if "synthetic" in read_note(self.folder) and split == "test":  # each photograph comes twice
            drawn = self.drawn
            twice = [p.name for p in self.pairs if p.scene not in drawn]
            of = dict(zip(twice[1::2], twice[::2], strict=False))
            self.pairs = [dataclasses.replace(p, scene=of.get(p.name, p.name)) for p in self.pairs]
        self.published = _PUBLISHED.get((self.folder_name, split))

    def _folders(self, split):
        return [self.folder / LOL_SPLITS[split] / side for side in ("low", "high")]

    def target(self, i) -> np.ndarray:
        """The well exposed picture: float32 (H, W, 3) in [0, 1]."""
        return self.picture(self.pairs[i].files[1])


class LolTestDataset(LolDataset):
    """Pairs in two folders: the dark pictures in raw/, image/ or low/, and the well exposed ones,
    of the same names, in the one beside it, whatever it is called."""

    folder_name = "LOL-test"
    splits = ("test",)

    def _folders(self, split):
        there = sorted(listing(self.folder, Path.is_dir), key=lambda p: p.name not in _DARK)
        known = [p.name in _DARK for p in there] == [True, False]
        return there if known else [self.folder / "raw", self.folder / "high"]


class SiceTestDataset(LolTestDataset):
    folder_name = "SICE-test"


def _read_scene(folder):
    files = files_in(folder, PHOTOS)
    if len(files) < 2:
        what = f"holds {'one' if files else 'no'} picture, and a scene needs two or more exposures"
        raise DataError(what, file=folder, todo="add to pairs/SCENE/PICTURE, or take it out")
    return Scene(folder.name, tuple(files), folder.name)


def _read_lol(*folders):
    """Pairs of files of one name in two folders, dark and well exposed."""
    low, high = sides = [{}, {}]
    for side, folder in zip(sides, folders, strict=True):
        for file in files_in(folder, PHOTOS):
            if side.setdefault(file.stem, file) is not file:
                raise DataError("is there twice, with another suffix", file=file, todo="keep one")
        if not side:
            todo = "get LOL/our485/low and high, LOL/eval15/low and high by data_scripts/get_lol.py"
            raise DataError("is not there, or holds no picture", file=folder, todo=todo)
    if alone := [f for stem, f in (low | high).items() if (stem in low) != (stem in high)]:
        names = "/ or ".join(folder.name for folder in folders)
        what = f"has no counterpart in {names}/, as {len(alone)} have not"
        raise DataError(what, file=alone[0], todo="complete the data set, or take the file out")
    return [Scene(stem, (file, high[stem]), stem) for stem, file in low.items()]
