"""LLPackNet: "Towards Fast and Light-Weight Restoration of Dark Images" (Lamba et al., BMVC 2020).

The mosaic is packed down to 1/16 of its size, where a pixel costs 1/256. The work is done there and
(nearly half of it) at 1/8, and one UnPack brings the picture back to full size at once.
Re-implemented from the paper and from the names and shapes of the released weights.
Built in notebooks/04_pack_unpack.
"""

from __future__ import annotations

import re

import torch
from torch import nn
from torch.nn import functional as F

from ..blocks.amplifier import LearnedAmplifier
from ..blocks.dense import ResidualDenseBlock, conv
from ..blocks.packing import pack, unpack
from ..blocks.padding import pad_to_multiple
from ..errors import OptionError

FORMS = ("2022", "2020")


class LLPackNet(nn.Module):
    """The whole network, in one of its two published forms.

    Args:
        form: "2022": weight normalisation, a sigmoid at the end, takes the amplified mosaic; or
            "2020": neither, a ReLU at the end, and a learned amplifier inside.
        amplifier: of the 2020 form: "histogram" or "conv".
        up: "unpack", or "pixelshuffle" for the paper's ablation.
        weight_norm: by default as the form has it.
    Shapes: normalised mosaic (N, 1, H, W), RGGB, not clipped -> picture (N, 3, H, W), any H, W.
    """

    multiple = 16

    def __init__(self, form="2022", amplifier="histogram", up="unpack", weight_norm=None):
        super().__init__()
        if str(form) not in FORMS:
            raise OptionError(f"LLPackNet has no form {form!r}", todo=f"use {' or '.join(FORMS)}")
        if up not in ("unpack", "pixelshuffle"):
            raise OptionError(f"unknown up {up!r}", todo="use unpack or pixelshuffle")
        old = str(form) == "2020"
        norm = not old if weight_norm is None else weight_norm
        self.up, self.amplifies_itself = up, old
        self.amplifier = LearnedAmplifier(amplifier) if old else None
        # One convolution for each colour plane: R, G1, G2, B.
        self.colours = nn.ModuleList(conv(64, 64, 3, slope=0, norm=norm) for _ in range(4))
        self.enter = conv(256, 64, 1, bias=False, norm=norm)
        self.rdbs = nn.ModuleList(_rdb(64, norm) for _ in range(3))
        self.fuse = conv(192, 64, 1, bias=False, norm=norm)
        self.refine = _rdb(16, norm)
        self.leave = conv(16, 192, 3, norm=norm)
        self.end = nn.ReLU() if old else nn.Sigmoid()

    def forward(self, mosaic):
        h, w = mosaic.shape[-2:]
        x = pad_to_multiple(mosaic, self.multiple)
        if self.amplifier is not None:
            # The factor is of the picture, not of what was padded to it.
            x = x * self.amplifier(mosaic).view(-1, 1, 1, 1)
        planes = F.pixel_unshuffle(x, 2).split(1, 1)  # 4 of (N, 1, H/2, W/2)
        planes = [F.relu(c(pack(p, 8))) for c, p in zip(self.colours, planes, strict=True)]
        x = self.enter(torch.cat(planes, 1))  # (N, 64, H/16, W/16)
        features, y = [], x
        for rdb in self.rdbs:
            y = rdb(y)
            features.append(y)
        x = x + self.fuse(torch.cat(features, 1))
        x = self.refine(F.pixel_shuffle(x, 2))  # (N, 16, H/8, W/8)
        x = self.leave(x)  # (N, 192, H/8, W/8)
        x = unpack(x, 8) if self.up == "unpack" else F.pixel_shuffle(x, 8)
        return self.end(x)[..., :h, :w]


def _rdb(channels, norm):
    return ResidualDenseBlock(channels, 32, 6, slope=0, star=False, norm=norm)


# The authors' names -> ours, tried in order. The indices of the colours are ours.
_RELEASED = (
    (r"RDBr\.0", "colours.0"),
    (r"RDBg1\.0", "colours.1"),
    (r"RDBg2\.0", "colours.2"),
    (r"RDBb\.0", "colours.3"),
    (r"before_identity\.0", "enter"),
    (r"RDB(\d)\.dense_layers\.(\d)\.conv\.0", lambda m: f"rdbs.{int(m[1]) - 1}.layers.{m[2]}"),
    (r"RDB(\d)\.conv_1x1\.0", lambda m: f"rdbs.{int(m[1]) - 1}.fuse"),
    (r"after_rdb\.0", "fuse"),
    (r"final\.1\.dense_layers\.(\d)\.conv\.0", r"refine.layers.\1"),
    (r"final\.1\.conv_1x1\.0", "refine.fuse"),
    (r"final\.2\.0", "leave"),
)


def rename_released(name):
    """The parameter of `LLPackNet` that the released checkpoint calls `name`; others stay."""
    for pattern, ours in _RELEASED:
        new, n = re.subn("^" + pattern, ours, name)
        if n:
            return new
    return name
