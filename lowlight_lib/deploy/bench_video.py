"""How many frames a second of raw video become pictures, and where the time goes."""

import io
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from .. import models
from ..io.files import to_integers
from ..io.png import write_png
from ..sensor.cfa import pack_mosaic
from ..sensor.display import display
from .bitpacked.network import pack_network

BLACK, WHITE, RATIO = 512, 15360, 100  # as LLRVD's camera has them
_WARM = 4  # frames that fill the stream and choose kernels


def bench_video(key, frames=30, side=256, **options) -> dict[str, float]:
    """Stream mosaics (side, side) of noise through a binary network of these options on bits.

    Its weights are drawn, seed 0: they do not change the time.

    Returns:
        seconds a frame, the mean once the stream runs: "pack" (mosaic to planes), "normalise"
        (levels and amplification), the network's own stages by name, "picture" (display and PNG).
    """
    torch.manual_seed(0)
    model: Any = models.build(key, **options).eval()
    packed, seconds = pack_network(model), {}

    def timed(name, call):
        def run(*args):
            began = time.perf_counter()
            result = call(*args)
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began
            return result

        return run

    pack, normalise = timed("pack", pack_mosaic), timed("normalise", _normalise)
    stages = {name: timed(name, getattr(packed, name)) for name in models.export_units(model)}
    picture = timed("picture", _encode)
    stream = model.stream(SimpleNamespace(spec=model.spec, **stages))
    rng = np.random.default_rng(0)
    mosaics = rng.integers(BLACK, BLACK + 200, (_WARM + frames, side, side)).astype(np.uint16)
    for i, mosaic in enumerate(mosaics):
        if i == _WARM:
            seconds.clear()
        for done in stream.push(normalise(pack(mosaic))):
            picture(done)
    return {name: total / frames for name, total in seconds.items()}


def _normalise(planes):
    x = (planes.astype(np.float32) - BLACK) * np.float32(RATIO / (WHITE - BLACK))
    return torch.from_numpy(x.clip(0, 1))


def _encode(planes):
    write_png(io.BytesIO(), to_integers(display(planes.clip(0, 1).numpy()), 8))


def video_line(key, seconds, side=256) -> str:
    """What `bench_video` found, as a line of text."""
    total = sum(seconds.values())
    shares = ", ".join(f"{name} {part / total:.0%}" for name, part in seconds.items())
    return f"{key} in bits, {side}x{side} Bayer: {1 / total:.1f} frames a second ({shares})"
