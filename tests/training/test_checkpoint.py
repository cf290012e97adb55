"""Weights in and out: what was saved comes back, what is wrong says so, and nothing is run."""

import errno
import io
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from support.checks import complaint_of_load as complaint
from torch import nn

from lowlight_lib import models
from lowlight_lib.blocks.dense import fold_weight_norm
from lowlight_lib.errors import OptionError, OutputError
from lowlight_lib.training import checkpoint

SMALL = {"growth": 4, "layers": [1, 2]}  # a REDI that is quick to make and to write


@pytest.fixture
def small():
    torch.manual_seed(0)
    return models.build("redi", **SMALL)


def assert_same_weights(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


# ---------------------------------------------------------------------------------------------
# there and back


def test_options_survive(small, tmp_path):
    checkpoint.save(small, tmp_path / "a.safetensors")
    back = checkpoint.load("redi", tmp_path / "a.safetensors")
    x = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(back(x), small.eval()(x), rtol=0, atol=0)
    sid = models.build("sid", clip_input=False)
    checkpoint.save(sid, tmp_path / "b.safetensors")
    assert checkpoint.load("sid", tmp_path / "b.safetensors").clip_input is False
    # An option that the caller gives wins: the weights are the same.
    assert checkpoint.load("sid", tmp_path / "b.safetensors", clip_input=True).clip_input is True


def test_saving_does_not_change_the_model(small, tmp_path):
    before = {k: v.clone() for k, v in small.state_dict().items()}
    checkpoint.save(small, tmp_path / "a.safetensors")
    assert small.training and all(p.requires_grad for p in small.parameters())
    assert_same_weights(small.state_dict(), before)


def test_packed_is_for_binary_networks(small, tmp_path):
    with pytest.raises(OptionError, match="binary"):
        checkpoint.save(small, tmp_path / "a.safetensors", packed=True)
    assert not list(tmp_path.iterdir())


def released_style(model):
    """The state dict as older PyTorch names it: weight_g and weight_v, behind DataParallel."""
    names = {
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    state = {}
    for name, value in model.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        state[f"module.{name}"] = value
    return state


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict", "weights"])
def test_other_peoples_ways_of_saving(wrapper, small, tmp_path):
    state = released_style(small)
    torch.save({wrapper: state} if wrapper else state, tmp_path / "a.pth")
    back = checkpoint.load("redi", tmp_path / "a.pth", **SMALL)
    assert_same_weights(back.state_dict(), small.state_dict())


def test_an_ordered_dict_in_the_old_file_format(small, tmp_path):
    path = tmp_path / "a.pth"
    torch.save(small.state_dict(), path, _use_new_zipfile_serialization=False)
    assert_same_weights(checkpoint.load("redi", path, **SMALL).state_dict(), small.state_dict())


# ---------------------------------------------------------------------------------------------
# files that are no checkpoints


def test_a_missing_file_is_named(tmp_path):
    assert "does not exist" in complaint("redi", tmp_path / "a.pth")


def test_a_folder_is_no_checkpoint(tmp_path):
    assert "cannot be read" in complaint("redi", tmp_path)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_an_empty_file_is_named(name, tmp_path):
    (tmp_path / name).touch()
    assert "empty" in complaint("redi", tmp_path / name)


def jpeg():
    import imageio.v3 as iio

    return iio.imwrite("<bytes>", np.zeros((32, 32, 3), np.uint8), extension=".jpg")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.jpg"])
@pytest.mark.parametrize(
    "content", ["text", "braces", "jpeg", "zeros", "one byte", "zip", "pickle"]
)
def test_a_file_of_another_kind_is_refused(content, name, tmp_path):
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as z:
        z.writestr("readme.txt", "hello")
    (tmp_path / name).write_bytes(
        {
            "text": b"these are not weights\n" * 100,
            "braces": b"12345678{not json",
            "jpeg": jpeg(),
            "zeros": bytes(1000),
            "one byte": b"\x80",
            "zip": zipped.getvalue(),
            "pickle": pickle.dumps({"a": [1, 2, 3]}),
        }[content]
    )
    complaint("redi", tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "model.ckpt.index",
        "model.ckpt.data-00000-of-00001",
        "model.ckpt.meta",
        "checkpoint",
        "frozen.pb",
    ],
)
def test_a_tensorflow_checkpoint_is_refused(name, tmp_path):
    (tmp_path / name).write_bytes(b"\x0a\x10 a protocol buffer of some sort")
    text = complaint("sid", tmp_path / name)
    assert "TensorFlow" in text and "To fix: " in text


@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.99, -1])
def test_truncated_safetensors_are_refused(part, small, tmp_path):
    checkpoint.save(small, tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "b.safetensors").write_bytes(data[: int(part * len(data)) if part > 0 else part])
    complaint("redi", tmp_path / "b.safetensors")


@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.99, -1])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_pth_is_refused(zipped, part, small, tmp_path):
    torch.save(small.state_dict(), tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    data = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "b.pth").write_bytes(data[: int(part * len(data)) if part > 0 else part])
    complaint("redi", tmp_path / "b.pth", **SMALL)


def test_a_damaged_header(small, tmp_path):
    from safetensors.torch import save_file

    for header in ("{not json", "[1, 2]", '"text"', '{"key": "redi", "options": 3}'):
        save_file(small.state_dict(), tmp_path / "a.safetensors", {"lowlight": header})
        assert "a.safetensors: is damaged" in complaint("redi", tmp_path / "a.safetensors")


