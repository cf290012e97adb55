"""The one path that every picture takes: read, normalise, amplify, network, picture."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

import numpy as np
import torch

from . import models
from .blocks.amplifier import estimate_amplification
from .errors import OptionError, ShapeError
from .sensor.cfa import to_rggb
from .sensor.isp import upright as turn
from .sensor.raw import RawImage, read_raw


@dataclass(frozen=True)
class Restored:
    """A restored picture.

    Attributes:
        image: float32 (H, W, 3) in [0, 1], display-encoded.
        amplification: the factor the mosaic was multiplied by.
        seconds: time by stage: read, amplify, network, picture.
    """

    image: np.ndarray
    amplification: float
    seconds: dict[str, float]


def restore(
    image, network, key, amplification="auto", m=1.0, gamma=0.2, tile=None, *, upright=True
) -> Restored:
    """Restore one dark raw image.

    Args:
        image: path of a raw file, or a RawImage (Bayer, any of the four orders, any levels).
        network: a callable, tensor (1, 1, H, W) -> (1, 3, H, W): a module of `models.build`, or
            one made fast.
        key: which system it is; its card says how it wants its input.
        amplification: "auto" (estimated from the image, REDI's equation 5) or the factor.
        m: brightness: a parameter of the estimate, or a multiplier of the given factor.
        gamma: unused by raw systems.
        tile: side of the tiles in pixels, for pictures that do not fit in memory; None is whole.
        upright: turn the picture as the file's orientation asks.
    Returns:
        Restored.
    Raises:
        RawFileError, UnsupportedRawError, ShapeError, OptionError: as the names say.
    """
    card = models.card(key)
    clock = _Clock()
    raw = image if isinstance(image, RawImage) else read_raw(image)
    clock("read")
    factor = find_amplification(raw, amplification, m)
    padded, (top, left) = to_rggb(raw)
    x = padded.normalized()
    if not card.amplifies_itself:
        x *= np.float32(factor)
    clock("amplify")
    y = run(network, torch.from_numpy(x)[None, None], tile=tile, card=card)
    if y.shape[-2:] != x.shape:
        raise ShapeError(f"the network made {tuple(y.shape)} of {x.shape}")
    clock("network")
    picture = y[0].permute(1, 2, 0).numpy()[top:, left:].clip(0, 1)
    if upright:
        picture = turn(picture, raw.orientation)
    picture = np.ascontiguousarray(picture, np.float32)
    clock("picture")
    return Restored(picture, factor, clock.seconds)


def find_amplification(raw: RawImage, amplification="auto", m=1.0) -> float:
    """The factor: estimated with brightness m, or the given number times m."""
    if not m > 0:
        raise OptionError(f"m is above 0, got {m}")
    if amplification == "auto":
        return estimate_amplification(raw.mosaic, raw.black_level, raw.white_level, m)
    try:
        factor = float(amplification) * m
    except (TypeError, ValueError) as e:
        raise OptionError(
            f"amplification is 'auto' or a number, not {amplification!r}",
            todo="give auto, or a number such as 100",
        ) from e
    if not (factor > 0 and np.isfinite(factor)):
        raise OptionError(
            f"amplification is above 0, got {factor:g}", todo="give auto, or a number such as 100"
        )
    return factor


def run(network, x, *, tile=None, card=None):
    """Apply a network to (1, C, H, W) without gradients, whole or by tiles; (1, 3, H, W), float32.

    Tiles lie on the network's multiple and see the halo of its card, which is cut off again: exact
    for SID, over 60 dB to the whole picture for REDI.
    """
    device = _device(network)
    with torch.inference_mode(), out_of_memory(tuple(x.shape)):
        if tile is None:
            return torch.as_tensor(network(x.to(device))).float().cpu()
        multiple, halo = card.multiple, card.halo
        if tile < multiple:
            raise OptionError(f"a tile has at least {multiple} pixels a side, got {tile}")
        tile = tile // multiple * multiple
        h, w = x.shape[-2:]
        out = torch.empty(x.shape[0], 3, h, w)
        for y0 in range(0, h, tile):
            for x0 in range(0, w, tile):
                top, left = max(0, y0 - halo), max(0, x0 - halo)
                bottom, right = min(h, y0 + tile + halo), min(w, x0 + tile + halo)
                part = network(x[..., top:bottom, left:right].to(device))
                part = torch.as_tensor(part)[..., y0 - top :, x0 - left :][..., :tile, :tile]
                out[..., y0 : y0 + tile, x0 : x0 + tile] = part
        return out


# How PyTorch says it: the CPU's allocator, CUDA's, and sizes that overflow before either.
_NO_MEMORY = ("not enough memory", "out of memory", "allocate memory", "calculation overflowed")


@contextlib.contextmanager
def out_of_memory(shape):
    """Turn PyTorch's way of running out of memory into an OptionError with a way out."""
    try:
        yield
    except (RuntimeError, MemoryError) as e:
        if not isinstance(e, MemoryError) and not any(words in str(e) for words in _NO_MEMORY):
            raise
        raise OptionError(
            f"an input of {'x'.join(map(str, shape))} does not fit into memory",
            todo="work in tiles (--tile 1024), or take a smaller input",
        ) from e


def _device(network):
    if isinstance(network, torch.nn.Module):
        return next((p.device for p in network.parameters()), torch.device("cpu"))
    return torch.device("cpu")


class _Clock:
    def __init__(self):
        self.seconds, self._last = {}, time.perf_counter()

    def __call__(self, stage):
        now = time.perf_counter()
        self.seconds[stage], self._last = now - self._last, now


def mosaic_from_array(array, black, white, cfa, path=None) -> RawImage:
    """A RawImage from a bare mosaic (a .npy, say), whose levels and filters nobody wrote down.

    Args:
        array: (H, W), integers or whole numbers that fit 16 bits.
        black, white: levels in DN.
        cfa: (2, 2) or (6, 6) cell of 0, 1, 2.
    Raises:
        ShapeError: not a finite 2-D array within 0..65535.
    """
    a = np.asarray(array)
    if a.ndim != 2 or a.dtype.kind not in "uif" or min(a.shape) < 2:
        raise ShapeError(f"a mosaic is a 2-D array of numbers, got {a.dtype} {a.shape}", file=path)
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        raise ShapeError("holds NaN or infinity", file=path)
    if a.dtype.kind == "f" and np.abs(a - np.rint(a)).max() > 1e-3:
        raise ShapeError(
            "holds fractions, not the whole numbers (DN) of a sensor",
            file=path,
            todo="multiply a normalised mosaic up to DN, and say so with --black and --white",
        )
    if a.min() < 0 or a.max() > 65535:
        raise ShapeError(f"holds {a.min():g}..{a.max():g}, not 0..65535", file=path)
    return RawImage(
        np.rint(a).astype(np.uint16), cfa, black_level=black, white_level=white, path=path
    )
