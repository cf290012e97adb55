"""Weights in and out: what was saved comes back, what is wrong says so, and nothing is run."""

import errno
import io
import json
import os
import pathlib
import pickle
import subprocess
import sys
import zipfile
from collections import Counter

import numpy as np
import pytest
import torch
from support.checks import complaint_of_load as complaint
from torch import nn

from lowlight_lib import models
from lowlight_lib.blocks.dense import fold_weight_norm
from lowlight_lib.errors import CheckpointError, LowlightError, OptionError, OutputError
from lowlight_lib.training import checkpoint

SMALL = {"growth": 4, "layers": [1, 2]}  # a REDI that is quick to make and to write


@pytest.fixture
def small():
    torch.manual_seed(0)
    model = models.build("redi", **SMALL)
    torch.nn.init.constant_(model.lse.get_parameter("bias"), 0.25)
    return model


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


WAYS = {  # {name: what is written of a state dict}
    **{name: lambda s, n=name: {n: s} for name in
       ("params", "params_ema", "model_state_dict", "net", "netG", "network", "anything")},
    "deeper": lambda s: {"checkpoint": {"model": s, "step": 3}},
    "ema": lambda s: {"params": {k: v + 1 for k, v in s.items()}, "params_ema": s},
    "GAN": lambda s: {"netD": {"lse.bias": torch.zeros(3)}, "netG": s},
    "optimizer": lambda s: {"net": s, "optimizer": {"state": {0: {"step": torch.ones(())}}, }},
    "numpy beside": lambda s: {"state_dict": s, "psnr": np.float64(3), "curve": np.ones(3)},
    "numpy within": lambda s: s | {"psnr": np.float64(3), "epoch": 3},
    "objects beside": lambda s: {"state_dict": s, "hparams": pathlib.Path("x"), (1, (2,)): {4, 5}},
    "parameters": lambda s: {k: nn.Parameter(v) for k, v in s.items()},
    "one number": lambda s: s | {"lse.bias": s["lse.bias"][:1].clone().expand(12)},
    "doubles": lambda s: {k: v.double() for k, v in s.items()},
    "a part of all": lambda s: {k: torch.stack([v, v])[1].t().contiguous().t() if v.ndim == 2
                                else torch.stack([v, v])[1] for k, v in s.items()},
    "profiler": lambda s: s | {"total_ops": torch.zeros(1), "lse.total_params": torch.zeros(1)},
    "mean of weights": lambda s: {f"module.{k}": v for k, v in s.items()}
                                 | {"n_averaged": torch.tensor(4)},
    "compiled inside": lambda s: {k.replace("lse.", "lse._orig_mod."): v for k, v in s.items()},
    **{"prefix " + prefix: lambda s, p=prefix: {p + k: v for k, v in s.items()} for prefix in
       ("_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net.", "model.module.",
        "generator.", "netG._orig_mod.", "_forward_module.module.model.")},
}  # fmt: skip


