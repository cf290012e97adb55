"""LLPackNet: "Towards Fast and Light-Weight Restoration of Dark Images" (Lamba et al., BMVC 2020).

The mosaic is packed down to 1/16 of its size, where a pixel costs 1/256. The work is done there and
(nearly half of it) at 1/8, and one UnPack brings the picture back to full size at once.
Built in notebooks/04_pack_unpack.
"""

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks.amplifier import LearnedAmplifier
from ..blocks.dense import ResidualDenseBlock, conv
from ..blocks.packing import pack, unpack
from ..blocks.padding import run_padded
from ..errors import OptionError
from .spec import WHOLE_NETWORK, Card, ExportUnit, Spec, Task, uniform, whole_unit

FORMS = ("2022", "2020")
SPEC = Spec("llpacknet", Task.RAW_STILL, channels=1, multiple=16, halo=368)


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

    def __init__(
        self,
        form: Literal["2022", "2020"] = "2022",
        amplifier: Literal["histogram", "conv"] = "histogram",
        up: Literal["unpack", "pixelshuffle"] = "unpack",
        weight_norm: bool | None = None,
    ) -> None:
        super().__init__()
        if str(form) not in FORMS:
            raise OptionError(f"LLPackNet has no form {form!r}", todo=f"use {' or '.join(FORMS)}")
        if up not in ("unpack", "pixelshuffle"):
            raise OptionError(f"unknown up {up!r}", todo="use unpack or pixelshuffle")
        old = str(form) == "2020"
        norm = not old if weight_norm is None else weight_norm
        self.up, self.spec = up, SPEC.replace(amplifies_itself=old)
        self.amplifier = LearnedAmplifier(amplifier) if old else None
        # One convolution for each colour plane: R, G1, G2, B.
        self.colours = nn.ModuleList(conv(64, 64, 3, slope=0, norm=norm) for _ in range(4))
        self.conv_in = conv(256, 64, 1, bias=False, norm=norm)
        self.rdbs = nn.ModuleList(_rdb(64, norm) for _ in range(3))
        self.fuse = conv(192, 64, 1, bias=False, norm=norm)
        self.refine = _rdb(16, norm)
        self.conv_out = conv(16, 192, 3, norm=norm)
        self.end = nn.ReLU() if old else nn.Sigmoid()

    def forward(self, mosaic: Tensor) -> Tensor:
        if self.amplifier is not None:  # before padding: the factor is of the picture alone
            mosaic = mosaic * self.amplifier(mosaic).view(-1, 1, 1, 1)
        return run_padded(self._restore, mosaic, self.spec.multiple)

    def export_units(self):
        """The amplifier is one of its own: it has to see the mosaic before that is padded."""
        if self.amplifier is None:
            return {WHOLE_NETWORK: whole_unit(self)}
        rest = copy.deepcopy(self)
        rest.amplifier, rest.spec = None, self.spec.replace(amplifies_itself=False)
        multiple = 1 if self.amplifier.kind == "histogram" else 2
        factor = ExportUnit(self.amplifier, ("mosaic",), (1,), ("factor",), multiple, uniform(1))
        return {"amplifier": factor, WHOLE_NETWORK: whole_unit(rest)}

    def _restore(self, mosaic):
        planes = F.pixel_unshuffle(mosaic, 2).split(1, 1)  # 4 of (N, 1, H/2, W/2)
        planes = [F.relu(c(pack(p, 8))) for c, p in zip(self.colours, planes, strict=True)]
        x = self.conv_in(torch.cat(planes, 1))  # (N, 64, H/16, W/16)
        features = [x]
        for rdb in self.rdbs:
            features.append(rdb(features[-1]))
        x = x + self.fuse(torch.cat(features[1:], 1))
        x = self.refine(F.pixel_shuffle(x, 2))  # (N, 16, H/8, W/8)
        x = self.conv_out(x)  # (N, 192, H/8, W/8)
        x = unpack(x, 8) if self.up == "unpack" else F.pixel_shuffle(x, 8)
        return self.end(x)


def _rdb(channels, norm):
    return ResidualDenseBlock(channels, 32, 6, slope=0, star=False, norm=norm)


CARD = Card(
    key="llpacknet",
    spec=SPEC,
    paper="Lamba, Balaji, Mitra, BMVC 2020",
    year=2020,
    title="Towards Fast and Light-Weight Restoration of Dark Images",
    network=LLPackNet,
    params=1_170_640,
    effective_params=1_170_640,
    licence="method and original code MIT",
    sources=("https://github.com/MohitLamba94/LLPackNet",),
    bench={"full": (1, 1, 2848, 4256), "medium": (1, 1, 1024, 1024), "small": (1, 1, 128, 160)},
)
