"""The See-in-the-Dark layout: list files beside `Sony/short` and `Sony/long`, real or mini.

    SID/Sony_train_list.txt   ./Sony/short/00001_00_0.1s.ARW ./Sony/long/00001_00_10s.ARW ISO200 F8

SID has a Bayer part, Sony, and an X-Trans part, Fuji.

Source: Chen et al., "Learning to See in the Dark", CVPR 2018, and its published lists.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np

from ..errors import DataError, OptionError, UnsupportedRawError
from ..sensor import cfa, isp
from ..sensor.raw import RawImage, read_raw
from ..sensor.remosaic import remosaic
from .cache import ArrayCache

MAX_RATIO = 300
_OPEN_MAPS = 64  # a memory map holds a file descriptor, and systems allow 256 or 1024 of them
MISALIGNED = (10034, 10045, 10172)  # test scenes whose long exposure moved
_NAME = re.compile(r"(\d+)_(\d+)_(\d+(?:\.\d+)?)s\.\w+$")
CAMERAS = ("Sony", "Fuji")  # SID's two parts


@dataclass(frozen=True)
class SidPair:
    """One line of a list file: a dark exposure and the long one of the same scene."""

    short: Path
    long: Path
    iso: str
    f_number: str
    scene: int
    burst: int
    short_s: float
    long_s: float

    @property
    def ratio(self) -> float:
        """min(long / short, 300), the amplification that makes up for the missing light."""
        return min(self.long_s / self.short_s, MAX_RATIO)


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
        raise DataError(
            "does not exist",
            file=path,
            todo="make mini data with `lowlight data mini ROOT`, or put SID's list files there",
        ) from e
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
        short, long = (_inside(folder, w, path, n) for w in words[:2])
        seconds = [float(m[3]) for m in names]
        if min(seconds) <= 0:
            raise DataError(f"line {n} has an exposure of 0 s: {line!r}", file=path)
        iso, f_number = (*words[2:4], "", "")[:2]
        pairs.append(
            SidPair(short, long, iso, f_number, int(names[0][1]), int(names[0][2]), *seconds)
        )
    if not pairs:
        raise DataError("lists no image", file=path, todo="get the list again")
    return pairs


def _inside(folder, word, path, n):
    relative = Path(word.replace("\\", "/"))
    # A Windows path has a drive or a root of its own, which other systems do not see.
    if PureWindowsPath(word).anchor or relative.is_absolute() or ".." in relative.parts:
        raise DataError(f"line {n} points outside the data root: {word!r}", file=path)
    return folder / relative


class SidDataset:
    """Pairs of dark mosaics and developed long exposures, memory-mapped.

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

    Targets are developed by the LibRaw call of the paper, once, into the cache.
    """

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
        _all_there(pairs, folder)
        self.pairs, self.split, self.levels, self.native = pairs, split, levels, native
        self.cache = cache or ArrayCache(data_root)
        self._open = OrderedDict()  # source -> (memory map, notes), the last few

    def __len__(self):
        return len(self.pairs)

    def prepare(self, progress=True) -> SidDataset:
        """Decode whatever is not in the cache yet; long work, once. Returns itself."""
        kind, target = self._kind, self._target
        wanted = [w for p in self.pairs for w in ((p.short, *kind), (p.long, *target))]
        self.cache.fill(wanted, f"decode {self.split}", progress)
        return self

    def name(self, i) -> str:
        """What picture or clip i is called in results."""
        return self.pairs[i].short.stem

    def file(self, i) -> Path:
        """The file of input i, for messages."""
        return self.pairs[i].short

    def ratio(self, i) -> float:
        """How much light input i lacks: the factor to its target."""
        return self.pairs[i].ratio

    def input(self, i) -> RawImage:
        """The dark exposure; its mosaic is a memory map, RGGB where the file's is not Bayer."""
        return self._raw(i, *self._kind)

    def recorded(self, i) -> RawImage:
        """The dark exposure as the sensor recorded it, X-Trans too."""
        return self._raw(i, *_RECORDED)

    @functools.cached_property
    def _kind(self):
        """What is kept of the dark exposures, see `ArrayCache.get`; the first file says it for all.

        A camera has one sensor.
        """
        notes = {} if self.native else self._cached(self.pairs[0].short, *_RECORDED)[1]
        if self.native or cfa.name(notes["cfa"]) in cfa.BAYER:
            return _RECORDED
        return "mosaic-rggb", _decode_rggb

    @property
    def camera(self):
        """Who took the dark exposures, by the first one; None where the file does not say."""
        return self.input(0).model

    def _raw(self, i, kind, make):
        mosaic, notes = self._cached(self.pairs[i].short, kind, make)
        if self.levels:
            notes = notes | {"black_level": self.levels[0], "white_level": self.levels[1]}
        return RawImage(mosaic, **notes, path=str(self.pairs[i].short))

    @functools.cached_property
    def white_balance(self) -> tuple[float, float, float]:
        """Geometric mean of the dark exposures' gains, (r, 1, b): the light of the set."""
        gains = [self.input(i).white_balance for i in range(len(self))]
        r, g, b = np.exp(np.log(gains).mean(0))
        return float(r / g), 1.0, float(b / g)

    def target(self, i) -> np.ndarray:
        """The developed long exposure, uint16 (H, W, 3), a memory map."""
        return self._cached(self.pairs[i].long, *self._target)[0]

    @functools.cached_property
    def _target(self):
        """What is kept of the long ones: another LibRaw, another target."""
        import rawpy

        return f"target-libraw{'.'.join(map(str, rawpy.libraw_version))}", _develop

    def batch(
        self, step, *, seed, size, crop, flips=(0.5, 0.2), transpose=0.0, amplify=True, part=(0, 1)
    ):
        """Training crops, a function of (seed, step) alone; each epoch sees every pair once.

        Args:
            crop: side of the square crops in pixels, even, and a multiple of 6 for X-Trans as it
                is; small images are extended in their phase.
            flips: probabilities of a left-right and an up-down mirror; the phase is kept.
            transpose: probability of exchanging rows and columns (the two greens change roles).
            amplify: multiply by the exposure ratio; not for a network that amplifies itself.
            part: (rank, world): the slice of the batch that this process gets. The crops are the
                same whatever the number of processes.
        Returns:
            x float32 (n, 1, crop, crop): normalised and amplified mosaics, RGGB, or X-Trans in
            the phase of `sensor.cfa.XTRANS`;
            y float32 (n, 3, crop, crop): targets in [0, 1]. n is `size`, or the part of it.
        """
        rank, world = part
        mine = range(size * rank // world, size * (rank + 1) // world)
        x = np.empty((len(mine), 1, crop, crop), np.float32)
        y = np.empty((len(mine), 3, crop, crop), np.float32)
        rng = np.random.default_rng([seed, 1, step])
        for k in range(size):
            epoch, place = divmod(step * size + k, len(self))
            order = np.random.default_rng([seed, 0, epoch]).permutation(len(self))
            i = int(order[place])
            drawn = self._draw(i, rng, crop, flips, transpose)  # for others too: one generator
            if k not in mine:
                continue
            n = mine.index(k)
            x[n, 0], target = self._crop(i, crop, *drawn)
            if amplify:
                x[n, 0] *= np.float32(self.pairs[i].ratio)
            y[n] = target.transpose(2, 0, 1)
        return x, y

    def _draw(self, i, rng, crop, flips, transpose):
        """(pattern to give, start of the crop in each axis, turns), drawn for image i."""
        raw = self.input(i)
        like = cfa.XTRANS if raw.cfa.shape == (6, 6) else cfa.RGGB
        first, n = cfa.starts(raw.cfa, like)[:1], len(like)
        if not first:
            raise UnsupportedRawError(
                f"is a {cfa.name(raw.cfa)} mosaic, not Bayer or X-Trans", file=self.pairs[i].short
            )
        if crop % n:
            raise OptionError(f"crops of {cfa.name(like)} are multiples of {n}, not {crop}")
        take = crop + n  # a phase-keeping flip starts up to a cell later
        start = [
            s + n * int(rng.integers(0, max(0, size - s - take) // n + 1))
            for s, size in zip(first[0], raw.mosaic.shape, strict=True)
        ]
        return like, start, tuple(rng.random() < p for p in (*flips, transpose))

    def _crop(self, i, crop, like, start, turns):
        raw, target = self.input(i), self.target(i)
        if target.shape[:2] != raw.mosaic.shape:
            raise DataError(
                f"is {target.shape[:2]} but {self.pairs[i].short.name} is {raw.mosaic.shape}",
                file=self.pairs[i].long,
            )
        n = len(like)
        take = crop + n
        later = _later(cfa.name(like), turns)
        rows, cols = (
            _lines(s, size, take, n, slice(more, more + crop))
            for s, size, more in zip(start, raw.mosaic.shape, later, strict=True)
        )
        mosaic, target = (_turn(a[rows][:, cols], turns) for a in (raw.mosaic, target))
        black = np.roll(
            raw.black_level, [-s - more for s, more in zip(start, later, strict=True)], (0, 1)
        )
        black = _turn(black, turns)
        signal = dataclasses.replace(raw, mosaic=mosaic, cfa=like, black_level=black)
        return signal.normalized(), target / np.float32(65535)

    def _cached(self, source, kind, make):
        key = source, kind
        if key not in self._open:
            self._open[key] = self.cache.get(source, kind, make)
            if len(self._open) > _OPEN_MAPS:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        return self._open[key]


def _lines(start, size, take, n, part):
    """The part (a slice) of the `take` lines from `start`, to index an axis of `size` lines with.

    Beyond the image they go on in the phase of its cell of n lines.
    """
    beyond = start + take - size
    if beyond <= 0:
        return slice(start + part.start, start + part.stop)
    if n == 2:  # a reflection keeps the phase
        return np.pad(np.arange(start, size), (0, beyond), mode="reflect")[part]
    return cfa.whole_cells(size, 0, beyond, n)[start:][part]


def _turn(a, turns):
    """Mirror (left-right, up-down) and transpose an array (H, W, ...), each where asked."""
    left_right, up_down, transpose = turns
    a = a[:, ::-1] if left_right else a
    a = a[::-1] if up_down else a
    return a.swapaxes(0, 1) if transpose else a


@functools.cache
def _later(kind, turns):
    """How many (rows, columns) later than in its phase a crop starts, to be in it when turned.

    RGGB and X-Trans, as infinite patterns, are the same mirrored either way and transposed, but for
    a shift. For RGGB it is the one line of `cfa.flip`.
    """
    cell = cfa.from_name(kind)
    spots = sorted(np.ndindex(*cell.shape), key=sum)
    rolled = ((s, np.roll(cell, [-i for i in s], (0, 1))) for s in spots)
    return next(s for s, c in rolled if np.array_equal(_turn(c, turns), cell))


def _decode_rggb(path):
    return _decode(path, remosaic)


def _decode(path, change=lambda raw: raw):
    raw = change(read_raw(path))
    notes = {
        "cfa": raw.cfa.tolist(),
        "black_level": raw.black_level.tolist(),
        "white_level": raw.white_level,
        "white_balance": list(raw.white_balance),
        "color_matrix": None if raw.color_matrix is None else raw.color_matrix.tolist(),
        "orientation": raw.orientation,
        "model": raw.model,
        "exposure_s": raw.exposure_s,
        "iso": raw.iso,
    }
    return raw.mosaic, notes


def _develop(path):
    return np.rint(isp.develop(path) * 65535).astype(np.uint16), {}


_RECORDED = "mosaic", _decode


def _all_there(pairs, folder):
    wanted = {p.short for p in pairs} | {p.long for p in pairs}
    missing = sorted(p for p in wanted if not p.is_file())
    if missing:
        some = ", ".join(
            str(p.relative_to(folder) if p.is_relative_to(folder) else p) for p in missing[:3]
        )
        raise DataError(
            f"{len(missing)} of {len(wanted)} listed images are missing, such as {some}",
            file=folder,
            todo="complete the data set, or take the lines out of the list",
        )
