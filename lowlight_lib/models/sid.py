"""SID: "Learning to See in the Dark" (Chen, Chen, Xu, Koltun, CVPR 2018), the baseline of all.

A U-Net on the packed mosaic. Parameters are called as in the PyTorch port that papers compare with.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks.padding import run_padded
from ..errors import OptionError
from ..sensor.cfa import pack_xtrans
from .spec import Card, Spec, Task

WIDTHS = (32, 64, 128, 256, 512)
_KINDS = {"bayer": ("Bayer", 2, 4), "xtrans": ("X-Trans", 3, 9)}  # name, packing, planes
SPEC = Spec("sid", Task.RAW_STILL, channels=1, multiple=32, halo=192)


class Sid(nn.Module):
    """The U-Net: four times down, four times up, skips concatenated.

    Args:
        clip_input: clip the amplified mosaic to 1, as the original does (the port does not).
        cfa: "bayer", or "xtrans" for the form that takes the mosaic of SID's Fuji camera as it is:
            nine planes at a third of the size in, 27 channels out.
        he_init: initialise after He; False leaves PyTorch's default.
    Shapes: amplified, normalised mosaic (N, 1, H, W), RGGB, or X-Trans in the phase of
        `sensor.cfa.XTRANS` -> picture (N, 3, H, W), not clamped.
    The original TensorFlow network has the planes in the order R, G1, B, G2 and uses depth-to-space
    where the port has PixelShuffle, so its weights are not these.
    """

    def __init__(
        self,
        clip_input: bool = True,
        cfa: Literal["bayer", "xtrans"] = "bayer",
        he_init: bool = True,
    ) -> None:
        super().__init__()
        if cfa not in _KINDS:
            raise OptionError(f"unknown cfa {cfa!r}", todo=f"use {' or '.join(_KINDS)}")
        name, self.factor, c_in = _KINDS[cfa]
        self.spec = SPEC.replace(cfa=name, multiple=16 * self.factor, halo=96 * self.factor)
        self.clip_input = clip_input
        for level, c in enumerate(WIDTHS, 1):  # conv1_1 .. conv5_2, the way down
            self.add_module(f"conv{level}_1", nn.Conv2d(c_in, c, 3, padding=1))
            self.add_module(f"conv{level}_2", nn.Conv2d(c, c, 3, padding=1))
            c_in = c
        for level, c in enumerate(WIDTHS[-2::-1], 6):  # upv6 .. conv9_2, the way up
            self.add_module(f"upv{level}", nn.ConvTranspose2d(2 * c, c, 2, stride=2))
            self.add_module(f"conv{level}_1", nn.Conv2d(2 * c, c, 3, padding=1))
            self.add_module(f"conv{level}_2", nn.Conv2d(c, c, 3, padding=1))
        self.conv10_1 = nn.Conv2d(WIDTHS[0], 3 * self.factor**2, 1)
        if he_init:
            self.apply(_he_init)

    def forward(self, mosaic: Tensor) -> Tensor:
        return run_padded(self._restore, mosaic, self.spec.multiple, self.spec.cell)

    def _restore(self, mosaic):
        # (N, 4, H/2, W/2): R, G1, G2, B; or (N, 9, H/3, W/3): R, G, B, R, B, and four greens
        bayer = self.spec.cfa == "Bayer"
        x = F.pixel_unshuffle(mosaic, 2) if bayer else pack_xtrans(mosaic[:, 0])
        if self.clip_input:
            x = x.clamp(max=1)
        skips = []
        for level in range(1, 6):
            x = self._double(level, F.max_pool2d(x, 2) if skips else x)
            skips.append(x)  # (N, 32 * 2^(level-1), H/2^level, W/2^level)
        skips.pop()
        for level in range(6, 10):
            x = self.get_submodule(f"upv{level}")(x)
            x = self._double(level, torch.cat([x, skips.pop()], 1))
        return F.pixel_shuffle(self.conv10_1(x), self.factor)

    def _double(self, level, x):
        for i in (1, 2):
            x = F.leaky_relu(self.get_submodule(f"conv{level}_{i}")(x), 0.2)
        return x


def _he_init(module):
    """With PyTorch's default initialisation this network learns nothing in its first 200 steps."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        # kaiming's "fan_in" of a transposed convolution is its output side, hence the mode.
        mode = "fan_out" if isinstance(module, nn.ConvTranspose2d) else "fan_in"
        nn.init.kaiming_normal_(module.weight, a=0.2, mode=mode)
        nn.init.zeros_(module.get_parameter("bias"))


CARD = Card(
    key="sid",
    spec=SPEC,
    paper="Chen, Chen, Xu, Koltun, CVPR 2018",
    year=2018,
    title="Learning to See in the Dark",
    network=Sid,
    params=7_760_748,
    effective_params=7_760_748,
    licence="method and original code MIT; the released weights are TensorFlow checkpoints",
    sources=("https://github.com/cchen156/Learning-to-See-in-the-Dark",),
    bench={"full": (1, 1, 2048, 4096), "medium": (1, 1, 1024, 1024), "small": (1, 1, 64, 96)},
)
