"""LLRVD and SMOID in the layouts that BRVE publishes, real or mini.

    LLRVD/ratio_noisy_all/35/125/lq.npy   (T, H, W, 4) uint16, planes R, G1, G2, B
    LLRVD/ratio_gt/35/gt.npy              the same scene without noise, one for all ratios
    LLRVD/ISP_info/35/1.npy               white balance and colour matrix of frame 1, and so on
    SMOID/_Scene6/Gain30Gain0/Dark/RAW/raw_input.npy     (T, 4, H, W) uint16, planes G2, R, G1, B
    SMOID/_Scene6/Gain30Gain0/Bright/RAW/raw_target.npy

Source: LLRVD: Fu et al., "Low-light Raw Video Denoising with a High-quality Realistic Motion
Dataset", IEEE TMM 2023; SMOID: Jiang & Zheng, "Learning to See Moving Objects in the Dark", ICCV
2019; splits, levels and planes: Zhang et al., CVPR 2024, released code.
"""

import functools
import re

import numpy as np

from ..errors import DataError
from ..io import pickles
from .video import VideoDataset

RATIOS = (100, 125, 160, 200, 250, 320)  # of LLRVD, three of them a scene
GAIN_RATIOS = {"0": 80.0, "15": 15.0, "30": 2.5}  # SMOID: gain in dB -> what light is still missing
_LARGEST = 1e6  # number of a camera's colours
_RATIO = re.compile(r"\d{1,6}(\.\d{1,6})?")


def _splits(last, val, test):
    """The published scene numbers; those up to the last in neither of two are of the third."""
    train = sorted({*range(1, last + 1)} - {*val, *test})
    return {"train": tuple(train), "val": val, "test": test}


class LlrvdDataset(VideoDataset):
    """LLRVD: 70 scenes of a Sony A7R IV at three ratios each; see `VideoDataset`."""

    folder_name = "LLRVD"
    places = ("ratio_noisy_all/{}", "ratio_gt/{}")
    named_by = "a ratio, a number such as 125"
    levels = (512, 15360)
    channels_last = True
    planes = (0, 1, 1, 2)
    camera = "Sony A7R IV"
    splits = _splits(70, (7, 14, 21, 28), (35, 42, 49, 56, 63, 70))

    def isp(self, i):
        clip = self.pairs[i]
        if not (folder := self._info(clip.scene)).is_dir():
            return None
        frames = [read_isp_info(folder / f"{k}.npy") for k in range(1, clip.frames + 1)]
        return tuple(map(np.stack, zip(*frames, strict=True)))

    def lacks(self, note):
        yield from super().lacks(note)
        infos = [self._info(n) for n in sorted({c.scene for c in self.pairs})]
        if bare := [folder for folder in infos if not folder.is_dir()]:
            what = f"{len(bare)} scenes have no display parameters, so grey-world colours"
            yield f"{what}: copy {bare[0]} and its like"

    def inspections(self):
        one_a_scene = {clip.scene: i for i, clip in enumerate(self.pairs)}
        return [functools.partial(self.isp, i) for i in one_a_scene.values()]

    def _info(self, scene):
        return self.folder / f"ISP_info/{scene}"

    def _clip(self, scene, name):
        if not _RATIO.fullmatch(name) or not float(name):
            return None
        dark, bright = (self.folder / place.format(scene) for place in self.places)
        files, ratio = (dark / name / "lq.npy", bright / "gt.npy"), float(name)
        return f"{scene}/{name}", f"{ratio:g}", ratio, *files


class SmoidDataset(VideoDataset):
    """SMOID: 103 scenes of a rig of two cameras at three gains each; see `VideoDataset`."""

    folder_name = "SMOID"
    places = ("_Scene{}",)
    named_by = f"a gain: {', '.join(f'Gain{gain}Gain0' for gain in GAIN_RATIOS)}"
    levels = (0, 65535)
    channels_last = False
    planes = (1, 0, 1, 2)  # as the released display code has them: G2, R, G1, B of an RGGB cell
    order = (2, 0, 1, 3)
    camera = "SMOID's two-camera rig"
    fps = 15
    whole = 320
    splits = _splits(
        103,
        val=(1, 2, 3, 13, 16, 19, 23, 30, 33, 40, 53, 56, 72, 74, 77, 81),
        test=(6, 7, 8, 17, 18, 22, 34, 44, 46, 54, 60, 66, 73, 78, 93, 96, 98),
    )

    def _clip(self, scene, name):
        gain = name.removeprefix("Gain").removesuffix("Gain0")
        if gain not in GAIN_RATIOS or name != f"Gain{gain}Gain0":
            return None
        place = self.folder / f"_Scene{scene}" / name
        files = place / "Dark/RAW/raw_input.npy", place / "Bright/RAW/raw_target.npy"
        return f"_Scene{scene}/{name}", gain, GAIN_RATIOS[gain], *files


def read_isp_info(path) -> tuple[np.ndarray, np.ndarray]:
    """What LLRVD says of one frame: float32 gains (3,) for r, g, b, of its `wb`, R, G, B and the
    second G; and its `ccm`, camera RGB -> sRGB (3, 3), the identity where it has none. DataError
    for what is damaged."""
    found = pickles.load_npy(path)
    todo = f"it is a dict of wb (R, G, B, G, above 0) and ccm (3, 3), none beyond {_LARGEST:g}"
    if not isinstance(found, dict) or "wb" not in found:
        raise DataError(f"has no white balance wb: {found!r:.200}", file=path, todo=todo)
    try:
        gains = np.array(found["wb"], np.float64).ravel()
        ccm = np.array(found.get("ccm", np.eye(3)), np.float64).reshape(3, 3)
    except (TypeError, ValueError, OverflowError) as e:
        raise DataError(f"holds what is no array of numbers ({e})", file=path, todo=todo) from e
    finite = (np.abs([*gains, *ccm.flat]) <= _LARGEST).all()
    if len(gains) not in (3, 4) or not (finite and (gains[:3] >= 1 / _LARGEST).all()):
        what = f"has gains {gains} and a matrix {ccm.tolist()}"
        raise DataError(what[:300], file=path, todo=todo)
    if len(gains) == 4:  # 0 says that the second green is as the first, in LibRaw's way
        gains[1] = (gains[1] + gains[3]) / 2 if gains[3] else gains[1]
    return gains[:3].astype(np.float32), ccm.astype(np.float32)
