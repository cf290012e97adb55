"""Raw video: what LLRVD and SMOID share; llrvd_smoid.py says how each of them is stored.

Source: Zhang et al., "Binarized Low-light Raw Video Enhancement", CVPR 2024, released code.
"""

from __future__ import annotations

import functools
import tokenize
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError, OptionError
from ..models import Task
from ..sensor import display
from . import isp_info, issues
from .base import Dataset, random_lines, turn
from .issues import Issue, info

_UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError)
_UNREADABLE += (MemoryError, RecursionError)  # what numpy raises at damaged headers
CLIPS_A_SCENE = 3  # ratios of LLRVD, gains of SMOID


@dataclass(frozen=True)
class VideoClip:
    """A dark clip and its target.

    Attributes:
        name: "35/125" or "_Scene6/Gain30".
        scene: published number.
        group: "125" or "30": scores are averaged per group, then over the groups.
        ratio: the amplification that makes up for the missing light.
        input, target: the two files.
        frames, height, width: of both; height and width of the packed planes.
    """

    name: str
    scene: int
    group: str
    ratio: float
    input: Path
    target: Path
    frames: int
    height: int
    width: int


class VideoDataset(Dataset):
    """Clips of packed raw frames with their targets.

    A split is the published one, as far as its scenes are there: part of a data set can be used,
    and `lowlight data check` says what is lacking. A scene that is there has to be whole.

    Args:
        data_root: the folder that holds LLRVD/ or SMOID/.
        split: "train", "val" or "test".
        levels: (black, white) to use instead of the data set's own.
    Attributes:
        levels: (black, white) of the stored values.
        channels_last: stored as (T, H, W, 4) instead of (T, 4, H, W).
        planes: the colours of the four planes (0 R, 1 G, 2 B), which differ between the two.
        splits: the published scene numbers.
    Raises:
        OptionError: no such split.
        DataError: nothing of the split is there, or a clip is damaged; says which file.
    """

    task = Task.RAW_VIDEO
    recipe_options = ("levels",)
    levels: tuple[float, float]
    channels_last: bool
    planes: tuple[int, int, int, int]
    splits: dict[str, tuple[int, ...]]

    def __init__(self, data_root, split, *, levels=None):
        if split not in self.splits:
            raise OptionError(f"no split {split!r}", todo=f"use {', '.join(self.splits)}")
        self.folder = Path(data_root) / self.folder_name
        self.levels = tuple(map(float, levels or self.levels))
        self.camera = str(issues.read_note(self.folder).get("camera", self.camera))
        scenes = self.splits[split]
        clips = [self._measure(*c) for scene in scenes for c in self._find(self.folder, scene)]
        if not clips:
            raise DataError(
                f"holds no scene of the split {split} ({issues.first(scenes, 6)})",
                file=self.folder,
                todo="make mini data with `lowlight data mini ROOT`, or see what "
                "`lowlight data check ROOT` says",
            )
        opener = functools.partial(open_clip, channels_last=self.channels_last)
        super().__init__(split, clips, opener)

    def name(self, i) -> str:
        return self.pairs[i].name.replace("/", "_")

    def stored_input(self, i) -> np.ndarray:
        """The dark clip as stored, a memory map: (T, H, W, 4) of LLRVD, (T, 4, H, W) of SMOID."""
        return self._map(self.pairs[i].input)

    def stored_target(self, i) -> np.ndarray:
        """The target as stored, a memory map."""
        return self._map(self.pairs[i].target)

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
        clip = self.pairs[i]
        return self._signal(clip.input, (_frames(frames),), clip.ratio if ratio is None else ratio)

    def target(self, i, frames=slice(None)) -> np.ndarray:
        """The target normalised and clipped to [0, 1], float32 (T, 4, H, W)."""
        return self._signal(self.pairs[i].target, (_frames(frames),), 1)

    def isp(self, i) -> isp_info.Isp | None:
        """Display parameters of every frame, or None where there are none.

        Raises:
            DataError: there are some of the frames only, or what nobody understands.
        """
        return None

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
        colours = colours or self.isp(i)
        if colours is None:
            gains, ccm = display.grey_world(self.target(i, 0)[0], self.planes), None
        else:
            gains, ccm = colours.white_balance[frames], colours.ccm[frames]
        return display.display(packed, gains, ccm, planes=self.planes)

    def _draw(self, i, rng, crop, frames):
        clip = self.pairs[i]
        axes = (clip.frames, frames), (clip.height, crop), (clip.width, crop)
        return [random_lines(rng, *axis) for axis in axes]

    def _cut(self, i, where, turns, crop, amplify):
        clip, (backwards, *turns) = self.pairs[i], turns
        for path, ratio in ((clip.input, clip.ratio if amplify else 1), (clip.target, 1)):
            x = self._signal(path, where, ratio)
            yield turn(x[::-1] if backwards else x, turns, axes=(-2, -1))

    def _signal(self, path, where, ratio):
        """Lines (frames, rows, columns) of a stored clip -> float32 (T, 4, H, W) in [0, 1]."""
        part = self._map(path)
        first, rows = (1, 2) if self.channels_last else (2, 3)
        for axis, lines in zip((0, first, rows), where):  # noqa: B905  (frames alone will do)
            part = part[(slice(None),) * axis + (lines,)]
        if self.channels_last:
            part = part.transpose(0, 3, 1, 2)
        black, white = self.levels
        x = part.astype(np.float32, order="C")
        if part.dtype.kind == "f" and not np.isfinite(x).all():
            raise DataError("holds values that are not finite (NaN or infinity)", file=path,
                            todo="make it again from the raw frames")  # fmt: skip
        x -= np.float32(black)
        x *= np.float32(ratio / (white - black))
        return np.clip(x, 0, 1, out=x)

    @classmethod
    def _find(cls, folder, scene):
        """What there is of a scene.

        Yields:
            (name, scene, group, ratio, input, target) of each ratio or gain, files there or not,
            smallest first; nothing where there is no such scene.
        Raises:
            DataError: at the end, for a folder that is named by no ratio or gain.
        """

    @classmethod
    def _measure(cls, *found):
        """A `VideoClip` of what `_find` yields; DataError unless both files are clips of a size."""
        *_, path, target = found
        shapes = []
        for stored in (open_clip(p, cls.channels_last) for p in (path, target)):
            t, *planes = stored.shape
            shapes.append((t, *(planes[:2] if cls.channels_last else planes[1:])))
        if shapes[0] != shapes[1]:
            mine, other = (f"{t} frames of {h}x{w}" for t, h, w in shapes)
            raise DataError(
                f"holds {mine}, but its {target.name} {other}", file=path,
                todo="copy both again: frames are missing, or they are not of one scene",
            )  # fmt: skip
        return VideoClip(*found, *shapes[0])

    @classmethod
    def _scenes(cls, folder):
        """Numbers of the scenes that leave a trace in a folder."""

    @classmethod
    def check(cls, folder, deep=False, progress=False):
        name, note = folder.name, issues.read_note(folder)
        if not cls._scenes(folder):
            inner = next((p for p in folders(folder) if cls._scenes(p)), None)
            if inner is None:
                yield Issue(f"{name}: no scenes are here")
                return
            yield Issue(
                f"{name}: the scenes lie one level too deep, in {name}/{inner.name}/: move them "
                f"up to {name}/"
            )
            folder = inner
        mini = "mini" in note  # the published counts are no measure of it
        if mini and not note.get("complete"):
            yield Issue(f"{name}: an unfinished mini set: `lowlight data mini` makes it")
        for split, numbers in cls.splits.items():
            numbers = [n for n in numbers if not mini or n in note["scenes"]]
            yield from cls._check_split(folder, f"{name} {split}", numbers, mini, deep, progress)
        published = {n for numbers in cls.splits.values() for n in numbers}
        strangers = sorted(cls._scenes(folder) - published)
        if strangers:
            some = issues.first(strangers, 8)
            yield info(f"{name}: of no published split, so not used: scenes {some}")

    @classmethod
    def _check_split(cls, folder, label, numbers, mini, deep, progress):
        clips, errors, there = [], [], []
        for scene in issues.to_open(numbers, True, label, progress):
            before = len(clips) + len(errors)
            with issues.noted(errors):
                for found in cls._find(folder, scene):
                    with issues.noted(errors):
                        clips.append(cls._measure(*found))
            if len(clips) + len(errors) > before:
                there.append(scene)
        text = f"{issues.count(clips, 'whole clip')} of {issues.count(there, 'scene')}"
        whole = f" (published: {CLIPS_A_SCENE * len(numbers)} of {len(numbers)})"
        yield info(f"{label}: {text}{'' if mini else whole}")
        missing = [n for n in numbers if n not in there]
        if missing:
            some = issues.first(missing, 8)
            yield Issue(f"{label}: {issues.count(missing, 'scene')} missing: {some}")
        for what, names in by_kind(errors, folder).items():
            things = issues.count(names, "thing")
            yield Issue(f"{label}: {things} wrong: {issues.first(names)}: {what}")
        few = [s for s in there if sum(c.scene == s for c in clips) < CLIPS_A_SCENE]
        if few and not errors:
            text = f"{issues.count(few, 'scene')} with fewer than {CLIPS_A_SCENE} clips"
            text = f"{label}: {text}: {issues.first(few, 8)}"
            yield info(text) if mini else Issue(text)
        yield from cls._check_more(folder, label, clips, deep)

    @classmethod
    def _check_more(cls, folder, label, clips, deep):
        yield from ()


