"""REDI: "Restoring Extremely Dark Images in Real Time" (Lamba & Mitra, CVPR 2021).

Three encoders look at the mosaic at 1/2, 1/8 and 1/32 of its size, and nearly all of the work is
done at 1/32, where a pixel costs a thousandth. The method is patent pending (see NOTICE).
Built in notebooks/05_scales_and_dense_blocks.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks.concurrent import run_together
from ..blocks.dense import ResidualDenseBlock, channel_shuffle, conv
from ..blocks.padding import run_padded
from ..errors import OptionError
from .spec import Card, Int8, Spec, Task

SLOPE = 0.2  # of every LeakyReLU
SCALES = {"lse": 2, "mse": 8, "hse": 32}  # the encoders, at 1/2, 1/8 and 1/32 of the size


class HighScaleEncoder(nn.Module):
    """HSE: 1/32 of the size, 1024 channels of raw pixels in, 64 features at 1/8 out."""

    def __init__(self, growth, layers, star, norm):
        super().__init__()
        self.squeeze = conv(1024, 128, 3, groups=128, norm=norm)  # 8 pixels of one colour each
        self.conv_in = conv(128, 64, 3, norm=norm)
        self.rdbs = nn.ModuleList(
            ResidualDenseBlock(64, growth, n, slope=SLOPE, star=star, norm=norm) for n in layers
        )
        self.fuse = conv(64 * len(layers), 64, 1, bias=False, norm=norm)
        self.conv_out = conv(4, 64, 3, norm=norm)

    def forward(self, x):  # (N, 4, H/2, W/2)
        x = F.pixel_unshuffle(x, 16)  # (N, 1024, H/32, W/32), ordered by Bayer colour first
        x = self.conv_in(self.squeeze(x))  # (N, 64, H/32, W/32)
        features = [x]
        for rdb in self.rdbs:
            features.append(rdb(features[-1]))
        x = x + self.fuse(torch.cat(features[1:], 1))
        return self.conv_out(F.pixel_shuffle(x, 4))  # (N, 64, H/8, W/8)


class MidScaleEncoder(nn.Module):
    """MSE: one residual block on 64 channels at 1/8."""

    def __init__(self, norm):
        super().__init__()
        self.conv1 = conv(64, 64, 3, slope=SLOPE, norm=norm)
        self.conv2 = conv(64, 64, 3, norm=norm)

    def forward(self, x):  # (N, 4, H/2, W/2)
        x = F.pixel_unshuffle(x, 4)  # (N, 64, H/8, W/8)
        return x + self.conv2(F.leaky_relu(self.conv1(x), SLOPE))


SPEC = Spec("redi", Task.RAW_STILL, channels=1, multiple=32, halo=256)


class Redi(nn.Module):
    """The whole network.

    Args:
        scales: the encoders to have, of "lse", "mse", "hse" (an ablation drops one).
        growth: channels that each dense layer adds.
        layers: dense layers in each block of the 1/32 encoder.
        kernel: side of the two large convolutions at 1/2.
        parallel: evaluate the encoders at the same time, see `blocks.concurrent`; an attribute too.
        clamp_in_training: clamp in training too, as the released code does; what lies outside then
            has no gradient.
    Shapes: amplified, normalised mosaic (N, 1, H, W), RGGB, not clipped -> picture (N, 3, H, W).
        Clamped to [0, 1] in eval mode.
    """

    def __init__(
        self,
        scales: Sequence[str] = tuple(SCALES),
        growth: int = 32,
        layers: Sequence[int] = (4, 5, 5),
        block: Literal["rdb*", "rdb"] = "rdb*",
        kernel: Literal[3, 5] = 5,
        weight_norm: bool = True,
        parallel: bool = False,
        clamp_in_training: bool = False,
    ) -> None:
        super().__init__()
        deep = [name for name in ("mse", "hse") if name in scales]
        if not deep or not set(scales) <= set(SCALES):
            raise OptionError(f"scales {scales!r} are not of {[*SCALES]}", todo="keep mse or hse")
        if block not in ("rdb*", "rdb"):
            raise OptionError(f"unknown block {block!r}", todo='use "rdb*" or "rdb"')
        if kernel not in (3, 5):
            raise OptionError(f"kernel is 5 or 3, not {kernel!r}")
        if not layers or any(type(n) is not int or n < 1 for n in (growth, *layers)):
            raise OptionError(f"growth {growth!r} and layers {layers!r} are counts of at least 1")
        self.spec, self.parallel, self.clamp_in_training = SPEC, parallel, clamp_in_training
        norm, star = weight_norm, block == "rdb*"
        self.lse = conv(4, 12, kernel, norm=norm) if "lse" in scales else None
        self.mse = MidScaleEncoder(norm) if "mse" in scales else None
        self.hse = HighScaleEncoder(growth, layers, star, norm) if "hse" in scales else None
        self.merge = conv(64 * len(deep), 32, 3, groups=4, norm=norm)
        self.expand = conv(32, 192, 3, slope=SLOPE, norm=norm)
        self.fuse = conv(24 if "lse" in scales else 12, 12, kernel, norm=norm)

    def forward(self, mosaic: Tensor) -> Tensor:
        return run_padded(self._restore, mosaic, self.spec.multiple)

    def _restore(self, mosaic):
        x = F.pixel_unshuffle(mosaic, 2)  # (N, 4, H/2, W/2): R, G1, G2, B
        # The finer unshuffles start from here, not from the mosaic: colours stay together, and
        # each group of the grouped convolution sees pixels of one colour.
        fine, *deep = self.encode(x)
        y = torch.cat(deep, 1)  # (N, 128, H/8, W/8)
        y = self.expand(self.merge(channel_shuffle(y, 2)))  # (N, 192, H/8, W/8)
        y = F.pixel_shuffle(F.leaky_relu(y, SLOPE), 4)  # (N, 12, H/2, W/2)
        y = self.fuse(y if fine is None else torch.cat([fine, y], 1))  # (N, 12, H/2, W/2)
        y = F.pixel_shuffle(y, 2)
        return y.clamp(0, 1) if self.clamp_in_training or not self.training else y

    def encode(self, x: Tensor) -> list[Any]:
        """The encoders' results: LSE's or None, then those of MSE and HSE that there are."""
        encoders = {name: part for name, part in self.named_children() if name in SCALES}
        if self.parallel and not torch.compiler.is_compiling():  # an exported graph has no threads
            # In MACs a mosaic pixel, nearly: each weight is used once a position.
            sizes = (sum(p.numel() for p in e.parameters()) for e in encoders.values())
            work = [n / SCALES[name] ** 2 for n, name in zip(sizes, encoders, strict=True)]
            results = run_together([*encoders.values()], x, work)
        else:
            results = [encoder(x) for encoder in encoders.values()]
        return results if self.lse is not None else [None, *results]


CARD = Card(
    key="redi",
    spec=SPEC,
    paper="Lamba, Mitra, CVPR 2021",
    year=2021,
    title="Restoring Extremely Dark Images in Real Time",
    network=Redi,
    params=784_768,
    effective_params=784_768,
    licence="method patent pending; released weights for non-commercial use only; see NOTICE",
    sources=("https://github.com/MohitLamba94/Restoring-Extremely-Dark-Images-In-Real-Time",),
    bench={"full": (1, 1, 2048, 4096), "medium": (1, 1, 1024, 1024), "small": (1, 1, 128, 160)},
    int8=Int8(side=512),  # its coarsest scale has 1/32 of it
)
