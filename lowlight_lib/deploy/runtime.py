"""One way to the fast form of any network: same call, same result, another engine below.

    fast = prepare(network, torch.rand(1, 1, 512, 768))
    picture = fast(mosaic)  # what network(mosaic) gives, sooner
    restore("dark.dng", fast)

Built in notebooks/13_deploy, section 4.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import torch
from torch import nn

from .. import models
from ..blocks.padding import run_padded
from ..blocks.retinex import Decomposition
from ..errors import LowlightError, OptionError, ShapeError
from ..models.brve_stream import BrveStream
from ..restore.window import device_of
from .engines import OnnxRuntimeEngine, OpenVinoEngine, TorchEngine, folded, need, precisions
from .export import STAGES, Stage, to_onnx

BACKENDS = ("bitpacked", "openvino", "onnxruntime", "torch")  # the order in which auto tries
PRECISIONS = ("float32", "bfloat16", "float16", "int8")


def prepare(model, example=None, backend="auto", precision="float32", *, file=None, compiled=False):
    """The fast form of a network, with its weights as they are now.

    It takes what the network takes, of any height and width, and gives what it gives in eval mode;
    `restore`, `clip.enhance`, `evaluation.test` take it in the network's place.

    Args:
        model: of `models.build` or `checkpoint.load`; left as it was.
        example: an input like those to come, numpy or torch; it is run once, so that the first
            call finds its shape compiled and an engine that cannot do it is found out now. None
            leaves that to the first call.
        backend: "torch" (weight normalisation folded, channels last; on the network's device),
            "onnxruntime", "openvino" (both on the CPU), "bitpacked" (brve), or "auto": the first
            that works of bitpacked, openvino, onnxruntime, torch, with a warning that says why the
            ones before it do not.
        precision: "float32", "bfloat16", "float16", "int8". Not every backend has every one on
            every machine. What goes in and comes out is float32.
        file: a .onnx of this network (of brve {stage: .onnx}) for onnxruntime and openvino, as a
            path or as `export.to_onnx` returns it, instead of exporting it here, which takes
            seconds. "int8" needs one, and onnxruntime for "float16": of `quantise.to_int8` and
            `to_float16`, or as `lowlight export --precision` writes them.
        compiled: backend torch by `torch.compile`: needs a C++ compiler, a minute for each shape.
    Returns:
        `Fast`, or for brve `FastClip`: a callable. Threads: as `torch.get_num_threads()` says now.
    Raises:
        OptionError: no such backend or precision, here or for this network; a package is missing.
        ShapeError: the example is no input of this network.
    """
    if example is not None:
        check_input(_key(model), example)
    if backend not in ("auto", *BACKENDS):
        raise OptionError(f"unknown backend {backend!r}", todo=f"use auto, {', '.join(BACKENDS)}")
    if precision not in PRECISIONS:
        raise OptionError(f"unknown precision {precision!r}", todo=f"use {', '.join(PRECISIONS)}")
    options = {"file": file, "compiled": compiled}
    if backend != "auto":
        return _make(model, example, backend, precision, **options)
    if (device := device_of(model)).type != "cpu":
        why = [f"the network is on {device}"]
        return _first_of(["torch"], model, example, precision, why, **options)
    return _first_of(BACKENDS, model, example, precision, **options)


def check_input(key, x) -> None:
    """ShapeError for what is no input of that system: numpy or torch, floating, (N, C, H, W)."""
    if not isinstance(x, (np.ndarray, torch.Tensor)):
        raise ShapeError(f"an input is a numpy array or a tensor, got {type(x).__name__}")
    floating = x.is_floating_point() if torch.is_tensor(x) else x.dtype.kind == "f"
    if not floating:
        raise ShapeError(f"an input is of floats, got {x.dtype}", todo="normalise it first")
    channels, clip = models.SYSTEMS[key].spec.channels, key == "brve"
    if x.ndim not in ((4, 5) if clip else (4,)) or x.shape[-3] != channels or 0 in x.shape:
        wanted = f"({'T' if clip else 'N'}, {channels}, H, W)"
        raise ShapeError(f"{key} takes {wanted}, got {tuple(x.shape)}")


def for_command(model, backend="auto", precision="float32"):
    """What the commands run: as `prepare`, without an example, but

    "eager" is the network itself, and "auto" in float32 a `Patient`: at most 1e-4 from it.
    """
    if backend == "eager":
        if precision != "float32":
            raise OptionError("eager computes in float32", todo="use --backend torch, or another")
        return model
    if backend == "auto" and precision == "float32":
        return Patient(model)
    return prepare(model, None, backend, precision)


class Fast:
    """A network made fast, see `prepare`.

    Attributes:
        backend, precision: what it computes with.
        key: which system it is.
        spec: the network's own, for `restore` and its like.
    Shapes: as of the network, batches too: numpy or torch, floating -> the same kind, float32.
    Raises:
        ShapeError: another number of dimensions or channels, no pixels, or not floating.
    """

    def __init__(self, model, backend, precision, engine):
        self.key, self.backend, self.precision = _key(model), backend, precision
        self.engine, self.spec = engine, model.spec
        # LLPackNet of 2020: its factor is of the picture, not of what is padded to it.
        self._amplifier = getattr(model, "amplifier", None)
        if self._amplifier is not None:
            self._amplifier = folded(self._amplifier)

    def __call__(self, x):
        check_input(self.key, x)
        tensor = torch.from_numpy(np.ascontiguousarray(x)) if isinstance(x, np.ndarray) else x
        with torch.no_grad():
            out = self._run(tensor.detach().float())
        given = x.device if torch.is_tensor(x) else None
        ready = [y.numpy() if given is None else y.to(given) for y in out]
        return Decomposition(*ready) if self.key == "pairlie" else ready[0]

    def __repr__(self):
        return f"<{self.key} on {self.backend}, {self.precision}>"

    def _run(self, x):
        if self._amplifier is not None:
            x = x * self._amplifier(x).view(-1, 1, 1, 1)
        return run_padded(self._one_by_one, x, self.spec.multiple, self.spec.cell)

    def _one_by_one(self, x):
        """A batch as files take it, which are for one picture; memory stays that of one."""
        parts = [self.engine(item) for item in x.split(1)]
        return [p[0] if len(p) == 1 else torch.cat(p) for p in zip(*parts, strict=True)]


class FastClip(Fast):
    """BRVE made fast: frame by frame, in constant memory beside the clip itself.

    Shapes: (T, 4, H, W) or (N, T, 4, H, W) -> the same.
    """

    def _run(self, x):
        clips = x[None] if x.dim() == 4 else x
        done = torch.stack([self.stream().run(frames) for frames in clips])
        return [done[0] if x.dim() == 4 else done]

    def stream(self):
        """A `BrveStream`: for video without end; it takes and gives tensors."""
        return BrveStream(self.engine)


class _Stages:
    """What `BrveStream` calls, by an engine for each stage; pads like the network."""

    def __init__(self, spec, engines):
        self.spec, self._engines = spec, engines

    def extract(self, frames):
        return self._engines["extract"](frames)

    def align(self, window):
        return self._engines["align"](*window)

    def reconstruct(self, *known):
        return self._engines["reconstruct"](*known)[0]


class Patient:
    """A network that becomes fast once that pays: for a command that may have little to do.

    To export a network and compile it takes seconds, as long as many small pictures, or some large
    ones. So it begins with what costs nothing (bitpacked for brve, else torch), and turns to
    `prepare(model)`, with its warnings, when it has computed for as long as that takes. (Not for
    brve: its stages take minutes.) Attributes and calls as of `Fast`, backend and precision as they
    are now.
    """

    def __init__(self, model, seconds=5.0):
        self._model, self._left = model, seconds
        on_cpu, binary = device_of(model).type == "cpu", _key(model) == "brve"
        self._fast = _first_of(["bitpacked", "torch"] if binary and on_cpu else ["torch"], model)
        if binary or not on_cpu:
            self._model = None  # there is nothing better to come

    def __call__(self, x):
        if self._left <= 0 and self._model is not None:
            model, self._model = self._model, None
            self._fast = prepare(model)
        began = time.perf_counter()
        y = self._fast(x)
        self._left -= time.perf_counter() - began
        return y

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._fast, name)


# ---------------------------------------------------------------------------------------------
# helpers


def _first_of(backends, model, example=None, precision="float32", why=(), **options):
    """The first backend that works, with a warning of why not the ones before it."""
    key, why = _key(model), [*why]
    for name in backends:
        if name == "bitpacked" and key != "brve":
            continue
        try:
            fast = _make(model, example, name, precision, **options)
        except OptionError as e:
            why.append(f"{name}: {e.what}")
            continue
        if why:
            warnings.warn(f"{key} runs on {name} ({'; '.join(why)})", stacklevel=3)
        return fast
    raise OptionError(f"nothing here runs {key} in {precision} ({'; '.join(why)})")


def _make(model, example, backend, precision, *, file=None, compiled=False):
    key, device = _key(model), device_of(model)
    if backend == "bitpacked" and key != "brve":
        raise OptionError(f"bitpacked is for binary networks, which {key} is not")
    if backend != "torch" and device.type != "cpu":
        raise OptionError(f"{backend} runs on the CPU, the network is on {device}")
    if compiled and backend != "torch":
        raise OptionError(f"compiled is for the backend torch, not {backend}")
    _need(backend)
    there = precisions(backend, device)
    if precision not in there:
        raise OptionError(
            f"{backend} has no {precision} here, it has {', '.join(there)}",
            todo="take one of these, or another backend",
        )
    if file is None and (precision == "int8" or (backend, precision) == ("onnxruntime", "float16")):
        raise OptionError(
            f"{precision} on {backend} needs a file in that precision",
            todo="make one by `lowlight export --precision`, and give it as `file`",
        )
    try:
        engine = _engine(model, backend, precision, file, compiled)
        fast = (FastClip if key == "brve" else Fast)(model, backend, precision, engine)
        if example is not None:
            fast(example)
    except LowlightError:
        raise
    except Exception as e:  # each engine has errors of its own
        said = (str(e).strip().splitlines() or [type(e).__name__])[0]
        raise OptionError(f"{backend} cannot run {key}: {said}", todo="use backend torch") from e
    return fast


def _engine(model, backend, precision, file, compiled):
    key = _key(model)
    if backend == "bitpacked":
        from .bitpacked.network import pack_network

        return pack_network(model)
    if backend == "torch":
        net = inner(model)
        if key != "brve":
            return TorchEngine(net, precision, compiled)
        stages = {name: TorchEngine(Stage(net, name), precision, compiled) for name in STAGES}
        return _Stages(net.spec, stages)

    def made(file):
        if backend == "onnxruntime":
            return OnnxRuntimeEngine(file)
        return OpenVinoEngine(file, precision)

    file = to_files(model) if file is None else file
    if key != "brve":
        return made(file)
    return _Stages(model.spec, {stage: made(file[stage]) for stage in STAGES})


def inner(model):
    """What an engine computes: a copy, folded, without the amplifier, which `Fast` has."""
    net = folded(model)
    net.amplifier = None
    return net


def to_files(model):
    """The `file` that `prepare` exports where none is given: an onnx.ModelProto, of brve three."""
    net = inner(model)
    if _key(model) != "brve":
        return to_onnx(net)
    return {stage: to_onnx(net, stage=stage) for stage in STAGES}


def _need(backend):
    """An OptionError if what the backend needs is not installed."""
    if backend in ("openvino", "onnxruntime"):
        need(backend, "onnx", "onnxscript")
    if backend == "bitpacked":
        try:
            import numba  # noqa: F401
        except ImportError as e:
            raise OptionError("numba is not installed", todo="pip install numba") from e


def _key(model):
    if not isinstance(model, nn.Module) or models.spec_of(model).options is None:
        raise OptionError("only networks of models.build can be made fast")
    return model.spec.key
