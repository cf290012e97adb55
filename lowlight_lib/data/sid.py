"""See-in-the-Dark: pairs of dark mosaics and developed long exposures, real or mini.

Source: Chen et al., "Learning to See in the Dark", CVPR 2018.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np

from ..errors import DataError, OptionError, UnsupportedRawError
from ..models import Task
from ..sensor import cfa, isp
from ..sensor.raw import RawImage, read_raw
from ..sensor.remosaic import remosaic
from .base import Dataset, lines, turn
from .cache import ArrayCache
from .sid_lists import CAMERAS, MISALIGNED, check_sid, read_list


class SidDataset(Dataset):
    """Pairs of dark mosaics and developed long exposures.

    Targets are developed by the LibRaw call of the paper, once, into the cache.

    Args:
        data_root: the folder that holds SID/.
        split: "train", "val" or "test".
        camera: name of the folder and prefix of the lists; None is the one of Sony and Fuji that
            is there, Sony where both are.
        first_of_burst: only the first frame of each burst (93 of 598 test pairs of Sony).
        exclude_misaligned: leave out the three test scenes whose target moved.
        levels: (black, white) to use instead of the files' own; the papers hard-code (512, 16383).
        cache: an ArrayCache; default one below the data root.
        native: give X-Trans mosaics as they are. Otherwise they are turned into RGGB (see
            `sensor.remosaic`), once, into the cache, so that they train every network.
    Raises:
        DataError: no list, a bad one, or images that it names are missing.
    """

    task = Task.RAW_STILL
    folder_name = "SID"
    recipe_options = ("first_of_burst", "exclude_misaligned", "levels")
    _one_generator = True
    check = staticmethod(check_sid)

    def __init__(
        self,
        data_root,
        split,
        *,
        camera=None,
        first_of_burst=False,
        exclude_misaligned=False,
        levels=None,
        cache=None,
        native=False,
    ):
        folder = Path(data_root) / "SID"
        if camera is None:
            there = (c for c in CAMERAS if (folder / f"{c}_{split}_list.txt").exists())
            camera = next(there, CAMERAS[0])
        pairs = read_list(folder / f"{camera}_{split}_list.txt", folder)
        if first_of_burst:
            pairs = [p for p in pairs if p.burst == 0]
        if exclude_misaligned:
            pairs = [p for p in pairs if p.scene not in MISALIGNED]
        wanted = {p.input for p in pairs} | {p.target for p in pairs}
        missing = sorted(p for p in wanted if not p.is_file())
        if missing:
            inside = folder.resolve()
            some = ", ".join(str(p.relative_to(inside)) for p in missing[:3])
            raise DataError(
                f"{len(missing)} of {len(wanted)} listed images are missing, such as {some}",
                file=folder,
                todo="complete the data set, or take the lines out of the list",
            )
        self.levels, self.native = levels, native
        self.cache = cache or ArrayCache(data_root)
        super().__init__(split, pairs, self.cache.get)

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
        return RawImage(mosaic, **notes, path=str(self.pairs[i].input))

    @functools.cached_property
    def _input_kind(self):
        """What is kept of the inputs, as `ArrayCache.get` takes it; the first says it for all."""
        if self.native or cfa.name(self.recorded(0).cfa) in cfa.BAYER:
            return _RECORDED
        return "mosaic-rggb", _decode_rggb

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
        first, n = cfa.starts(raw.cfa, like)[:1], len(like)
        if not first:
            raise UnsupportedRawError(
                f"is a {cfa.name(raw.cfa)} mosaic, not Bayer or X-Trans", file=self.file(i)
            )
        if crop % n:
            raise OptionError(f"crops of {cfa.name(like)} are multiples of {n}, not {crop}")
        take = crop + n  # a phase-keeping flip starts up to a cell later
        return like, [
            s + n * int(rng.integers(0, max(0, size - s - take) // n + 1))
            for s, size in zip(first[0], raw.mosaic.shape, strict=True)
        ]

    def _cut(self, i, where, turns, crop, amplify):
        (like, start), raw, target = where, self.input(i), self.target(i)
        if target.shape[:2] != raw.mosaic.shape:
            raise DataError(
                f"is {target.shape[:2]} but {self.file(i).name} is {raw.mosaic.shape}",
                file=self.pairs[i].target,
            )
        later, n = _later(cfa.name(like), turns), len(like)
        rows, cols = (
            lines(s, size, crop + n, n) for s, size in zip(start, raw.mosaic.shape, strict=True)
        )
        inner = tuple(slice(more, more + crop) for more in later)
        mosaic, target = (turn(a[rows][:, cols][inner], turns) for a in (raw.mosaic, target))
        moved = [-s - more for s, more in zip(start, later, strict=True)]
        black = turn(np.roll(raw.black_level, moved, (0, 1)), turns)
        signal = dataclasses.replace(raw, mosaic=mosaic, cfa=like, black_level=black).normalized()
        factor = np.float32(self.ratio(i) if amplify else 1)
        return signal[None] * factor, (target / np.float32(65535)).transpose(2, 0, 1)


@functools.cache
def _later(kind, turns):
    """How many (rows, columns) later than in its phase a crop starts, to be in it when turned.

    RGGB and X-Trans, as infinite patterns, are the same mirrored either way and transposed, but for
    a shift. For RGGB it is the one line of `cfa.flip`.
    """
    cell = cfa.from_name(kind)
    spots = sorted(np.ndindex(*cell.shape), key=sum)
    rolled = ((s, np.roll(cell, [-i for i in s], (0, 1))) for s in spots)
    return next(s for s, c in rolled if np.array_equal(turn(c, turns), cell))


_NOTES = ("white_level", "white_balance", "orientation", "model", "exposure_s", "iso")


def _decode(path, change=lambda raw: raw):
    raw = change(read_raw(path))
    matrix = None if raw.color_matrix is None else raw.color_matrix.tolist()
    notes = {"cfa": raw.cfa.tolist(), "black_level": raw.black_level.tolist()}
    notes |= {"color_matrix": matrix} | {name: getattr(raw, name) for name in _NOTES}
    return raw.mosaic, notes


def _decode_rggb(path):
    return _decode(path, remosaic)


def _develop(path):
    return np.rint(isp.develop(path) * 65535).astype(np.uint16), {}


_RECORDED = "mosaic", _decode  # what is kept of a file, and the function that makes it


@functools.cache
def _target_kind():
    import rawpy  # another LibRaw, another target

    return f"target-libraw{'.'.join(map(str, rawpy.libraw_version))}", _develop
