"""How many frames a second of raw video become pictures, and where the time goes."""

import io

import numpy as np
import torch

from ..blocks.padding import pad_to_multiple
from ..io.files import to_integers
from ..io.png import write_png
from ..sensor.cfa import pack_mosaic
from ..sensor.display import display
from .bitpacked.network import pack_network
from .cost import in_turns

BLACK, WHITE, RATIO = 512, 15360, 100  # as LLRVD's camera has them


def bench_video(model, frames=30, side=256) -> dict[str, float]:
    """Time what a stream does for each frame, a noisy mosaic (side, side), by a network on bits.

    Returns:
        seconds a frame, the mean: "pack" (mosaic to planes), "normalise" (levels and
        amplification), the network's own stages by name, "picture" (display and PNG).
    """
    packed, rng = pack_network(model), np.random.default_rng(0)
    mosaic = rng.integers(BLACK, BLACK + 200, (side, side)).astype(np.uint16)
    planes = pack_mosaic(mosaic)
    frame = pad_to_multiple(_normalise(planes), model.spec.multiple)
    first, deep = packed.extract(frame)
    known = frame, first, deep, packed.align(deep, deep, deep)[0]
    y = packed.reconstruct(*known)[0].clip(0, 1).numpy()
    calls = {
        "pack": lambda: pack_mosaic(mosaic),
        "normalise": lambda: _normalise(planes),
        "extract": lambda: packed.extract(frame),
        "align": lambda: packed.align(deep, deep, deep),
        "reconstruct": lambda: packed.reconstruct(*known),
        "picture": lambda: write_png(io.BytesIO(), to_integers(display(y), 8)),
    }
    with torch.inference_mode():
        in_turns(calls, 2)  # the first starts threads and chooses kernels
        return {name: float(np.mean(t)) for name, t in in_turns(calls, frames).items()}


def _normalise(planes):
    x = (planes.astype(np.float32) - BLACK) * np.float32(RATIO / (WHITE - BLACK))
    return torch.from_numpy(x.clip(0, 1))[None]


def video_line(key, seconds, side=256) -> str:
    """What `bench_video` found, as a line of text."""
    total = sum(seconds.values())
    shares = ", ".join(f"{name} {part / total:.0%}" for name, part in seconds.items())
    return f"{key} in bits, {side}x{side} Bayer: {1 / total:.1f} frames a second ({shares})"
