"""One way to the fast form of any network: same call, same result, another engine below.
Built in notebooks/15_engines_and_bits, section 1."""

import warnings
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import allocator, models
from ..blocks.binary import binary_layers
from ..blocks.padding import pad_to_multiple, run_padded
from ..errors import LowlightError, OptionError, ShapeError
from ..models import WHOLE_NETWORK, Task
from ..restore.window import device_of
from .engines import OnnxRuntimeEngine, OpenVinoEngine, TorchEngine, folded, need, precisions
from .export import read_about, to_onnx

BACKENDS = ("bitpacked", "torch", "openvino", "onnxruntime")
PRECISIONS = ("float32", "bfloat16", "float16", "int8")


def prepare(model, example=None, backend="auto", precision="float32", *, file=None):
    """The fast form of a network, with its weights as they are now: a `Fast`.

    `restore`, `clip.enhance`, `evaluation.test` take it in the network's place.

    Args:
        model: of `models.build` or `checkpoint.load`; left as it was.
        example: an input like those to come, numpy or torch, that is run once: so its shape is
            compiled, and an engine that cannot do it is found out now.
        backend: "torch" (on the network's device), "onnxruntime", "openvino" (both on the CPU),
            "bitpacked" (binary networks), or "auto", which begins at once: bitpacked where it can,
            with a warning where a binary network is none for it, else torch.
        precision: of `PRECISIONS`, as far as backend and machine have it; float32 comes out.
        file: a .onnx of this network (of one with several units {unit: .onnx}) for onnxruntime and
            openvino, as a path or onnx.ModelProto, instead of exporting it here. "int8" needs one,
            and onnxruntime for "float16" (see `quantise`).
    OptionError: no such backend or precision, here or for this network; a package is missing."""
    allocator.keep_pages()
    if not isinstance(model, nn.Module) or models.spec_of(model).options is None:
        raise OptionError("only networks of models.build can be made fast")
    if example is not None:
        check_input(model.spec, example)
    if backend not in ("auto", *BACKENDS):
        raise OptionError(f"unknown backend {backend!r}", todo=f"use auto, {', '.join(BACKENDS)}")
    if precision not in PRECISIONS:
        raise OptionError(f"unknown precision {precision!r}", todo=f"use {', '.join(PRECISIONS)}")
    if backend == "auto" and precision == "float32" and binary_layers(model):
        try:
            return _make(model, example, "bitpacked", precision, file)
        except OptionError as e:
            said = f"{models.spec_of(model).key} runs on torch (bitpacked: {e.what})"
            warnings.warn(said, stacklevel=2)
    return _make(model, example, "torch" if backend == "auto" else backend, precision, file)


def export_files(model) -> dict:
    """The `file` that `prepare` exports, {unit: onnx.ModelProto}; PyTorch runs amplifiers."""
    names = models.export_units(folded(model)).keys() - {"amplifier"}
    return {name: to_onnx(model, stage=name) for name in names}


def check_input(spec, x) -> None:
    """ShapeError for what is no input of that network: numpy or torch, floating, (N, C, H, W)."""
    if not isinstance(x, np.ndarray | torch.Tensor):
        raise ShapeError(f"an input is a numpy array or a tensor, got {type(x).__name__}")
    if not (x.is_floating_point() if torch.is_tensor(x) else x.dtype.kind == "f"):
        raise ShapeError(f"an input is of floats, got {x.dtype}", todo="normalise it first")
    clip = spec.task is Task.RAW_VIDEO
    if x.ndim not in ((4, 5) if clip else (4,)) or x.shape[-3] != spec.channels or 0 in x.shape:
        wanted = f"({'T' if clip else 'N'}, {spec.channels}, H, W)"
        raise ShapeError(f"{spec.key} takes {wanted}, got {tuple(x.shape)}")


def resolve_backend(model, backend="auto", precision="float32"):
    """What the commands run: as `prepare`, but "eager" is the network itself."""
    if backend == "eager":
        if precision != "float32":
            raise OptionError("eager computes in float32", todo="use --backend torch, or another")
        return model
    return prepare(model, None, backend, precision)


