"""The roofline of this machine, and the blocks of a network under it.

A block does so many operations for each byte that it must move; the machine does so many operations
and moves so many bytes a second. The lesser of the two bounds the block's speed.
Built in notebooks/09_what_it_costs, section 6.

Source: Williams, Waterman, Patterson, "Roofline: An Insightful Visual Performance Model for
Multicore Architectures", Communications of the ACM 2009.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch

from ..blocks.binary import BinaryTransition, DABC2d
from ..blocks.dense import ResidualDenseBlock
from ..blocks.shift import ShiftStep
from . import counting

WHOLE = (ResidualDenseBlock, DABC2d, BinaryTransition, ShiftStep)  # one block each in the papers


@dataclass(frozen=True)
class Roof:
    """What a machine can do with the threads that PyTorch has now.

    Attributes:
        peak: operations a second, a multiplication and an addition being two (FLOP/s).
        bandwidth: bytes a second, read or written.
    """

    peak: float
    bandwidth: float

    def bound(self, intensity) -> float:
        """The most operations a second for so many operations a byte."""
        return min(self.peak, intensity * self.bandwidth)


@dataclass(frozen=True)
class Block:
    """One block of a network in one pass (in all its calls together).

    Attributes:
        name: dotted, as `named_modules` has it.
        flops: twice its multiply-accumulates; binary ones counted like others.
        bytes: its inputs, outputs and parameters, each once: the least that it can move. What its
            layers hand to each other is not in it.
        seconds: median over passes.
    """

    name: str
    flops: int
    bytes: int
    seconds: float

    @property
    def intensity(self) -> float:
        """Operations for each byte."""
        return self.flops / self.bytes

    @property
    def speed(self) -> float:
        """Operations a second."""
        return self.flops / self.seconds


def measure_roof(dtype=torch.float32, sides=(512, 1024, 2048), megabytes=128, repeats=5) -> Roof:
    """`peak_flops` and `bandwidth` together."""
    return Roof(peak_flops(dtype, sides, repeats), bandwidth(megabytes, repeats))


def peak_flops(dtype=torch.float32, sides=(512, 1024, 2048), repeats=5) -> float:
    """FLOP/s of the best of several matrix products: for a bound the best counts, not the usual.

    Args:
        dtype: float32 or bfloat16; on a CPU without instructions for the latter it is emulated.
        sides: of the square matrices that are tried.
    """
    best = 0.0
    with torch.inference_mode():
        for n in sides:
            a = torch.rand(n, n).to(dtype)
            best = max(best, 2 * n**3 / _least(lambda a=a: a @ a, repeats))
    return best


def bandwidth(megabytes=128, repeats=5) -> float:
    """Bytes a second of a copy from memory to memory: read and written."""
    source = torch.rand(megabytes * 2**18)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _least(lambda: target.copy_(source), repeats)


def blocks(model, input_shape, whole=WHOLE, repeats=3) -> list[Block]:
    """Time the blocks of a network, each in its place.

    Args:
        model: nn.Module in eval mode, on the CPU.
        input_shape: for example (1, 1, 1024, 2048).
        whole: kinds of modules that are one block, with all that is in them; what multiplies
            outside of them, a bare convolution, is a block of its own.
        repeats: timed passes after a warm one.
    Returns:
        Those that multiply, in the order in which they first run.
    """
    kinds = {name: isinstance(module, whole) for name, module in model.named_modules()}
    work = {}
    for op in counting.trace(model, input_shape):
        if op.macs:
            parts = op.module.split(".")
            above = (".".join(parts[:n]) for n in range(1, len(parts) + 1))
            name = next((n for n in above if kinds.get(n)), op.module)
            work[name] = work.get(name, 0) + 2 * op.macs
    modules = {name: model.get_submodule(name) for name in work}
    passes, began, moved, hooks = [], {}, {}, []

    def enter(name):
        began[name] = time.perf_counter()

    def leave(name, *tensors):
        passes[-1][name] += time.perf_counter() - began[name]
        moved[name] += sum(t.nbytes for t in _tensors(tensors))

    x = torch.rand(input_shape, generator=torch.Generator().manual_seed(0))
    try:
        for n, module in modules.items():
            hooks.append(module.register_forward_pre_hook(lambda *_, n=n: enter(n)))
            hooks.append(module.register_forward_hook(lambda _, x, y, n=n: leave(n, x, y)))
        with torch.inference_mode():
            for _ in range(repeats + 1):
                passes.append(dict.fromkeys(work, 0.0))
                moved = dict.fromkeys(work, 0)
                model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return [
        Block(
            name,
            flops,
            moved[name] + sum(p.nbytes for p in modules[name].parameters()),
            statistics.median(p[name] for p in passes[1:]),
        )
        for name, flops in work.items()
    ]


def _tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for v in value for t in _tensors(v)] if isinstance(value, (tuple, list)) else []


def _least(function, repeats):
    function()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)
