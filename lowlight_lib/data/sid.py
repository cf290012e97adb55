"""See-in-the-Dark: pairs of dark mosaics and developed long exposures, real or mini.

    SID/Sony_train_list.txt   ./Sony/short/00001_00_0.1s.ARW ./Sony/long/00001_00_10s.ARW ISO200 F8

Source: Chen et al., "Learning to See in the Dark", CVPR 2018, and its published lists.
"""

import dataclasses
import functools
import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from ..errors import DataError, OptionError, UnsupportedRawError
from ..io.files import open_input
from ..models import Task
from ..sensor import cfa, isp
from ..sensor.raw import RawImage, read_raw
from ..sensor.remosaic import remosaic
from .base import Dataset, lines, turn
from .cache import ArrayCache

MAX_RATIO = 300
MISALIGNED = (10034, 10045, 10172)  # test scenes whose target moved
PUBLISHED = {  # pairs and scenes of the authors' lists
    "Sony": {"train": (1865, 161), "val": (234, 20), "test": (598, 50)},
    "Fuji": {"train": (1655, 135), "val": (218, 17), "test": (524, 41)},
}
_NAME = re.compile(r"(\d{1,9})_(\d{1,9})_(\d{1,9}(?:\.\d{1,9})?)s\.\w+$")


@dataclass(frozen=True)
class SidPair:
    """One line of a list file: a short exposure, the input, and a long one of the same scene."""

    input: Path
    target: Path
    scene: int
    burst: int
    input_s: float
    target_s: float
    name = property(lambda self: self.input.stem)

    # The amplification that makes up for the missing light.
    ratio = property(lambda self: min(self.target_s / self.input_s, MAX_RATIO))


def read_list(path, folder) -> list[SidPair]:
    """Parse a list file, whose lines are relative to the folder SID/. DataError where there is no
    such list, for a line that is none, and for one that points outside `folder`."""
    path, folder = Path(path), Path(folder).resolve()

    def refuse(what):
        raise DataError(f"{what:.500}", file=path, todo="get the list again")

    todo = "put SID's list files there, or make mini data with `lowlight data mini ROOT`"
    try:
        with open_input(path, todo=todo) as f:
            text = f.read().decode("utf-8-sig")
    except UnicodeDecodeError as e:
        refuse(f"is no text ({e})")
    pairs = []
    for n, line in enumerate(text.splitlines(), 1):
        words = line.split()[:2]
        if not words:
            continue
        names: list[Any] = [_NAME.search(w) for w in words]
        if len(words) < 2 or None in names or names[0][1] != names[1][1]:
            refuse(f"line {n} is not `short long ISO F` of one scene: {line!r}")
        files = [Path(w.replace("\\", "/")) for w in words]
        if any(len(part.encode()) > 255 for f in files for part in f.parts) or "\0" in line:
            refuse(f"line {n} holds what is no name of a file: {line!r}")
        # By Windows' rules, which know a drive and the root of other systems as well.
        if any(PureWindowsPath(f).anchor or ".." in f.parts for f in files):
            refuse(f"line {n} points outside the data root: {line!r}")
        seconds = [float(m[3]) for m in names]
        if min(seconds) <= 0:
            refuse(f"line {n} has an exposure of 0 s: {line!r}")
        short, long, numbers = *(folder / f for f in files), map(int, names[0].groups()[:2])
        pairs.append(SidPair(short, long, *numbers, *seconds))
    if not pairs:
        refuse("lists no image")
    return pairs


