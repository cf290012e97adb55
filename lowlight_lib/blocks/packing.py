"""Pack and UnPack: trade resolution for channels and back, neighbours of a colour kept together.

    pack:    channel (row * a + col) * C + c of the result holds pixel (y * a + row, x * a + col, c)

`torch.nn.PixelUnshuffle` orders them c * a^2 + row * a + col instead, so UnPack is PixelShuffle
after a fixed permutation of the channels.
Source: Lamba, Balaji & Mitra, "Towards Fast and Light-Weight Restoration of Dark Images", BMVC
2020, section 3. Built in notebooks/04_pack_unpack, sections 1, 2 and 4.
"""

import torch
from torch import Tensor

from ..errors import ShapeError


def pack(x: Tensor, factor: int) -> Tensor:
    """(..., C, H, W) -> (..., factor^2 * C, H / factor, W / factor), the exact inverse of `unpack`.
    Raises ShapeError: fewer than three axes, or sides that are no multiples.

    >>> x = torch.arange(8).view(2, 2, 2)  # two channels, 2x2 pixels: 0 1 / 2 3 and 4 5 / 6 7
    >>> pack(x, 2).flatten().tolist()
    [0, 4, 1, 5, 2, 6, 3, 7]
    """
    a = _factor(x, factor)
    *lead, c, h, w = x.shape
    if not torch.jit.is_tracing() and (h % a or w % a):
        raise ShapeError(f"pack by {a} needs sides that are multiples of {a}, got {h}x{w}")
    x = x.reshape(*lead, c, h // a, a, w // a, a)  # (..., c, y, row, x, col)
    x = _permute_last(x, (2, 4, 0, 1, 3))  # (..., row, col, c, y, x)
    return x.reshape(*lead, a * a * c, h // a, w // a)


def unpack(x: Tensor, factor: int) -> Tensor:
    """(..., factor^2 * C, H, W) -> (..., C, H * factor, W * factor), the exact inverse of `pack`.
    Raises ShapeError: fewer than three axes, or channels that are no multiple of factor^2.

    >>> unpack(torch.tensor([0, 4, 1, 5, 2, 6, 3, 7]).view(8, 1, 1), 2).tolist()
    [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    """
    a = _factor(x, factor)
    *lead, channels, h, w = x.shape
    if channels % (a * a):
        raise ShapeError(f"unpack by {a} needs a multiple of {a * a} channels, got {channels}")
    c = channels // (a * a)
    x = x.reshape(*lead, a, a, c, h, w)  # (..., row, col, c, y, x)
    x = _permute_last(x, (2, 3, 0, 4, 1))  # (..., c, y, row, x, col)
    return x.reshape(*lead, c, h * a, w * a)


def shuffle_order(channels: int, factor: int) -> Tensor:
    """The permutation p with unpack(z, a) == pixel_shuffle(z[:, p], a): long (factor^2 * C,),
    p[c * a^2 + ij] = ij * C + c, C being the channels of the result.

    >>> shuffle_order(3, 2).tolist()
    [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]
    """
    return torch.arange(factor * factor * channels).view(-1, channels).T.flatten()


def _permute_last(x, order):
    lead = x.ndim - len(order)
    return x.permute(*range(lead), *(lead + i for i in order))


def _factor(x, factor):
    if int(factor) != factor or factor < 1:
        raise ShapeError(f"a packing factor is a whole number of at least 1, got {factor!r}")
    if x.ndim < 3:
        raise ShapeError(f"packing needs (..., C, H, W), got {tuple(x.shape)}")
    return int(factor)
