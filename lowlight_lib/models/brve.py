"""BRVE: "Binarized Low-light Raw Video Enhancement" (Zhang, Zhang, Yuan & Fu, CVPR 2024).

Features of each frame alone (stage 0), then of each frame with its neighbours (stage 1, where the
only way between frames is a shift), then the picture from both (stage 2). All convolutions are
binary but the first, the last, and the 1x1 skips where the number of channels changes.
Built in notebooks/06_binarized_conv and 07_shifts.
"""

from __future__ import annotations

import re
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from ..blocks.binary import BinaryTransition, BinaryUNet, DABC2d, row
from ..blocks.padding import pad_to_multiple
from ..blocks.shift import ShiftStep, per_frame, temporal_shift
from ..errors import OptionError, ShapeError
from .brve_stream import BrveStream

GAIN = 130 * 24 / 64  # 48.75: makes the input as large as binary layers' residuals
SHIFTS = ("released", "intended", "temporal", "none")


class ShiftUNet(nn.Module):
    """Four scales over a window of three frames: stage 1."""

    def __init__(self, c, shift, transition, block):
        super().__init__()
        widths = (c, 2 * c, 2 * c, 2 * c)
        self.shifts = shift != "none"
        self.enter = block(c)
        self.encoders = nn.ModuleList(row(block, w, 2) for w in widths)
        self.downs = nn.ModuleList(transition(*w, "down") for w in pairwise(widths))
        self.skips = nn.ModuleList(block(w) for w in widths[:3])
        self.decoders = nn.ModuleList(  # at 1/2, 1/4 and 1/8
            nn.ModuleList(
                nn.ModuleList(
                    ShiftStep(2 * c, shift, k % 2 == 1, transition, block) for k in range(4)
                )
                for _ in range(n)
            )
            for n in (3, 2, 2)
        )
        self.ups = nn.ModuleList(transition(2 * c, w, "up") for w in (c, 2 * c, 2 * c))
        self.merge = transition(2 * c, c)
        self.leave = block(c)

    def forward(self, x):  # (N, 3, C, H, W)
        y = per_frame(self.enter, x)
        kept = [y]  # entered, then as encoded at each scale
        for i in range(4):
            if i:
                y = per_frame(self.downs[i - 1], y)
            for k, encode in enumerate(self.encoders[i]):
                if i < 2 and self.shifts:  # no shift at 1/4 and 1/8
                    y = temporal_shift(y, reverse=k == 1)
                y = per_frame(encode, y)
            kept.append(y)
        for i in (3, 2, 1):
            if i < 3:
                y = per_frame(self.ups[i], y) + per_frame(self.skips[i], kept[i + 1])
            for block in self.decoders[i - 1]:
                for step in block:
                    y = step(y)
        y = torch.cat([per_frame(self.ups[0], y), per_frame(self.skips[0], kept[0])], 2)
        return per_frame(lambda z: self.leave(self.merge(z)), y)