class Fast:
    """A network made fast: it takes what the network takes, numpy or torch (see `check_input`), and
    gives what that gives in eval mode, the same kind, float32. Threads: as `torch` has them. Its
    engines are {unit: what computes it}; for raw video it has the network's `stream`."""

    stream: Callable

    def __init__(self, spec, run, backend, precision, engines):
        self.spec, self.backend, self.precision = spec, backend, precision
        self._run, self.engines = run, engines

    def __call__(self, x):
        check_input(self.spec, x)
        given = isinstance(x, np.ndarray)
        tensor = torch.from_numpy(np.ascontiguousarray(x)) if given else x
        with torch.no_grad():
            y = self._run(tensor.detach().float())
        parts = [y] if torch.is_tensor(y) else y
        parts = [part.numpy() if given else part.to(x.device) for part in parts]
        return parts[0] if torch.is_tensor(y) else getattr(y, "_make", tuple)(parts)


def _fast_clip(spec, stream, *rest):
    def run(x):
        return torch.stack([run(frames) for frames in x]) if x.dim() == 5 else stream().run(x)

    fast = Fast(spec, run, *rest)
    fast.stream = stream
    return fast


def _make(model, example, backend, precision, file):
    key, device = model.spec.key, device_of(model)
    if backend == "bitpacked" and not binary_layers(model):
        raise OptionError(f"bitpacked is for binary networks, which {key} is not")
    if backend != "torch" and device.type != "cpu":
        raise OptionError(f"{backend} runs on the CPU, the network is on {device}")
    if backend in ("openvino", "onnxruntime"):
        need(backend, "onnx", "onnxscript")
    there = precisions(backend, device)
    if precision not in there:
        said = f"{backend} has no {precision} here, it has {', '.join(there)}"
        raise OptionError(said, todo="take one of these, or another backend")
    if file is None and (precision == "int8" or (backend, precision) == ("onnxruntime", "float16")):
        todo = "make one by `lowlight export --precision`, and give it as `file`"
        raise OptionError(f"{precision} on {backend} needs a file in that precision", todo=todo)
    try:
        if backend == "bitpacked":
            from .bitpacked.network import pack_network

            fast = _fast_clip(model.spec, pack_network(model).stream, backend, precision, {})
        else:
            fast = _with_engines(model, backend, precision, file)
        if example is not None:
            fast(example)
    except LowlightError:
        raise
    except Exception as e:  # each engine has errors of its own
        said = (str(e).strip().splitlines() or [type(e).__name__])[0]
        raise OptionError(f"{backend} cannot run {key}: {said}", todo="use backend torch") from e
    return fast


def _with_engines(model, backend, precision, file):
    units = models.export_units(folded(model))
    files = file if isinstance(file, dict) else {WHOLE_NETWORK: file}
    if backend != "torch" and file is None:
        files = export_files(model)
    make: Callable[[str], Any] = {
        "torch": lambda name: TorchEngine(units[name].module, precision),
        "onnxruntime": lambda name: OnnxRuntimeEngine(files[name]),
        "openvino": lambda name: OpenVinoEngine(files[name], precision),
    }[backend]
    # PyTorch runs an amplifier of which there is no file.
    engines = {name: make(name) for name in units if name != "amplifier" or name in files}
    calls = {name: _over(engine, units[name]) for name, engine in engines.items()}
    if model.spec.task is Task.RAW_VIDEO:
        stages = SimpleNamespace(spec=model.spec, **calls)
        return _fast_clip(model.spec, partial(model.stream, stages), backend, precision, engines)
    amplifier = units.get("amplifier")
    if amplifier and "amplifier" not in files and file:
        # In files of format 1 it is inside.
        amplifier = None if read_about(files[WHOLE_NETWORK])["spec"].amplifies_itself else amplifier

    def run(x):
        if amplifier:  # before padding: it is of the picture, not of what is padded to it
            factor = calls.get("amplifier", amplifier.module)
            x = x * factor(pad_to_multiple(x, amplifier.multiple)).view(-1, 1, 1, 1)
        return run_padded(calls[WHOLE_NETWORK], x, model.spec.multiple, model.spec.cell)

    return Fast(model.spec, run, backend, precision, engines)


def _over(engine, unit) -> Callable[..., Any]:
    """A unit as the network calls it; an engine takes one picture of a batch at a time."""

    def call(*inputs):
        parts = [engine(*one) for one in zip(*(x.split(1) for x in inputs), strict=True)]
        out = [p[0] if len(p) == 1 else torch.cat(p) for p in zip(*parts, strict=True)]
        if len(out) == 1:
            return out[0]
        return unit.result(out) if len(out) == len(unit.outputs) else tuple(out)

    return call
