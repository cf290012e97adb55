"""Shifts: alignment without arithmetic. Channels of the neighbouring frames move in, and copies of
them move about in the frame, so that an ordinary convolution finds what has moved.
Source: Zhang et al., "Binarized Low-light Raw Video Enhancement", CVPR 2024, section 3.2; the
spatial shift from Li et al., "A Simple Baseline for Video Restoration with Grouped Spatial-temporal
Shift", CVPR 2023. Built in notebooks/08_shifts, sections 1, 2 and 5.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import OptionError, ShapeError
from .binary import Layer

OFFSETS = tuple((dy, dx) for dy in range(-8, 9, 4) for dx in range(-8, 9, 4) if dy or dx)
Kind = Literal["released", "intended"]


def temporal_shift(x: Tensor, reverse: bool = False) -> Tensor:
    """Half of each frame's channels come from a neighbour, cyclically.

        forward:  new_t = [second half of frame t-1, first half of frame t]
        reverse:  new_t = [second half of frame t,   first half of frame t+1]

    The two undo each other. Shapes: (N, T, C, H, W), C even -> the same; else ShapeError.

    >>> x = torch.arange(6.0).view(1, 3, 2, 1, 1)
    >>> temporal_shift(x).flatten().tolist()
    [5.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    """
    if x.dim() != 5 or x.shape[2] % 2:
        raise ShapeError(f"frames are (N, T, C, H, W) with an even C, got {tuple(x.shape)}")
    half = x.shape[2] // 2
    return torch.roll(x.flatten(1, 2), -half if reverse else half, 1).view_as(x)


def spatial_shift(x: Tensor, kind: Kind = "released") -> Tensor:
    """Move channels about by whole pixels; zeros come in from outside.

    "intended": the C channels are dealt to 24 groups, and each group moves to one of the 24
    non-zero offsets (dy, dx) in {-8, -4, 0, 4, 8}^2: a fan of guesses where things have gone.

    "released": what the authors' code does, and their weights expect: written for (C, H, W), it is
    given (T, C, H, W), so *channels* move by 8, *rows* by 8, 4 and 0 in frames 0, 1 and 2, columns
    never, and the first 8 channels become zero.
    Shapes: (N, 3, C, H, W) -> the same; any number of frames if "intended"; else ShapeError.
    """
    if kind not in ("released", "intended"):
        raise OptionError(f"unknown shift {kind!r}", todo="use released or intended")
    if x.dim() != 5 or (kind == "released" and x.shape[1] != 3):
        raise ShapeError(f"frames are (N, 3, C, H, W), got {tuple(x.shape)}")
    if kind == "released":
        return move(torch.stack([move(x[:, t], 8 - 4 * t, axis=2) for t in range(3)], 1), 8, axis=2)
    c, n = x.shape[2], len(OFFSETS)
    groups = x.split([(c * (g + 1)) // n - (c * g) // n for g in range(n)], 2)
    fan = zip(groups, OFFSETS, strict=True)
    return torch.cat([move(move(part, dy, axis=3), dx, axis=4) for part, (dy, dx) in fan], 2)


def move(x: Tensor, by: int, axis: int) -> Tensor:
    """Shift along an axis, zeros coming in: out[i] = x[i - by].

    >>> move(torch.tensor([1.0, 2.0, 3.0]), 1, 0).tolist()
    [0.0, 1.0, 2.0]
    """
    out, n = torch.zeros_like(x), max(x.shape[axis] - abs(by), 0)
    out.narrow(axis, max(by, 0) if n else 0, n).copy_(x.narrow(axis, max(-by, 0) if n else 0, n))
    return out


class ShiftStep(nn.Module):
    """Half of the channels from a neighbour, copies of them moved about, two convolutions.

    `shift` is the kind of the spatial shift; "temporal" has none of it, "none" no shift at all.
    `transition` and `block` make the layers: (c_in, c_out) and (channels, kernel) -> Module.
    Shapes: (N, 3, c, H, W) -> the same.
    """

    def __init__(self, c: int, shift: str, reverse: bool, transition: Layer, block: Layer) -> None:
        super().__init__()
        self.shift, self.reverse = shift, reverse
        extra = c // 2 if shift in ("released", "intended") else 0
        self.fuse = transition(c + extra, c)
        self.conv = block(c, 5)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, C, H, W)
        if self.shift != "none":
            x = temporal_shift(x, self.reverse)
        if self.shift in ("released", "intended"):
            neighbour_channels = x.chunk(2, 2)[self.reverse]
            x = torch.cat([x, spatial_shift(neighbour_channels, self.shift)], 2)
        return per_frame(lambda y: self.conv(self.fuse(y)), x)


def per_frame(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply f, which takes (N, C, H, W), to each frame of (N, T, C, H, W)."""
    return f(x.flatten(0, 1)).unflatten(0, x.shape[:2])
