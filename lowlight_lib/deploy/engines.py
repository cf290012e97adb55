"""What computes: PyTorch, ONNX Runtime and OpenVINO behind one small interface.

An engine takes padded float32 tensors of batch 1 on the CPU (PyTorch's: of any batch, anywhere) and
gives a list of such. It is made for one network, or one stage of one, and one precision.
Built in notebooks/13_deploy, section 4.
"""

from __future__ import annotations

import copy
import functools
import importlib
import threading
import weakref
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from ..blocks.dense import fold_weight_norm
from ..errors import OptionError

SHAPES = 4  # that stay compiled; the oldest goes first
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
EXTRA = 'pip install "lowlight-lab[deploy]"'
_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


def folded(model):
    """A copy in eval mode whose weight normalisation is multiplied out."""
    return fold_weight_norm(copy.deepcopy(model).eval()).requires_grad_(False)


class TorchEngine:
    """PyTorch, operation by operation: weights folded, channels last; or compiled.

    Args:
        module: eval mode, on any device; taken as it is, not copied.
        precision: "float32", "bfloat16", or on a GPU "float16".
        compiled: through `torch.compile`, which needs a C++ compiler and a minute a shape.
    """

    def __init__(self, module, precision="float32", compiled=False):
        first = next(module.parameters())
        self.device = first.device
        self.dtype = _DTYPES[precision]
        module = module.to(self.dtype)
        if any(isinstance(m, nn.Conv2d) for m in module.modules()):
            module = module.to(memory_format=torch.channels_last)
        self.module = torch.compile(module, dynamic=False) if compiled else module

    def __call__(self, *inputs):
        inputs = (x.to(self.device, self.dtype, memory_format=torch.channels_last) for x in inputs)
        with torch.no_grad():
            out = self.module(*inputs)
        out = [out] if torch.is_tensor(out) else out
        return [y.float().contiguous() for y in out]


class OpenVinoEngine:
    """OpenVINO on the CPU, compiled for each shape anew.

    At most `SHAPES` of them are kept; their working memory is given back when another is used. A
    result is written where an earlier one of its shape was, once nobody holds that any more: pages
    that are new to the process cost up to a sixth of a call (REDI, 100 MB).

    Args:
        file: bytes or path of a .onnx, or an onnx.ModelProto.
        precision: what it may compute in. "int8" says that the file is quantised.
        threads: of the CPU.
    """

    def __init__(self, file, precision="float32", threads=None):
        import openvino

        self._ov, self._core = openvino, openvino.Core()
        self._model = self._core.read_model(as_bytes(file))
        self._config = {
            # Without it a CPU that has bfloat16 in hardware may compute in that.
            "INFERENCE_PRECISION_HINT": _HINTS.get(precision, "f32"),
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
        }
        self._ready, self._results, self._lock = OrderedDict(), {}, threading.Lock()

    def __call__(self, *inputs):
        arrays = [np.ascontiguousarray(x.detach().cpu().numpy(), np.float32) for x in inputs]
        with self._lock:
            request = self._request(tuple(a.shape for a in arrays))
            out = []
            for i, a in enumerate(arrays):
                request.set_input_tensor(i, self._ov.Tensor(a, shared_memory=True))
            for i, port in enumerate(request.model_outputs):
                out.append(self._room(i, tuple(port.shape)))
                request.set_output_tensor(i, self._ov.Tensor(out[-1], shared_memory=True))
            request.infer()
        return [torch.from_numpy(y) for y in out]

    def _room(self, i, shape):
        """An array for output i. What is handed out is a view, which the result keeps alive.

        Two are kept, because in `y = engine(x)` the last result lives until the next is there.
        """
        kept = [k for k in self._results.get(i, ()) if k[0].shape == shape]
        free = [memory for memory, handed in kept if handed() is None]
        memory = free[0] if free else np.empty(shape, np.float32)
        view = memory.view()
        others = [k for k in kept if k[0] is not memory]
        self._results[i] = [*others, (memory, weakref.ref(view))][-2:]
        return view

    def _request(self, shapes):
        compiled, request = self._ready.pop(shapes, (None, None))
        for other, _ in self._ready.values():
            other.release_memory()
        if compiled is None:
            self._model.reshape(dict(zip(self._model.inputs, map(list, shapes), strict=True)))
            compiled = self._core.compile_model(self._model, "CPU", self._config)
            request = compiled.create_infer_request()
            while len(self._ready) >= SHAPES:
                self._ready.popitem(last=False)
        self._ready[shapes] = compiled, request
        return request

    @property
    def shapes(self):
        """Those that are compiled now, the one used last at the end."""
        return [*self._ready]


class OnnxRuntimeEngine:
    """ONNX Runtime on the CPU, one session for all shapes.

    Args: as of `OpenVinoEngine`; the precision is that of the file.
        shared: see `onnx_session`.
    """

    def __init__(self, file, threads=None, shared=False):
        self._session = onnx_session(file, threads or torch.get_num_threads(), shared=shared)
        self._names = [i.name for i in self._session.get_inputs()]

    def __call__(self, *inputs):
        arrays = (np.ascontiguousarray(x.detach().cpu().numpy(), np.float32) for x in inputs)
        out = self._session.run(None, dict(zip(self._names, arrays, strict=True)))
        return [torch.from_numpy(y) for y in out]


def precisions(backend, device="cpu") -> tuple[str, ...]:
    """What a backend can compute in on this machine, OpenVINO asked what the CPU has."""
    if backend == "bitpacked":
        return ("float32",)
    if backend == "onnxruntime":
        return ("float32", "float16", "int8")  # the last two by a file in that precision
    if backend == "torch":
        gpu = torch.device(device).type != "cpu"
        return ("float32", "bfloat16", *(("float16",) if gpu else ()))
    if backend == "openvino":
        import openvino

        can = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        named = {"bfloat16": "BF16", "float16": "FP16"}
        return ("float32", *(p for p, its in named.items() if its in can), "int8")
    raise OptionError(f"unknown backend {backend!r}")


def onnx_session(file, threads=0, profile=None, shared=False):
    """A session of ONNX Runtime on the CPU.

    Args:
        file: as of `as_bytes`.
        threads: 0 is as many as there are cores.
        profile: beginning of a file's path that its profile is written to.
        shared: take working memory from a store that all such sessions share, and that keeps it
            while the process lives; else each has its own as long as it lives. Three sessions that
            take turns need 0.8 GB so, not 1.6 GB (PairLIE, 400x600), and the same time.
    Raises:
        OptionError: onnxruntime is not installed.
    """
    [ort] = need("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    if shared:
        _register_store()
        options.add_session_config_entry("session.use_env_allocators", "1")
    return ort.InferenceSession(as_bytes(file), options, providers=["CPUExecutionProvider"])


@functools.cache  # once in a process
def _register_store():
    [ort] = need("onnxruntime")
    kind, use = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, ort.OrtMemType.DEFAULT
    where = ort.OrtMemoryInfo("Cpu", kind, 0, use)
    ort.create_and_register_allocator(where, ort.OrtArenaCfg({"arena_extend_strategy": 0}))


def need(*names):
    """The modules of these names, or an OptionError that says how to get them."""
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as e:
        raise OptionError(f"{e.name or names[0]} is not installed", todo=EXTRA) from e


def as_bytes(file):
    """A .onnx as bytes, whether given as such, as a path, or as an onnx.ModelProto."""
    if isinstance(file, bytes):
        return file
    if hasattr(file, "SerializeToString"):
        return file.SerializeToString()
    with open(file, "rb") as f:
        return f.read()