# ---------------------------------------------------------------------------------------------
# code


class Payload:
    """Runs a shell command when it is unpickled."""

    def __init__(self, marker):
        self.command = f'echo run > "{marker}"'

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("how", ["torch", "torch, old", "pickle", "beside tensors"])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_code_is_not_run(how, name, small, tmp_path):
    path, marker = tmp_path / name, tmp_path / "marker"
    payload = Payload(marker)
    if how == "pickle":
        path.write_bytes(pickle.dumps(payload))
    elif how == "beside tensors":
        torch.save({**small.state_dict(), "epoch": payload}, path)
    else:
        torch.save({"model": payload}, path, _use_new_zipfile_serialization=how == "torch")
    text = complaint("redi", path, **SMALL)
    assert not marker.exists()
    if how != "pickle":  # a bare pickle is no checkpoint at all
        assert "code or objects" in text
    data = io.BytesIO(path.read_bytes())
    pickle.load(data) if how == "pickle" else torch.load(data, weights_only=False)
    assert marker.exists()  # the payload was live


def test_a_whole_pickled_model_is_refused(small, tmp_path):
    torch.save(nn.Conv2d(1, 1, 1), tmp_path / "a.pth")
    assert "code or objects" in complaint("redi", tmp_path / "a.pth")


# ---------------------------------------------------------------------------------------------
# weights that do not fit


def test_the_file_of_another_model_is_refused(small, tmp_path):
    checkpoint.save(small, tmp_path / "a.safetensors")
    assert "'redi', not of 'sid'" in complaint("sid", tmp_path / "a.safetensors")
    torch.save(small.state_dict(), tmp_path / "a.pth")
    assert "does not fit 'sid'" in complaint("sid", tmp_path / "a.pth")


def test_missing_unknown_and_misshapen_parameters(small, tmp_path):
    path = tmp_path / "a.pth"

    def after(change):
        state = dict(small.state_dict())
        change(state)
        torch.save(state, path)
        return complaint("redi", path, **SMALL)

    assert "1 missing (such as lse.bias)" in after(lambda s: s.pop("lse.bias"))
    assert "1 unknown (such as extra)" in after(lambda s: s.update(extra=torch.zeros(1)))
    text = after(lambda s: s.update({"lse.bias": torch.zeros(13)}))
    assert "1 of other shape (such as lse.bias)" in text and "To fix: " in text


def test_weights_of_other_options(small, tmp_path):
    torch.save(small.state_dict(), tmp_path / "a.pth")
    assert "options" in complaint("redi", tmp_path / "a.pth")  # built with the default ones
    fold_weight_norm(small)
    torch.save(small.state_dict(), tmp_path / "b.pth")
    complaint("redi", tmp_path / "b.pth", **SMALL)
    folded = checkpoint.load("redi", tmp_path / "b.pth", **SMALL, weight_norm=False)
    assert_same_weights(folded.state_dict(), small.state_dict())


@pytest.mark.parametrize("state", [{}, {"epoch": 3}, [1, 2], torch.zeros(3)])
def test_no_state_dict_inside(state, tmp_path):
    torch.save(state, tmp_path / "a.pth")
    assert "state_dict" in complaint("redi", tmp_path / "a.pth")


def test_an_unknown_key_is_refused(tmp_path):
    with pytest.raises(OptionError, match="unknown model"):
        checkpoint.load("unet", tmp_path / "a.pth")


# ---------------------------------------------------------------------------------------------
# writing


def test_an_interrupted_save_leaves_the_old_file(small, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    checkpoint.save(small, path)
    old = path.read_bytes()
    with torch.no_grad():
        small.lse.bias.add_(1)

    def stop(*args):
        raise KeyboardInterrupt

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    for failure, error, words in (
        (stop, KeyboardInterrupt, ""), (full, OutputError, "no space left"),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failure)
            with pytest.raises(error, match=words):
                checkpoint.save(small, path)
        assert path.read_bytes() == old
        assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
    checkpoint.save(small, path)
    assert path.read_bytes() != old


KILLED_WHILE_SAVING = """
import os, signal, sys
from lowlight_lib import models
from lowlight_lib.training import checkpoint
os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
checkpoint.save(models.build("redi", growth=4, layers=[1, 2]), sys.argv[1])
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_kill_while_saving_leaves_the_old_file(small, tmp_path, root):
    path = tmp_path / "a.safetensors"
    checkpoint.save(small, path)
    old = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_SAVING, path], cwd=root)
    assert done.returncode == -9
    assert path.read_bytes() == old


def test_a_folded_network_comes_back_folded(tmp_path):
    """Without an option: the file says what it holds."""
    from lowlight_lib.blocks.dense import fold_weight_norm

    model = fold_weight_norm(models.build("redi"))
    checkpoint.save(model, tmp_path / "a.safetensors")
    again = checkpoint.load("redi", tmp_path / "a.safetensors")
    assert sum(p.numel() for p in again.parameters()) == 783_432
    with pytest.raises(OptionError, match=r"models\.build"):
        checkpoint.save(type(model)(), tmp_path / "b.safetensors")


def test_the_prefix_of_a_tensorflow_checkpoint(tmp_path):
    (tmp_path / "model.ckpt.index").write_bytes(b"x")
    assert "TensorFlow" in complaint("sid", tmp_path / "model.ckpt")
