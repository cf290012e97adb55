"""The blocks of BRVE with bits for signs: packed weights, and how a layer runs. How borders and
zeros are treated is said in `kernels`. Built in notebooks/15_engines_and_bits, section 2."""

from types import SimpleNamespace

import numpy as np
import torch
from torch.nn import functional as F

from ...blocks.binary import DABC2d, binary_layers
from ...blocks.shift import ShiftStep
from ...errors import ShapeError
from ..vectors import LANES, threads_of_torch
from . import kernels

WORD = 64  # signs in a word
NO_PLAN = np.zeros((0, 0, 6), np.int64)


def pack_state(network):
    """State of a module with each binary weight as bits, as `checkpoint.read_packed` gives it:
    NAME.bits and NAME.alpha (of `BinaryConv2d.as_bits`, with its error) instead of NAME.weight."""
    state = {k: v.detach().cpu() for k, v in network.state_dict().items()}
    for name, layer in binary_layers(network).items():
        prefix = f"{name}." if name else ""
        del state[f"{prefix}weight"]
        state[f"{prefix}bits"], state[f"{prefix}alpha"] = layer.as_bits()
    return state


def filled(channels):
    """Channels of an activation: filled up to a multiple of the kernels' lanes."""
    return -(-channels // LANES) * LANES


def channels_last(x):
    """(N, C, H, W) tensor -> (N, H, W, filled C) float32 array, filled with 0."""
    x = x.permute(0, 2, 3, 1)
    return F.pad(x, (0, filled(x.shape[-1]) - x.shape[-1])).float().contiguous().numpy()


def channels_first(x, channels):
    """The way back, without a copy."""
    return torch.from_numpy(x)[..., :channels].permute(0, 3, 1, 2)


def _fill(values, value=0):
    """A number for each channel, filled up with `value`."""
    values = values.astype(np.float32).reshape(-1)
    return np.pad(values, (0, filled(values.size) - values.size), constant_values=value)


class PackedConv:
    """A `BinaryConv2d` of signs, its weights as words of 64 input channels: the sums alone.

    Args:
        bits: uint8 (outputs, bytes), of `BinaryConv2d.as_bits`.
        shape: of the weight, (outputs, inputs, k, k).
        fixed: {input channel: its sign} of those that are the same everywhere and are not given."""

    def __init__(self, bits, shape, stride=1, fixed=None):
        (o, c, k, _), fixed = shape, fixed or {}
        if bits.shape != (o, -(-c * k * k // 8)):
            raise ShapeError(f"bits {bits.shape} are not the signs of weights {tuple(shape)}")
        signs = np.unpackbits(bits, axis=1, count=c * k * k).reshape(o, c, k * k)
        self.used = [i for i in range(c) if i not in fixed]
        self.kernel, self.pad, self.stride, self.channels = k, k // 2, stride, len(self.used)
        self.words, n = -(-self.channels // WORD), filled(o)
        ones = np.zeros((n, k * k, self.words * WORD), bool)
        ones[:o, :, : self.channels] = signs[:, self.used].swapaxes(1, 2)
        self.fixed = np.zeros((n, k, k), np.int32)  # what the fixed ones add, in the frame
        for i, sign in fixed.items():
            self.fixed[:o] += sign * (2 * signs[:, i].astype(np.int32) - 1).reshape(o, k, k)
        words = np.packbits(ones, -1, "little").view(np.uint64)  # bytes, as `front` writes them
        words = words.reshape(-1, LANES, k * k * self.words).swapaxes(1, 2)
        self.weights = np.ascontiguousarray(words)  # (filled outputs / 8, k * k * words, 8)
        self.ones = ones.sum(2, dtype=np.int32).reshape(-1, k, k)
        self._borders = {}
        # What fills up is -1: its bit is 0, as that of its weights, and it is never exactly 0.
        self.threshold = _fill(np.zeros(self.channels), -1)
        one, nought = np.ones(n, np.float32), np.zeros(n, np.float32)
        self.alpha, self.act, self.resize = one, (nought, one, nought), None
        self.skip, self.attention = kernels.NOTHING, np.zeros((3, 0), np.float32)
        self.mix = np.zeros((0, 0, LANES), np.float32), np.zeros(0, np.float32)

    def __call__(self, x, out=None, add=False, plan=None):
        """(N, H, W, C) -> (N, H', W', C'), float32 with filled channels, in `out` or added to it;
        `out` is `x` for a `DABC2d` whose input is not needed any more. `plan`, (N', lines, 6): how
        frames and channels of x move before, see `kernels`."""
        c, pad, s = len(self.threshold), self.pad, self.stride
        if x.dtype != np.float32 or (plan is None and x.shape[3] != c):
            wanted = f"a layer of {self.channels} channels takes (N, H, W, {c}) float32"
            raise ShapeError(f"{wanted}, got {x.shape} {x.dtype}")
        frames, (h, w) = len(x if plan is None else plan), x.shape[1:3]
        if self.resize == "down" and (h % 2 or w % 2):
            raise ShapeError(f"halving takes even sides, got {(h, w)}", todo="pad the frame")
        mode, plan = (kernels.PLAIN, NO_PLAN) if plan is None else (kernels.PLAN, plan)
        if self.resize == "up":
            mode, h, w = kernels.UP, 2 * h, 2 * w
        if out is None:
            out = np.empty((frames, -(-h // s), -(-w // s), len(self.alpha)), np.float32)
        bits = np.empty((2, frames, h + 2 * pad, w + 2 * pad, self.words), np.uint64)
        bits[:, :, :pad] = bits[:, :, h + pad :] = 0
        places, *borders = self.borders(h, w)
        skip = kernels.NOTHING if out is x else self.skip
        keep = add or self.skip != kernels.NOTHING
        with threads_of_torch() as parts:
            zeros = np.empty((frames, parts), np.bool_)
            totals = np.empty((frames, parts, 4, c if self.attention.size else 0))
            kernels.front(
                x, mode, plan, self.threshold, pad, bits.view(np.uint8), zeros, totals, skip,
                *self.mix, out, add,
            )  # fmt: skip
            kernels.back(
                bits, zeros, places, self.weights, *borders, s, self.alpha, totals, self.attention,
                self.channels, *self.act, out, keep, parts,
            )  # fmt: skip
        return out

    def borders(self, h, w):
        """(places, start, kinds_y, kinds_x) of `kernels.back`, made once for the last size.

        A sum is (places) - 2 (places that differ). Outside the frame the bits are 0 and differ
        where a weight is 1: such a place starts with twice the number of those, instead of the
        number of channels (and the fixed sum)."""
        if (h, w) not in self._borders:
            (ys, kinds_y), (xs, kinds_x) = (self._inside(n) for n in (h, w))
            inside = ys[:, None, :, None] & xs[None, :, None, :]  # (kinds, kinds, k, k)
            start = np.where(inside[:, :, None], self.channels + self.fixed, 2 * self.ones)
            start = start.sum((3, 4)).reshape(-1, len(self.ones)).astype(np.int32)
            k, words = np.arange(self.kernel), np.arange(self.words)
            line = (w + 2 * self.pad) * self.words
            places = (k[:, None, None] * line + k[:, None] * self.words + words).reshape(-1)
            self._borders = {(h, w): (places, start, kinds_y * len(xs), kinds_x)}
        return self._borders[h, w]

    def _inside(self, size):
        """Which of the k places along an axis are in the frame: (kinds, k); kind of each output."""
        first = np.arange(0, size, self.stride) - self.pad
        places = first[:, None] + np.arange(self.kernel)
        kinds, of = np.unique((places >= 0) & (places < size), axis=0, return_inverse=True)
        return kinds, of.reshape(-1)


class PackedBlock(PackedConv):
    """A `DABC2d` or a `BinaryTransition`, its weights in a `pack_state` by names with that prefix;
    of the input, channels `zeros` are 0 everywhere and are not given."""

    def __init__(self, module, state, prefix="", zeros=()):
        def get(key):
            return state[f"{prefix}{key}"].numpy()

        o, c, *_ = shape = module.conv.weight.shape
        threshold = get("threshold").reshape(-1)
        fixed = {i: int(np.sign(threshold[i])) for i in zeros}
        super().__init__(get("conv.bits"), shape, module.conv.stride, fixed)
        self.threshold, self.alpha = _fill(threshold[self.used], -1), _fill(get("conv.alpha"))
        before, slope, after = (_fill(get(f"act.{k}")) for k in ("before", "slope", "after"))
        if module.conv.bias is not None:
            before = before + _fill(get("conv.bias"))
        self.act, self.resize = (before, slope, after), getattr(module, "resize", None)
        if isinstance(module, DABC2d):
            self.skip = kernels.COPY
            if module.attention is not None:
                self.attention = get("attention.conv.weight").astype(np.float32).reshape(3, -1)
        elif module.skip is not None:
            self.skip = kernels.POOL if self.resize == "down" else kernels.MIX
            weight = np.zeros((len(self.alpha), len(self.threshold)), np.float32)
            weight[:o, : self.channels] = get("skip.weight").reshape(o, c)[:, self.used]
            weight = weight.reshape(-1, LANES, len(self.threshold)).swapaxes(1, 2)
            self.mix = np.ascontiguousarray(weight), _fill(get("skip.bias"))


class PackedShiftStep:
    """A `ShiftStep`, (3, H, W, C) -> the same: its shifts are a plan of what is read where."""

    def __init__(self, step, state, prefix=""):
        self.plan, zeros = None, ()
        if step.shift != "none":
            nothing = {"fuse": torch.clone, "conv": torch.clone}  # convolutions that do nothing
            bare = SimpleNamespace(shift=step.shift, reverse=step.reverse, **nothing)
            channels = step.conv.threshold.shape[1]
            self.plan, zeros = read_plan(lambda x: ShiftStep.forward(bare, x), 3, channels)
        self.fuse = PackedBlock(step.fuse, state, f"{prefix}fuse.", zeros)
        self.conv = PackedBlock(step.conv, state, f"{prefix}conv.")

    def __call__(self, x):
        y = self.fuse(x, plan=self.plan)
        return self.conv(y, y)


def read_plan(shift, frames, channels):
    """What a shift does, read off itself: it is shown frames whose pixels say where they are.

    Returns (plan, zeros): int64 (frames, lines, 6) of `kernels`; channels that get nothing at all.

    >>> plan, zeros = read_plan(lambda x: x.roll(1, 1), 2, 4)  # each frame from the one before
    >>> plan.tolist(), zeros
    ([[[1, 0, 0, 4, 0, 0]], [[0, 0, 0, 4, 0, 0]]], [])
    """
    shape = frames, channels, 33, 33  # no shift is by more than 16
    where = torch.arange(1, 1 + np.prod(shape), dtype=torch.float64)
    middle = shift(where.view(1, *shape))[0, :, :, 16, 16]
    given = middle.any(0)
    runs = [_runs(seen.long().tolist(), shape) for seen in middle[:, given]]
    plan = np.zeros((frames, max(map(len, runs)), 6), np.int64)
    for lines, its in zip(plan, runs, strict=True):
        lines[: len(its)] = its
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
