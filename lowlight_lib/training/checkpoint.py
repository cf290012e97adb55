"""Weights in and out: the authors' files and ours, safely and strictly.

Ours are .safetensors with the model's key and options in the header. The authors' are pickles, of
which nothing is run (`io.pickles`). All weights are finite floats: others are not saved or loaded.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import models
from ..blocks.binary import binary_layers
from ..errors import CheckpointError, DataError, OptionError, ShapeError
from ..io.files import atomic_write, open_input
from ..io.pickles import UNKNOWN, read_checkpoint
from ..models.released import our_name

_NORM = {"weight_g": "original0", "weight_v": "original1"}  # of older PyTorch, and of ours
_TENSORFLOW = "TensorFlow's are of other networks: train with `lowlight train sid`"
LONGEST_NAME, MOST_SETS = 500, 16  # of a parameter; state dicts of a file that are tried
# What wrappers of networks put anywhere into names, or before them, and what they add.
_WRAPPER = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.|"
                      r"^(module|_forward_module|net(work)?|net_?g|generator|state_dict|"
                      r"(ema_?)?model(_ema)?|ema|params(_ema)?)\.", re.I)  # fmt: skip
_EXTRA = re.compile(r"(.*\.)?(total_ops|total_params|step_counter|n_averaged)")
_OTHERS = "use weights of this network, or give the options it was trained with"


def save(model: nn.Module, path: Path | str, packed: bool = False) -> None:
    """Write the weights of a network of `models.build` as safetensors, complete or not at all.

    Args:
        packed: each binary weight as one bit and a scale per output channel; outputs are the same.
    Raises:
        CheckpointError: a weight is not finite; nothing is written.
        OptionError: `packed` without binary weights, or with one that is 0.
    """
    from safetensors.torch import save as to_bytes

    spec = models.spec_of(model)
    if spec.options is None:
        raise OptionError("only networks of models.build can be saved: others cannot be rebuilt")
    # One entry: safetensors writes several in an order that changes from run to run.
    header = {"lowlight": json.dumps({"format": 2, "spec": spec.to_json()})}
    models.Spec.from_json(spec.to_json())  # what could not be loaded is an error now
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    check_finite(tensors, path)
    if packed:
        _pack(model, tensors)
    with atomic_write(path) as f:
        f.write(to_bytes(tensors, metadata=header))


def load(key: str, path: Path | str, **options: Any) -> models.Network:
    """Build a network and fill it with weights from a file: in eval mode, on the CPU.

    Args:
        path: the authors' .pth (their parameter names are mapped) or our .safetensors.
        options: of the constructor; a file of ours brings its own.
    Raises:
        CheckpointError: missing, damaged, holding code, TensorFlow's, or of another network.
    """
    _ = models.SYSTEMS[key]
    sets, about = _read(path)
    if about.get("key", key) != key:
        what = f"holds weights of {about['key']!r}, not of {key!r}"
        raise CheckpointError(what, file=path, todo=f"use --model {about['key']}, or another file")
    if own := about.get("options"):
        try:
            with torch.device("meta"):  # shapes take no memory, whatever a file says
                like = models.build(key, **own | options)
        except OptionError as e:
            raise CheckpointError(f"has options of its own: {e.what}", file=path) from e
    else:
        like = models.build(key, **options)
    state = _chosen(like, sets, path) if len(sets) > 1 else sets[0][1]
    scales = _unpack(like, state, path)
    state = _fitting(like, state, path)
    model = models.build(key, **own | options) if own else like
    model.load_state_dict(state)
    for name, alpha in scales.items():
        model.get_submodule(name).alpha = alpha
    seen = {n: about[n] for n in ("trained_on", "white_balance") if about.get(n) is not None}
    model.spec = model.spec.replace(**seen)
    return model.eval()


def fill(model: nn.Module, state: dict[str, Tensor], path: Path | str) -> None:
    """Load a state dict strictly: every name there, every shape equal; say what differs."""
    model.load_state_dict(_fitting(model, state, path))


def check_finite(tensors: dict[str, Tensor], path: Path | str) -> None:
    """CheckpointError for weights that are no floats, or not finite as float32."""
    for name, value in tensors.items():
        if not name.endswith(".bits") and not value.float().isfinite().all():
            what = f"holds weights that are NaN, infinite or too large (such as {name:.80})"
            raise CheckpointError(what, file=path, todo="train with a lower learning rate")


def _fitting(model, state, path):
    """The state dict by our names; CheckpointError where it is not that of this network."""
    wanted, key = model.state_dict(), models.spec_of(model).key
    found = _by_our_names(key, state, wanted)
    both, floats = wanted.keys() & found.keys(), torch.is_floating_point
    wrong = {
        "missing": wanted.keys() - both,
        "unknown": found.keys() - both,
        "of other shape": {k for k in both if wanted[k].shape != found[k].shape},
        "of integers": {k for k in both if floats(wanted[k]) > floats(found[k])},
    }
    parts = [f"{len(k)} {what} (such as {min(k):.80})" for what, k in wrong.items() if k]
    if parts:
        what = f"does not fit {key!r}: parameters {', '.join(parts)}"
        raise CheckpointError(what, file=path, todo=_OTHERS)
    check_finite(found, path)
    return found


def _chosen(model, sets, path):
    """Of several state dicts in a file that of this network; a moving average before others."""
    wanted, fits = model.state_dict(), []  # of each: how well it fits, is it an average, ...
    for name, state in sets:
        found = _by_our_names(models.spec_of(model).key, state, wanted)
        fit = sum(k in wanted and wanted[k].shape == v.shape for k, v in found.items())
        fits.append((fit, "ema" in name.lower(), name, state))
    best = [f for f in fits if f[:2] == max(f[:2] for f in fits)]
    if len(best) > 1 and best[0][0] == len(wanted):
        what = f"holds several networks that fit: {', '.join(f[2] for f in best)}"
        raise CheckpointError(what, file=path, todo="save one of them alone")
    return best[0][3]


def read_packed(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, header) of a file of `save(..., packed=True)`, for kernels that work on bits.

    "NAME.bits" uint8 (c_out, bytes) and "NAME.alpha" float32 (c_out) for each binary convolution,
    all other parameters by their names. CheckpointError for a file that is damaged or not packed.
    """
    [(_, tensors), *_], header = _read(path)
    check_finite(tensors, path)
    if not any(k.endswith(".bits") for k in tensors):
        raise CheckpointError("holds no packed weights", file=path, todo="save with packed=True")
    return tensors, header


