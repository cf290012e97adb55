"""PairLIE: "Learning a Simple Low-Light Image Enhancer From Paired Low-Light Instances".

Fu, Yang, Tu, Huang, Ding, Ma, CVPR 2023. Three plain networks: one projects the picture to one that
obeys I = L * R, the others read L and R off it. What it is trained on is in `blocks.retinex`.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks.padding import run_padded
from ..blocks.retinex import Decomposition
from .spec import Card, Int8, Spec, Task

SPEC = Spec("pairlie", Task.PHOTO, channels=3, multiple=1, halo=10)  # ten 3x3 convolutions in a row


class PairLIE(nn.Module):
    """The whole network, with `width` channels between the convolutions; `he_init` see `Plain`.

    Shapes: picture (N, 3, H, W) in [0, 1], display-encoded, any H, W -> Decomposition: illumination
        L (N, 1, H, W), reflectance R and projected picture X (N, 3, H, W), each between 0 and 1.
    Built in notebooks/09_retinex, section 7.
    """

    def __init__(self, width: int = 64, he_init: bool = True) -> None:
        super().__init__()
        self.spec = SPEC
        # L and X start as dark as what they shall be. From the middle grey of an unbiased sigmoid
        # a short training falls into black, where a sigmoid learns no more.
        self.project = Plain(3, 3, width, start=0.12, he_init=he_init)
        self.illumination = Plain(3, 1, width, start=0.12, he_init=he_init)
        self.reflectance = Plain(3, 3, width, he_init=he_init)

    def forward(self, image: Tensor) -> Decomposition:
        return run_padded(self._split, image, self.spec.multiple)

    def _split(self, image):
        if self.training:  # its convolutions learn faster in this layout, and alike
            image = image.contiguous(memory_format=torch.channels_last)
        x = self.project(image)
        return Decomposition(self.illumination(x), self.reflectance(x), x)


class Plain(nn.Module):
    """Five 3x3 convolutions, reflected at the edges, ReLU between, a sigmoid at the end.

    Initialised after He, to give `start` for black before training; not by PyTorch's default
    (`he_init` False), whose outputs hardly depend on the input.
    """

    def __init__(
        self, c_in: int, c_out: int, width: int, start: float = 0.5, he_init: bool = True
    ) -> None:
        super().__init__()
        sizes = [c_in, *[width] * 4, c_out]
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, padding_mode="reflect") for a, b in pairwise(sizes)
        )
        if not he_init:
            return
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.get_parameter("weight"), nonlinearity="relu")
            nn.init.zeros_(layer.get_parameter("bias"))
        nn.init.constant_(self.layers[-1].get_parameter("bias"), math.log(start / (1 - start)))

    def forward(self, x: Tensor) -> Tensor:
        *inner, last = self.layers
        for layer in inner:
            x = F.relu(layer(x))
        return last(x).sigmoid()


CARD = Card(
    key="pairlie",
    spec=SPEC,
    paper="Fu, Yang, Tu, Huang, Ding, Ma, CVPR 2023",
    year=2023,
    title="Learning a Simple Low-Light Image Enhancer From Paired Low-Light Instances",
    network=PairLIE,
    params=341_767,
    effective_params=341_767,
    licence="none stated by the authors any more, for code and released weights; see NOTICE",
    sources=("https://github.com/zhenqifu/PairLIE",),
    bench={"full": (1, 3, 400, 600), "medium": (1, 3, 200, 300), "small": (1, 3, 40, 60)},
    # The last convolutions say how much light there is, which a gamma of 0.14 then stretches: with
    # them in float the loss on the mini set halves. They are 1.2 % of its work.
    int8=Int8(128, keep=("project.layers.4", "illumination.layers.4", "reflectance.layers.4")),
)
