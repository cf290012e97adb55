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

from __future__ import annotations

import re

from ..errors import DataError
from . import isp_info, issues
from .issues import Issue, info
from .video import VideoDataset, by_kind, folders

RATIOS = (100, 125, 160, 200, 250, 320)  # of LLRVD, three of them a scene
GAIN_RATIOS = {"0": 80.0, "15": 15.0, "30": 2.5}  # SMOID: gain in dB -> what light is still missing
_RATIO = re.compile(r"\d{1,6}(\.\d{1,6})?")


def _splits(last, val, test):
    """The published scene numbers; those up to the last in neither of two are of the third."""
    train = sorted({*range(1, last + 1)} - {*val, *test})
    return {"train": tuple(train), "val": val, "test": test}


class LlrvdDataset(VideoDataset):
    """LLRVD: 70 scenes of a Sony A7R IV at three ratios each; see `VideoDataset`."""

    folder_name = "LLRVD"
    levels = (512, 15360)
    channels_last = True
    planes = (0, 1, 1, 2)
    camera = "Sony A7R IV"
    splits = _splits(70, (7, 14, 21, 28), (35, 42, 49, 56, 63, 70))

    def isp(self, i):
        folder = self.folder / "ISP_info" / str(self.pairs[i].scene)
        return isp_info.read_frames(folder, self.pairs[i].frames) if folder.is_dir() else None

    @classmethod
    def _find(cls, folder, scene):
        dark, bright = folder / f"ratio_noisy_all/{scene}", folder / f"ratio_gt/{scene}"
        names = [p.name for p in folders(dark)]
        good = [n for n in names if _RATIO.fullmatch(n) and float(n) > 0]
        for name in sorted(good, key=float):
            files, ratio = (dark / name / "lq.npy", bright / "gt.npy"), float(name)
            yield f"{scene}/{name}", scene, f"{ratio:g}", ratio, *files
        _refuse(dark, [n for n in names if n not in good], "a ratio, a number such as 125")
        if bright.is_dir() and not names:
            raise DataError(
                "holds no ratio folder such as 125", file=dark, todo="complete the scene"
            )

    @classmethod
    def _scenes(cls, folder):
        places = [p for d in ("ratio_gt", "ratio_noisy_all") for p in folders(folder / d)]
        return {int(p.name) for p in places if p.name.isdecimal()}

    @classmethod
    def _check_more(cls, folder, label, clips, deep):
        odd = sorted({c.group for c in clips} - set(map(str, RATIOS)), key=float)
        if odd:
            some = issues.first(odd, 8)
            yield info(f"{label}: ratios that the published set has not: {some}")
        lacking, errors, read = [], [], []
        for scene, frames in {c.scene: c.frames for c in clips}.items():
            paths = [folder / f"ISP_info/{scene}/{k}.npy" for k in range(1, frames + 1)]
            lacking += [p for p in paths if not p.is_file()]
            for path in paths if deep else paths[:1]:
                if path.is_file():
                    with issues.noted(errors):
                        read.append(isp_info.read_frame(path))
        if lacking:
            names = issues.first([p.relative_to(folder).as_posix() for p in lacking])
            text = f"{issues.count(lacking, 'file')} of display parameters missing: {names}"
            yield Issue(
                f"{label}: {text}; without any of a scene its pictures get grey-world colours"
            )
        for what, names in by_kind(errors, folder).items():
            yield Issue(f"{label}: {len(names)} wrong: {issues.first(names)}: {what}")
        if read:
            text = f"{issues.count(read, 'file')} of display parameters opened and read"
            yield info(f"{label}: {text}")


class SmoidDataset(VideoDataset):
    """SMOID: 103 scenes of a rig of two cameras at three gains each; see `VideoDataset`."""

    folder_name = "SMOID"
    levels = (0, 65535)
    channels_last = False
    planes = (1, 0, 1, 2)  # as the released display code has them: G2, R, G1, B of an RGGB cell
    camera = "SMOID's two-camera rig"
    splits = _splits(
        103,
        val=(1, 2, 3, 13, 16, 19, 23, 30, 33, 40, 53, 56, 72, 74, 77, 81),
        test=(6, 7, 8, 17, 18, 22, 34, 44, 46, 54, 60, 66, 73, 78, 93, 96, 98),
    )

    @classmethod
    def _find(cls, folder, scene):
        place = folder / f"_Scene{scene}"
        for gain, ratio in GAIN_RATIOS.items():
            inner = place / f"Gain{gain}Gain0"
            if inner.is_dir():
                files = inner / "Dark/RAW/raw_input.npy", inner / "Bright/RAW/raw_target.npy"
                yield f"_Scene{scene}/Gain{gain}", scene, gain, ratio, *files
        known = [f"Gain{gain}Gain0" for gain in GAIN_RATIOS]
        names = [p.name for p in folders(place)]
        _refuse(place, [n for n in names if n not in known], f"a gain: {', '.join(known)}")
        if place.is_dir() and not names:
            what = "holds no gain folder such as Gain30Gain0"
            raise DataError(what, file=place, todo="complete the scene")

    @classmethod
    def _scenes(cls, folder):
        names = [p.name for p in folders(folder)]
        return {int(n[6:]) for n in names if n.startswith("_Scene") and n[6:].isdecimal()}


def _refuse(place, names, what):
    if names:
        todo = "rename it, or move it away"
        raise DataError(f"is not named by {what}", file=place / names[0], todo=todo)
