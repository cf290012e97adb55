"""Photographs of one scene: `pairs/`, two or more exposures a folder, and LOL, dark and bright.

    pairs/1/a.jpg  pairs/1/b.jpg  pairs/church/001.png ...      any names, any number
    LOL/our485/low/2.png  LOL/our485/high/2.png                 training; LOL/eval15 is for testing

Source: Fu et al., CVPR 2023 (PairLIE), and Wei et al., "Deep Retinex Decomposition for Low-Light
Enhancement", BMVC 2018 (LOL), in the layouts they publish.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError, OptionError
from ..io.pictures import PHOTOS, read_pixels, to_float
from .cache import ArrayCache
from .sid import _OPEN_MAPS, _turn

LOL_SPLITS = {"train": "our485", "test": "eval15"}


@dataclass(frozen=True)
class Scene:
    """Pictures of one scene, pixel upon pixel: exposures in the order of their names, or LOL's
    (low, high)."""

    name: str
    files: tuple[Path, ...]


class _Photographs:
    """What the data sets share: scenes, decoded once into memory maps, and batches of crops."""

    def __init__(self, data_root, scenes, split, cache=None):
        self.pairs, self.split = scenes, split
        self.cache = cache or ArrayCache(data_root)
        self._map = functools.lru_cache(_OPEN_MAPS)(self._map)

    def __len__(self):
        return len(self.pairs)

    def prepare(self, progress=True):
        """Decode whatever is not in the cache yet; long work, once. Returns itself.

        Raises:
            DataError: a file cannot be read, or the pictures of a scene differ in size.
        """
        wanted = [(f, "photo", _decode) for scene in self.pairs for f in scene.files]
        self.cache.fill(wanted, f"decode {self.split}", progress)
        for scene in self.pairs:
            self._same_size(scene, [self._map(f) for f in scene.files])
        return self

    def name(self, i) -> str:
        """What picture or clip i is called in results."""
        return self.pairs[i].name

    def file(self, i) -> Path:
        """The file of input i, for messages."""
        return self.pairs[i].files[0]

    def ratio(self, i) -> float:
        """How much light input i lacks: the factor to its target."""
        return 1.0

    def picture(self, path) -> np.ndarray:
        """One of a scene's files: float32 (H, W, 3) in [0, 1]."""
        return to_float(self._map(path))

    def batch(
        self,
        step,
        *,
        seed,
        size,
        crop,
        flips=(0.0, 0.0),
        transpose=0.0,
        amplify=True,
        part=(0, 1),
    ):
        """The same crop of two pictures of a scene; each epoch sees every scene once.

        Item k of a step is drawn by a generator of its own, so a batch is a function of (seed,
        step), however many processes share it.

        Args:
            crop: side of the square crops in pixels; smaller pictures go on by reflection.
            flips: probabilities of a left-right and an up-down mirror; PairLIE has none.
            transpose: probability of exchanging rows and columns.
            amplify: of raw data sets; here without meaning.
            part: (rank, world): the share of the items to make, out of `world` about equal ones.
        Returns:
            x, y float32 (items, 3, crop, crop) in [0, 1]: two exposures, or low and high.
        """
        rank, world = part
        items = range(size * rank // world, size * (rank + 1) // world)
        x, y = (np.empty((len(items), 3, crop, crop), np.float32) for _ in range(2))
        for n, k in enumerate(items):
            epoch, place = divmod(step * size + k, len(self))
            order = np.random.default_rng([seed, 0, epoch]).permutation(len(self))
            rng = np.random.default_rng([seed, 1, step, k])
            scene = self.pairs[order[place]]
            two = Scene(scene.name, self._two(scene, rng))
            both = [self._map(f) for f in two.files]
            rows, cols = (_along(s, crop, rng) for s in self._same_size(two, both))
            turns = tuple(rng.random() < p for p in (*flips, transpose))
            for out, pixels in zip((x, y), both, strict=True):
                out[n] = to_float(_turn(pixels[rows][:, cols], turns)).transpose(2, 0, 1)
        return x, y

    def _two(self, scene, rng):
        return scene.files

    def _map(self, path):
        return self.cache.get(path, "photo", _decode)[0]

    @staticmethod
    def _same_size(scene, pictures):
        (h, w), *others = (p.shape[:2] for p in pictures)
        for file, size in zip(scene.files[1:], others, strict=False):
            if size != (h, w):
                raise DataError(
                    f"is {size[0]} x {size[1]} but {scene.files[0]} is {h} x {w}",
                    file=file,
                    todo="take it out: the pictures of a scene lie pixel upon pixel",
                )
        return h, w


def _decode(path):
    return read_pixels(path), {}


class PairsDataset(_Photographs):
    """`pairs/`: folders of any names, each with two or more exposures of one scene, for training.

    Args:
        data_root: the folder that holds pairs/.
        split: "train"; there is no other.
        cache: an ArrayCache; default one below the data root.
    Attributes:
        pairs: list of Scene, folders and files in natural order (2 before 10).
    Raises:
        DataError: no folders, or one with fewer than two pictures.
    """

    def __init__(self, data_root, split="train", *, cache=None):
        if split != "train":
            raise OptionError(f"pairs/ has no {split!r} split", todo="train on it, test on LOL")
        super().__init__(data_root, read_pairs(Path(data_root) / "pairs"), split, cache)

    def _two(self, scene, rng):
        return tuple(scene.files[i] for i in rng.choice(len(scene.files), 2, replace=False))


class LolDataset(_Photographs):
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

    def __init__(self, data_root, split="test", *, cache=None):
        if split not in LOL_SPLITS:
            raise OptionError(f"LOL has no {split!r} split", todo=f"use {' or '.join(LOL_SPLITS)}")
        scenes = read_lol(Path(data_root) / "LOL" / LOL_SPLITS[split])
        super().__init__(data_root, scenes, split, cache)

    def input(self, i) -> np.ndarray:
        """The dark picture: float32 (H, W, 3) in [0, 1]."""
        return self.picture(self.pairs[i].files[0])

    def target(self, i) -> np.ndarray:
        """The well exposed picture: float32 (H, W, 3) in [0, 1]."""
        return self.picture(self.pairs[i].files[1])


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
            raise DataError(
                f"has no counterpart in {other}/"
                + f" (nor have {len(alone) - 1} others)" * (len(alone) > 1),
                file=alone[0],
                todo="complete the data set, or take the file out",
            )
    return [Scene(stem, (low, sides["high"][stem])) for stem, low in sides["low"].items()]


def photos_in(folder) -> list[Path]:
    """The pictures in a folder, in natural order; hidden and other files are passed by."""
    return _listing(folder, lambda p: p.suffix.lower() in PHOTOS and p.is_file())


def natural(path):
    """Sort key by which 2.png comes before 10.png."""
    parts = re.split(r"(\d+)", path.name)
    return [int(p) if i % 2 else p.casefold() for i, p in enumerate(parts)], path.name


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
    return sorted(
        (p for p in inside if not p.name.startswith((".", "__")) and wanted(p)), key=natural
    )


def _along(size, crop, rng):
    """Where a crop lies on an axis of `size` pixels: a slice, or reflected indices beyond it."""
    start = int(rng.integers(0, max(0, size - crop) + 1))
    if crop <= size:
        return slice(start, start + crop)
    return np.pad(np.arange(size), (0, crop - size), mode="reflect")
