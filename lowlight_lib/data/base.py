"""`Dataset`: what every data set is and does; sid.py, video.py and photos.py say what differs."""

import contextlib
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, OptionError
from ..models import Task
from ..sensor.cfa import whole_cells

NOTE = "mini.json"  # in the folder of a mini set, which it describes
_OPEN_MAPS = 64  # a memory map holds a file descriptor, and systems allow 256 or 1024 of them


class Dataset:
    """Dark inputs and their targets, read by memory map."""

    task: Task  # of the systems that are trained on it
    folder_name: str  # below a data root
    splits: tuple[str, ...] | dict = ("train", "val", "test")
    recipe_options: tuple[str, ...] = ()  # fields of a recipe that the constructor takes
    two_exposures = False  # `batch` gives two exposures of a scene, not an input and its target
    crop_multiple = 1  # of the side of crops, so that they keep a mosaic's phase
    tested_on: str | None = None  # the data set to test on, where this one is for training alone
    pairs: list  # items of the split, with their name, scene, files `input` and `target`, ratio
    published: tuple[int, int] | None = None  # items and scenes of the authors' split
    camera: str | None = None  # who took the inputs; None where that is not known
    white_balance: tuple[float, float, float] | None = None  # mean (r, g, b) gains of mosaics
    _one_generator = False  # for all items of a step; else each item has its own

    def __init__(self, data_root, split, open_map):
        if split not in self.splits:
            what, other = f"{self.folder_name} has no {split!r} split", self.tested_on
            todo = f"test on {other.upper()}" if other else f"use {', '.join(self.splits)}"
            raise OptionError(what, todo=todo)
        self.folder, self.split = Path(data_root) / self.folder_name, split
        self._map = functools.lru_cache(_OPEN_MAPS)(open_map)

    def __len__(self):
        return len(self.pairs)

    def prepare(self, progress=True):
        """Decode whatever is not in the cache yet; long work, once. Returns itself."""
        return self

    def name(self, i) -> str:
        """What input i is called in results."""
        return self.pairs[i].name

    def file(self, i) -> Path:
        """The file of input i, for messages."""
        return self.pairs[i].input

    def ratio(self, i) -> float:
        """How much light input i lacks: the factor to its target."""
        return self.pairs[i].ratio

    def input(self, i):
        """Input i, dark, in the form that the task restores."""
        raise NotImplementedError

    def target(self, i) -> np.ndarray:
        """What input i should become."""
        raise NotImplementedError

    @classmethod
    def parts(cls, folder) -> list[dict]:
        """Options of the constructor with which `lowlight data check` opens all of a folder."""
        return [{"split": split} for split in cls.splits]

    @property
    def drawn(self) -> set:
        """The scenes that are dead leaves and no photographs, as a mini set notes them."""
        if not (noted := read_note(self.folder).get("synthetic")):
            return set()
        files = {self.folder / str(name) for name in noted}
        return {p.scene for p in self.pairs if p.scene in noted or p.input in files}

    @property
    def counts(self) -> tuple[int, int]:
        """How many items and scenes there are."""
        return len(self), len({p.scene for p in self.pairs})

    def lacks(self, note):
        """What the authors' data set has more, in words; `note` is `read_note` of the folder."""
        if self.published and not note and self.counts != self.published:
            items, scenes = self.published
            yield f"published are {items} items of {scenes} scenes: complete the data set"

    def inspections(self) -> list:
        """Calls that open one file or item each, and raise what is wrong with it."""
        return []

    def batch(self, step, *, seed, size, crop, frames=1, flips=(0.0, 0.0), transpose=0.0,
              reverse=0.0, amplify=True, repeat=1, part=(0, 1)):  # fmt: skip
        """Training crops, a function of (seed, step) alone; each epoch sees every item once.

        Args:
            size: items of the whole batch, of all processes together.
            crop: side in pixels, of packed planes for video; smaller images go on by reflection.
            frames: length of the crops of video; shorter clips run to and fro.
            flips, transpose, reverse: probabilities of a left-right and an up-down mirror, of rows
                exchanged with columns, and that a clip runs backwards. Packed planes keep order.
            amplify: multiply raw inputs by their ratio; not for a network that amplifies itself.
            repeat: so many crops in a row, of this batch and the next ones, are of one item.
            part: (rank, world): the slice of the batch that this process gets.
        Returns:
            inputs and targets of n items, `size` or the part of it: float32 in [0, 1], amplified
            mosaics beyond. Raw stills (n, 1, crop, crop), RGGB or X-Trans in the phase of
            `sensor.cfa.XTRANS`, and (n, 3, crop, crop); video both (n, frames, 4, crop, crop);
            photographs both (n, 3, crop, crop).
        Raises OptionError: an empty batch, or crops that hold no whole cells of X-Trans; DataError:
        a damaged file, or a target of another size than its input.
        """
        rank, world = part
        if not 0 <= rank < world or min(size, crop, frames, repeat) < 1:
            raise OptionError(f"no batch of {size} x {frames} x {crop}, part {rank} of {world}")
        mine = range(size * rank // world, size * (rank + 1) // world)
        lead = (frames,) if self.task is Task.RAW_VIDEO else ()
        channels = self.task.channels, max(self.task.channels, 3)  # a mosaic becomes a picture
        x, y = (np.empty((len(mine), *lead, c, crop, crop), np.float32) for c in channels)
        chances = (reverse, *flips, transpose) if lead else (*flips, transpose)
        rng = np.random.default_rng([seed, 1, step])
        for k in range(size) if self._one_generator else mine:
            epoch, place = divmod((step * size + k) // repeat, len(self))
            i = int(np.random.default_rng([seed, 0, epoch]).permutation(len(self))[place])
            if not self._one_generator:
                rng = np.random.default_rng([seed, 1, step, k])
            where = self._draw(i, rng, crop, frames)
            turns = tuple(rng.random() < p for p in chances)
            if k in mine:
                n = k - mine.start
                x[n], y[n] = self._cut(i, where, turns, crop, amplify)
        return x, y

    def _draw(self, i, rng, crop, frames) -> Any:
        """Where item i is cut, drawn at random, for `_cut`."""

    def _cut(self, i, where, turns, crop, amplify) -> Any:
        """The input and the target there, turned."""


def read_note(folder) -> dict:
    """What mini.json says of a mini set; {} where there is none, or a damaged one."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return note if isinstance(note, dict) else {}
    return {}


def gather(read, items) -> list:
    """[read(i) for i in items], or the first DataError of them, which counts the others."""
    found, errors = [], []
    for item in items:
        try:
            found.append(read(item))
        except DataError as e:
            errors.append(e)
    if not errors:
        return found
    first, more = errors[0], f" (and {len(errors) - 1} more like it)" if errors[1:] else ""
    raise DataError(first.what + more, file=first.file, todo=first.todo) from first


def lines(start, size, count, cell=2):
    """`count` lines from `start` of an axis of `size` lines, to index it with. Beyond the image
    they go on in the phase of its cell, which for Bayer is a reflection."""
    beyond = start + count - size
    if beyond <= 0:
        return slice(start, start + count)
    if cell == 2:
        return np.pad(np.arange(start, size), (0, beyond), mode="reflect")
    return whole_cells(size, 0, beyond, cell)[start:]


def random_lines(rng, size, count):
    """`count` neighbouring lines of an axis of `size` lines, somewhere; see `lines`."""
    return lines(int(rng.integers(0, max(0, size - count) + 1)), size, count)


def turn(a, turns, axes=(0, 1)):
    """Mirror rows and columns (left-right, up-down) and exchange them, each where asked: a view."""
    for mirrored, axis in zip(turns, reversed(axes), strict=False):
        a = np.flip(a, axis) if mirrored else a
    return a.swapaxes(*axes) if turns[2] else a
