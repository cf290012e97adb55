"""Counting without computing: one pass on tensors that have a shape and no memory, on PyTorch's
"meta" device. Built in notebooks/10_what_it_costs, sections 1 to 3."""

import contextlib
import math
import threading
import weakref
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from ..blocks.binary import binary_layers
from ..errors import OptionError
from ..restore.window import device_of

_ACTIVATIONS = ("relu", "leaky_relu", "prelu", "_prelu_kernel", "elu", "hardtanh")


@dataclass(frozen=True)
class Op:
    """One operation of a pass."""

    module: str  # dotted name of the innermost module it ran in; "" for the network itself
    kind: str  # "convolution", "transposed convolution", or PyTorch's name of the operation
    macs: int  # of convolutions and matrix products
    binary: bool  # has that module binary weights, see `blocks.binary.binary_layers`?
    input: tuple[int, ...]  # shapes of the first, second and resulting tensor; () where none is
    weight: tuple[int, ...]
    output: tuple[int, ...]
    bias: bool  # whether a convolution adds one
    live: int  # bytes of tensors alive while it ran, its result included


def trace(model, input_shape, *, training=False) -> list[Op]:
    """Every operation of one pass, in order.

    Nothing is computed, but for a network that looks at its values (a histogram, an `if`): it is
    run on random numbers. Live bytes are of what operations made, not of input and weights.
    `training`: with the backward pass of a sum of the outputs."""
    was = model.training
    model.train(training)
    try:
        return _run(model, input_shape, "meta", training)
    except (RuntimeError, TypeError):  # what the meta device raises where values are needed
        return _run(model, input_shape, device_of(model), training)
    finally:
        model.train(was)


def by_module(model, input_shape, depth=1) -> dict[str, int]:
    """MACs of each child, in the order in which they first run; their sum is the network's. Of the
    dotted name `depth` parts are kept: 1 gives "hse", 2 "hse.leave"."""
    found = Counter()
    for op in trace(model, input_shape):
        found[".".join(op.module.split(".")[:depth]) or "(itself)"] += op.macs
    return {name: macs for name, macs in found.items() if macs}


def parameters(model) -> tuple[int, int]:
    """(all parameters, the same with every weight of a binary layer as 1/32)."""
    total = sum(p.numel() for p in model.parameters())
    own = (dict(layer.named_parameters(recurse=False)) for layer in binary_layers(model).values())
    binary = sum(p["weight"].numel() for p in own if "weight" in p)
    return total, total - binary + round(binary / 32)


def ptflops_gmacs(model, input_shape, release="old") -> float:
    """The "GMac" of papers: what the counter of the time counts, mistakes included.

    Beside the multiply-accumulates one for each bias added, output of an activation and input of a
    pooling, two for each input of a batch normalisation. Release "old" takes a transposed
    convolution for an ordinary one, stride^2 times too many; "later" has that right, and takes the
    output to be as wide as it is high when it adds the bias.
    Source: ptflops, the counter named in the REDI repository. "old" reproduces the 41.38 and 440.46
        that the authors print for 2048x4096, "later" the 562.06 of their Table 1, width first."""
    if release not in ("old", "later"):
        raise OptionError(f"unknown release {release!r}", todo="use old or later")

    def count(op):
        outputs, kind = math.prod(op.output), op.kind.rstrip("_")  # in place they end in _
        if kind == "transposed convolution":
            if release == "old":
                return outputs // op.output[1] * math.prod(op.weight) + op.bias * outputs
            outputs = outputs // op.output[-1] * op.output[-2]
        if kind.endswith("convolution"):
            return op.macs + op.bias * outputs
        if kind in _ACTIVATIONS:
            return outputs
        if "pool" in kind:
            return math.prod(op.input)
        return 2 * math.prod(op.input) if "batch_norm" in kind else op.macs

    return sum(map(count, trace(model, input_shape))) / 1e9


def as_published_binary(model, input_shape) -> dict[str, int]:
    """The operations of a binary network as BRVE's released counter takes them.

    A binary MAC counts 1/64, a real one 1, and so does each number that a bias, a learned shift, an
    activation or a pooling touches, and each upsampled one of the first item of a batch. All else
    counts 0, of the attention's statistics all but one mean (inferred from its 1.469 G a frame).
    Returns {"binary", "real" (with biases), "other"}.
    Source: BRVE's released tools/get_flops_bnn.py, as described; 4x128x128, clips of 50."""
    found = {"binary": 0, "real": 0, "other": 0}
    for op in trace(model, input_shape):
        outputs, kind = math.prod(op.output), op.kind.rstrip("_")
        if kind == "convolution":
            found["binary" if op.binary else "real"] += op.macs // (64 if op.binary else 1)
            found["other" if op.binary else "real"] += op.bias * outputs
        elif kind in _ACTIVATIONS or (kind == "add" and op.weight[2:] == (1, 1)):
            found["other"] += outputs
        elif "pool" in kind or (kind == "abs" and not op.binary):
            found["other"] += math.prod(op.input)
        elif "upsample" in kind:
            found["other"] += outputs // op.output[0]
    return found


