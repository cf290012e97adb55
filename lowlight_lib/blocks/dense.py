"""Residual dense blocks and channel shuffle: built in notebooks/05_scales_and_dense_blocks."""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

Model = TypeVar("Model", bound=nn.Module)


def conv(
    c_in: int, c_out: int, kernel: int, *, groups=1, bias=True, slope=1.0, norm=True
) -> nn.Module:
    """A same-size convolution with He initialisation (ICCV 2015, equation 15), for a LeakyReLU of
    this negative slope after it (1: none), and with `norm` weight normalisation: w = g * v / |v|
    per output channel (Salimans & Kingma, NeurIPS 2016).
    """
    layer = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups, bias=bias)
    nn.init.kaiming_normal_(layer.weight, a=slope)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return weight_norm(layer) if norm else layer


def fold_weight_norm(model: Model) -> Model:
    """Replace every g * v / |v| by the plain weight it stands for, in place; returns the model."""
    module: Any
    found = [m for m in model.modules() if parametrize.is_parametrized(m, "weight")]
    for module in found:
        with torch.inference_mode(False), torch.no_grad():  # a Parameter, whoever calls
            weight = module.weight.detach().clone()
            # Not parametrize.remove_parametrizations: it takes the weight out of a class that a
            # deep copy shares, so that folding a copy would break the original.
            del module.parametrizations
            module.__class__ = type(module).__bases__[0]
            module.weight = nn.Parameter(weight)
    spec: Any = vars(model).get("spec")
    if found and spec is not None and spec.options is not None:
        # So that its checkpoint says what it holds now.
        vars(model)["spec"] = spec.replace(options=spec.options | {"weight_norm": False})
    return model


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave channels so that the next grouped convolution sees every group.

    (N, groups * n, H, W): channel g * n + i moves to i * groups + g.
    Source: Zhang et al., "ShuffleNet", CVPR 2018.

    >>> channel_shuffle(torch.arange(6.).view(1, 6, 1, 1), 2).flatten().tolist()
    [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class ResidualDenseBlock(nn.Module):
    """RDB* of REDI, or the ordinary residual dense block.

        RDB*:  f_0 = x;  f_k = conv_k(act_k([f_0 .. f_{k-1}]));  out = x + conv_1x1([f_0 .. f_K])
        RDB:   f_0 = x;  f_k = act(conv_k([f_0 .. f_{k-1}]));    out = x + conv_1x1([f_0 .. f_K])

    RDB* keeps what is below 0 in what it concatenates, and rectifies in front of the inner
    convolutions only: the first and the last one (the released pictures show it, not the paper) see
    the features as they are. `growth` is the channels that each layer adds; slope 0 is a ReLU.
    Shapes: (N, channels, H, W) -> the same.
    Source: Lamba & Mitra, CVPR 2021, section 3.3; RDB from Zhang et al., "Residual Dense Network
        for Image Super-Resolution", CVPR 2018.
    """

    def __init__(
        self, channels: int, growth: int, layers: int, *, slope=0.2, star=True, norm=True
    ) -> None:
        super().__init__()
        self.star = star
        self.layers = nn.ModuleList(
            conv(channels + k * growth, growth, 3, bias=False, slope=slope, norm=norm)
            for k in range(layers)
        )
        self.fuse = conv(channels + layers * growth, channels, 1, bias=False, norm=norm)
        self.act = nn.LeakyReLU(slope) if slope else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        features = x
        for k, layer in enumerate(self.layers):
            if self.star:
                inner = 0 < k < len(self.layers) - 1
                new = layer(self.act(features) if inner else features)
            else:
                new = self.act(layer(features))
            features = torch.cat([features, new], 1)
        return x + self.fuse(features)
