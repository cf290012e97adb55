"""Any image size: pad by reflection to a network's multiple, crop back after it."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

Output = TypeVar("Output", bound=Tensor | tuple[Tensor, ...])


def run_padded(
    network: Callable[[Tensor], Output], x: Tensor, multiple: int, cell: int | None = None
) -> Output:
    """Pad (see `pad_to_multiple`), run, crop: any height and width through such a network.

    It gives a tensor, or a tuple of tensors, as high and wide as what it is given, (N, C, H, W).
    """
    h, w = x.shape[-2:]
    y: Any = network(pad_to_multiple(x, multiple, cell))
    if torch.is_tensor(y):
        return y[..., :h, :w]  # type: ignore[return-value]
    cropped = [part[..., :h, :w] for part in y]
    return type(y)(*cropped) if hasattr(y, "_fields") else type(y)(cropped)


def pad_to_multiple(x: Tensor, multiple: int, cell: int | None = None) -> Tensor:
    """Extend (N, C, H, W) at bottom and right until both sides are multiples.

    By reflection without the edge, which keeps the phase of a Bayer mosaic, as often as it takes
    (unlike `F.pad`); a single line is repeated, even where `multiple` is 1. No reflection keeps the
    phase of an X-Trans mosaic: with `cell=6` the last six lines (or fewer) are repeated.

    >>> pad_to_multiple(torch.tensor([[[[1., 2., 3.]]]]), 4).squeeze().tolist()[0]
    [1.0, 2.0, 3.0, 2.0]
    """
    h, w = x.shape[-2:]
    pad_h, pad_w = (-s % multiple or int(s == 1) for s in (h, w))
    if not (pad_h or pad_w):
        return x
    if not cell and pad_h < h and pad_w < w:
        return F.pad(x, (0, pad_w, 0, pad_h), mode="reflect")
    rows, cols = (_lines(s, s + p, cell, x.device) for s, p in ((h, pad_h), (w, pad_w)))
    return x[..., rows[:, None], cols]


def _lines(size, target, cell, device):
    """Numbers of the lines that make `target` out of `size` lines."""
    i = torch.arange(target, device=device)
    if cell:
        back = torch.div(i - size + cell, cell, rounding_mode="floor") * cell
        return (i - back.clamp(min=0)).clamp(min=0)
    i = i % max(2 * size - 2, 1)
    return torch.minimum(i, 2 * size - 2 - i)
