"""Where the clips of LLRVD and SMOID lie, which scenes belong to which split, and what a file is.

Source: Zhang et al., "Binarized Low-light Raw Video Enhancement", CVPR 2024, released code.
"""

from __future__ import annotations

import re
import tokenize
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError

_UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError)
_UNREADABLE += (MemoryError, RecursionError)  # what numpy raises at damaged headers
_NUMBER = re.compile(r"\d{1,6}(\.\d{1,6})?")
GAIN_RATIOS = {"0": 80.0, "15": 15.0, "30": 2.5}  # SMOID: gain in dB -> what light is still missing


def _rest(last, *parts):
    """1..last without the scenes of the other parts."""
    return tuple(sorted(set(range(1, last + 1)).difference(*parts)))


_LLRVD = {"val": (7, 14, 21, 28), "test": (35, 42, 49, 56, 63, 70)}
_SMOID = {
    "val": (1, 2, 3, 13, 16, 19, 23, 30, 33, 40, 53, 56, 72, 74, 77, 81),
    "test": (6, 7, 8, 17, 18, 22, 34, 44, 46, 54, 60, 66, 73, 78, 93, 96, 98),
}


@dataclass(frozen=True)
class Layout:
    """How a data set is stored.

    Attributes:
        folder: its folder below the data root.
        levels: (black, white) of the stored values.
        channels_last: (T, H, W, 4) instead of (T, 4, H, W).
        planes: the colours of the four planes (0 R, 1 G, 2 B), which differ between the two.
        camera: who took it, where no note in the folder says otherwise.
        splits: the published scene numbers.
    """

    folder: str
    levels: tuple[float, float]
    channels_last: bool
    planes: tuple[int, int, int, int]
    camera: str
    splits: dict[str, tuple[int, ...]]


LAYOUTS = {
    "llrvd": Layout(
        "LLRVD", (512, 15360), True, (0, 1, 1, 2), "Sony A7R IV",
        {"train": _rest(70, *_LLRVD.values()), **_LLRVD},
    ),
    "smoid": Layout(
        # As the released display code has them: G2, R, G1, B of an RGGB cell.
        "SMOID", (0, 65535), False, (1, 0, 1, 2), "SMOID's two-camera rig",
        {"train": _rest(103, *_SMOID.values()), **_SMOID},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class VideoClip:
    """A dark clip and its target.

    Attributes:
        name: "35/125" or "_Scene6/Gain30".
        scene: published number.
        group: "125" or "30": scores are averaged per group, then over the groups.
        ratio: the amplification that makes up for the missing light.
        lq, gt: the two arrays.
        frames, height, width: of both; height and width of the packed planes.
    """

    name: str
    scene: int
    group: str
    ratio: float
    lq: Path
    gt: Path
    frames: int
    height: int
    width: int


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
        raise DataError(
            f"is cut short, or no array that can be mapped ({e})", file=path, todo="copy it again"
        ) from e
    if (clip.dtype.kind, clip.dtype.itemsize) not in (("u", 2), ("f", 2), ("f", 4), ("f", 8)):
        raise DataError(f"holds {clip.dtype}, not uint16", file=path, todo="store it as uint16")
    planes = "(T, H, W, 4)" if channels_last else "(T, 4, H, W)"
    if clip.ndim != 4 or clip.shape[-1 if channels_last else 1] != 4:
        raise DataError(
            f"is {clip.shape}, not four packed planes {planes}", file=path,
            todo="pack the mosaics with sensor.cfa.pack_mosaic",
        )  # fmt: skip
    return clip


def find_clips(dataset, folder, scene):
    """What there is of a scene.

    Args:
        dataset: "llrvd" or "smoid".
        folder: LLRVD/ or SMOID/.
        scene: its number.
    Yields:
        (name, scene, group, ratio, lq, gt) of each ratio or gain, files there or not, smallest
        first; nothing where there is no such scene.
    Raises:
        DataError: at the end, for a folder that is named by no ratio or gain.
    """
    yield from {"llrvd": _find_llrvd, "smoid": _find_smoid}[dataset](folder, scene)


def _find_llrvd(folder, scene):
    noisy, gt = folder / "ratio_noisy_all" / str(scene), folder / "ratio_gt" / str(scene)
    names = [p.name for p in folders(noisy)]
    good = [n for n in names if _NUMBER.fullmatch(n) and float(n) > 0]
    for name in sorted(good, key=float):
        ratio = float(name)
        yield f"{scene}/{name}", scene, f"{ratio:g}", ratio, noisy / name / "lq.npy", gt / "gt.npy"
    _refuse(noisy, [n for n in names if n not in good], "a ratio, a number such as 125")
    if gt.is_dir() and not names:
        raise DataError("holds no ratio folder such as 125", file=noisy, todo="complete the scene")


def _find_smoid(folder, scene):
    place = folder / f"_Scene{scene}"
    for gain, ratio in GAIN_RATIOS.items():
        inner = place / f"Gain{gain}Gain0"
        if inner.is_dir():
            lq, gt = inner / "Dark/RAW/raw_input.npy", inner / "Bright/RAW/raw_target.npy"
            yield f"_Scene{scene}/Gain{gain}", scene, gain, ratio, lq, gt
    known = [f"Gain{gain}Gain0" for gain in GAIN_RATIOS]
    names = [p.name for p in folders(place)]
    _refuse(place, [n for n in names if n not in known], f"a gain: {', '.join(known)}")
    if place.is_dir() and not names:
        raise DataError("holds no gain folder such as Gain30Gain0", file=place,
                        todo="complete the scene")  # fmt: skip


def _refuse(place, names, what):
    if names:
        todo = "rename it, or move it away"
        raise DataError(f"is not named by {what}", file=place / names[0], todo=todo)


def measure(layout, name, scene, group, ratio, lq, gt) -> VideoClip:
    """A clip of `find_clips`, once both its arrays are what they should be.

    Raises:
        DataError: one is missing, cut short or of another kind, or they do not fit together.
    """
    shapes = [packed_shape(open_clip(p, layout.channels_last), layout.channels_last)
              for p in (lq, gt)]  # fmt: skip
    if shapes[0] != shapes[1]:
        mine, other = (f"{t} frames of {h}x{w}" for t, h, w in shapes)
        raise DataError(
            f"holds {mine}, but its {gt.name} {other}", file=lq,
            todo="copy both again: frames are missing, or they are not of one scene",
        )  # fmt: skip
    return VideoClip(name, scene, group, ratio, lq, gt, *shapes[0])


def folders(place) -> list[Path]:
    """The folders in a place, sorted, without hidden ones; none where it does not exist."""
    place = Path(place)
    if not place.is_dir():
        return []
    return sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))


def packed_shape(clip, channels_last):
    """(frames, height, width) of a stored clip."""
    t, *planes = clip.shape
    return (t, *planes[:2]) if channels_last else (t, *planes[1:])