class SidDataset(Dataset):
    """Dark mosaics, and long exposures developed by the LibRaw call of the paper, once.

    Args:
        camera: prefix of the lists; None is the one of Sony and Fuji that is there, or Sony.
        first_of_burst: only the first frame of each burst, as in the paper (93 of Sony's 598).
        exposure: only inputs of so many seconds, as REDI's baselines have it: 0.1 (50 of the 93).
        exclude_misaligned: leave out the three test scenes whose target moved.
        levels: (black, white) instead of the files' own; the papers hard-code (512, 16383).
        flips_keep: what a mirrored crop of a mosaic keeps: its "phase", so that it starts on red
            and lies on its target; packed "planes" (SID's code), which moves the pixels of a cell
            against their target; or "pixels" (REDI's and LLPackNet's), where colours change.
        native: give X-Trans mosaics as they are, and not as RGGB (see `sensor.remosaic`).
    DataError: no list, a bad one, images that it names are missing, or no pair is left.
    """

    task = Task.RAW_STILL
    folder_name = "SID"
    splits = ("train", "val", "test", "train+val")
    recipe_options = ("first_of_burst", "exposure", "exclude_misaligned", "levels", "flips_keep")
    crop_multiple = 2
    flips_keep = "phase"
    _one_generator = True

    def __init__(
        self, data_root, split, *, camera=None, first_of_burst=True, exposure=None,
        exclude_misaligned=False, levels=None, flips_keep="phase", native=False,
    ):  # fmt: skip
        self.cache, self.levels, self.native = ArrayCache(data_root), levels, native
        self.flips_keep, lists = flips_keep, split.split("+")
        super().__init__(data_root, split, self.cache.get)
        there = (c for c in PUBLISHED if (self.folder / f"{c}_{lists[0]}_list.txt").exists())
        camera = camera or next(there, "Sony")
        files = (self.folder / f"{camera}_{name}_list.txt" for name in lists)
        misaligned = MISALIGNED if exclude_misaligned else ()
        pairs = [p for f in files for p in read_list(f, self.folder) if p.scene not in misaligned]
        pairs = [p for p in pairs if p.burst == 0 or not first_of_burst]
        self.pairs = [p for p in pairs if exposure in (None, p.input_s)]
        if not self.pairs:
            what = f"the {split} split holds no image with these options"
            raise DataError(what, file=self.folder, todo="leave first_of_burst or exposure out")
        self.published = PUBLISHED[camera].get(split)
        if missing := [f for f in self.files if not (f.is_file() and f.stat().st_size)]:
            example = missing[0].relative_to(self.folder.resolve()).as_posix()
            what = f"{len(missing)} of {len(self.files)} listed images are missing or empty"
            raise DataError(f"{what}, such as {example}", file=self.folder, todo="copy them again")

    @property
    def files(self) -> list[Path]:
        """All images of the split, inputs first, each once."""
        return list(dict.fromkeys([p.input for p in self.pairs] + [p.target for p in self.pairs]))

    @classmethod
    def parts(cls, folder):
        cameras = [c for c in PUBLISHED if any(folder.glob(f"{c}*"))] or ["Sony"]
        each = {"first_of_burst": False}
        return [{"camera": c, "split": s, **each} for c in cameras for s in PUBLISHED[c]]

    def inspections(self):
        return [functools.partial(read_raw, f) for f in self.files]

    def prepare(self, progress=True):
        kind, target = self._input_kind, _target_kind()
        wanted = [w for p in self.pairs for w in ((p.input, *kind), (p.target, *target))]
        self.cache.fill(wanted, f"decode {self.split}", progress)
        return self

    def input(self, i) -> RawImage:
        """The dark exposure; its mosaic is a memory map, RGGB where the file's is not Bayer."""
        return self._raw(i, *self._input_kind)

    def recorded(self, i) -> RawImage:
        """The dark exposure as the sensor recorded it, X-Trans too."""
        return self._raw(i, *_RECORDED)

    def target(self, i) -> np.ndarray:
        """The developed long exposure, uint16 (H, W, 3), a memory map."""
        return self._map(self.pairs[i].target, *_target_kind())[0]

    def _raw(self, i, kind, make):
        mosaic, notes = self._map(self.pairs[i].input, kind, make)
        if self.levels:
            notes = notes | {"black_level": self.levels[0], "white_level": self.levels[1]}
        try:
            return RawImage(mosaic, **notes, path=str(self.pairs[i].input))
        except (TypeError, ValueError, UnsupportedRawError) as e:
            what = f"has a damaged note in {self.cache.folder} ({e})"
            raise DataError(what, file=self.pairs[i].input, todo="delete that folder") from e

    @functools.cached_property
    def _input_kind(self):
        """What is kept of the inputs, as `ArrayCache.get` takes it; the first says it for all."""
        if self.native or cfa.name(self.recorded(0).cfa) in cfa.BAYER:
            return _RECORDED
        return _AS_RGGB

    @property
    def camera(self):
        return self.input(0).model

    @functools.cached_property
    def white_balance(self) -> tuple[float, float, float]:
        """Geometric mean of the inputs' gains, (r, 1, b): the light of the set."""
        gains = [self.input(i).white_balance for i in range(len(self))]
        r, g, b = np.exp(np.log(gains).mean(0))
        return float(r / g), 1.0, float(b / g)

    def _draw(self, i, rng, crop, frames):
        """(pattern to give, start of the crop in each axis)."""
        raw = self.input(i)
        like = cfa.XTRANS if raw.cfa.shape == (6, 6) else cfa.RGGB
        starts, n = cfa.starts(raw.cfa, like), len(like)
        if not starts:
            what = f"is a {cfa.name(raw.cfa)} mosaic, not Bayer or X-Trans"
            raise UnsupportedRawError(what, file=self.file(i))
        if crop % n:
            raise OptionError(f"crops of {cfa.name(like)} are multiples of {n}, not {crop}")
        # A flip that keeps the phase starts up to a cell later.
        room = (max(0, h - s - crop - n) for s, h in zip(starts[0], raw.mosaic.shape, strict=True))
        steps = [n * int(rng.integers(0, more // n + 1)) for more in room]
        return like, [s + step for s, step in zip(starts[0], steps, strict=True)]

    def _cut(self, i, where, turns, crop, amplify):
        (like, start), raw, target = where, self.input(i), self.target(i)
        if target.shape[:2] != raw.mosaic.shape:
            what = f"is {target.shape[:2]} but {self.file(i).name} is {raw.mosaic.shape}"
            raise DataError(what, file=self.pairs[i].target)
        n, keep = len(like), self.flips_keep
        if keep == "planes" and n != 2:
            raise OptionError("packed planes of X-Trans are not turned", todo="keep the phase")
        later = _later(cfa.name(like), turns) if keep == "phase" else (0, 0)
        rows, cols = (
            np.arange(size)[lines(s, size, crop + n, n)][more : more + crop]
            for s, size, more in zip(start, raw.mosaic.shape, later, strict=True)
        )
        mosaic, target = (a[np.ix_(rows, cols)] for a in (raw.mosaic, target))
        black = cfa.look_up(raw.black_level, rows, cols)
        signal = dataclasses.replace(raw, mosaic=mosaic, cfa=like, black_level=black).normalized()
        inside = n if keep == "planes" else 1  # of what changes places: whole cells, or pixels
        blocks = signal.reshape(crop // inside, inside, crop // inside, inside)
        signal, target = turn(blocks, turns, (0, 2)).reshape(crop, crop), turn(target, turns)
        factor = np.float32(self.ratio(i) if amplify else 1)
        return signal[None] * factor, (target / np.float32(65535)).transpose(2, 0, 1)


@functools.cache
def _later(kind, turns):
    """How many (rows, columns) later than in its phase a crop starts, to be in it when turned: RGGB
    and X-Trans, as infinite patterns, are the same mirrored and transposed, but for a shift."""
    cell = cfa.from_name(kind)

    def fits(shift):
        return np.array_equal(turn(np.roll(cell, [-i for i in shift], (0, 1)), turns), cell)

    return min(filter(fits, np.ndindex(*cell.shape)), key=sum)


def _decode(path, change=lambda raw: raw):
    raw = change(read_raw(path))
    kept = {name: v for name, v in vars(raw).items() if name not in ("mosaic", "path")}
    return raw.mosaic, {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in kept.items()}


# What is kept of a file, and the function that makes it.
_RECORDED = "mosaic", _decode
_AS_RGGB = "mosaic-rggb", functools.partial(_decode, change=remosaic)


def _develop(path):
    return np.rint(isp.develop(path) * 65535).astype(np.uint16), {}


def _target_kind():
    import rawpy  # another LibRaw, another target

    return f"target-libraw{'.'.join(map(str, rawpy.libraw_version))}", _develop
