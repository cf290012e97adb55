"""Raw video: what LLRVD and SMOID share; llrvd_smoid.py says how each of them is stored.

Source: Zhang et al., "Binarized Low-light Raw Video Enhancement", CVPR 2024, released code.
"""

import functools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..io.arrays import map_array
from ..models import Task
from ..sensor import display
from .base import Dataset, gather, random_lines, read_note, turn

CLIPS_A_SCENE = 3  # ratios of LLRVD, gains of SMOID


@dataclass(frozen=True)
class VideoClip:
    """A dark clip and its target."""

    name: str  # "35/125" or "_Scene6/Gain30Gain0"
    scene: int  # published number
    group: str  # "125" or "30": scores are averaged per group, then over the groups
    ratio: float  # the amplification that makes up for the missing light
    input: Path  # a file, as the target
    target: Path
    frames: int
    height: int  # of the packed planes
    width: int


class VideoDataset(Dataset):
    """Clips of packed raw frames with their targets.

    A split is the published one, as far as its scenes are there. DataError where one of them is not
    whole, or none is there. `levels` are (black, white) of the stored values.
    """

    task = Task.RAW_VIDEO
    recipe_options = ("levels",)
    channels_last: bool  # stored as (T, H, W, 4) instead of (T, 4, H, W)
    planes: tuple[int, ...]  # the colours of the four planes: 0 R, 1 G, 2 B
    places: tuple[str, ...]  # the folders of a scene, of which the first holds one a ratio or gain
    named_by: str  # what those are named by
    fps = 10  # at which its films are shown
    whole = 0  # frames are published as seen whole where no side is larger, in packed pixels
    order: tuple[int, ...] | None = None  # each plane's place in the 2x2 cell, to be demosaiced

    def __init__(self, data_root, split, *, levels=None):
        opener = functools.partial(open_clip, channels_last=self.channels_last)
        super().__init__(data_root, split, opener)
        self.levels = tuple(map(float, levels or self.levels))
        self.camera = str(read_note(self.folder).get("camera", self.camera))
        self.pairs = [c for clips in gather(self._find, self.splits[split]) for c in clips]
        if not self.pairs:
            what = f"holds no scene of the split {split} {self.splits[split][:6]}"
            todo = "complete the data set, or make mini data with `lowlight data mini ROOT`"
            raise DataError(what, file=self.folder, todo=todo)

    def _find(self, scene):
        """The clips of a scene, if it is there; DataError for what is damaged or misnamed."""
        places = [self.folder / place.format(scene) for place in self.places]
        names = sorted(p.name for p in places[0].glob("[!.]*") if p.is_dir())
        if not names and any(place.is_dir() for place in places):
            what = f"holds no folder named by {self.named_by}"
            raise DataError(what, file=places[0], todo="complete the scene")
        clips = []
        for name in names:
            found = self._clip(scene, name)
            if found is None:
                what = f"is not named by {self.named_by}"
                raise DataError(what, file=places[0] / name, todo="rename it, or move it away")
            colours = -1 if self.channels_last else 1
            shapes = (open_clip(path, self.channels_last).shape for path in found[3:])
            sizes = [np.delete(shape, colours).tolist() for shape in shapes]
            if sizes[0] != sizes[1]:
                mine, other = ("{} frames of {}x{}".format(*size) for size in sizes)
                what = f"holds {mine}, but its {found[4].name} {other}"
                raise DataError(what, file=found[3], todo="copy both again: they are not of a kind")
            clips.append(VideoClip(found[0], scene, *found[1:], *sizes[0]))
        return sorted(clips, key=lambda clip: float(clip.group))

    def _clip(self, scene, name):
        """(name, group, ratio, input, target) of a folder of a scene; None for another name."""
        raise NotImplementedError

    def lacks(self, note):
        there, published = Counter(c.scene for c in self.pairs), self.splits[self.split]
        wanted = [n for n in published if n in note.get("scenes", published)]
        if few := tuple(n for n in wanted if there[n] < CLIPS_A_SCENE):
            what = f"{len(few)} of {len(wanted)} scenes have fewer than {CLIPS_A_SCENE} clips"
            yield f"{what}, such as {few[:6]}: copy them"

    def name(self, i) -> str:
        return self.pairs[i].name.replace("/", "_")

    def stored_input(self, i) -> np.ndarray:
        """The dark clip as stored, a memory map: (T, H, W, 4) of LLRVD, (T, 4, H, W) of SMOID."""
        return self._map(self.pairs[i].input)

    def input(self, i, frames: slice | int | list[int] = slice(None), ratio=None) -> np.ndarray:
        """The dark clip normalised, multiplied by its or another ratio, clipped to [0, 1]: float32
        (T, 4, H, W), T = 1 for an index; DataError for floats that are not finite."""
        clip = self.pairs[i]
        return self._signal(clip.input, (_frames(frames),), clip.ratio if ratio is None else ratio)

    def target(self, i, frames: slice | int | list[int] = slice(None)) -> np.ndarray:
        """The target normalised and clipped to [0, 1], float32 (T, 4, H, W)."""
        return self._signal(self.pairs[i].target, (_frames(frames),), 1)

    def isp(self, i) -> tuple[np.ndarray, np.ndarray] | None:
        """White-balance gains (T, 3), r, g, b, and colour matrices (T, 3, 3) of the frames of a
        clip, or None where there are none; DataError for some of them only, or damaged ones."""
        return None

    def pictures(self, i, packed=None, frames=slice(None), colours=None) -> np.ndarray:
        """Frames of a clip as pictures, through the display ISP with its white balance and matrix,
        or grey-world gains of its first target frame where the data set has none.

        Args:
            packed: float (T, 4, H, W) in [0, 1] of these `frames`; None is the target.
            colours: `isp(i)`, for who shows a clip part by part: it reads a file a frame.
        Returns float32 (T, H, W, 3) in [0, 1], at half the mosaic's resolution, SMOID's at all.
        """
        frames = _frames(frames)
        packed = self.target(i, frames) if packed is None else packed
        colours = colours or self.isp(i)
        gains, ccm = (values[frames] for values in colours) if colours else (None, None)
        if gains is None:
            gains = display.grey_world(self.target(i, 0)[0], self.planes)
        return display.display(packed, gains, ccm, planes=self.planes, order=self.order)

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
        part = part.transpose(0, 3, 1, 2) if self.channels_last else part
        for axis, lines in zip((0, 2, 3), where):  # noqa: B905  (frames alone will do)
            part = part[(slice(None),) * axis + (lines,)]
        black, white = self.levels
        x = part.astype(np.float32, order="C")
        scaled = part.dtype.kind == "f" and white > 1 and x.max(initial=0) <= 1 and (x % 1).any()
        if scaled or (part.dtype.kind == "f" and not np.isfinite(x).all()):
            what = "holds values that are not finite, or no DN: all are below 1, and white is not"
            raise DataError(what, file=path, todo="make it again from the raw frames")
        x -= np.float32(black)
        x *= np.float32(ratio / (white - black))
        return np.clip(x, 0, 1, out=x)


def open_clip(path, channels_last) -> np.ndarray:
    """A stored clip as a read-only memory map; DataError for what is missing, or no clip."""
    if not Path(path).exists():
        raise DataError("is missing", file=path, todo="complete the scene")
    clip = map_array(path)
    if (clip.dtype.kind, clip.dtype.itemsize) not in (("u", 2), ("f", 2), ("f", 4), ("f", 8)):
        raise DataError(f"holds {clip.dtype}, not uint16", file=path, todo="store it as uint16")
    planes = "(T, H, W, 4)" if channels_last else "(T, 4, H, W)"
    if clip.ndim != 4 or clip.shape[-1 if channels_last else 1] != 4:
        what = f"is {clip.shape}, not four packed planes {planes}"
        raise DataError(what, file=path, todo="pack the mosaics with sensor.cfa.pack_mosaic")
    return clip


def _frames(frames):
    return [int(frames)] if isinstance(frames, int | np.integer) else frames
