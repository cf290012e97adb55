"""Networks, amplifier and losses give the outputs of the released code."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from support.mosaics import restored
from support.networks import FILES, drawn_weights, reference, reference_network, tensors

from lowlight_lib import models
from lowlight_lib.blocks import retinex
from lowlight_lib.blocks.amplifier import estimate_amplification
from lowlight_lib.blocks.dense import fold_weight_norm
from lowlight_lib.blocks.retinex import Decomposition
from lowlight_lib.errors import CheckpointError
from lowlight_lib.sensor import isp
from lowlight_lib.sensor.raw import read_raw
from lowlight_lib.training import checkpoint

# Float32 sums in another order; a picture's smallest step is 4e-3. Binary networks are chaotic, but
# not on so small a frame.
WITHIN = {"brve": 1e-4}


@pytest.mark.parametrize("key", models.SYSTEMS)
def test_the_released_weights_give_the_released_output(shared, key):
    arrays, network = reference(shared, key), reference_network(shared, key)
    wanted = [arrays[name] for name in ("LRX" if "L" in arrays else "y")]
    assert all(y.std() > 1e-3 for y in wanted)  # there is something to compare
    for _ in range(2):
        with torch.no_grad():
            found = tensors(network(arrays["x"]))
        for ours, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=WITHIN.get(key, 1e-5))
        fold_weight_norm(network)  # and once more


def test_the_released_weights_give_the_released_video_frame_by_frame(shared):
    arrays, network = reference(shared, "brve"), reference_network(shared, "brve")
    [clip], [wanted] = arrays["x"], arrays["y"]
    with torch.inference_mode():
        torch.testing.assert_close(network(clip), wanted, rtol=0, atol=1e-4)
    torch.testing.assert_close(network.stream().run(clip), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("gamma, name", [(0.2, "I02"), (0.14, "I014")])
def test_the_brightened_picture_is_the_released_one(shared, gamma, name):
    arrays = reference(shared, "pairlie")
    picture = retinex.recompose(arrays["L"], arrays["R"], gamma)
    torch.testing.assert_close(picture, arrays[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("key", ["llpacknet", "brve", "sid"])
def test_a_file_with_released_names_loads(shared, tmp_path, key):
    state, path = drawn_weights(shared, key), tmp_path / "weights.pth"
    torch.save({f"module.{name}": value for name, value in state.items()}, path)
    loaded, filled = checkpoint.load(key, path).state_dict(), reference_network(shared, key)
    assert all(torch.equal(value, loaded[name]) for name, value in filled.state_dict().items())


def test_names_of_2020_have_no_weight_norm(shared, tmp_path):
    """`RDBr.0.weight` and the like; the amplifier keeps our names, for none of theirs is known."""
    released, state = drawn_weights(shared, "llpacknet"), {}
    for name, v in released.items():
        if name.endswith("weight_v"):  # the weight that v and g stand for
            g = released[name.removesuffix("v") + "g"]
            length = v.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            state[name.removesuffix("_v")] = g * v / length
        elif not name.endswith("weight_g"):
            state[name] = v
    assert "RDBr.0.weight" in state and len(state) == 40
    plain = models.build("llpacknet", weight_norm=False).eval()
    checkpoint.fill(plain, state, None)
    arrays = reference(shared, "llpacknet")
    with torch.no_grad():
        torch.testing.assert_close(plain(arrays["x"]), arrays["y"], rtol=0, atol=1e-5)

    own = models.build("llpacknet", form="2020")
    with pytest.raises(CheckpointError, match="missing"):
        checkpoint.fill(own, released, None)
    amplifier = {k: v for k, v in own.state_dict().items() if k.startswith("amplifier.")}
    torch.save(state | amplifier, tmp_path / "2020.pth")
    old = checkpoint.load("llpacknet", tmp_path / "2020.pth", form="2020")
    assert torch.equal(old.conv_out.weight, state["final.2.0.weight"])
    with pytest.raises(CheckpointError, match="does not fit"):
        checkpoint.load("llpacknet", tmp_path / "2020.pth")


LOAD = """
import sys
from lowlight_lib.training import checkpoint
network = checkpoint.load(sys.argv[1], sys.argv[2])
print(sum(p.numel() for p in network.parameters()), network.training)
"""


@pytest.mark.parametrize("key", FILES)
def test_a_released_file_loads_without_a_warning(shared, root, key):
    command = [sys.executable, "-W", "error", "-c", LOAD, key, shared / "checkpoints" / FILES[key]]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(models.SYSTEMS[key].params), "False"]


@pytest.mark.parametrize("m, column", [(1, 0), (5, 1), (8, 2)])
@pytest.mark.parametrize("kind", [np.uint16, np.float32, np.float64, np.int32])
def test_the_released_value_to_the_last_bit(shared, kind, m, column):
    reference = np.load(shared / "reference" / "amplifier.npz")
    for mosaic, amplification in zip(reference["raw"], reference["amp"], strict=True):
        ours = estimate_amplification(mosaic.astype(kind), 512, 16383, m)
        assert np.float32(ours) == amplification[column]
        by_place = estimate_amplification(mosaic.astype(kind), np.full((2, 2), 512), 16383, m)
        assert by_place == ours


@pytest.mark.parametrize("term", ["C", "R", "P", "sum"])
def test_the_released_loss(shared, term):
    ref = reference(shared, "pairlie_loss")
    split = Decomposition(ref["L1"], ref["R1"], ref["X1"])
    other = Decomposition(None, ref["R2"], None)  # of the second picture R alone is asked
    found, wanted = {
        "C": lambda: (retinex.consistency(ref["R1"], ref["R2"]), ref["C"]),
        "R": lambda: (retinex.retinex(ref["im1"], split), ref["R"]),
        "P": lambda: (retinex.projection(ref["im1"], ref["X1"]), ref["P"]),
        "sum": lambda: (
            retinex.pair_loss(ref["im1"], None, split, other),
            ref["C"] + ref["R"] + 500 * ref["P"],
        ),
    }[term]()
    # float32 sums in another order
    torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-5, atol=1e-5)


def test_released_weights_leave_no_violet_cast(shared):
    """Nikon D1: what is grey in LibRaw's own picture comes out violet, or grey, lawns green."""
    raw = read_raw(shared / "samples" / "nikon_d1_bggr.nef")
    window = np.s_[400:912, 600:1368]
    raw = dataclasses.replace(raw, mosaic=raw.mosaic[window])
    truth = isp.develop(raw)
    network = reference_network(shared, "redi")
    with_, without = (restored(raw, network, trained_on=t) for t in ("auto", None))
    truth, with_, without = (
        v.reshape(64, 8, 96, 8, 3).mean((1, 3)) for v in (truth, with_, without)
    )
    grey = (np.ptp(truth, axis=2) < 0.03) & (truth.mean(2) > 0.2)
    assert grey.sum() > 100
    violet = [float((v[..., 0] + v[..., 2] - 2 * v[..., 1])[grey].mean()) for v in (with_, without)]
    cast = [np.ptp(v[grey].mean(0)) for v in (with_, without)]
    for left, before in (violet, cast):  # a fifth of what it was, whatever the colour
        assert before > 0.1 and abs(left) < before / 5
    # And no colour in the place of another.
    for k in (0, 2):
        own, theirs = ((v[..., k] - v[..., 1]).ravel() for v in (with_, truth))
        assert np.corrcoef(own, theirs)[0, 1] > 0.6
