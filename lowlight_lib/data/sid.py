"""The See-in-the-Dark layout: list files beside `Sony/short` and `Sony/long`, real or mini.

    SID/Sony_train_list.txt   ./Sony/short/00001_00_0.1s.ARW ./Sony/long/00001_00_10s.ARW ISO200 F8

Source: Chen et al., "Learning to See in the Dark", CVPR 2018, and its published lists.
"""

from __future__ import annotations

import dataclasses
import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np

from ..errors import DataError, UnsupportedRawError
from ..sensor import cfa, isp
from ..sensor.raw import RawImage, read_raw
from .cache import ArrayCache

MAX_RATIO = 300
_OPEN_MAPS = 64  # a memory map holds a file descriptor, and systems allow 256 or 1024 of them
MISALIGNED = (10034, 10045, 10172)  # test scenes whose long exposure moved
_NAME = re.compile(r"(\d+)_(\d+)_(\d+(?:\.\d+)?)s\.\w+$")
_RED = {"RGGB": (0, 0), "GRBG": (0, 1), "GBRG": (1, 0), "BGGR": (1, 1)}  # first red pixel


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
        camera: name of the folder and prefix of the lists.
        first_of_burst: only the first frame of each burst (93 of 598 test pairs of Sony).
        exclude_misaligned: leave out the three test scenes whose target moved.
        levels: (black, white) to use instead of the files' own; the papers hard-code (512, 16383).
        cache: an ArrayCache; default one below the data root.

    Targets are developed by the LibRaw call of the paper, once, into the cache.
    """

    def __init__(
        self,
        data_root,
        split,
        *,
        camera="Sony",
        first_of_burst=False,
        exclude_misaligned=False,
        levels=None,
        cache=None,
    ):
        folder = Path(data_root) / "SID"
        pairs = read_list(folder / f"{camera}_{split}_list.txt", folder)
        if first_of_burst:
            pairs = [p for p in pairs if p.burst == 0]
        if exclude_misaligned:
            pairs = [p for p in pairs if p.scene not in MISALIGNED]
        _all_there(pairs, folder)
        self.pairs, self.split, self.levels = pairs, split, levels
        self.cache = cache or ArrayCache(data_root)
        self._open = OrderedDict()  # source -> (memory map, notes), the last few

    def __len__(self):
        return len(self.pairs)

    def prepare(self, progress=True) -> SidDataset:
        """Decode whatever is not in the cache yet; long work, once. Returns itself."""
        from tqdm.auto import tqdm

        for i in tqdm(range(len(self)), desc=f"decode {self.split}", disable=not progress):
            self.short(i)
            self.target(i)
        return self

    def short(self, i) -> RawImage:
        """The dark exposure; its mosaic is a memory map."""
        mosaic, notes = self._cached(self.pairs[i].short, "mosaic", _decode)
        if self.levels:
            notes = notes | {"black_level": self.levels[0], "white_level": self.levels[1]}
        return RawImage(mosaic, **notes, path=str(self.pairs[i].short))

    def target(self, i) -> np.ndarray:
        """The developed long exposure, uint16 (H, W, 3), a memory map."""
        import rawpy

        version = ".".join(map(str, rawpy.libraw_version))  # another LibRaw, another target
        return self._cached(self.pairs[i].long, f"target-libraw{version}", _develop)[0]

    def batch(self, step, *, seed, size, crop, flips=(0.5, 0.2), transpose=0.0):
        """Training crops, a function of (seed, step) alone; each epoch sees every pair once.

        Args:
            crop: side of the square crops in pixels, even; small images are extended by
                reflection.
            flips: probabilities of a left-right and an up-down mirror; the phase is kept.
            transpose: probability of exchanging rows and columns (the two greens change roles).
        Returns:
            x float32 (size, 1, crop, crop): normalised and amplified mosaics, RGGB;
            y float32 (size, 3, crop, crop): targets in [0, 1].
        """
        x = np.empty((size, 1, crop, crop), np.float32)
        y = np.empty((size, 3, crop, crop), np.float32)
        rng = np.random.default_rng([seed, 1, step])
        for k in range(size):
            epoch, place = divmod(step * size + k, len(self))
            order = np.random.default_rng([seed, 0, epoch]).permutation(len(self))
            x[k, 0], target = self._crop(int(order[place]), rng, crop, flips, transpose)
            y[k] = target.transpose(2, 0, 1)
        return x, y

    def _crop(self, i, rng, crop, flips, transpose):
        raw, target, ratio = self.short(i), self.target(i), self.pairs[i].ratio
        kind = cfa.name(raw.cfa)
        if kind not in _RED:
            raise UnsupportedRawError(f"is a {kind} mosaic, not Bayer", file=self.pairs[i].short)
        if target.shape[:2] != raw.mosaic.shape:
            raise DataError(
                f"is {target.shape[:2]} but {self.pairs[i].short.name} is {raw.mosaic.shape}",
                file=self.pairs[i].long,
            )
        take = crop + 2  # a phase-keeping flip needs a line at each end
        start = [
            red + 2 * int(rng.integers(0, max(0, size - red - take) // 2 + 1))
            for red, size in zip(_RED[kind], raw.mosaic.shape, strict=True)
        ]
        window = tuple(slice(s, s + take) for s in start)
        mosaic, target = (_extend(a[window], take) for a in (raw.mosaic, target))
        for axis, p in zip((1, 0), flips, strict=True):
            # What cfa.flip does, on the mosaic and the picture alike.
            lines = slice(-2, 0, -1) if rng.random() < p else slice(0, crop)
            window = (slice(None),) * axis + (lines,)
            mosaic, target = mosaic[window], target[window]
        black = np.roll(raw.black_level, [-s for s in start], (0, 1))
        if rng.random() < transpose:
            mosaic, black, target = mosaic.T, black.T, target.swapaxes(0, 1)
        signal = dataclasses.replace(raw, mosaic=mosaic, cfa=cfa.RGGB, black_level=black)
        return signal.normalized() * np.float32(ratio), target / np.float32(65535)

    def _cached(self, source, kind, make):
        key = source, kind
        if key not in self._open:
            self._open[key] = self.cache.get(source, kind, make)
            if len(self._open) > _OPEN_MAPS:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        return self._open[key]


def _extend(a, size):
    """Reflect at bottom and right up to `size`; reflection keeps the Bayer phase."""
    missing = [max(0, size - s) for s in a.shape[:2]]
    if not any(missing):
        return a
    return np.pad(a, [(0, m) for m in missing] + [(0, 0)] * (a.ndim - 2), mode="reflect")


def _decode(path):
    raw = read_raw(path)
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
