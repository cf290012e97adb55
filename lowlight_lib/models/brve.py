"""BRVE: "Binarized Low-light Raw Video Enhancement" (Zhang, Zhang, Yuan & Fu, CVPR 2024).

Features of each frame alone (stage 0), then of each frame with its neighbours (stage 1, where the
only way between frames is a shift), then the picture from both (stage 2). All convolutions are
binary but the first, the last, and the 1x1 skips where the number of channels changes.
Built in notebooks/07_binary_networks, sections 3 and 4, and 08_shifts.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks.binary import BinaryTransition, BinaryUNet, DABC2d, Gradient, row
from ..blocks.padding import run_padded
from ..blocks.shift import ShiftStep, per_frame, temporal_shift
from ..errors import OptionError, ShapeError
from .brve_stream import BrveStream, stage_units
from .spec import Card, Spec, Task

GAIN = 130 * 24 / 64  # 48.75: makes the input as large as binary layers' residuals
SHIFTS = ("released", "intended", "temporal", "none")


class ShiftUNet(nn.Module):
    """Four scales over a window of three frames: stage 1."""

    def __init__(self, c, shift, transition, block):
        super().__init__()
        widths = (c, 2 * c, 2 * c, 2 * c)
        self.shifts = shift != "none"
        self.conv_in = block(c)
        self.encoders = nn.ModuleList(row(block, w, 2) for w in widths)
        self.downs = nn.ModuleList(transition(*w, "down") for w in pairwise(widths))
        self.skips = nn.ModuleList(block(w) for w in widths[:3])

        def four_steps():
            steps = (ShiftStep(2 * c, shift, k % 2 == 1, transition, block) for k in range(4))
            return nn.ModuleList(steps)

        counts = (3, 2, 2)  # at 1/2, 1/4 and 1/8
        self.decoders = nn.ModuleList(nn.ModuleList(four_steps() for _ in range(n)) for n in counts)
        self.ups = nn.ModuleList(transition(2 * c, w, "up") for w in (c, 2 * c, 2 * c))
        self.merge = transition(2 * c, c)
        self.conv_out = block(c)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, C, H, W)
        y = per_frame(self.conv_in, x)
        kept = [y]  # entered, then as encoded at each scale
        for i in range(4):
            if i:
                y = per_frame(self.downs[i - 1], y)
            for k, encode in enumerate(self.encoders[i].children()):
                if i < 2 and self.shifts:  # no shift at 1/4 and 1/8
                    y = temporal_shift(y, reverse=k == 1)
                y = per_frame(encode, y)
            kept.append(y)
        for i in (3, 2, 1):
            if i < 3:
                y = per_frame(self.ups[i], y) + per_frame(self.skips[i], kept[i + 1])
            for block in self.decoders[i - 1].children():
                for step in block.children():
                    y = step(y)
        y = torch.cat([per_frame(self.ups[0], y), per_frame(self.skips[0], kept[0])], 2)
        return per_frame(lambda z: self.conv_out(self.merge(z)), y)


SPEC = Spec("brve", Task.RAW_VIDEO, channels=4, multiple=8, halo=16)


class Brve(nn.Module):
    """The whole network.

    Args:
        shift: "released" (what the weights were trained with), "intended" (the paper's), or, as
            ablations, "temporal" (no spatial shift) or "none".
        attention, real_skips, gradient: see `blocks.binary`.
        gain: multiplies the input and divides the output.
    Shapes: packed frames (N, T, 4, H, W) or (T, 4, H, W), amplified and clipped to [0, 1], planes
        R, G1, G2, B -> the same shape, not clipped. Any T >= 1 and any H, W.
    """

    def __init__(
        self,
        channels: int = 24,
        shift: Literal["released", "intended", "temporal", "none"] = "released",
        attention: bool = True,
        real_skips: bool = True,
        gain: float = GAIN,
        gradient: Gradient = "quadratic",
    ) -> None:
        super().__init__()
        if shift not in SHIFTS:
            raise OptionError(f"unknown shift {shift!r}", todo=f"use one of {', '.join(SHIFTS)}")
        if type(channels) is not int or channels < 4 or channels % 2:
            raise OptionError(f"channels are an even number of at least 4, not {channels!r}")

        def block(c, kernel=3):
            return DABC2d(c, kernel, attention=attention, gradient=gradient)

        def transition(c_in, c_out, resize=None):
            return BinaryTransition(c_in, c_out, resize, real_skip=real_skips, gradient=gradient)

        c, self.gain, self.spec = channels, gain, SPEC
        self.conv_in = nn.Conv2d(4, c, 3, padding=1)
        self.features = row(block, c, 3)
        self.stage0 = BinaryUNet(c, transition, block)
        self.stage1 = ShiftUNet(c, shift, transition, block)
        self.fusion = transition(3 * c, c)
        self.stage2 = BinaryUNet(c, transition, block)
        self.conv_out = nn.Conv2d(c, 4, 3, padding=1)

    def forward(self, clip: Tensor) -> Tensor:
        if clip.dim() == 4:
            return self(clip[None])[0]
        if clip.dim() != 5 or clip.shape[2] != 4 or not clip.shape[1]:
            raise ShapeError(f"a clip is (N, T, 4, H, W) or (T, 4, H, W), got {tuple(clip.shape)}")
        size = clip.shape[:2]
        y = run_padded(lambda x: self._restore(x, size), clip.flatten(0, 1), self.spec.multiple)
        return y.unflatten(0, size)

    def _restore(self, x, size):  # (N T, 4, H, W), sides multiples of 8
        x, t = x.unflatten(0, size), size[1]
        x = torch.cat([x, *[x[:, -1:]] * (3 - t)], 1)  # fewer than 3: the last frame again
        first, deep = (y.unflatten(0, x.shape[:2]) for y in self.extract(x.flatten(0, 1)))
        window, aligned = [deep[:, 0], deep[:, 1]], []
        for r in range(2, x.shape[1]):
            left, *window = self.align(*window, deep[:, r])
            aligned.append(left)
        aligned = torch.stack(aligned + window, 1)
        y = self.reconstruct(*(v.flatten(0, 1) for v in (x, first, deep, aligned)))
        return y.unflatten(0, x.shape[:2])[:, :t].flatten(0, 1)

    def extract(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 4, H, W) -> features (N, C, H, W) and those of stage 0; each frame by itself."""
        first = self.features(F.leaky_relu(self.conv_in(frames * self.gain), 0.1))
        return first, self.stage0(first)

    def align(self, left: Tensor, middle: Tensor, right: Tensor) -> tuple[Tensor, ...]:
        """Features of three frames, each (N, C, H, W) -> the same, each knowing of the others.

        The left one is done; the other two are the next window's left and middle.
        """
        return self.stage1(torch.stack([left, middle, right], 1)).unbind(1)

    def reconstruct(self, frames: Tensor, first: Tensor, deep: Tensor, aligned: Tensor) -> Tensor:
        """Frames and all features of them -> enhanced frames (N, 4, H, W)."""
        y = self.stage2(self.fusion(torch.cat([first, deep, aligned], 1)))
        return frames + self.conv_out(y) / self.gain

    def stream(self, stages=None):
        """A `BrveStream`: for video without end, in constant memory; by default of this network."""
        return BrveStream(stages or self)

    def export_units(self):
        return stage_units(self)


CARD = Card(
    key="brve",
    spec=SPEC,
    paper="Zhang, Zhang, Yuan, Fu, CVPR 2024",
    year=2024,
    title="Binarized Low-light Raw Video Enhancement",
    network=Brve,
    params=4_508_584,
    effective_params=299_590,
    licence="method and original code MIT",
    sources=("https://github.com/zhanggengchen/BRVE",),
    bench={"full": (10, 4, 128, 128), "medium": (4, 4, 128, 128), "small": (4, 4, 16, 24)},
    int8="its weights have one bit already",
)
