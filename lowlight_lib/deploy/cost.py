"""What a network costs: parameters, multiply-accumulates, memory, time."""

from __future__ import annotations

import statistics
import time
import weakref
from dataclasses import dataclass

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from ..restore import out_of_memory


@dataclass(frozen=True)
class Cost:
    """Measured cost of one forward pass.

    Attributes:
        params: number of parameters as built (weight normalisation included).
        effective_params: binary parameters counted as 1/32; equal to params without any.
        macs: multiply-accumulates of convolutions and matrix products; resampling, additions and
            activations count 0.
        binary_macs: those of `macs` that are binary.
        ops: macs with binary ones counted as 1/64.
        peak_bytes: most bytes of tensors alive at once, input and weights not counted.
        seconds: median time of a warm pass on the device the network is on.
    """

    params: int
    effective_params: int
    macs: int
    binary_macs: int
    ops: float
    peak_bytes: int
    seconds: float


def measure(model, input_shape, repeats=3) -> Cost:
    """Measure a network on an input of that shape.

    Args:
        model: nn.Module; put into eval mode.
        input_shape: for example (1, 1, 2048, 4096).
        repeats: timed passes after a warm one.
    """
    model = model.eval()
    params = sum(p.numel() for p in model.parameters())
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with torch.no_grad(), out_of_memory(input_shape):
        # no_grad: the counter's hooks and inference mode exclude each other
        x = torch.rand(input_shape, device=device)
        with _LiveBytes() as live:
            model(x)
        with FlopCounterMode(display=False) as counter:
            model(x)
    with torch.inference_mode():
        times = []
        for _ in range(repeats):
            _wait(device)
            began = time.perf_counter()
            model(x)
            _wait(device)
            times.append(time.perf_counter() - began)
    macs = counter.get_total_flops() // 2  # it counts a multiply and an add as two
    return Cost(params, params, macs, 0, float(macs), live.peak, statistics.median(times))


def _wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class _LiveBytes(TorchDispatchMode):
    """Adds up the storages that operations make, and takes them off when they are freed."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self._seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        inputs = {t.untyped_storage()._cdata for t in args if isinstance(t, torch.Tensor)}
        out = func(*args, **(kwargs or {}))
        for t in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(t, torch.Tensor):
                self._count(t.untyped_storage(), inputs)
        return out

    def _count(self, storage, inputs):
        key = storage._cdata
        if key in self._seen or key in inputs:
            return
        self._seen.add(key)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, storage.nbytes())

    def _free(self, key, size):
        self._seen.discard(key)
        self.now -= size
