"""Networks for tests: the released ones' drawn weights, and stand-ins that are quick."""

import json

import numpy as np
import torch

from lowlight_lib import models
from lowlight_lib.sensor import cfa

PICTURES = sorted(k for k in models.SYSTEMS if models.SYSTEMS[k].spec.channels != 4)


def drawn_weights(shared, name, seed, scale):
    """The weights that the reference output was made with: one generator, in the listed order."""
    rng = np.random.RandomState(seed)
    pairs = json.loads((shared / "reference" / f"{name}_keys.json").read_text())
    state = {}
    for key, shape in pairs:
        value = rng.standard_normal(shape).astype(np.float32) * np.float32(scale)
        state[key] = torch.from_numpy(np.abs(value) * 10 + 0.2 if "weight_g" in key else value)
    return state


def frames(t, h, w, seed=0):
    return torch.rand(t, 4, h, w, generator=torch.Generator().manual_seed(seed)) * 0.3


def demosaic(x):
    """A stand-in network, RGGB (1, 1, H, W) -> (1, 3, H, W): each 2x2 cell in one colour."""
    h, w = x.shape[-2:]
    assert x.dtype == torch.float32
    x = torch.nn.functional.pad(x, (0, w % 2, 0, h % 2), mode="replicate")
    p = cfa.pack_mosaic(x[:, 0])
    rgb = torch.stack([p[:, 0], (p[:, 1] + p[:, 2]) / 2, p[:, 3]], 1)
    return rgb.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :h, :w]
