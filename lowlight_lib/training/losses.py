"""Training losses: the published weightings by name.

MS-SSIM is written here because usual ones give NaN gradients where a contrast term is negative, and
refuse crops under 176 pixels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ..blocks.retinex import WEIGHTS, Decomposition, pair_loss
from ..errors import OptionError

# Wang, Simoncelli & Bovik, "Multi-scale structural similarity", Asilomar 2003, section 3.2.
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_K1, _K2, _WINDOW, _SIGMA = 0.01, 0.03, 11, 1.5
_KNEE = 0.05  # below it the power of a scale is continued, see _power


@dataclass(frozen=True)
class Loss:
    """A weighted sum of terms.

        l1 * mean|y - t|  +  ssim * (1 - SSIM over that many scales)
        + tv * TV(y) / (C H W)  +  blurred * mean((G*y - G*t)^2)  +  weights * sum|theta|
        + charbonnier * mean sqrt((y - t)^2 + 1e-12)

    with G a 3x3 Gaussian; `released` takes SSIM (see `ms_ssim`) and G as the authors' code does.
    """

    pairs: ClassVar[bool] = False  # whether the network is to see two pictures, see `PairLoss`

    l1: float
    ssim: float
    scales: int
    source: str  # where the numbers are from
    tv: float = 0.0
    blurred: float = 0.0
    weights: float = 0.0
    charbonnier: float = 0.0
    released: bool = False
    first: tuple[int, float, float] | None = None  # steps, and tv and blurred during these

    def __call__(
        self, prediction: Tensor, target: Tensor, step: int = 0, parameters: Iterable[Tensor] = ()
    ) -> Tensor:
        """Scalar loss of pictures (N, C, H, W), or clips (N, T, C, H, W), in about [0, 1]; `step`
        is for losses that change on the way, `parameters` for those that hold these small."""
        tv, blurred = self.tv, self.blurred
        if self.first and step < self.first[0]:
            _, tv, blurred = self.first
        if prediction.ndim == 5:  # frames of clips count as pictures
            prediction, target = prediction.flatten(0, 1), target.flatten(0, 1)
        loss = self.l1 * F.l1_loss(prediction, target)
        if self.ssim:
            loss = loss + self.ssim * (1 - ms_ssim(prediction, target, self.scales, self.released))
        if tv:
            loss = loss + tv * total_variation(prediction) / prediction[0].numel()
        if blurred:
            y, t = (_soften(x, self.released) for x in (prediction, target))
            loss = loss + blurred * F.mse_loss(y, t)
        if self.weights:
            loss = loss + self.weights * sum(p.abs().sum() for p in parameters)
        if self.charbonnier:
            loss = loss + self.charbonnier * charbonnier(prediction, target)
        return loss


@dataclass(frozen=True)
class PairLoss:
    """A loss without targets: what a network makes of two exposures of one scene has to agree."""

    pairs: ClassVar[bool] = True

    source: str
    weights: tuple[float, float, float] = WEIGHTS  # of consistency, retinex and projection
    symmetric: bool = False  # each picture counts alike

    def __call__(
        self, predictions: tuple[Decomposition, Decomposition], pictures: tuple[Tensor, Tensor], *_
    ) -> Tensor:
        """Scalar loss of the two splits that the network made, (L, R, X) each, of two exposures."""
        return pair_loss(*pictures, *predictions, self.weights, self.symmetric)


LOSSES = {
    "l1": Loss(1.0, 0.0, 0, "SID: Chen et al., CVPR 2018, section 4.1"),
    "redi_paper": Loss(0.8, 0.2, 5, "REDI: Lamba & Mitra, CVPR 2021, as the paper says"),
    "redi_code": Loss(1.0, 0.2, 5, "REDI: the weights of the released training code"),
    "redi_released": Loss(1.0, 0.2, 5, "REDI: the released training code, its MS-SSIM too",
                          released=True),
    "l1_ssim": Loss(0.8, 0.2, 1, "REDI's weights on one scale, for crops too small for five"),
    # Without the published perceptual term, 3 * VGG19: the released code computed its features
    # under no-grad for both pictures, so that it added a number to the loss and nothing to any
    # gradient. The division of TV by C H W is theirs too: "1000 TV" is about 1e-3.
    "llpacknet": Loss(
        1.0, 0.0, 0, "LLPackNet: Lamba et al., BMVC 2020; VGG term left out",
        tv=400.0, blurred=1.0, weights=1e-6, first=(20_000, 1000.0, 10.0),
    ),
    "llpacknet_released": Loss(  # its TV is twice ours
        1.0, 0.0, 0, "LLPackNet: released train.py, its blur and its TV; VGG term left out",
        tv=800.0, blurred=1.0, weights=1e-6, first=(20_000, 2000.0, 10.0), released=True,
    ),
    "charbonnier": Loss(0.0, 0.0, 0, "BRVE: Zhang et al., CVPR 2024, released configurations",
                        charbonnier=1.0),
    "pairlie": PairLoss("PairLIE: Fu et al., CVPR 2023, released code"),
    "pairlie_symmetric": PairLoss("ours: both pictures count, where PairLIE's code has the first",
                                  symmetric=True),
    "pairlie_fork": PairLoss("a fork of PairLIE's code, which changed all three weights",
                             weights=(0.5, 1.0, 5.0)),
    # In a short training L hardly leaves its start, so that R keeps the exposure, and saturates.
    "pairlie_short": PairLoss("ours, for short trainings: consistency counts four times",
                              weights=(4.0, 1.0, 500.0)),
}  # fmt: skip


def find_loss(name: str) -> Loss | PairLoss:
    """The loss of that name; OptionError lists them."""
    if name not in LOSSES:
        raise OptionError(f"unknown loss {name!r}", todo=f"use one of {', '.join(LOSSES)}")
    return LOSSES[name]


def ms_ssim(x: Tensor, y: Tensor, scales: int = 5, released: bool = False) -> Tensor:
    """Multi-scale structural similarity of (N, C, H, W) in [0, 1]: mean over the batch, a scalar.

        MS-SSIM = l_M^w_M * prod_j (cs_j)^w_j,   weights normalised over the scales in use

    Args:
        scales: 1 (plain SSIM) to 5; the shorter side must be at least 11 * 2^(scales - 1).
        released: as REDI's code has it: weights not normalised, and a scale of negative contrast
            makes all 0, without a gradient (there NaN). Otherwise see `_power`.
    Source: Wang et al., 2003, equation 7; SSIM window of 11 pixels, sigma 1.5.
    """
    sides, need = tuple(x.shape[-2:]), _WINDOW * 2 ** (scales - 1)
    if min(sides) < need:
        what = f"MS-SSIM over {scales} scales needs sides of {need} pixels, got {sides}"
        raise OptionError(what, todo="use larger crops, or a loss of fewer scales, say l1_ssim")
    total = 1 if released else sum(MS_WEIGHTS[:scales])
    weights = torch.tensor(MS_WEIGHTS[:scales]) / total
    powers = []
    for j, w in enumerate(weights.tolist()):
        luminance, contrast = _ssim_terms(x, y)
        last = j == scales - 1
        term = (luminance * contrast if last else contrast).mean((2, 3))  # (N, C)
        powers.append(term if scales == 1 else _power(term, w, released))
        if not last:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return functools.reduce(torch.mul, powers).mean()


def charbonnier(x: Tensor, y: Tensor, eps: float = 1e-12) -> Tensor:
    """Mean of sqrt((x - y)^2 + eps), a scalar. Source: Charbonnier et al., "Two deterministic
    half-quadratic regularization algorithms for computed imaging", ICIP 1994; `eps` is BRVE's."""
    return ((x - y).square() + eps).sqrt().mean()


