"""The blocks of BRVE with bits for signs: packed weights, and how a layer runs.

How borders and zeros are treated is said in `kernels`. Built in notebooks/13_deploy, section 5.
"""

from types import SimpleNamespace

import numpy as np
import torch
from torch.nn import functional as F

from ...blocks.binary import DABC2d, binary_layers
from ...blocks.shift import ShiftStep
from ...errors import ShapeError
from ..vectors import threads_of_torch
from . import kernels

WORD = 64  # signs in a word


def pack_state(network):
    """State of a module with each binary weight as bits, as `checkpoint.read_packed` gives it:
    NAME.bits and NAME.alpha (of `BinaryConv2d.as_bits`, with its error) instead of NAME.weight.
    """
    state = {k: v.detach().cpu() for k, v in network.state_dict().items()}
    for name, layer in binary_layers(network).items():
        key = f"{name}." if name else ""
        del state[f"{key}weight"]
        state[f"{key}bits"], state[f"{key}alpha"] = layer.as_bits()
    return state


def filled(channels):
    """Channels of an activation: filled up to a multiple of the kernels' lanes."""
    return -(-channels // kernels.LANES) * kernels.LANES


def channels_last(x):
    """(N, C, H, W) tensor -> (N, H, W, filled C) float32 array, filled with 0."""
    x = x.permute(0, 2, 3, 1)
    return F.pad(x, (0, filled(x.shape[-1]) - x.shape[-1])).float().contiguous().numpy()


def channels_first(x, channels):
    """The way back, without a copy."""
    return torch.from_numpy(x)[..., :channels].permute(0, 3, 1, 2)


class PackedConv:
    """Weights of a `BinaryConv2d` as words of 64 input channels, and what borders need.

    Args:
        bits: uint8 (outputs, bytes), of `BinaryConv2d.as_bits`.
        shape: of the weight, (outputs, inputs, k, k).
        fixed: {input channel: its sign} of those that are the same everywhere and are not given.
    """

    def __init__(self, bits, shape, stride=1, fixed=None):
        (o, c, k, _), fixed = shape, fixed or {}
        if bits.shape != (o, -(-c * k * k // 8)):
            raise ShapeError(f"bits {bits.shape} are not the signs of weights {tuple(shape)}")
        signs = np.unpackbits(bits, axis=1, count=c * k * k).reshape(o, c, k * k)
        used = [i for i in range(c) if i not in fixed]
        self.kernel, self.pad, self.stride, self.channels = k, k // 2, stride, len(used)
        self.words = -(-len(used) // WORD)
        ones = np.zeros((filled(o), k * k, self.words * WORD), bool)
        ones[:o, :, : len(used)] = signs[:, used].swapaxes(1, 2)
        self.fixed = np.zeros((filled(o), k, k), np.int32)  # what the fixed ones add, in the frame
        for i, sign in fixed.items():
            self.fixed[:o] += sign * (2 * signs[:, i].astype(np.int32) - 1).reshape(o, k, k)
        words = np.packbits(ones, -1, "little").view(np.uint64)  # bytes, as `front` writes them
        words = words.reshape(-1, kernels.LANES, k * k * self.words).swapaxes(1, 2)
        self.weights = np.ascontiguousarray(words)  # (filled outputs / 8, k * k * words, 8)
        self.ones = ones.sum(2, dtype=np.int32).reshape(-1, k, k)
        self._borders = {}

    def __call__(self, x):
        """The sums alone: (N, H, W, filled C) array -> float32 (N, H', W', filled outputs)."""
        one, nought = np.ones(len(self.ones), np.float32), np.zeros(len(self.ones), np.float32)
        threshold = np.where(np.arange(x.shape[3]) < self.channels, 0, -1).astype(np.float32)
        return run(self, x, threshold, alpha=one, act=(nought, one, nought))

    def borders(self, h, w):
        """(places, start, kinds_y, kinds_x) of `kernels.back`, made once for the last size.

        A sum is (places) - 2 (places that differ). Outside the frame the bits are 0 and differ
        where a weight is 1: such a place starts with twice the number of those, instead of the
        number of channels (and the fixed sum).
        """
        made = self._borders.get((h, w))
        if made is None:
            (ys, kinds_y), (xs, kinds_x) = (self._inside(n) for n in (h, w))
            inside = ys[:, None, :, None] & xs[None, :, None, :]  # (kinds, kinds, k, k)
            start = np.where(inside[:, :, None], self.channels + self.fixed, 2 * self.ones)
            start = start.sum((3, 4)).reshape(-1, len(self.ones)).astype(np.int32)
            k, words = np.arange(self.kernel), np.arange(self.words)
            line = (w + 2 * self.pad) * self.words
            places = (k[:, None, None] * line + k[:, None] * self.words + words).reshape(-1)
            made = places, start, kinds_y * len(xs), kinds_x
            self._borders = {(h, w): made}
        return made

    def _inside(self, size):
        """Which of the k places along an axis are in the frame: (kinds, k); kind of each output."""
        first = np.arange(0, size, self.stride) - self.pad
        places = first[:, None] + np.arange(self.kernel)
        kinds, of = np.unique((places >= 0) & (places < size), axis=0, return_inverse=True)
        return kinds, of.reshape(-1)


NO_PLAN = np.zeros((0, 0, 6), np.int64)
NO_ATTENTION = np.zeros((3, 0), np.float32)
NO_MIX = np.zeros((0, 0, kernels.LANES), np.float32), np.zeros(0, np.float32)


def run(
    conv, x, threshold, out=None, *, alpha, act, mode=kernels.PLAIN, plan=None,
    skip=kernels.NOTHING, mix=NO_MIX, add=False, keep=False, attention=NO_ATTENTION,
):  # fmt: skip
    """Both passes of a layer over x into `out`, which it returns; see `kernels`."""
    seen = x.shape[3] if plan is None else len(threshold)
    if x.dtype != np.float32 or not seen == len(threshold) == filled(conv.channels):
        wanted = f"a layer of {conv.channels} channels takes (N, H, W, {filled(conv.channels)})"
        raise ShapeError(f"{wanted} float32, got {x.shape} {x.dtype}")
    up = 2 if mode == kernels.UP else 1
    frames, h, w = len(x) if plan is None else len(plan), up * x.shape[1], up * x.shape[2]
    plan, s = NO_PLAN if plan is None else plan, conv.stride
    if out is None:
        out = np.empty((frames, -(-h // s), -(-w // s), len(alpha)), np.float32)
    bits = np.empty((2, frames, h + 2 * conv.pad, w + 2 * conv.pad, conv.words), np.uint64)
    bits[:, :, : conv.pad] = bits[:, :, h + conv.pad :] = 0
    places, *borders = conv.borders(h, w)
    with threads_of_torch() as parts:
        zeros = np.empty((frames, parts), np.bool_)
        totals = np.empty((frames, parts, 4, len(threshold) if attention.size else 0))
        kernels.front(
            x, mode, plan, threshold, conv.pad, bits.view(np.uint8), zeros, totals, skip, *mix,
            out, add,
        )  # fmt: skip
        kernels.back(
            bits, zeros, places, conv.weights, *borders, s, alpha,
            totals, attention, conv.channels, *act, out, keep, parts,
        )  # fmt: skip
    return out


class PackedBlock:
    """A `DABC2d` or a `BinaryTransition`, its weights from a `pack_state`, where it has that name.

    Of the input, channels `zeros` are 0 everywhere and are not given.
    """

    def __init__(self, module, state, name="", zeros=()):
        def get(key):
            return state[f"{name}.{key}" if name else key].numpy()

        def fill(values, size, value=0.0):
            values = values.astype(np.float32).reshape(-1)
            return np.pad(values, (0, size - values.size), constant_values=value)

        o, c, *_ = shape = module.conv.weight.shape
        threshold = get("threshold").reshape(-1)
        fixed = {i: int(np.sign(threshold[i])) for i in zeros}
        used = [i for i in range(c) if i not in fixed]
        self.conv = PackedConv(get("conv.bits"), shape, module.conv.stride, fixed)
        n, c_in = filled(o), filled(len(used))
        # What fills up is -1: its bit is 0, as that of its weights, and it is never exactly 0.
        self.threshold = fill(threshold[used], c_in, -1)
        self.alpha = fill(get("conv.alpha"), n)
        before, slope, after = (fill(get(f"act.{k}"), n) for k in ("before", "slope", "after"))
        if module.conv.bias is not None:
            before = before + fill(get("conv.bias"), n)
        self.act = before, slope, after
        self.resize = getattr(module, "resize", None)
        self.attention, self.mix, self.skip = NO_ATTENTION, NO_MIX, kernels.NOTHING
        if isinstance(module, DABC2d):
            self.skip = kernels.COPY
            if module.attention is not None:
                self.attention = get("attention.conv.weight").astype(np.float32).reshape(3, -1)
        elif module.skip is not None:
            self.skip = kernels.POOL if self.resize == "down" else kernels.MIX
            weight = np.zeros((n, c_in), np.float32)
            weight[:o, : len(used)] = get("skip.weight").reshape(o, c)[:, used]
            weight = weight.reshape(-1, kernels.LANES, c_in).swapaxes(1, 2)
            self.mix = np.ascontiguousarray(weight), fill(get("skip.bias"), n)

    def __call__(self, x, out=None, add=False, plan=None):
        """(N, H, W, C) -> (N, H', W', C'), float32 with filled channels, in `out` or added to it;
        `out` is `x` for a `DABC2d` whose input is not needed any more. `plan`, (N', lines, 6): how
        frames and channels of x move before, see `kernels`.
        """
        if self.resize == "down" and (x.shape[1] % 2 or x.shape[2] % 2):
            raise ShapeError(f"halving takes even sides, got {x.shape[1:3]}", todo="pad the frame")
        mode = kernels.PLAIN if plan is None else kernels.PLAN
        return run(
            self.conv, x, self.threshold, out, mode=kernels.UP if self.resize == "up" else mode,
            plan=plan, skip=kernels.NOTHING if out is x else self.skip, mix=self.mix, add=add,
            keep=add or self.skip != kernels.NOTHING, alpha=self.alpha, attention=self.attention,
            act=self.act,
        )  # fmt: skip


class PackedShiftStep:
    """A `ShiftStep`, (3, H, W, C) -> the same: its shifts are a plan of what is read where."""

    def __init__(self, step, state, name=""):
        prefix, channels, zeros = f"{name}." if name else "", step.conv.threshold.shape[1], ()
        self.plan = None
        if step.shift != "none":
            nothing = {"fuse": torch.clone, "conv": torch.clone}  # convolutions that do nothing
            bare = SimpleNamespace(shift=step.shift, reverse=step.reverse, **nothing)
            self.plan, zeros = read_plan(lambda x: ShiftStep.forward(bare, x), 3, channels)
        self.fuse = PackedBlock(step.fuse, state, f"{prefix}fuse", zeros)
        self.conv = PackedBlock(step.conv, state, f"{prefix}conv")

    def __call__(self, x):
        y = self.fuse(x, plan=self.plan)
        return self.conv(y, y)


def read_plan(shift, frames, channels):
    """What a shift does, read off itself: it is shown frames whose pixels say where they are.

    Returns (plan, zeros): (frames, lines, 6) int64 as `kernels` takes it; the channels that get
    nothing in any frame, which the plan leaves out.

    >>> plan, zeros = read_plan(lambda x: x.roll(1, 1), 2, 4)  # each frame from the one before
    >>> plan.tolist(), zeros
    ([[[1, 0, 0, 4, 0, 0]], [[0, 0, 0, 4, 0, 0]]], [])
    """
    shape = frames, channels, 33, 33  # no shift is by more than 16
    where = torch.arange(1, 1 + np.prod(shape), dtype=torch.float64)
    middle = shift(where.view(1, *shape))[0, :, :, 16, 16]
    given = middle.any(0)
    plan = [_runs(seen.long().tolist(), shape) for seen in middle[:, given]]
    longest = max(map(len, plan))
    plan = np.array([lines + [[0] * 6] * (longest - len(lines)) for lines in plan], np.int64)
    return plan, (~given).nonzero().flatten().tolist()


def _runs(labels, shape):
    """Neighbouring channels that come from neighbouring channels of one place make one line."""
    lines = [[-1] * 6]
    for here, label in enumerate(labels):
        if label:  # else nothing comes in here
            frame, there, y, x = map(int, np.unravel_index(label - 1, shape))
            line, last = [frame, there, here, 1, shape[2] // 2 - y, shape[3] // 2 - x], lines[-1]
            if line == [last[0], last[1] + last[3], last[2] + last[3], 1, *last[4:]]:
                last[3] += 1
            else:
                lines.append(line)
    return lines[1:]


def side_by_side(n, frames, channels):
    """Plan of a concatenation of n times `frames` frames along the channels."""
    return np.array(
        [[[k * frames + t, 0, k * channels, channels, 0, 0] for k in range(n)]
         for t in range(frames)]
    )  # fmt: skip
