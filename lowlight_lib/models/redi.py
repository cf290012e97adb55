"""REDI: "Restoring Extremely Dark Images in Real Time" (Lamba & Mitra, CVPR 2021).

Three encoders look at the mosaic at 1/2, 1/8 and 1/32 of its size, and nearly all of the work is
done at 1/32, where a pixel costs a thousandth. Re-implemented from the paper and from the shapes of
the released weights; the method is patent pending (see NOTICE).
Built in notebooks/05_scales_and_dense_blocks.
"""

from __future__ import annotations

import re

import torch
from torch import nn
from torch.nn import functional as F

from ..blocks.dense import ResidualDenseBlock, channel_shuffle, conv
from ..blocks.padding import pad_to_multiple

SLOPE = 0.2  # of every LeakyReLU


class HighScaleEncoder(nn.Module):
    """HSE: 1/32 of the size, 1024 channels of raw pixels in, 64 features at 1/8 out."""

    def __init__(self, growth, layers, norm):
        super().__init__()
        self.squeeze = conv(1024, 128, 3, groups=128, norm=norm)  # 8 pixels of one colour each
        self.enter = conv(128, 64, 3, norm=norm)
        self.rdbs = nn.ModuleList(
            ResidualDenseBlock(64, growth, n, slope=SLOPE, norm=norm) for n in layers
        )
        self.fuse = conv(64 * len(layers), 64, 1, bias=False, norm=norm)
        self.leave = conv(4, 64, 3, norm=norm)

    def forward(self, x):  # (N, 4, H/2, W/2)
        x = F.pixel_unshuffle(x, 16)  # (N, 1024, H/32, W/32), ordered by Bayer colour first
        x = self.enter(self.squeeze(x))  # (N, 64, H/32, W/32)
        features, y = [], x
        for rdb in self.rdbs:
            y = rdb(y)
            features.append(y)
        x = x + self.fuse(torch.cat(features, 1))
        return self.leave(F.pixel_shuffle(x, 4))  # (N, 64, H/8, W/8)


class MidScaleEncoder(nn.Module):
    """MSE: one residual block on 64 channels at 1/8."""

    def __init__(self, norm):
        super().__init__()
        self.conv1 = conv(64, 64, 3, slope=SLOPE, norm=norm)
        self.conv2 = conv(64, 64, 3, norm=norm)

    def forward(self, x):  # (N, 4, H/2, W/2)
        x = F.pixel_unshuffle(x, 4)  # (N, 64, H/8, W/8)
        return x + self.conv2(F.leaky_relu(self.conv1(x), SLOPE))


class Redi(nn.Module):
    """The whole network.

    Args:
        growth: channels that each dense layer adds.
        layers: dense layers in each RDB* of the 1/32 encoder.
        weight_norm: normalise the weights of every convolution, as in training.
    Shapes: amplified, normalised mosaic (N, 1, H, W), RGGB, not clipped -> picture (N, 3, H, W).
        Clamped to [0, 1] in eval mode; in training the loss has to see what lies outside.
    """

    multiple = 32

    def __init__(self, growth=32, layers=(4, 5, 5), weight_norm=True):
        super().__init__()
        self.lse = conv(4, 12, 5, norm=weight_norm)
        self.mse = MidScaleEncoder(weight_norm)
        self.hse = HighScaleEncoder(growth, layers, weight_norm)
        self.mix = conv(128, 32, 3, groups=4, norm=weight_norm)
        self.expand = conv(32, 192, 3, slope=SLOPE, norm=weight_norm)
        self.fuse = conv(24, 12, 5, norm=weight_norm)

    def forward(self, mosaic):
        h, w = mosaic.shape[-2:]
        x = pad_to_multiple(mosaic, self.multiple)
        x = F.pixel_unshuffle(x, 2)  # (N, 4, H/2, W/2): R, G1, G2, B
        # The finer unshuffles start from here, not from the mosaic: colours stay together, and
        # each group of the grouped convolution sees pixels of one colour.
        y = torch.cat([self.mse(x), self.hse(x)], 1)  # (N, 128, H/8, W/8)
        y = self.expand(self.mix(channel_shuffle(y, 2)))  # (N, 192, H/8, W/8)
        y = F.pixel_shuffle(F.leaky_relu(y, SLOPE), 4)  # (N, 12, H/2, W/2)
        y = self.fuse(torch.cat([self.lse(x), y], 1))  # (N, 12, H/2, W/2)
        y = F.pixel_shuffle(y, 2)[..., :h, :w]
        return y if self.training else y.clamp(0, 1)


# The authors' names -> ours, tried in order.
_RELEASED = (
    (r"conv32x\.0\.0", "hse.squeeze"),
    (r"conv32x\.1\.0", "hse.enter"),
    (
        r"RDB(\d)\.dense_layers\.(\d)\.conv\.[01]",
        lambda m: f"hse.rdbs.{int(m[1]) - 1}.layers.{m[2]}",
    ),
    (r"RDB(\d)\.conv_1x1\.0", lambda m: f"hse.rdbs.{int(m[1]) - 1}.fuse"),
    (r"rdball\.0", "hse.fuse"),
    (r"conv_rdb8x\.0", "hse.leave"),
    (r"resblock8x\.conv(\d)\.0", r"mse.conv\1"),
    (r"conv32_8_cat\.0\.0", "mix"),
    (r"conv32_8_cat\.1\.0", "expand"),
    (r"conv2x\.0", "lse"),
    (r"conv_2_8_32\.0", "fuse"),
)


def rename_released(name):
    """The parameter of `Redi` that the released checkpoint calls `name`; unknown names stay."""
    for pattern, ours in _RELEASED:
        new, n = re.subn("^" + pattern, ours, name)
        if n:
            return new
    return name
