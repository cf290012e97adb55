"""A network over a picture or clip of any size: whole, or tile by tile, without gradients."""

from __future__ import annotations

import contextlib
import itertools
from typing import cast

import numpy as np
import torch
from tqdm.auto import tqdm

from ..errors import OptionError, ShapeError
from ..models import spec_of

LEAST_TILE = 32
# How PyTorch says it: the CPU's allocator, CUDA's, and sizes that overflow before either.
_NO_MEMORY = ("not enough memory", "out of memory", "allocate memory", "calculation overflowed")


def tiles(network, x, tile=None, *, overlap=None, channels=None, finish=torch.as_tensor,
          progress=False):  # fmt: skip
    """Apply a network to (N, C, H, W) without gradients, whole or by tiles, one after the other.

    Two ways hide where tiles meet. A halo, for stills and photographs: tiles lie side by side on
    the network's multiple and see `spec.halo` pixels more around them, which are cut off again. An
    overlap, for clips: tiles of one size share some pixels, which `run` then blends.

    Args:
        network: a callable; with a `spec` where there is a tile and no overlap.
        tile: side of the tiles in pixels of the network's input, at least 32; None is the whole.
        overlap: pixels that neighbouring tiles share; None is the network's halo instead.
        channels: of what `finish` makes of the network's output, one tensor (N, C', h, w).
        progress: show a bar where there is more than one tile, and a terminal.
    Yields (rows, columns, part): two slices of x's last axes, and what belongs there, float32
        (N, C', h, w) on the CPU; ShapeError where it has another shape, or is not finite.
    """
    halo = 0
    if tile is None:
        tile = max(x.shape[-2:])
    elif overlap is None:
        spec = spec_of(network)
        if tile < spec.multiple:
            raise OptionError(f"a tile has at least {spec.multiple} pixels a side, got {tile}")
        tile, halo = max(tile, LEAST_TILE) // spec.multiple * spec.multiple, spec.halo
    device = device_of(network)
    places = list(itertools.product(*(_along(n, tile, overlap) for n in x.shape[-2:])))
    hidden = None if progress and len(places) > 1 else True  # None: where there is no terminal
    for rows, columns in tqdm(places, unit="tile", leave=False, disable=hidden):
        top, left = max(0, rows.start - halo), max(0, columns.start - halo)
        seen = x[..., top : rows.stop + halo, left : columns.stop + halo]
        with torch.inference_mode():
            y = finish(network(seen.to(device))).float().cpu()
        kept = y.shape[1:2] if channels is None else (channels,)
        if y.shape != (len(x), *kept, *seen.shape[-2:]):
            raise ShapeError(f"the network made {tuple(y.shape)} of {tuple(seen.shape)}")
        if not all(map(torch.isfinite, torch.aminmax(y))):
            todo = "are these weights of this network, and was its training sound?"
            raise ShapeError("the network made values that are not finite", todo=todo)
        y = y[..., rows.start - top :, columns.start - left :]
        yield rows, columns, y[..., : rows.stop - rows.start, : columns.stop - columns.start]


def run(network, x, tile=None, *, overlap=None, blend=True, **options):
    """What `tiles` yields as one tensor (N, C', H, W). With `blend` the weights of tiles that
    overlap fall linearly to the tile's border, so that no edge shows; else it is the plain mean."""
    (h, w), out = x.shape[-2:], None
    for rows, columns, part in tiles(network, x, tile, overlap=overlap, **options):
        if part.shape[-2:] == (h, w):
            return part
        if out is None:
            out, total = np.zeros((*part.shape[:2], h, w), np.float32), np.zeros((h, w), np.float32)
        weight = np.float32(1)
        if overlap and blend:
            weight = np.outer(_ramp(rows, h, overlap), _ramp(columns, w, overlap))
        out[..., rows, columns] += part.numpy() * weight
        total[rows, columns] += weight
    return torch.from_numpy(np.divide(cast(np.ndarray, out), total, out=out))


def _along(side, tile, overlap):
    """The tiles of an axis, as slices; with an overlap all have one length, if there is room."""
    starts = range(0, side, tile)
    if overlap is not None:
        last = max(side - tile, 0)
        starts = [*range(0, last, tile - overlap), last]
    return [slice(start, min(start + tile, side)) for start in starts]


def _ramp(lines, side, overlap):
    """Weights of a tile's lines; they fall where it has a neighbour before or after it."""
    n = np.arange(1, lines.stop - lines.start + 1, dtype=np.float32) / (overlap + 1)
    weight = np.minimum(n, 1) if lines.start > 0 else np.ones_like(n)
    return np.minimum(weight, n[::-1]) if lines.stop < side else weight


@contextlib.contextmanager
def out_of_memory(shape, todo="work in tiles (--tile 1024), or take a smaller input"):
    """Turn PyTorch's way of running out of memory into an OptionError with a way out."""
    try:
        yield
    except (RuntimeError, MemoryError) as e:
        if not isinstance(e, MemoryError) and not any(words in str(e) for words in _NO_MEMORY):
            raise
        what = f"an input of {'x'.join(map(str, shape))} does not fit into memory"
        raise OptionError(what, todo=todo) from e


def device_of(network) -> torch.device:
    """Where a network lives; the CPU for what is no module."""
    parameters = network.parameters() if isinstance(network, torch.nn.Module) else ()
    return next((p.device for p in parameters), torch.device("cpu"))
