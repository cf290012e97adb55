"""Raw video in the layouts that BRVE publishes: LLRVD and SMOID, real or mini.

    LLRVD/ratio_noisy_all/35/125/lq.npy   (T, H, W, 4) uint16, planes R, G1, G2, B
    LLRVD/ratio_gt/35/gt.npy              the same scene without noise, one for all ratios
    LLRVD/ISP_info/35/1.npy               white balance and colour matrix of frame 1, and so on
    SMOID/_Scene6/Gain30Gain0/Dark/RAW/raw_input.npy     (T, 4, H, W) uint16, planes G2, R, G1, B
    SMOID/_Scene6/Gain30Gain0/Bright/RAW/raw_target.npy

Clips are read by memory map, so memory use does not grow with the data set.

Source: Zhang et al., "Binarized Low-light Raw Video Enhancement", CVPR 2024, released code; LLRVD:
Fu et al., "Low-light Raw Video Denoising with a High-quality Realistic Motion Dataset", IEEE TMM
2023; SMOID: Jiang & Zheng, "Learning to See Moving Objects in the Dark", ICCV 2019.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np

from ..errors import DataError, OptionError
from ..sensor import display
from . import isp_info
from .clips import LAYOUTS, find_clips, measure, open_clip

_OPEN_MAPS = 64  # a memory map holds a file descriptor, and systems allow 256 or 1024 of them


class VideoDataset:
    """Clips of packed raw frames with their targets, memory-mapped.

    A split is the published one, as far as its scenes are there: part of a data set can be used,
    and `lowlight data check` says what is lacking. A scene that is there has to be whole.

    Args:
        data_root: the folder that holds LLRVD/ or SMOID/.
        split: "train", "val" or "test".
        dataset: "llrvd" or "smoid".
        levels: (black, white) to use instead of the layout's own.
    Raises:
        OptionError: no such data set or split.
        DataError: nothing of the split is there, or a clip is damaged; says which file.
    """

    def __init__(self, data_root, split, *, dataset="llrvd", levels=None):
        self.layout = _of(LAYOUTS, dataset, "data set")
        scenes = _of(self.layout.splits, split, "split")
        self.dataset, self.split = dataset, split
        self.levels = tuple(map(float, levels or self.layout.levels))
        self.folder = Path(data_root) / self.layout.folder
        self._open = OrderedDict()  # path -> memory map, the last few
        self.clips = [
            measure(self.layout, *found)
            for scene in scenes
            for found in find_clips(dataset, self.folder, scene)
        ]
        if not self.clips:
            raise DataError(
                f"holds no scene of the split {split} ({_some(scenes)})",
                file=self.folder,
                todo="make mini data with `lowlight data mini ROOT`, or see what "
                "`lowlight data check ROOT` says",
            )

    def __len__(self):
        return len(self.clips)

    @property
    def camera(self) -> str:
        """Who took the clips: the note of a mini set says it, else the data set's camera."""
        try:
            note = json.loads((self.folder / "mini.json").read_text(encoding="utf-8"))
            return str(note["camera"])
        except (OSError, ValueError, LookupError, TypeError):
            return self.layout.camera

    def prepare(self, progress=True) -> VideoDataset:
        """There is nothing to decode: clips lie on disk as they are read. Returns itself."""
        return self

    def name(self, i) -> str:
        """What picture or clip i is called in results."""
        return self.clips[i].name.replace("/", "_")

    def file(self, i) -> Path:
        """The file of input i, for messages."""
        return self.clips[i].lq

    def ratio(self, i) -> float:
        """How much light input i lacks: the factor to its target."""
        return self.clips[i].ratio

    def lq(self, i) -> np.ndarray:
        """The dark clip as stored, a memory map: (T, H, W, 4) of LLRVD, (T, 4, H, W) of SMOID."""
        return self._map(self.clips[i].lq)

    def gt(self, i) -> np.ndarray:
        """The target as stored, a memory map."""
        return self._map(self.clips[i].gt)

    def input(self, i, frames=slice(None), ratio=None) -> np.ndarray:
        """The dark clip normalised, multiplied by its ratio, clipped to [0, 1].

        Args:
            frames: a slice, an index (which keeps its axis), or indices.
            ratio: another factor than the clip's own.
        Returns:
            float32 (T, 4, H, W).
        Raises:
            DataError: values that are not finite, where a file holds floats.
        """
        clip = self.clips[i]
        return self._signal(clip.lq, (_frames(frames),), clip.ratio if ratio is None else ratio)

    def target(self, i, frames=slice(None)) -> np.ndarray:
        """The target normalised and clipped to [0, 1], float32 (T, 4, H, W)."""
        return self._signal(self.clips[i].gt, (_frames(frames),), 1)

    def isp(self, i) -> isp_info.Isp | None:
        """Display parameters of every frame, or None where there are none (SMOID).

        Raises:
            DataError: ISP_info holds some of the frames only, or what nobody understands.
        """
        clip = self.clips[i]
        folder = self.folder / "ISP_info" / str(clip.scene)
        if self.dataset != "llrvd" or not folder.is_dir():
            return None
        return isp_info.read_frames(folder, clip.frames)

    def pictures(self, i, packed=None, frames=slice(None), colours=None) -> np.ndarray:
        """Frames of a clip as pictures, through the data set's display ISP.

        Input, result and target of a clip look alike: white balance and matrix are the clip's, or
        grey-world gains of its first target frame where the data set has none.

        Args:
            packed: float (T, 4, H, W) in [0, 1] that belongs to `frames`, such as a network's
                output; None is the target.
            frames: as in `input`.
            colours: `isp(i)`, for who shows a clip part by part: it reads a file a frame.
        Returns:
            float32 (T, H, W, 3) in [0, 1], at half the mosaic's resolution.
        """
        frames = _frames(frames)
        packed = self.target(i, frames) if packed is None else packed
        colours, planes = colours or self.isp(i), self.layout.planes
        if colours is None:
            gains = display.grey_world(self.target(i, 0)[0], planes)
            return display.display(packed, gains, planes=planes)
        gains, ccm = colours.white_balance[frames], colours.ccm[frames]
        return display.display(packed, gains, ccm, planes=planes)

    def batch(self, step, *, seed, size, crop, frames, flips=(0.5, 0.5), transpose=0.5,
              reverse=0.5, amplify=True, part=(0, 1)):  # fmt: skip
        """Training crops, a function of (seed, step) alone; each epoch sees every clip once.

        The augmentation is the released one, on packed planes, which are not permuted. So a
        transposition exchanges the roles of G1 and G2, and a mirror of the planes is not a mirror
        of the mosaic (each plane keeps its place in the cell, the scene moves by a pixel under it).

        Args:
            size: items of the whole batch, of all processes together.
            crop: side of the square crops in packed pixels; smaller frames are reflected.
            frames: length of the crops; shorter clips run to and fro.
            flips: probabilities of a left-right and an up-down mirror.
            transpose: probability of exchanging rows and columns.
            reverse: probability of running backwards.
            amplify: multiply by the ratio.
            part: (rank, world): the slice of the batch that this process gets. Items are the same
                whatever the number of processes.
        Returns:
            x, y float32 (n, frames, 4, crop, crop): dark and target, in [0, 1].
        """
        rank, world = part
        if not 0 <= rank < world or min(size, crop, frames) < 1:
            raise OptionError(
                f"no batch of {size} items of {frames} frames of {crop}, part {rank} of {world}"
            )
        items = range(size * rank // world, size * (rank + 1) // world)
        x = np.empty((len(items), frames, 4, crop, crop), np.float32)
        y = np.empty_like(x)
        for n, k in enumerate(items):
            epoch, place = divmod(step * size + k, len(self))
            order = np.random.default_rng([seed, 0, epoch]).permutation(len(self))
            rng = np.random.default_rng([seed, 1, step, k])  # each item its own
            clip = self.clips[order[place]]
            where = [
                _lines(rng, have, need)
                for have, need in zip(
                    (clip.frames, clip.height, clip.width), (frames, crop, crop), strict=True
                )
            ]
            turns = [rng.random() < p for p in (reverse, *flips, transpose)]
            x[n] = _turn(self._signal(clip.lq, where, clip.ratio if amplify else 1), turns)
            y[n] = _turn(self._signal(clip.gt, where, 1), turns)
        return x, y

    def _map(self, path):
        if path not in self._open:
            self._open[path] = open_clip(path, self.layout.channels_last)
            if len(self._open) > _OPEN_MAPS:
                self._open.popitem(last=False)
        self._open.move_to_end(path)
        return self._open[path]

    def _signal(self, path, where, ratio):
        """Lines (frames, rows, columns) of a stored clip -> float32 (T, 4, H, W) in [0, 1]."""
        part = self._map(path)
        first, rows = (1, 2) if self.layout.channels_last else (2, 3)
        for axis, lines in zip((0, first, rows), where):  # noqa: B905  (frames alone will do)
            part = part[(slice(None),) * axis + (lines,)]
        if self.layout.channels_last:
            part = part.transpose(0, 3, 1, 2)
        black, white = self.levels
        x = part.astype(np.float32, order="C")
        if part.dtype.kind == "f" and not np.isfinite(x).all():
            raise DataError("holds values that are not finite (NaN or infinity)", file=path,
                            todo="make it again from the raw frames")  # fmt: skip
        x -= np.float32(black)
        x *= np.float32(ratio / (white - black))
        return np.clip(x, 0, 1, out=x)


def _of(table, key, what):
    if key not in table:
        raise OptionError(f"no {what} {key!r}", todo=f"use {', '.join(table)}")
    return table[key]


def _some(numbers):
    return ", ".join(map(str, numbers[:6])) + (", ..." if len(numbers) > 6 else "")


def _frames(frames):
    return [int(frames)] if isinstance(frames, int | np.integer) else frames


def _lines(rng, have, need):
    """A random run of `need` of `have` lines; where they do not suffice, to and fro from line 0."""
    if have >= need:
        start = int(rng.integers(0, have - need + 1))
        return slice(start, start + need)
    return np.pad(np.arange(have), (0, need - have), mode="reflect")


def _turn(x, turns):
    """(T, 4, H, W) backwards, mirrored left-right and up-down, transposed, each where asked."""
    backwards, left_right, up_down, transpose = turns
    x = x[::-1] if backwards else x
    x = x[..., ::-1] if left_right else x
    x = x[..., ::-1, :] if up_down else x
    return x.swapaxes(-1, -2) if transpose else x