def total_variation(x: Tensor) -> Tensor:
    """Mean squared difference of vertical and of horizontal neighbours, summed; (N, C, H, W)."""
    down, right = x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]
    return down.square().mean() + right.square().mean()


def _soften(x, released=False):
    """3x3 Gaussian (1 2 1 / 2 4 2 / 1 2 1) / 16, without padding; as released 0.053
    exp(-(i^2 + j^2) / 6), the kernel of Ignatov et al., ICCV 2017, cut to 3x3."""
    side, scale = (math.exp(-1 / 6), 0.053) if released else (0.5, 0.25)
    g = torch.tensor([side, 1.0, side], dtype=x.dtype, device=x.device)
    return F.conv2d(x, (g[:, None] * g * scale).expand(x.shape[1], 1, 3, 3), groups=x.shape[1])


def _power(x, w, released):
    """x^w, with a finite gradient that leads away from negative x: below a small knee it goes on as
    an exponential of the same value and slope; as released it is 0 below 0."""
    if released:
        return torch.where(x > 0, x.clamp(min=1e-30) ** w, 0.0)
    knee = torch.as_tensor(_KNEE, dtype=x.dtype, device=x.device)
    below = knee**w * torch.exp(w * (x.clamp(max=_KNEE) - knee) / knee)
    return torch.where(x > knee, x.clamp(min=_KNEE) ** w, below)


def _ssim_terms(x, y):
    c1, c2 = _K1**2, _K2**2
    # The squares only ever come as their sum; the target's mean is apart, for it has no gradient.
    my = _blur(y)
    mx, squares, xy = _blur(torch.cat([x, x * x + y * y, x * y], 1)).split(x.shape[1], 1)
    mxy, means = mx * my, mx * mx + my * my
    luminance = (2 * mxy + c1) / (means + c1)
    contrast = (2 * (xy - mxy) + c2) / (squares - means + c2)
    return luminance, contrast


def _blur(x):
    """Gaussian window, separable, without padding; in channels-last, where it is twice as fast."""
    i = torch.arange(_WINDOW, dtype=x.dtype, device=x.device) - _WINDOW // 2
    g = torch.exp(-(i**2) / (2 * _SIGMA**2))
    g = (g / g.sum()).view(1, 1, -1, 1).repeat(x.shape[1], 1, 1, 1)
    x = F.conv2d(x.contiguous(memory_format=torch.channels_last), g, groups=x.shape[1])
    return F.conv2d(x, g.transpose(2, 3), groups=x.shape[1]).contiguous()
