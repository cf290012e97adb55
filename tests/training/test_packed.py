"""Binary weights as bits, and checkpoints as training frameworks write them."""

import os

import numpy as np
import pytest
import torch
from support.checks import complaint_of_load as complaint
from support.networks import drawn_weights, frames, reference

from lowlight_lib import models
from lowlight_lib.blocks.binary import BinaryConv2d
from lowlight_lib.errors import OptionError, ShapeError
from lowlight_lib.training import checkpoint

SMALL = {"channels": 4}


@pytest.fixture
def small():
    torch.manual_seed(0)
    return models.build("brve", **SMALL).eval()


# ---------------------------------------------------------------------------------------------
# bits


def test_a_packed_file_is_small_and_gives_the_same_outputs(tmp_path):
    torch.manual_seed(0)
    model = models.build("brve").eval()
    checkpoint.save(model, tmp_path / "a.safetensors", packed=True)
    assert (tmp_path / "a.safetensors").stat().st_size <= 1_350_000
    back = checkpoint.load("brve", tmp_path / "a.safetensors")
    x = frames(3, 16, 24)
    with torch.inference_mode():
        assert torch.equal(back(x), model(x))  # the same products, so the same sums


def test_packed_options_and_bytes_survive(small, tmp_path):
    for name in "ab":
        checkpoint.save(small, tmp_path / name, packed=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = checkpoint.load("brve", tmp_path / "a")
    assert back.conv_in.out_channels == 4
    checkpoint.save(back, tmp_path / "c", packed=True)  # and once more: nothing changes
    assert (tmp_path / "c").read_bytes() == (tmp_path / "a").read_bytes()
    back.train()  # training goes on from the signs
    back(frames(3, 8, 8)).sum().backward()
    assert back.features[0].conv.weight.grad.abs().max() > 0


@pytest.mark.parametrize("c_in, kernel", [(1, 1), (3, 3), (5, 5), (24, 3)])
def test_bits_of_a_layer(c_in, kernel):
    conv = BinaryConv2d(c_in, 3, kernel)
    bits, alpha = conv.as_bits()
    back = conv.from_bits(bits, alpha)
    assert torch.equal(back.sign(), conv.weight.sign())
    expected = conv.weight.detach().abs().mean((1, 2, 3))
    torch.testing.assert_close(back.abs().amax((1, 2, 3)), expected)
    n = c_in * kernel**2
    assert bits.shape == (3, -(-n // 8)) and int(np.unpackbits(bits[0].numpy()).sum()) == int(
        (conv.weight[0] > 0).sum()
    )
    for *wrong, words in (
        (bits[:2], alpha, f"{kernel}, {kernel}"), (bits, alpha[:2], f"{kernel}, {kernel}"),
        (bits.int(), alpha, "bits are uint8"), (None, alpha, "bits are uint8"),
    ):  # fmt: skip
        with pytest.raises(ShapeError, match=words):
            conv.from_bits(*wrong)


def test_no_bit_says_zero(small, tmp_path):
    with torch.no_grad():
        small.features[0].conv.weight[0, 0, 0, 0] = 0
    with pytest.raises(OptionError, match="1 binary weights are exactly 0"):
        checkpoint.save(small, tmp_path / "a", packed=True)
    assert not list(tmp_path.iterdir())


def test_packed_weights_of_another_network(small, tmp_path):
    checkpoint.save(small, tmp_path / "a", packed=True)
    text = complaint("brve", tmp_path / "a", channels=6)
    assert "the bits of features.0.conv do not fit" in text and "options" in text


def test_reading_bits_as_they_are(small, tmp_path):
    checkpoint.save(small, tmp_path / "a", packed=True)
    tensors, header = checkpoint.read_packed(tmp_path / "a")
    assert header["options"] == SMALL and "features.0.conv.weight" not in tensors
    bits, alpha = small.features[0].conv.as_bits()
    assert torch.equal(tensors["features.0.conv.bits"], bits)
    assert torch.equal(tensors["features.0.conv.alpha"], alpha)
    checkpoint.save(small, tmp_path / "b")
    with pytest.raises(checkpoint.CheckpointError, match="no packed weights"):
        checkpoint.read_packed(tmp_path / "b")


# ---------------------------------------------------------------------------------------------
# files of a framework


class Foreign:
    """An object of somebody else's class: it runs a command when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f'echo run > "{self.marker}"',)


def mmcv_file(path, state, meta, **more):
    torch.save({"meta": meta, "state_dict": state, **more}, path)


def test_an_mmcv_checkpoint_loads_and_runs_nothing(shared, tmp_path):
    """As training wrote it: a prefix, a counter, an optimizer, objects in its notes."""
    path, marker = tmp_path / "BRVE.pth", tmp_path / "marker"
    state = drawn_weights(shared, "brve")
    theirs = {f"generator.{k}": v for k, v in state.items()} | {"step_counter": torch.zeros(1)}
    mmcv_file(path, theirs, {"iter": 3, "run": Foreign(marker)}, optimizer={"a": torch.zeros(2)})
    model = checkpoint.load("brve", path)
    assert not marker.exists()
    assert torch.equal(model.conv_in.weight, state["feat_extract.main.0.weight"])
    arrays = reference(shared, "brve")
    with torch.inference_mode():
        torch.testing.assert_close(model(arrays["x"]), arrays["y"], rtol=0, atol=1e-4)
    torch.load(path, weights_only=False)
    assert marker.exists()  # the payload was live


@pytest.mark.parametrize("where", ["in the weights", "no weights"])
def test_what_only_looks_like_it_is_refused(small, where, tmp_path):
    path, marker = tmp_path / "a.pth", tmp_path / "marker"
    state, bad = dict(small.state_dict()), Foreign(marker)
    if where == "in the weights":
        mmcv_file(path, state | {"extra": bad}, {})
    else:
        torch.save({"meta": bad}, path)
    assert "code or objects" in complaint("brve", path, **SMALL)
    assert not marker.exists()


def test_plain_framework_files_need_no_detour(small, tmp_path):
    mmcv_file(tmp_path / "a.pth", small.state_dict(), {"iter": 3})
    back = checkpoint.load("brve", tmp_path / "a.pth", **SMALL)
    assert torch.equal(back.conv_out.weight, small.conv_out.weight)
