"""Retinex: I = L * R, and what to ask of a network that splits a picture so.

L, the illumination, is one plane; R, the reflectance, has the colours and should not depend on how
long the shutter was open. PairLIE first projects the picture to X, which is meant to obey the
product exactly (noise does not), and learns the split from two dark exposures of one scene.
Source: Fu et al., "Learning a Simple Low-Light Image Enhancer From Paired Low-Light Instances",
CVPR 2023. Built in notebooks/09_retinex, sections 2 to 6.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ShapeError

WEIGHTS = (1.0, 1.0, 500.0)  # of consistency, retinex and projection, as released


class Decomposition(NamedTuple):
    """What a picture was split into: L (N, 1, H, W), R (N, 3, H, W), and X (N, 3, H, W) = L * R."""

    L: Tensor
    R: Tensor
    X: Tensor


def decompose(image: Tensor, radius: int = 0) -> Decomposition:
    """Split a picture (N, 3, H, W) in [0, 1] without any learning; X is the picture itself.

    L = max over R, G, B; with a radius, L is made smooth: the maximum over a window, then the mean
    over one. So, up to rounding, L is never darker than the pixel, and R never exceeds 1.
    Source: the illumination map of Guo, Li & Ling, "LIME", TIP 2017, equation 3.

    >>> L, R, _ = decompose(torch.tensor([0.1, 0.2, 0.05]).view(1, 3, 1, 1))
    >>> round(L.item(), 3), [round(v, 3) for v in R.flatten().tolist()]
    (0.2, [0.5, 1.0, 0.25])
    """
    L = image.amax(1, keepdim=True)
    if radius:
        side = 2 * radius + 1
        L = F.max_pool2d(L, side, 1, radius)
        L = F.avg_pool2d(L, side, 1, radius, count_include_pad=False)
    return Decomposition(L, image / L.clamp(min=torch.finfo(L.dtype).tiny), image)


def recompose(L: Any, R: Any, gamma: float = 0.2) -> Any:
    """The brightened picture L^gamma * R, of tensors or arrays: L (N, 1, H, W), R (N, 3, H, W).

    A gamma of 1 gives the picture back, 0 is R alone; the released code has 0.2, and 0.14 for LOL.
    """
    return L**gamma * R


def consistency(R1: Tensor, R2: Tensor) -> Tensor:
    """C = mean((R1 - R2)^2): two exposures of one scene have the same reflectance."""
    return F.mse_loss(R1, R2)


def retinex(image: Tensor, split: Decomposition) -> Tensor:
    """Rl: L R is the (projected) picture, and L is plain, smooth and as bright.

    Rl = mean((L R - X)^2) + mean((R - X / stop(L))^2) + mean((L - max_rgb I)^2) + TV(L)

    stop() lets no gradient through. X / L has no epsilon: L comes out of a sigmoid.
    """
    L, R, X = split
    product = F.mse_loss(L * R, X) + F.mse_loss(R, X / L.detach())
    return product + F.mse_loss(L, image.amax(1, keepdim=True)) + total_variation(L)


def projection(image: Tensor, X: Tensor) -> Tensor:
    """P = mean((I - X)^2): the projected picture stays close to the recorded one."""
    return F.mse_loss(image, X)


def total_variation(x: Tensor) -> Tensor:
    """TV = mean |x[i + 2, j] - x[i, j]| + mean |x[i, j + 2] - x[i, j]|, as released.

    Of (N, C, H, W); ShapeError for a side under 3.
    """
    if min(x.shape[-2:]) < 3:
        raise ShapeError(f"pixels two apart need sides of 3 or more, got {tuple(x.shape)}")
    down, right = x[..., 2:, :] - x[..., :-2, :], x[..., 2:] - x[..., :-2]
    return down.abs().mean() + right.abs().mean()


def pair_loss(
    image1: Tensor, image2: Tensor, split1, split2, weights=WEIGHTS, symmetric: bool = False
) -> Tensor:
    """w_C C + w_R Rl + w_P P of two exposures of one scene, (N, 3, H, W), and their Decompositions.

    Rl and P are those of the first picture alone, as released; `symmetric` the mean of both's.
    """
    pictures = [(image1, split1), (image2, split2)][: 2 if symmetric else 1]
    c, r, p = weights
    own = sum(r * retinex(i, split) + p * projection(i, split.X) for i, split in pictures)
    return c * consistency(split1.R, split2.R) + own / len(pictures)
