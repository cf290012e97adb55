"""Networks for tests: those behind the reference outputs, and stand-ins that are quick."""

import contextlib
import json

import numpy as np
import pytest
import torch

from lowlight_lib import models, recipes
from lowlight_lib.sensor import cfa
from lowlight_lib.training import checkpoint

PICTURES = sorted(k for k in models.SYSTEMS if models.SYSTEMS[k].spec.channels != 4)

# Options that make a network quick to build, run and write. LLPackNet and SID have none.
SMALL = {
    "redi": {"growth": 8, "layers": [1, 2]},
    "brve": {"channels": 4},
    "pairlie": {"width": 8},
}

# Where the weights of a reference output come from: a released file, or (seed, scale) of a
# generator, for networks whose weights may not be passed on.
FILES = {"redi": "redi_sid_official.pth", "pairlie": "pairlie_official.pth"}
DRAWN = {"llpacknet": (61, 0.05), "brve": (62, 0.1), "sid": (63, 0.05)}
OPTIONS = {"sid": {"clip_input": False}}  # the port, which the reference is of, does not clip


@contextlib.contextmanager
def known(*cards, trained_by=()):
    """While this lasts, systems from outside the package are known, and their recipes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.SYSTEMS, "data", dict(models.SYSTEMS.data))
        patch.setattr(recipes, "_ADDED", {})
        for card in cards:
            models.add(card)
        for recipe in trained_by:
            recipes.add(recipe)
        yield


def small(key, **options):
    """A small network of a system in eval mode, always with the same weights."""
    torch.manual_seed(0)
    return models.build(key, **SMALL.get(key, {}) | options).eval()


def reference(shared, name):
    """The arrays of a file in shared/reference, as tensors."""
    arrays = np.load(shared / "reference" / f"{name}.npz")
    return {k: torch.from_numpy(np.asarray(arrays[k])) for k in arrays}


def drawn_weights(shared, key):
    """The weights that a reference output was made with, under the released names."""
    seed, scale = DRAWN[key]
    rng = np.random.RandomState(seed)
    state = {}  # one generator, in the listed order
    for name, shape in json.loads((shared / "reference" / f"{key}_keys.json").read_text()):
        value = rng.standard_normal(shape).astype(np.float32) * np.float32(scale)
        state[name] = torch.from_numpy(np.abs(value) * 10 + 0.2 if "weight_g" in name else value)
    return state


def reference_network(shared, key):
    """The network that a reference output was made with, in eval mode."""
    if key in FILES:
        return checkpoint.load(key, shared / "checkpoints" / FILES[key])
    network = models.build(key, **OPTIONS.get(key, {})).eval()
    checkpoint.fill(network, drawn_weights(shared, key), None)
    return network


def tensors(out):
    """What a network puts out, as a tuple: one tensor, or PairLIE's three."""
    return (out,) if torch.is_tensor(out) else tuple(out)


def rand(*shape, seed=0):
    """Uniform in [0, 1), the same for the same shape and seed."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def frames(t, h, w, seed=0):
    return rand(t, 4, h, w, seed=seed) * 0.3


def count(network):
    """How many parameters it has."""
    return sum(p.numel() for p in network.parameters())


def near(a, b):
    """Equal but for what one flipped sign spreads: most within 1e-4, on average within 2e-3."""
    assert (a - b).abs().mean() < 2e-3 * b.abs().mean() + 1e-6
    assert ((a - b).abs() < 1e-4 * b.abs().max()).float().mean() > 0.99


def demosaic(x):
    """A stand-in network, RGGB (1, 1, H, W) -> (1, 3, H, W): each 2x2 cell in one colour."""
    h, w = x.shape[-2:]
    assert x.dtype == torch.float32
    x = torch.nn.functional.pad(x, (0, w % 2, 0, h % 2), mode="replicate")
    p = cfa.pack_mosaic(x[:, 0])
    rgb = torch.stack([p[:, 0], (p[:, 1] + p[:, 2]) / 2, p[:, 3]], 1)
    return rgb.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :h, :w]