@pytest.mark.parametrize("how", [{}, {"pickle_protocol": 4}, {"pickle_protocol": 5},
                                 {"_use_new_zipfile_serialization": False},
                                 {"_use_new_zipfile_serialization": False, "pickle_protocol": 5}],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("way", WAYS)
def test_sound_checkpoints_load(way, how, small, tmp_path):
    torch.save(WAYS[way](dict(small.state_dict())), tmp_path / "a.pth", **how)
    back = checkpoint.load("redi", tmp_path / "a.pth", **SMALL)
    assert_same_weights(back.state_dict(), small.state_dict())


def test_a_file_without_checksums_loads(small, tmp_path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(small.state_dict(), tmp_path / "a.pth")
    finally:
        torch.serialization.set_crc32_options(before)
    checkpoint.load("redi", tmp_path / "a.pth", **SMALL)


def test_which_of_two_networks_is_not_guessed(small, tmp_path):
    state = small.state_dict()
    torch.save({"best": dict(state), "last": {k: v + 1 for k, v in state.items()}}, tmp_path / "a")
    assert "several networks that fit: /best, /last" in complaint("redi", tmp_path / "a", **SMALL)
    torch.save(state | {f"module.{k}": v + 1 for k, v in state.items()}, tmp_path / "b")
    assert "there twice" in complaint("redi", tmp_path / "b", **SMALL)


def test_a_torchscript_archive_is_called_that(tmp_path):
    torch.jit.trace(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 4, 4)).save(tmp_path / "a.pth")
    assert "TorchScript" in complaint("redi", tmp_path / "a.pth")


BAD = {
    "nan": lambda v: v * float("nan"),
    "infinite": lambda v: v / 0,
    "too large": lambda v: torch.full_like(v, 1e300, dtype=torch.float64),
    "integers": lambda v: v.to(torch.int8),
    "bools": lambda v: v > 0,
    "complex": lambda v: v.to(torch.complex64),
    "sparse": lambda v: v.to_sparse(),
    "quantised": lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.quint8),
    "meta": lambda v: v.to("meta"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_weights_are_finite_floats(bad, name, small, tmp_path):
    from safetensors.torch import save_file

    state = dict(small.state_dict())
    state["lse.bias"] = BAD[bad](state["lse.bias"])
    if name == "a.pth":
        torch.save(state, tmp_path / name)
    elif bad in ("sparse", "quantised", "meta"):
        pytest.skip("safetensors has no such thing")
    else:
        try:
            save_file(state, tmp_path / name)
        except KeyError:  # complex numbers came later than the lowest version
            pytest.skip("this safetensors has no such thing")
    complaint("redi", tmp_path / name, **SMALL)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_broken_weights_are_not_saved(value, packed, tmp_path):
    model = models.build("brve", channels=4)
    with torch.no_grad():
        model.features[0].conv.weight[0, 0, 0, 0] = value
    with pytest.raises(CheckpointError, match=r"(?s)NaN, infinite.*features\.0\.conv\.weight"):
        checkpoint.save(model, tmp_path / "a.safetensors", packed=packed)
    assert not list(tmp_path.iterdir())


def test_packed_scales_are_finite(tmp_path):
    from safetensors.torch import load_file, save_file

    checkpoint.save(models.build("brve", channels=4), tmp_path / "a", packed=True)
    state = load_file(tmp_path / "a")
    state["features.0.conv.alpha"][1] = float("nan")
    save_file(state, tmp_path / "b")
    assert "NaN" in complaint("brve", tmp_path / "b", channels=4)
    with pytest.raises(CheckpointError, match="NaN"):
        checkpoint.read_packed(tmp_path / "b")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_flipped_bit_is_noticed(zipped, small, tmp_path):
    """Anywhere in a zip file, which has checksums; in the older format where it is no number."""
    torch.save(small.state_dict(), tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    data, rng = (tmp_path / "a.pth").read_bytes(), np.random.default_rng(0)
    for place in rng.integers(0, len(data), 60):
        broken = bytearray(data)
        broken[place] ^= 1 << rng.integers(8)
        (tmp_path / "b.pth").write_bytes(broken)
        try:
            back = checkpoint.load("redi", tmp_path / "b.pth", **SMALL)
        except CheckpointError:
            continue
        if zipped:  # in what nobody reads
            assert_same_weights(back.state_dict(), small.state_dict())


@pytest.mark.parametrize("options", [
    {"layers": [10**6]}, {"layers": [10**9, 2]}, {"growth": -1}, {"growth": 1.5}, {"growth": 0},
    {"growth": 10**9}, {"growth": 4096, "layers": [4000]}, {"growth": None}, {"growth": "4"},
    {"layers": [[1]]}, {"layers": {"a": 1}}, {"layers": []}, {"scales": 5}, {"kernel": 10**400},
    {"depth": 3}, {"growth": float("nan")},
])  # fmt: skip
def test_options_of_a_file_take_no_time_or_memory(options, small, tmp_path):
    import resource
    import time

    from safetensors.torch import save_file

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spec = small.spec.replace(options=options)
    header = {"lowlight": json.dumps({"format": 2, "spec": spec.to_json()})}
    save_file(small.state_dict(), tmp_path / "a", header)
    began = time.process_time()
    complaint("redi", tmp_path / "a")
    assert time.process_time() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


def test_an_ordered_dict_in_the_old_file_format(small, tmp_path):
    path = tmp_path / "a.pth"
    torch.save(small.state_dict(), path, _use_new_zipfile_serialization=False)
    assert_same_weights(checkpoint.load("redi", path, **SMALL).state_dict(), small.state_dict())


# ---------------------------------------------------------------------------------------------
# files that are no checkpoints


def test_a_missing_file_is_named(tmp_path):
    assert "does not exist" in complaint("redi", tmp_path / "a.pth")


def test_a_folder_is_no_checkpoint(tmp_path):
    assert "is a folder" in complaint("redi", tmp_path)


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

    headers = ("{not json", "[1, 2]", '"text"', "null", "5", "[" * 100_000, '{"spec": 5}')
    format_1 = ("options", 3), ("options", [1]), ("white_balance", 5), ("key", 3), ("key", None)
    more = [json.dumps({"key": "redi"} | {name: value}) for name, value in format_1]
    for header in (*headers, *more):
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


def zipped(path, pickled):
    """A checkpoint around a pickle."""
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("a/data.pkl", pickled)
        z.writestr("a/version", b"3")


@pytest.mark.parametrize("pickled", [
    b"}" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(200)) + b"K\x01s.",
    b"}K\x01K\x02\x86" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(60)) + b"K\x01s.",
    b"}(" + b"K\x01" + b"\x85" * 100_000 + b"K\x01u.",
    b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".",
    b"ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.",
    b"ccollections\nOrderedDict\n}X\x08\x00\x00\x00__init__K\x01sb.",
    b"ctorch\nFloatStorage\n}X\x04\x00\x00\x00nameK\x01sb.",
    b"}X\x01\x00\x00\x00aq\x00h\x00s.",
    b"(dq\x00X\x01\x00\x00\x00ah\x00s.",
    b"N" * 3_000_000 + b".",
])  # fmt: skip
def test_a_pickle_neither_hangs_nor_changes_anything(pickled, small, tmp_path):
    zipped(tmp_path / "bad.pth", pickled)
    complaint("redi", tmp_path / "bad.pth", **SMALL)
    torch.save(small.state_dict(), tmp_path / "good.pth")
    back = checkpoint.load("redi", tmp_path / "good.pth", **SMALL)
    assert_same_weights(back.state_dict(), small.state_dict())
    assert torch._utils._rebuild_tensor_v2.__dict__ == {}


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_damage_is_found_or_does_no_harm(count, tmp_path):
    """Bytes changed within the pickle, whose checksum is then right, and in the other formats."""
    model, canary = models.build("pairlie", width=1), tmp_path / "canary"
    state, payload = dict(model.state_dict()), Payload(canary)
    kinds, rng = {}, np.random.default_rng(count)
    for old in (True, False):
        for more in ({}, {"payload": payload}):
            torch.save({"state_dict": state, **more}, tmp_path / "a",
                       _use_new_zipfile_serialization=not old)  # fmt: skip
            kinds[old, len(more)] = (tmp_path / "a").read_bytes()
    checkpoint.save(model, tmp_path / "a")
    kinds["safetensors"] = (tmp_path / "a").read_bytes()
    names, outcomes = list(kinds), Counter()
    for _ in range(count):
        data = kinds[kind := names[rng.integers(len(names))]]
        parts = {"": data}
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as z:
                parts = {n: z.read(n) for n in z.namelist()}
        hit = next((n for n in parts if n.endswith("data.pkl")), "")
        broken, most = bytearray(parts[hit]), 3000 if kind == "safetensors" else len(parts[hit])
        for _ in range(rng.integers(1, 4)):
            at, new = rng.integers(min(most, len(broken))), rng.bytes(rng.integers(0, 4))
            broken[at : at + rng.integers(0, 4)] = new
        if len(parts) == 1:
            (tmp_path / "b").write_bytes(broken)
        else:
            with zipfile.ZipFile(tmp_path / "b", "w") as z:
                for name, content in (parts | {hit: bytes(broken)}).items():
                    z.writestr(name, content)
        try:
            back = checkpoint.load("pairlie", tmp_path / "b", width=1)
            assert all(v.isfinite().all() for v in back.state_dict().values())
            outcomes["result"] += 1
        except LowlightError as e:
            assert str(tmp_path / "b") in str(e)
            outcomes["own error"] += 1
    assert not canary.exists() and outcomes.total() == count
    print(outcomes)


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
