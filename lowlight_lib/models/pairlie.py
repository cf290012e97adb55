"""PairLIE: "Learning a Simple Low-Light Image Enhancer From Paired Low-Light Instances".

Fu, Yang, Tu, Huang, Ding, Ma, CVPR 2023. Three plain networks: one projects the picture to one that
obeys I = L * R, the others read light and paint off it. Re-implemented from the paper and from the
names and shapes of the released weights; what it is trained on is in `blocks.retinex`.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

from torch import nn
from torch.nn import functional as F

from ..blocks.retinex import Decomposition


class PairLIE(nn.Module):
    """The whole network.

    Args:
        width: channels between the convolutions.
    Shapes: picture (N, 3, H, W) in [0, 1], display-encoded, any H, W -> Decomposition: light L
        (N, 1, H, W), paint R and projected picture X (N, 3, H, W), each between 0 and 1. The
        brightened picture is `blocks.retinex.recompose(L, R, gamma)`.
    Built in notebooks/08_retinex, section 7.
    """

    multiple = 1

    def __init__(self, width=64):
        super().__init__()
        # Light and projected picture start as dark as what they shall be. From the middle grey of
        # an unbiased sigmoid a short training falls into black, where a sigmoid learns no more.
        self.project = Plain(3, 3, width, start=0.12)
        self.illumination = Plain(3, 1, width, start=0.12)
        self.reflectance = Plain(3, 3, width)

    def forward(self, image):
        h, w = image.shape[-2:]
        if min(h, w) < 2:  # a single line has no reflection: its only neighbour is itself
            twice = F.pad(image, (0, int(w < 2), 0, int(h < 2)), mode="replicate")
            return Decomposition(*(t[..., :h, :w] for t in self(twice)))
        x = self.project(image)
        return Decomposition(self.illumination(x), self.reflectance(x), x)


class Plain(nn.Module):
    """Five 3x3 convolutions, reflected at the edges, ReLU between, a sigmoid at the end.

    Initialised after He, not by PyTorch's default, whose outputs hardly depend on the input.

    Args:
        start: what it puts out for black before training.
    """

    def __init__(self, c_in, c_out, width, start=0.5):
        super().__init__()
        sizes = [c_in, *[width] * 4, c_out]
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, padding_mode="reflect") for a, b in pairwise(sizes)
        )
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.constant_(layer.bias, math.log(start / (1 - start)))

    def forward(self, x):
        *inner, last = self.layers
        for layer in inner:
            x = F.relu(layer(x))
        return last(x).sigmoid()


_NETS = {"N": "project", "L": "illumination", "R": "reflectance"}


def rename_released(name):
    """The parameter of `PairLIE` that the released checkpoint calls `name`; others stay.

    There each convolution stands between its padding and its ReLU: 1, 4, 7, 10 and 13.
    """
    m = re.fullmatch(r"([NLR])_net\.\1_net\.(1|4|7|10|13)\.(weight|bias)", name)
    return f"{_NETS[m[1]]}.layers.{int(m[2]) // 3}.{m[3]}" if m else name
