"""Raw video: how clips are fed, scored and shown."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

import torch

from ..io.movies import Frames, need_ffmpeg
from ..restore import clip as clips
from .base import Evaluation
from .baselines import FRAMES, SIDE
from .metrics import score_raw
from .results import mean
from .strred import SMALLEST, Strred

_EACH = ("psnr", "ssim", "strred")
SCORES = tuple(of + name for of in ("", "baseline_", "rival_") for name in _EACH)


@dataclass(kw_only=True)
class Video(Evaluation):
    """Clips of raw video, scored on raw. The baseline is the amplified input.

    Pictures, by the data set's display ISP, are CLIP/00000000.png, ... (the result) and CLIP.mp4.
    """

    m: float = 5.0  # brightness of the estimate, which is one for each clip
    levels: tuple[float, float] | None = None  # not the layout's own; by default the training's
    seed: int = 0  # of torch, for a network that draws numbers
    piece: int = clips.PIECE  # this and the next see `clip.enhance`; as published, but blended
    tile: int | None = None  # by default as published: 256, and None, the whole, for SMOID
    overlap: int = clips.OVERLAP
    seams: str = "blended"
    result_only: bool = False  # in the mp4

    def data_options(self):
        return {"levels": self.levels}

    def begin(self):
        if self.folder:
            need_ffmpeg()
        torch.manual_seed(self.seed)
        if self.tile is None:
            first = self.data.pairs[0]
            self.tile = clips.published_tile(type(self.data), first.height, first.width)

    def example(self, data, i):
        sides = slice(0, FRAMES), slice(None), slice(0, SIDE // 2), slice(0, SIDE // 2)
        frames = slice(0, FRAMES)
        return data.input(i, frames)[sides], data.target(i, frames)[sides]

    def score(self, i):
        data, clip = self.data, self.data.pairs[i]
        levels: tuple[float, float] = data.levels
        asked = self.amplification_of(i)
        factor = clips.find_clip_amplification(data.stored_input(i), *levels, *asked)

        def read(frames):
            return data.input(i, frames, factor)

        ours, baseline, rival = (_Scores(self.protocol) for _ in range(3))
        place = self.folder, data.name(i)
        album = Frames(*place, fps=data.fps) if self.folder else contextlib.nullcontext()
        tiles = {k: getattr(self, k) for k in ("piece", "tile", "overlap", "seams")}
        seconds, began = 0.0, time.perf_counter()
        with album as pictures:
            colours = data.isp(i) if pictures else None
            for start, result in clips.enhance(self.network, read, clip.frames, **tiles):
                seconds += time.perf_counter() - began
                where = slice(start, start + len(result))
                dark, target = read(where), data.target(i, where)
                ours.add(result, target)
                baseline.add(dark, target)
                if self.rival:
                    denoised = self.rival.clip(read, where.start, where.stop, clip.frames)
                    rival.add(denoised.clip(0, 1), target)
                for t in range(0, len(result) if pictures else 0, clips.AT_A_TIME):
                    part = slice(t, t + clips.AT_A_TIME)
                    some = [v[part].clip(0, 1) for v in (dark, result, target)]
                    frames = slice(start + t, start + t + len(some[0]))
                    views = [data.pictures(i, v, frames, colours) for v in some]
                    for shown in zip(*views, strict=True):
                        assert pictures is not None
                        pictures.add(shown[1], shown[1:2] if self.result_only else shown)
                del result, dark, target  # the next piece needs their place
                began = time.perf_counter()
        row = {"name": clip.name, "scene": clip.scene, "group": clip.group, "ratio": clip.ratio}
        row |= {"amplification": factor}
        scores = ours.result()
        for name, other in (("baseline", baseline), ("rival", rival)):
            scores |= {f"{name}_{k}": v for k, v in other.result().items()}
        return row | {"frames": clip.frames, **scores, "seconds": seconds / clip.frames}

    def summary(self, rows):
        per_group, frames = {}, sum(r["frames"] for r in rows)
        for group in sorted({r["group"] for r in rows}, key=float):
            clips = [r for r in rows if r["group"] == group]
            per_group[group] = _means(clips) | {"clips": len(clips)}
        seconds = sum(r["seconds"] * r["frames"] for r in rows) / frames
        whole = {"camera": self.data.camera, "frames": frames} | self.of_all(rows)
        whole |= _means(per_group.values())
        return whole | {"per_group": per_group, "seconds_per_image": seconds}


class _Scores:
    """Scores of a clip that comes in pieces."""

    def __init__(self, protocol):
        self.protocol, self.psnr, self.ssim = protocol, [], []
        self.planes = [Strred() for _ in range(4)]

    def add(self, frames, target):
        psnr, ssim = score_raw(frames, target, self.protocol.name)
        self.psnr += psnr.tolist()
        self.ssim += ssim.tolist()
        if min(target.shape[2:]) < SMALLEST:
            self.planes = []
        for c, plane in enumerate(self.planes):
            seen = frames[:, c] if self.protocol.joint else frames[:, c].clip(0, 1)
            plane.add(target[:, c], seen)

    def result(self):
        found = [p.result()[1] for p in self.planes] if len(self.psnr) > 1 else []
        strred = mean(found) if found else None
        psnr, ssim = (mean(v) if v else None for v in (self.psnr, self.ssim))
        return {"psnr": psnr, "ssim": ssim, "strred": strred}


def _means(rows):
    """The mean of each score over rows; None where no row has it."""
    found = {k: [r[k] for r in rows if r[k] is not None] for k in SCORES}
    return {k: mean(v) if v else None for k, v in found.items()}
