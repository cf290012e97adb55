"""The roofline of this machine, and the blocks of a network under it.
Source: Williams, Waterman, Patterson, "Roofline: An Insightful Visual Performance Model for
Multicore Architectures", CACM 2009. Built in notebooks/10_what_it_costs, section 6."""

import contextlib
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch.utils._pytree import tree_leaves

from ..blocks.binary import BinaryTransition, DABC2d
from ..blocks.dense import ResidualDenseBlock
from ..blocks.shift import ShiftStep
from . import cost, counting

WHOLE = (ResidualDenseBlock, DABC2d, BinaryTransition, ShiftStep)  # one block each in the papers


@dataclass(frozen=True)
class Roof:
    """What a machine can do with the threads that PyTorch has now."""

    peak: float  # FLOP/s, a multiplication and an addition being two
    bandwidth: float  # bytes a second, read or written

    def bound(self, intensity) -> float:
        """The most operations a second for so many operations a byte."""
        return min(self.peak, intensity * self.bandwidth)


@dataclass(frozen=True)
class Block:
    """One block of a network in one pass (in all its calls together)."""

    name: str  # dotted, as `named_modules` has it
    flops: int  # twice its multiply-accumulates; binary ones counted like others
    bytes: int  # its inputs, outputs and parameters, each once: the least that it can move
    seconds: float  # median over passes

    intensity = property(lambda self: self.flops / self.bytes, doc="Operations for each byte.")
    speed = property(lambda self: self.flops / self.seconds, doc="Operations a second.")


def measure_roof(dtype=torch.float32, sides=(512, 1024, 2048), megabytes=128, repeats=5) -> Roof:
    """The best of matrix products of these sides, and of copies from memory to memory."""
    peak, source = 0.0, torch.rand(megabytes * 2**18)
    target = torch.empty_like(source)
    with torch.inference_mode():
        for n in sides:
            a = torch.rand(n, n).to(dtype)
            peak = max(peak, 2 * n**3 / min(cost.timed(lambda a=a: a @ a, repeats)))
        times = cost.timed(lambda: target.copy_(source), repeats)
    return Roof(peak, 2 * source.nbytes / min(times))


def blocks(model, input_shape, repeats=3) -> list[Block]:
    """Time the blocks of a network in eval mode on the CPU, each in its place, in their order:
    `WHOLE` modules with all that is in them, and each convolution outside of them."""
    whole = {name for name, module in model.named_modules() if isinstance(module, WHOLE)}
    work = Counter()
    for op in counting.trace(model, input_shape):
        if op.macs:
            above = accumulate(op.module.split("."), "{}.{}".format)
            work[next((name for name in above if name in whole), op.module)] += 2 * op.macs
    modules = {name: model.get_submodule(name) for name in work}
    passes, moved = [], {}

    def enter(name):
        passes[-1][name] -= time.perf_counter()

    def leave(name, tensors):
        passes[-1][name] += time.perf_counter()
        moved[name] += sum(t.nbytes for t in tree_leaves(tensors) if torch.is_tensor(t))

    x = torch.rand(input_shape, generator=torch.Generator().manual_seed(0))
    with contextlib.ExitStack() as hooks, torch.inference_mode():
        for n, module in modules.items():
            hooks.enter_context(module.register_forward_pre_hook(lambda *_, n=n: enter(n)))
            hooks.enter_context(module.register_forward_hook(lambda _, *xy, n=n: leave(n, xy)))
        for _ in range(repeats + 1):
            passes.append(dict.fromkeys(work, 0.0))
            moved = dict.fromkeys(work, 0)
            model(x)
    for name, module in modules.items():
        moved[name] += sum(p.nbytes for p in module.parameters())
    return [Block(n, work[n], moved[n], statistics.median(p[n] for p in passes[1:])) for n in work]
