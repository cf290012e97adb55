"""Weights in and out: the authors' files and ours, safely and strictly.

Ours are .safetensors with the model's key and options in the header. The authors' are pickles; they
are opened with PyTorch's restricted loader, which refuses anything but tensors, and where a
framework has put objects beside these, with one that makes none of them (`io.pickles`).
"""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import models
from ..blocks.binary import binary_layers
from ..errors import CheckpointError, OptionError, ShapeError
from ..io.files import atomic_write
from ..io.pickles import read_mmcv_checkpoint
from ..models.released import our_name

_NORM = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}

_COUNTERS = ("step_counter",)  # what a framework keeps among the weights without being one


def save(model: nn.Module, path: Path | str, packed: bool = False) -> None:
    """Write a network's weights as safetensors, complete or not at all.

    Args:
        model: a network of `models.build` (its key and options go into the header).
        path: ends in .safetensors by custom.
        packed: store each binary weight as one bit and a scale per output channel: BRVE in 1.3 MB
            instead of 18. Its outputs stay the same; what training needs beyond the sign is gone.
    Raises:
        OptionError: `packed` for a network without binary weights, or with one that is 0.
        OutputError: it cannot be written.
    """
    from safetensors.torch import save as to_bytes

    spec = models.spec_of(model)
    if spec.options is None:
        raise OptionError("only networks of models.build can be saved: others cannot be rebuilt")
    # One entry: safetensors writes several in an order that changes from run to run.
    header = {"lowlight": json.dumps({"format": 2, "spec": spec.to_json()})}
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    if packed:
        tensors = _pack(model, tensors)
    with atomic_write(path) as f:
        f.write(to_bytes(tensors, metadata=header))


def load(key: str, path: Path | str, **options: Any) -> models.Network:
    """Build a network and fill it with weights from a file.

    Args:
        key: which system, one of `models.SYSTEMS`.
        path: the authors' .pth (their parameter names are mapped) or our .safetensors.
        options: of the constructor; a file of ours brings its own.
    Returns:
        The network in eval mode, on the CPU.
    Raises:
        CheckpointError: missing, damaged, holding code, TensorFlow's, or of another network.
    """
    path = Path(path)
    card = models.SYSTEMS[key]
    state, about = _read(path)
    if about.get("key", key) != key:
        raise CheckpointError(
            f"holds weights of {about['key']!r}, not of {key!r}",
            file=path,
            todo=f"use --model {about['key']}, or another file",
        )
    model = models.build(card.key, **(about.get("options") or {}) | options)
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
    state = {_our_name(key, k, wanted): v for k, v in state.items() if k not in _COUNTERS}
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    shapes = [k for k in wanted.keys() & state.keys() if wanted[k].shape != state[k].shape]
    if missing or extra or shapes:
        parts = [
            f"{len(names)} {label} (such as {names[0]})"
            for label, names in (
                ("missing", missing),
                ("unknown", extra),
                ("of other shape", shapes),
            )
            if names
        ]
        raise CheckpointError(
            f"does not fit {key!r}: parameters {', '.join(parts)}",
            file=path,
            todo="use weights of this network, or give the options it was trained with",
        )
    model.load_state_dict(state)


def read_packed(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A file of `save(..., packed=True)` as it is, for kernels that work on bits.

    Returns:
        (tensors, header): "NAME.bits" uint8 (c_out, bytes) and "NAME.alpha" float32 (c_out) for
        each binary convolution NAME, all other parameters by their names; header with "key" and
        "options".
    Raises:
        CheckpointError: damaged, or not packed.
    """
    path = Path(path)
    tensors, header = _read(path)
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
    return tensors


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
            raise CheckpointError(
                f"the bits of {name} do not fit ({e})", file=path,
                todo="use weights of this network, or give the options it was trained with",
            ) from e  # fmt: skip
        scales[name] = alpha
    return scales


def _our_name(key, name, wanted):
    name = our_name(key, name.removeprefix("module."))  # DataParallel's prefix
    stem, _, last = name.rpartition(".")
    if name not in wanted and last in _NORM:
        return f"{stem}.{_NORM[last]}"
    return name


def _read(path):
    """(state dict, header) of a file of weights, whoever wrote it."""
    try:
        with open(path, "rb") as f:
            head = f.read(16)
    except FileNotFoundError as e:
        if path.with_name(path.name + ".index").exists():  # the prefix that TensorFlow goes by
            raise _tensorflow(path) from e
        raise CheckpointError("does not exist", file=path, todo="check --checkpoint") from e
    except OSError as e:
        raise CheckpointError(f"cannot be read ({e.strerror})", file=path) from e
    tensorflow = path.suffix in (".index", ".meta", ".pb", ".ckpt", ".h5")
    tensorflow |= ".data-0000" in path.name or path.name == "checkpoint"
    if tensorflow and not head.startswith(b"PK"):  # a zip is PyTorch's, whatever it is called
        raise _tensorflow(path)
    if not head:
        raise CheckpointError("is empty (0 bytes)", file=path, todo="download it again")
    if head[8:9] == b"{":
        return _read_safetensors(path)
    return _read_pickle(path), {}


def _tensorflow(path):
    return CheckpointError(
        "is a TensorFlow checkpoint; its network is another one (other order of planes)",
        file=path,
        todo="train with `lowlight train sid`, or use weights of a PyTorch port",
    )


def _read_safetensors(path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as f:
            tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118
            header = (f.metadata() or {}).get("lowlight", "{}")
    except (SafetensorError, OSError, ValueError) as e:
        raise CheckpointError(f"is damaged ({e})", file=path, todo="copy it again") from e
    try:
        return tensors, _about(json.loads(header))
    except (ValueError, TypeError, AttributeError) as e:
        raise CheckpointError("has a damaged header", file=path, todo="copy it again") from e


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
    if not isinstance(about.get("options") or {}, dict):
        raise TypeError("options are names and values")
    return about


def _read_pickle(path):
    try:
        # An open file, not its name: PyTorch would choose another reader by the suffix.
        with open(path, "rb") as f, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols
            state = torch.load(f, map_location="cpu", weights_only=True)
    except Exception as e:  # what is no pickle at all fails in a dozen ways
        if isinstance(e, pickle.UnpicklingError) and "unsupported global" in str(e).lower():
            if (state := read_mmcv_checkpoint(path)) is not None:
                return state
            raise CheckpointError(
                "holds code or objects beside tensors and is not opened: unpickling can run code",
                file=path,
                todo="get a file that holds a plain state_dict",
            ) from e
        raise CheckpointError(
            "is not a checkpoint, or is damaged or truncated", file=path, todo="get it again"
        ) from e
    for wrapper in ("model", "state_dict", "weights"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(v, torch.Tensor) for v in state.values())
    ):
        raise CheckpointError("does not hold a state_dict of tensors", file=path)
    return state