def _pack(model, tensors):
    layers = binary_layers(model)
    if not layers:
        raise OptionError("packed=True is for networks with binary weights")
    for name, layer in layers.items():
        tensors.pop(f"{name}.weight")
        tensors[f"{name}.bits"], tensors[f"{name}.alpha"] = layer.as_bits()


def _unpack(model, state, path):
    """Turn bits in a state dict into weights, in place; {layer: scale of each output channel}."""
    scales = {}
    for name, layer in binary_layers(model).items():
        bits, alpha = (state.pop(f"{name}.{k}", None) for k in ("bits", "alpha"))
        if bits is None and alpha is None:
            continue
        try:
            state[f"{name}.weight"] = layer.from_bits(bits, alpha)
        except (ShapeError, AttributeError) as e:
            what = f"the bits of {name} do not fit ({e})"
            raise CheckpointError(what, file=path, todo=_OTHERS) from e
        scales[name] = alpha
    return scales


def _by_our_names(key, state, wanted):
    """A state dict by our names, without what wrappers of networks add to it."""
    found = {}
    for name, value in state.items():
        rest, more = name[:LONGEST_NAME], not _EXTRA.fullmatch(name)
        while more:
            ours = rest if rest in wanted else our_name(key, rest)
            stem, _, last = ours.rpartition(".")
            if ours not in wanted and last in _NORM:
                ours = f"{stem}.parametrizations.weight.{_NORM[last]}"
            rest, more = _WRAPPER.subn("", rest, 1)
            if ours in wanted or not more:
                found[f"{ours}, there twice" if ours in found else ours] = value
                break
    return found


def _read(path) -> tuple[list[tuple[str, dict[str, Tensor]]], dict[str, Any]]:
    """([(name, state dict), ...], header) of a file of weights, whoever wrote it."""
    with open_input(path, CheckpointError, f"check --checkpoint. {_TENSORFLOW}") as f:
        ours = f.read(9)[8:] == b"{"
    return _read_safetensors(path) if ours else (_read_pickle(path), {})


def _read_safetensors(path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as f:
            tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118
            return [("", tensors)], _about(json.loads((f.metadata() or {}).get("lowlight", "{}")))
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, RecursionError) as e:
        raise CheckpointError(f"is damaged ({e})", file=path, todo="copy it again") from e


def _about(header) -> dict:
    """What a header says: some of "key", "options", "trained_on", "white_balance"."""
    if not isinstance(header, dict):
        raise TypeError("the header holds names and values")
    if "spec" in header:
        return vars(models.Spec.from_json(header["spec"]))
    # Format 1, of version 0.1; {} for a file that is not ours.
    about = {k: header[k] for k in ("key", "options", "white_balance") if k in header}
    if "camera" in header:
        about["trained_on"] = str(header["camera"])
    spec = models.Spec.from_json(json.dumps({"key": "", "task": "PHOTO"} | about))
    return {k: getattr(spec, k) for k in about}


def _read_pickle(path):
    """[(name, dict)] of all the dicts of tensors that there are, in dicts."""
    try:
        todo = [("", read_checkpoint(path))]
    except Exception as e:  # what is no checkpoint at all fails in a dozen ways
        if isinstance(e, DataError) and e.todo:
            raise CheckpointError(e.what, file=path, todo=e.todo) from e
        what = "is not a checkpoint, or is empty, damaged or truncated"
        raise CheckpointError(what, file=path, todo=f"get it again. {_TENSORFLOW}") from e
    sets = []
    for name, value in todo:
        if isinstance(value, dict):
            todo += [(f"{name}/{k}"[-LONGEST_NAME:], v) for k, v in value.items()]
            tensors = {k: v for k, v in value.items() if isinstance(v, Tensor)}
            odd = any(v is UNKNOWN or not isinstance(k, str) for k, v in value.items())
            if tensors and not odd:
                sets.append((name, tensors))
    if not sets:
        what = "holds no plain state_dict: none, or code or objects among its tensors"
        raise CheckpointError(what, file=path, todo="get a file that holds a plain state_dict")
    return sorted(sets, key=lambda s: -len(s[1]))[:MOST_SETS]