def as_published(model, input_shape) -> dict[str, float]:
    """What the counters of released code print for a network, in units of 1e9, by their names:
    BRVE's for binary layers, else ptflops, "later" with the width first, and thop / 0.9 * 2, as the
    zoo that deploys PairLIE has it, with biases."""
    if binary_layers(model):
        whole = sum(as_published_binary(model, input_shape).values()) / 1e9
        return {"get_flops_bnn": whole, "get_flops_bnn, a frame": whole / input_shape[0]}
    biased = (op for op in trace(model, input_shape) if op.kind.endswith("convolution"))
    thop = sum(op.macs + op.bias * math.prod(op.output) for op in biased) / 1e9
    old, turned = ptflops_gmacs(model, input_shape), (*input_shape[:2], *input_shape[:1:-1])
    later = ptflops_gmacs(model, turned, "later")
    return {"ptflops, old": old, "ptflops, later": later, "thop / 0.9 * 2": thop / 0.9 * 2}


@torch.inference_mode(False)  # there operations would pass by whole, their parts unseen
def _run(model, input_shape, device, training):
    tensors = {}
    for name, t in (*model.named_parameters(), *model.named_buffers()):
        copy = torch.empty_like(t, device="meta") if device == "meta" else t.detach().clone()
        tensors[name] = copy.requires_grad_(t.requires_grad)
    x = torch.empty(input_shape, device=device)
    if device != "meta":
        x.uniform_(generator=torch.Generator(device).manual_seed(0))
    tracer, binary = _Tracer(), binary_layers(model)
    with torch.set_grad_enabled(training), contextlib.ExitStack() as hooks, tracer:
        for name, module in model.named_modules():
            enter = partial(tracer.enter, (name, name in binary))
            hooks.enter_context(module.register_forward_pre_hook(enter))
            hooks.enter_context(module.register_forward_hook(tracer.leave, always_call=True))
        out = functional_call(model, tensors, (x,))
        if training:
            cast(torch.Tensor, sum(t.sum() for t in tree_leaves(out))).backward()
    return tracer.ops


class _Tracer(TorchDispatchMode):
    """Writes down operations, and adds up the storages that they make until these are freed."""

    def __init__(self):
        super().__init__()
        self.ops, self._live, self._running, self._seen = [], 0, [], set()
        self._thread = threading.get_ident()

    def enter(self, here, *_):
        if threading.get_ident() != self._thread:  # a tracer sees its own thread only
            raise OptionError("cannot count what runs in threads", todo="set parallel=False")
        self._running.append(here)

    def leave(self, *_):
        del self._running[-1:]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        inputs, kwargs = [t for t in args if torch.is_tensor(t)], kwargs or {}
        known = {t.untyped_storage()._cdata for t in inputs}
        out = func(*args, **kwargs)
        outputs = [t for t in tree_leaves(out) if torch.is_tensor(t)]
        for t in outputs:
            self._count(t.untyped_storage(), known)
        if outputs:
            self._write(func, args, kwargs, inputs, out, outputs[0])
        return out

    def _write(self, func, args, kwargs, inputs, out, first):
        kind, macs, bias = func._schema.name.split("::")[-1], 0, False
        if kind == "convolution_backward":  # as much again for the input, and for the weight
            grad, x, weight = args[:3]
            positions = x if args[7] else grad  # every weight is used once at each of these
            macs = positions.numel() // positions.shape[1] * weight.numel() * sum(args[-1][:2])
        elif formula := flop_registry.get(func._overloadpacket):
            macs = formula(*args, **kwargs, out_val=out) // 2  # a multiply and an add are two there
        if kind == "convolution":
            kind, bias = "transposed convolution" if args[6] else kind, args[2] is not None
        module, binary = self._running[-1] if self._running else ("", False)
        a, b, *_ = *(tuple(t.shape) for t in inputs[:2]), (), ()
        self.ops.append(Op(module, kind, macs, binary, a, b, tuple(first.shape), bias, self._live))

    def _count(self, storage, known):
        if (key := storage._cdata) not in self._seen and key not in known:
            self._seen.add(key)
            self._live += storage.nbytes()
            weakref.finalize(storage, self._free, key, storage.nbytes())

    def _free(self, key, size):
        self._seen.discard(key)
        self._live -= size
