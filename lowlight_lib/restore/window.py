"""A network over a picture of any size: whole, or tile by tile, without gradients."""

from __future__ import annotations

import contextlib

import torch

from ..errors import OptionError, ShapeError
from ..models import spec_of


def run(network, x, *, tile=None, finish=torch.as_tensor):
    """Apply a network to (1, C, H, W) as `tiles` does; one tensor (1, C', H, W), float32."""
    out = None
    with out_of_memory(tuple(x.shape)):
        for top, left, part in tiles(network, x, tile, finish):
            h, w = part.shape[-2:]
            if x.shape[-2:] == (h, w):
                return part
            if out is None:
                out = torch.empty(*part.shape[:2], *x.shape[-2:])
            out[..., top : top + h, left : left + w] = part
    return out


def tiles(network, x, tile=None, finish=torch.as_tensor):
    """Apply a network to (1, C, H, W) without gradients, whole or by tiles, one after the other.

    Tiles lie on the network's multiple and see a halo (see `models.Spec`), which is cut
    off again: exact for SID and PairLIE, over 60 dB to the whole picture for REDI.

    Args:
        tile: side of the tiles; None is one part, whole.
        finish: makes one tensor (1, C', h, w) of what the network puts out.
    Yields:
        (top, left, part): float32 (1, C', h, w) on the CPU, and where it belongs.
    Raises:
        ShapeError: the network's output has another height or width than its input.
    """
    h, w = x.shape[-2:]
    if tile is None:
        tile, halo = max(h, w), 0
    else:
        spec = spec_of(network)
        multiple, halo = spec.multiple, spec.halo
        if tile < multiple:
            raise OptionError(f"a tile has at least {multiple} pixels a side, got {tile}")
        tile = tile // multiple * multiple
    device = device_of(network)
    for y0 in range(0, h, tile):
        for x0 in range(0, w, tile):
            top, left = max(0, y0 - halo), max(0, x0 - halo)
            seen = x[..., top : y0 + tile + halo, left : x0 + tile + halo]
            with torch.inference_mode():
                part = finish(network(seen.to(device))).float().cpu()
            if part.shape[-2:] != seen.shape[-2:]:
                raise ShapeError(f"the network made {tuple(part.shape)} of {tuple(seen.shape)}")
            yield y0, x0, part[..., y0 - top :, x0 - left :][..., :tile, :tile]


# How PyTorch says it: the CPU's allocator, CUDA's, and sizes that overflow before either.
_NO_MEMORY = ("not enough memory", "out of memory", "allocate memory", "calculation overflowed")


@contextlib.contextmanager
def out_of_memory(shape, todo="work in tiles (--tile 1024), or take a smaller input"):
    """Turn PyTorch's way of running out of memory into an OptionError with a way out."""
    try:
        yield
    except (RuntimeError, MemoryError) as e:
        if not isinstance(e, MemoryError) and not any(words in str(e) for words in _NO_MEMORY):
            raise
        raise OptionError(
            f"an input of {'x'.join(map(str, shape))} does not fit into memory",
            todo=todo,
        ) from e


def device_of(network) -> torch.device:
    """Where a network lives; the CPU for what is no module."""
    if isinstance(network, torch.nn.Module):
        return next((p.device for p in network.parameters()), torch.device("cpu"))
    return torch.device("cpu")