def open_clip(path, channels_last) -> np.ndarray:
    """A stored clip as a read-only memory map.

    Raises:
        DataError: it is missing, cut short, or no clip of four planes of a type that we read.
    """
    path = Path(path)
    try:
        clip = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as e:
        todo = "complete the scene; `lowlight data check ROOT` lists all that is missing"
        raise DataError("is missing", file=path, todo=todo) from e
    except _UNREADABLE as e:
        what = f"is cut short, or no array that can be mapped ({e})"
        raise DataError(what, file=path, todo="copy it again") from e
    if (clip.dtype.kind, clip.dtype.itemsize) not in (("u", 2), ("f", 2), ("f", 4), ("f", 8)):
        raise DataError(f"holds {clip.dtype}, not uint16", file=path, todo="store it as uint16")
    planes = "(T, H, W, 4)" if channels_last else "(T, 4, H, W)"
    if clip.ndim != 4 or clip.shape[-1 if channels_last else 1] != 4:
        what = f"is {clip.shape}, not four packed planes {planes}"
        todo = "pack the mosaics with sensor.cfa.pack_mosaic"
        raise DataError(what, file=path, todo=todo)
    return clip


def folders(place):
    """The folders in a place, sorted, without hidden ones; none where it does not exist."""
    if not place.is_dir():
        return []
    return sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))


def _frames(frames):
    return [int(frames)] if isinstance(frames, int | np.integer) else frames


def by_kind(errors, folder):
    """{what is wrong: the files' names below the data set}."""
    table = defaultdict(list)
    for e in errors:
        path = Path(e.file)
        inside = path.is_relative_to(folder)
        table[e.what].append(path.relative_to(folder).as_posix() if inside else str(path))
    return table
