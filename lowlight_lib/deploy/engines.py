"""What computes: PyTorch, ONNX Runtime and OpenVINO behind one small interface.

An engine of a unit of a network (`models.ExportUnit`) takes padded float32 tensors of batch 1 on
the CPU (PyTorch's: of any batch, anywhere) and gives a list of such.
Built in notebooks/15_engines_and_bits, section 1."""

import contextlib
import copy
import importlib
import platform
import threading
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from ..blocks.dense import fold_weight_norm
from ..errors import OptionError

SHAPES = 4  # that OpenVINO keeps compiled; the oldest goes first
_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


def folded(model):
    """A copy in eval mode whose weight normalisation is multiplied out."""
    return fold_weight_norm(copy.deepcopy(model).eval()).requires_grad_(False)


class TorchEngine:
    """PyTorch, operation by operation, with channels last; the module is taken, not copied. In
    float32 on the CPU the convolutions that `winograd.fits` takes are computed that way."""

    def __init__(self, module, precision="float32"):
        self.device = next(module.parameters(), torch.zeros(())).device
        self.dtype = getattr(torch, precision)
        self.module = module.to(self.dtype).to(memory_format=torch.channels_last)
        if (self.device.type, precision) == ("cpu", "float32"):
            from . import winograd

            for name, layer in module.named_modules():
                if winograd.fits(layer):
                    module.set_submodule(name, winograd.WinogradConv2d(layer))
                elif isinstance(layer, torch.nn.Conv2d) and layer.groups > 1:
                    # In groups channels last takes up to twice as long, and has to be made first.
                    layer.weight.data = layer.weight.data.contiguous()
                    layer.register_forward_pre_hook(lambda _, given: (given[0].contiguous(),))

    def __call__(self, *inputs):
        with torch.no_grad():
            out = self.module(*(x.to(self.device, self.dtype) for x in inputs))
        return [y.float().contiguous() for y in ([out] if torch.is_tensor(out) else out)]


class OpenVinoEngine:
    """OpenVINO on the CPU, compiled for each shape anew; at most `SHAPES` of them are kept."""

    def __init__(self, file, precision="float32"):
        import openvino

        self._core = openvino.Core()
        self._model = self._core.read_model(as_bytes(file))
        self._config = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
        self._config["INFERENCE_NUM_THREADS"] = str(torch.get_num_threads())
        # Without this a CPU that has bfloat16 may compute in that.
        self._config["INFERENCE_PRECISION_HINT"] = _HINTS.get(precision, "f32")
        self._ready, self._lock = OrderedDict(), threading.Lock()

    def __call__(self, *inputs):
        arrays = _arrays(inputs)
        with self._lock:
            request = self._request(tuple(a.shape for a in arrays))
            done = request.infer(arrays, share_inputs=True)  # copies what comes out
            return [torch.from_numpy(y) for y in done.to_tuple()]

    def _request(self, shapes):
        request = self._ready.pop(shapes, None)
        for other in self._ready.values():
            other.get_compiled_model().release_memory()
        if request is None:
            self._model.reshape(dict(zip(self._model.inputs, map(list, shapes), strict=True)))
            compiled = self._core.compile_model(self._model, "CPU", self._config)
            request = compiled.create_infer_request()
            while len(self._ready) >= SHAPES:
                self._ready.popitem(last=False)
        self._ready[shapes] = request
        return request


class OnnxRuntimeEngine:
    """ONNX Runtime on the CPU, one session for all shapes; `file` as of `as_bytes`."""

    def __init__(self, file):
        self._run = onnx_call(file, torch.get_num_threads())

    def __call__(self, *inputs):
        return [torch.from_numpy(y) for y in self._run(*inputs)]


def onnx_call(file, threads=0):
    """A function, arrays or tensors -> list of arrays, of a .onnx; see `onnx_session`."""
    session = onnx_session(file, threads)
    names = [i.name for i in session.get_inputs()]
    return lambda *inputs: session.run(None, dict(zip(names, _arrays(inputs), strict=True)))


def _arrays(inputs):
    arrays = (x.detach().cpu().numpy() if torch.is_tensor(x) else x for x in inputs)
    return [np.ascontiguousarray(a, np.float32) for a in arrays]


def precisions(backend, device: torch.device | str = "cpu") -> tuple[str, ...]:
    """What a backend can compute in on this machine, float32 first; a CPU without bfloat16, which
    would emulate it several times slower than its float32, has none."""
    if backend == "onnxruntime":
        return ("float32", "float16", "int8")  # the last two by a file in that precision
    if backend == "torch" and torch.device(device).type != "cpu":
        return ("float32", "bfloat16", "float16")
    # Asked of the CPU, since OpenVINO names BF16 on every one with AVX-512.
    named = {"bfloat16": "BF16"} if cpu_has_bfloat16() else {}
    if backend == "torch":
        return ("float32", *named)
    if backend == "bitpacked" or not find_spec("openvino"):
        return ("float32",)
    import openvino

    can = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    named["float16"] = "FP16"
    return ("float32", *(p for p, its in named.items() if its in can), "int8")


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX-512 BF16, AMX, or ARM's BF16)."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):  # since torch 2.4
        if getattr(torch.cpu, name, bool)():
            return True
    with contextlib.suppress(OSError):  # PyTorch does not ask ARM's
        return platform.machine() == "aarch64" and "bf16" in Path("/proc/cpuinfo").read_text()
    return False


def onnx_session(file, threads=0, profile=None):
    """A session of ONNX Runtime on the CPU; threads 0 are all, a profile's path begins so."""
    [ort] = need("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    # CPUs without VNNI add int8 products in 16 bits, which saturate; the exact way is the slower.
    exact = "0" if getattr(torch.cpu, "_is_vnni_supported", bool)() else "1"
    options.add_session_config_entry("session.x64quantprecision", exact)
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    return ort.InferenceSession(as_bytes(file), options, providers=["CPUExecutionProvider"])


def need(*names):
    """The modules of these names, or an OptionError that says how to get them."""
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as e:
        todo = 'pip install "lowlight-lab[deploy]"'
        raise OptionError(f"{e.name or names[0]} is not installed", todo=todo) from e


def as_bytes(file):
    """A .onnx as bytes, whether given as such, as a path, or as an onnx.ModelProto."""
    if isinstance(file, (str, Path)):
        return Path(file).read_bytes()
    return file if isinstance(file, bytes) else file.SerializeToString()
