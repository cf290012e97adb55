"""Weights in and out: the authors' files and ours, safely and strictly.

Ours are .safetensors with the model's key and options in the header. The authors' are pickles; they
are opened with PyTorch's restricted loader, which refuses anything but tensors, and where a
framework has put objects beside these, with one that makes none of them (`io.pickles`).
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import models
from ..blocks.binary import binary_layers
from ..errors import CheckpointError, OptionError, ShapeError
from ..io.files import atomic_write, why_unread
from ..io.pickles import read_mmcv_checkpoint
from ..models.released import our_name

_NORM = {"weight_g": "original0", "weight_v": "original1"}  # of older PyTorch, and of ours
_TENSORFLOW = "TensorFlow's are of other networks: train with `lowlight train sid`"
_OTHERS = "use weights of this network, or give the options it was trained with"


def save(model: nn.Module, path: Path | str, packed: bool = False) -> None:
    """Write a network's weights as safetensors, complete or not at all.

    Args:
        model: a network of `models.build` (its key and options go into the header).
        packed: store each binary weight as one bit and a scale per output channel: BRVE in 1.3 MB
            instead of 18. Its outputs stay the same; what training needs beyond the sign is gone.
    Raises:
        OptionError: `packed` for a network without binary weights, or with one that is 0.
    """
    from safetensors.torch import save as to_bytes

    spec = models.spec_of(model)
    if spec.options is None:
        raise OptionError("only networks of models.build can be saved: others cannot be rebuilt")
    # One entry: safetensors writes several in an order that changes from run to run.
    header = {"lowlight": json.dumps({"format": 2, "spec": spec.to_json()})}
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
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
    path = Path(path)
    _ = models.SYSTEMS[key]
    state, about = _read(path)
    if about.get("key", key) != key:
        what = f"holds weights of {about['key']!r}, not of {key!r}"
        raise CheckpointError(what, file=path, todo=f"use --model {about['key']}, or another file")
    model = models.build(key, **(about.get("options") or {}) | options)
    scales = _unpack(model, state, path)
    fill(model, state, path)
    for name, alpha in scales.items():
        model.get_submodule(name).alpha = alpha
    seen = {n: about[n] for n in ("trained_on", "white_balance") if about.get(n) is not None}
    model.spec = model.spec.replace(**seen)
    return model.eval()


def fill(model: nn.Module, state: dict[str, Tensor], path: Path | str) -> None:
    """Load a state dict strictly: every name there, every shape equal; say what differs."""
    wanted = model.state_dict()
    key = models.spec_of(model).key
    # mmcv keeps a counter among the weights.
    state = {_our_name(key, k, wanted): v for k, v in state.items() if k != "step_counter"}
    both = wanted.keys() & state.keys()
    wrong = {
        "missing": wanted.keys() - both,
        "unknown": state.keys() - both,
        "of other shape": {k for k in both if wanted[k].shape != state[k].shape},
    }
    parts = [f"{len(k)} {what} (such as {min(k)})" for what, k in wrong.items() if k]
    if parts:
        what = f"does not fit {key!r}: parameters {', '.join(parts)}"
        raise CheckpointError(what, file=path, todo=_OTHERS)
    model.load_state_dict(state)


def read_packed(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, header) of a file of `save(..., packed=True)`, for kernels that work on bits.

    "NAME.bits" uint8 (c_out, bytes) and "NAME.alpha" float32 (c_out) for each binary convolution
    NAME, all other parameters by their names; header with "key" and "options". CheckpointError
    for a file that is damaged or not packed.
    """
    tensors, header = _read(path := Path(path))
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


def _our_name(key, name, wanted):
    name = our_name(key, name.removeprefix("module."))  # DataParallel's prefix
    stem, _, last = name.rpartition(".")
    if name not in wanted and last in _NORM:
        return f"{stem}.parametrizations.weight.{_NORM[last]}"
    return name


def _read(path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(state dict, header) of a file of weights, whoever wrote it."""
    try:
        with open(path, "rb") as f:
            head = f.read(16)
    except OSError as e:
        raise CheckpointError(
            why_unread(e), file=path, todo=f"check --checkpoint. {_TENSORFLOW}"
        ) from e
    if head[8:9] == b"{":
        return _read_safetensors(path)
    return _read_pickle(path), {}


def _read_safetensors(path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as f:
            tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118
            return tensors, _about(json.loads((f.metadata() or {}).get("lowlight", "{}")))
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as e:
        raise CheckpointError(f"is damaged ({e})", file=path, todo="copy it again") from e


def _about(header) -> dict:
    """What a header says: some of "key", "options", "trained_on", "white_balance"."""
    if "spec" in header:
        about = vars(models.Spec.from_json(header["spec"]))
    else:  # format 1, of version 0.1; {} for a file that is not ours
        about = {k: header[k] for k in ("key", "options", "white_balance") if k in header}
        if "camera" in header:
            about["trained_on"] = str(header["camera"])
        if "white_balance" in about:
            about["white_balance"] = tuple(map(float, about["white_balance"]))
    if not (isinstance(header, dict) and isinstance(about.get("options") or {}, dict)):
        raise TypeError("the header holds names and values, and so do its options")
    return about


def _read_pickle(path) -> Any:
    try:
        # An open file, not its name: PyTorch would choose another reader by the suffix.
        with open(path, "rb") as f, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols
            state = torch.load(f, map_location="cpu", weights_only=True)
    except Exception as e:  # what is no pickle at all fails in a dozen ways
        if "unsupported global" not in str(e).lower():
            what = "is not a checkpoint, or is empty, damaged or truncated"
            raise CheckpointError(what, file=path, todo=f"get it again. {_TENSORFLOW}") from e
        state = read_mmcv_checkpoint(path)
    for wrapper in ("model", "state_dict", "weights"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    tensors = [*state.values()] if isinstance(state, dict) else []
    if not tensors or not all(isinstance(v, torch.Tensor) for v in tensors):
        what = "holds no state_dict, or code or objects beside it, which could run when opened"
        raise CheckpointError(what, file=path, todo="get a file that holds a plain state_dict")
    return state