class Brve(nn.Module):
    """The whole network.

    Args:
        channels: of the features; 24 in the paper.
        shift: "released" (what the weights were trained with), "intended" (the paper's), or, as
            ablations, "temporal" (no spatial shift) or "none".
        attention: with the distribution-aware attention.
        real_skips: with the real 1x1 convolutions beside the binary ones.
        gain: multiplies the input and divides the output.
        gradient: of the activations' sign, see `blocks.binary.sign_ste`.
    Shapes: packed frames (N, T, 4, H, W) or (T, 4, H, W), amplified and clipped to [0, 1], planes
        R, G1, G2, B -> the same shape, not clipped. Any T >= 1 (a clip of fewer than three frames
        is continued by its last one) and any H, W (padded by reflection).
    Raises:
        ShapeError: another number of dimensions or planes.
    """

    multiple = 8

    def __init__(
        self,
        channels=24,
        shift="released",
        attention=True,
        real_skips=True,
        gain=GAIN,
        gradient="quadratic",
    ):
        super().__init__()
        if shift not in SHIFTS:
            raise OptionError(f"unknown shift {shift!r}", todo=f"use one of {', '.join(SHIFTS)}")
        if type(channels) is not int or channels < 4 or channels % 2:
            raise OptionError(f"channels are an even number of at least 4, not {channels!r}")

        def block(c, kernel=3):
            return DABC2d(c, kernel, attention=attention, gradient=gradient)

        def transition(c_in, c_out, resize=None):
            return BinaryTransition(c_in, c_out, resize, real_skip=real_skips, gradient=gradient)

        c, self.gain = channels, gain
        self.enter = nn.Conv2d(4, c, 3, padding=1)
        self.features = row(block, c, 3)
        self.stage0 = BinaryUNet(c, transition, block)
        self.stage1 = ShiftUNet(c, shift, transition, block)
        self.fusion = transition(3 * c, c)
        self.stage2 = BinaryUNet(c, transition, block)
        self.leave = nn.Conv2d(c, 4, 3, padding=1)

    def forward(self, clip):
        if clip.dim() == 4:
            return self(clip[None])[0]
        if clip.dim() != 5 or clip.shape[2] != 4 or not clip.shape[1]:
            raise ShapeError(f"a clip is (N, T, 4, H, W) or (T, 4, H, W), got {tuple(clip.shape)}")
        n, t, _, h, w = clip.shape
        x = pad_to_multiple(clip.flatten(0, 1), self.multiple).unflatten(0, (n, t))
        x = torch.cat([x, *[x[:, -1:]] * (3 - t)], 1)  # fewer than 3: the last frame again
        first, deep = (y.unflatten(0, x.shape[:2]) for y in self.extract(x.flatten(0, 1)))
        window, aligned = [deep[:, 0], deep[:, 1]], []
        for r in range(2, x.shape[1]):
            left, *window = self.align([*window, deep[:, r]])
            aligned.append(left)
        aligned = torch.stack(aligned + window, 1)
        y = self.reconstruct(*(v.flatten(0, 1) for v in (x, first, deep, aligned)))
        return y.unflatten(0, x.shape[:2])[:, :t, :, :h, :w]

    def extract(self, frames):
        """(N, 4, H, W) -> features (N, C, H, W) and those of stage 0; each frame by itself."""
        first = self.features(F.leaky_relu(self.enter(frames * self.gain), 0.1))
        return first, self.stage0(first)

    def align(self, window):
        """Features of three frames, each (N, C, H, W) -> the same, each knowing of the others.

        The left one is done; the other two are the next window's left and middle. So each frame is
        seen three times: as the right one, the middle one, the left one.
        """
        return self.stage1(torch.stack(window, 1)).unbind(1)

    def reconstruct(self, frames, first, deep, aligned):
        """Frames and all features of them -> enhanced frames (N, 4, H, W)."""
        y = self.stage2(self.fusion(torch.cat([first, deep, aligned], 1)))
        return frames + self.leave(y) / self.gain

    def stream(self):
        """A `BrveStream`: for video without end, in constant memory."""
        return BrveStream(self)


# The authors' names -> ours, applied one after the other.
_RELEASED = (
    (r"^generator\.", ""),
    (r"^feat_extract\.main\.0", "enter"),
    (r"^feat_extract\.main\.2", "features"),
    (r"^conv_out\.", "leave."),
    (r"^(stage[02])\.0", r"\1"),
    (r"stage1\.conv_in", "stage1.enter"),
    (r"stage1\.conv_hr", "stage1.merge"),
    (r"stage1\.conv_out", "stage1.leave"),
    (r"stage1\.(en|de)coder_level(\d)(?:_(\d))?(?:\.body)?",
     lambda m: f"stage1.{m[1]}coders.{int(m[2]) - (m[1] == 'de')}.{m[3] or 0}"),
    (r"(stage[02]\.\w+coder)_level(\d)", lambda m: f"{m[1]}s.{int(m[2]) - 1}"),
    (r"encoder_(\d)\.main\.0", lambda m: f"{int(m[1]) - 1}.fuse"),
    (r"encoder_(\d)\.main\.1\.0", lambda m: f"{int(m[1]) - 1}.conv"),
    (r"(stage[02])\.skip_conv(\d)", lambda m: f"{m[1]}.skips.{int(m[2]) - 1}"),
    (r"stage1\.skip_conv(\d)", r"stage1.skips.\1"),
    (r"(stage[02])\.down(\d)\d", lambda m: f"{m[1]}.downs.{int(m[2]) - 1}"),
    (r"stage1\.down(\d)\d", r"stage1.downs.\1"),
    (r"(stage[02])\.up\d(\d)\.conv", lambda m: f"{m[1]}.ups.{int(m[2]) - 1}"),
    (r"stage1\.up\d(\d)\.conv", r"stage1.ups.\1"),
    (r"move0\.bias", "threshold"),
    (r"binary_conv", "conv"),
    (r"relu\.pr_bias0\.bias", "act.before"),
    (r"relu\.pr_prelu\.weight", "act.slope"),
    (r"relu\.pr_bias1\.bias", "act.after"),
    (r"daca\.", "attention."),
    (r"conv_skip", "skip"),
)  # fmt: skip


def rename_released(name):
    """The parameter of `Brve` that the released checkpoint calls `name`; ours stay."""
    for pattern, ours in _RELEASED:
        name = re.sub(pattern, ours, name)
    return name
