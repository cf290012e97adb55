"""With the weights of a reference output, each network gives that output."""

import subprocess
import sys

import pytest
import torch
from support.networks import FILES, drawn_weights, reference, reference_network, tensors

from lowlight_lib import models
from lowlight_lib.blocks.dense import fold_weight_norm
from lowlight_lib.blocks.retinex import recompose
from lowlight_lib.errors import CheckpointError
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


def test_the_intended_shift_cannot_use_the_released_weights(shared):
    """Same parameters, other pictures."""
    arrays = reference(shared, "brve")
    network = models.build("brve", shift="intended").eval()
    checkpoint.fill(network, drawn_weights(shared, "brve"), None)
    with torch.inference_mode():
        assert (network(arrays["x"]) - arrays["y"]).abs().mean() > 0.01


@pytest.mark.parametrize("gamma, name", [(0.2, "I02"), (0.14, "I014")])
def test_the_brightened_picture_is_the_released_one(shared, gamma, name):
    arrays = reference(shared, "pairlie")
    picture = recompose(arrays["L"], arrays["R"], gamma)
    torch.testing.assert_close(picture, arrays[name], rtol=0, atol=1e-5)


# ---- the names in released files


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


def test_the_file_of_another_system_is_refused(shared):
    with pytest.raises(CheckpointError, match=r"pairlie_official.*missing.*unknown"):
        checkpoint.load("redi", shared / "checkpoints" / FILES["pairlie"])


@pytest.mark.parametrize("part", [0.0001, 0.3, 0.999])
def test_a_truncated_released_file_is_refused(part, shared, tmp_path):
    data = (shared / "checkpoints" / FILES["redi"]).read_bytes()
    (tmp_path / "a.pth").write_bytes(data[: int(part * len(data))])
    with pytest.raises(CheckpointError, match=r"a\.pth: is not a checkpoint, or is empty, damaged"):
        checkpoint.load("redi", tmp_path / "a.pth")
