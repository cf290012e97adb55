"""BRVE with bits for signs: its binary convolutions as XOR and population count, on the CPU.

    fast = pack_network(models.build("brve"))
    video = fast(clip)                          # as the network itself: (T, 4, H, W) and so on

A weight needs its sign and its output channel's alpha, no more: `pack_state` keeps one bit of it,
and a network is made from such a state without ever holding float weights. The kernels, and how
they treat borders and exact zeros, are in `xnor_kernels`.

Built in notebooks/13_deploy.
"""

from __future__ import annotations

import math
import threading
from types import SimpleNamespace

import numba
import numpy as np
import torch
from torch.nn import functional as F

from ..blocks.binary import BinaryConv2d, BinaryTransition, DABC2d
from ..blocks.shift import ShiftStep, temporal_shift
from ..errors import OptionError, ShapeError
from ..models.brve import Brve
from ..models.brve_stream import BrveStream
from . import xnor_kernels as kernels

WORD = 64  # signs in a word
_PARALLEL = threading.RLock()  # numba's simplest thread pool takes one caller at a time


def pack_state(network):
    """State of a network with each binary weight as bits, as `checkpoint.read_packed` gives it.

    Args:
        network: a `Brve`, or any module with `BinaryConv2d`.
    Returns:
        dict of tensors: NAME.bits and NAME.alpha (of `BinaryConv2d.as_bits`) instead of
        NAME.weight, all others as in `state_dict()`.
    Raises:
        OptionError: a binary weight is exactly 0.
    """
    state = {k: v.detach().cpu() for k, v in network.state_dict().items()}
    for name, layer in network.named_modules():
        if isinstance(layer, BinaryConv2d):
            key = f"{name}." if name else ""
            del state[f"{key}weight"]
            state[f"{key}bits"], state[f"{key}alpha"] = layer.as_bits()
    return state


# ---------------------------------------------------------------------------------------------
# A binary convolution


def filled(channels):
    """Channels of an activation: filled up to a multiple of the kernels' lanes."""
    return -(-channels // kernels.LANES) * kernels.LANES


def channels_last(x):
    """(N, C, H, W) tensor -> (N, H, W, filled C) float32 array; added channels are 0."""
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
        stride: 1 or 2.
    Attributes:
        weights: (filled outputs / 8, k * k * words, 8) uint64.
    """

    def __init__(self, bits, shape, stride=1):
        o, c, k, _ = shape
        if bits.shape != (o, -(-c * k * k // 8)):
            raise ShapeError(f"bits {bits.shape} are not the signs of weights {tuple(shape)}")
        self.kernel, self.pad, self.stride, self.channels = k, k // 2, stride, c
        self.words = -(-c // WORD)
        ones = np.zeros((filled(o), k * k, self.words * WORD), bool)
        signs = np.unpackbits(bits, axis=1, count=c * k * k).reshape(o, c, k * k)
        ones[:o, :, :c] = signs.swapaxes(1, 2)
        words = np.packbits(ones, -1, "little").view("<u8").astype(np.uint64)
        words = words.reshape(-1, kernels.LANES, k * k * self.words).swapaxes(1, 2)
        self.weights = np.ascontiguousarray(words)
        self.ones = ones.sum(2, dtype=np.int32).reshape(-1, k, k)
        self._borders = {}

    def __call__(self, x):
        """The sums alone: (N, H, W, C) array -> float32 (N, H', W', outputs), whole numbers.

        What counts of x is its sign, and 0 where it is 0. C and outputs are filled up.
        """
        frames, h, w, c = x.shape
        n, s = len(self.ones), self.stride
        one, nought = np.ones(n, np.float32), np.zeros(n, np.float32)
        threshold = np.where(np.arange(c) < self.channels, 0, -1).astype(np.float32)
        out = np.empty((frames, -(-h // s), -(-w // s), n), np.float32)
        run(self, x, threshold, out, alpha=one, act=(nought, one, nought))
        return out

    def borders(self, h, w):
        """(start, kinds_y, kinds_x) of `xnor_kernels.back`, made once for the last size.

        A sum is (places) - 2 (places that differ), if all bits of the window are signs. Outside
        the frame they are 0, so that they differ where a weight is 1: twice the number of those is
        what such a place has to start with, instead of the number of channels.
        """
        if (h, w) not in self._borders:
            (ys, kinds_y), (xs, kinds_x) = (self._inside(n) for n in (h, w))
            inside = ys[:, None, :, None] & xs[None, :, None, :]  # (kinds, kinds, k, k)
            start = np.where(inside[:, :, None], self.channels, 2 * self.ones).sum((3, 4))
            start = start.reshape(-1, start.shape[2]).astype(np.int32)
            self._borders = {(h, w): (start, kinds_y * len(xs), kinds_x)}
        return self._borders[h, w]

    def _inside(self, size):
        """Which of the k places along an axis are in the frame: (kinds, k), kind of each output."""
        first = np.arange(0, size, self.stride) - self.pad
        places = first[:, None] + np.arange(self.kernel)
        kinds, of = np.unique((places >= 0) & (places < size), axis=0, return_inverse=True)
        return kinds, of.reshape(-1)

    def places(self, w):
        """Where a window's words are in the bits of frames of width w, from its corner on."""
        line = (w + 2 * self.pad) * self.words
        k, words = np.arange(self.kernel), np.arange(self.words)
        return (k[:, None, None] * line + k[:, None] * self.words + words).reshape(-1)


NO_PLAN = np.zeros((0, 0, 6), np.int64)
NO_ATTENTION = np.zeros((3, 0), np.float32)
NO_MIX = np.zeros((0, 0, kernels.LANES), np.float32), np.zeros(0, np.float32)


def run(
    conv, x, threshold, out, *, alpha, act, mode=kernels.PLAIN, plan=None, skip=kernels.NOTHING,
    mix=NO_MIX, add=False, keep=False, attention=NO_ATTENTION,
):  # fmt: skip
    """Both passes of a layer over x into `out`; see `xnor_kernels.front` and `back`."""
    up = 2 if mode == kernels.UP else 1
    frames, h, w = len(x) if plan is None else len(plan), up * x.shape[1], up * x.shape[2]
    plan = NO_PLAN if plan is None else plan
    parts = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)
    shape = (2, frames, h + 2 * conv.pad, w + 2 * conv.pad, conv.words)
    size, behind = math.prod(shape), kernels.TILE * conv.stride * conv.words
    bits = np.empty(size + behind, np.uint64)[:size].reshape(shape)
    zeros = np.empty((frames, parts), np.bool_)
    totals = np.empty((frames, parts, 4, len(threshold) if attention.size else 0))
    with _PARALLEL:
        others = numba.get_num_threads()
        numba.set_num_threads(parts)
        kernels.front(x, mode, plan, threshold, conv.pad, bits, zeros, totals, skip, *mix, out, add)
        kernels.back(
            bits, zeros, conv.places(w), conv.weights, *conv.borders(h, w), conv.stride, alpha,
            totals, attention, conv.channels, *act, out, keep, parts,
        )  # fmt: skip
        numba.set_num_threads(others)


class PackedBlock:
    """A `DABC2d` or a `BinaryTransition`, in two passes.

    Args:
        module: for its shapes and options; its weights are not looked at (it may be on "meta").
        state: of `pack_state`.
        name: of the module in that state.
    """

    def __init__(self, module, state, name=""):
        def get(key, size=None, fill=0.0):
            values = state[f"{name}.{key}" if name else key].float().numpy().reshape(-1)
            return np.pad(values, (0, (size or values.size) - values.size), constant_values=fill)

        o, c, *_ = shape = module.conv.weight.shape
        bits = state[f"{name}.conv.bits" if name else "conv.bits"].numpy()
        self.conv = PackedConv(bits, shape, module.conv.stride)
        self.channels, n = c, filled(o)
        # What fills up is -1: its bit is 0, as that of its weights, and it is never exactly 0.
        self.threshold = get("threshold", filled(c), -1)
        self.alpha = get("conv.alpha", n)
        before, slope, after = (get(f"act.{k}", n) for k in ("before", "slope", "after"))
        if module.conv.bias is not None:
            before = before + get("conv.bias", n)
        self.act = before, slope, after
        self.resize = getattr(module, "resize", None)
        self.attention, self.mix = NO_ATTENTION, NO_MIX
        self.skip = kernels.NOTHING
        if isinstance(module, DABC2d):
            self.skip = kernels.COPY
            if module.attention is not None:
                self.attention = get("attention.conv.weight").reshape(3, -1)
        elif module.skip is not None:
            self.skip = kernels.POOL if self.resize == "down" else kernels.MIX
            weight = np.zeros((n, filled(c)), np.float32)
            weight[:o, :c] = get("skip.weight").reshape(o, c)
            weight = weight.reshape(-1, kernels.LANES, filled(c)).swapaxes(1, 2)
            self.mix = np.ascontiguousarray(weight), get("skip.bias", n)

    def __call__(self, x, out=None, add=False, plan=None):
        """(N, H, W, C) -> (N, H', W', C'), float32 with filled channels.

        Args:
            out: where to; `x` itself for a `DABC2d` whose input is not needed any more.
            add: add to what is in `out`.
            plan: how frames and channels of x move before (see `xnor_kernels`), (N', lines, 6).
        """
        mode = kernels.PLAIN if plan is None else kernels.PLAN
        frames, h, w = len(x) if plan is None else len(plan), *x.shape[1:3]
        if self.resize == "up":
            mode, h, w = kernels.UP, 2 * h, 2 * w
        s = self.conv.stride
        if out is None:
            out = np.empty((frames, -(-h // s), -(-w // s), len(self.alpha)), np.float32)
        skip, keep = self.skip, add or self.skip != kernels.NOTHING
        if out is x:
            skip = kernels.NOTHING
        run(
            self.conv, x, self.threshold, out, mode=mode, plan=plan, skip=skip, mix=self.mix,
            add=add, keep=keep, alpha=self.alpha, attention=self.attention, act=self.act,
        )  # fmt: skip
        return out


def read_plan(shift, frames, channels):
    """What a shift does, read off itself: it is shown frames whose pixels say where they are.

    Args:
        shift: (1, frames, channels, H, W) -> (1, frames, channels', H, W), moving whole channels.
    Returns:
        (frames, lines, 6) int64, see `xnor_kernels`.

    >>> read_plan(temporal_shift, 2, 4)[0].tolist()  # frame 0: half of frame 1, half of its own
    [[1, 2, 0, 2, 0, 0], [0, 0, 2, 2, 0, 0]]
    """
    side = 33  # no shift is by more than 16
    where = torch.arange(1, 1 + frames * channels * side * side, dtype=torch.float64)
    seen = shift(where.view(1, frames, channels, side, side))[0, :, :, side // 2, side // 2]
    plan = []
    for of_frame in seen.long().tolist():
        lines = []
        for here, label in enumerate(of_frame):
            if not label:
                continue  # zeros
            rest, x = divmod(label - 1, side)
            rest, y = divmod(rest, side)
            frame, there = divmod(rest, channels)
            place = [side // 2 - y, side // 2 - x]
            last = lines[-1] if lines else None
            if last and [frame, there - last[3], here - last[3], *place] == [*last[:3], *last[4:]]:
                last[3] += 1
            else:
                lines.append([frame, there, here, 1, *place])
        plan.append(lines)
    longest = max(map(len, plan))
    return np.array([lines + [[0] * 6] * (longest - len(lines)) for lines in plan], np.int64)


# ---------------------------------------------------------------------------------------------
# The network


def pack_network(network):
    """The fast form of a `Brve`, with its weights as they are now: a `PackedBrve`."""
    options = getattr(network, "built_as", ("brve", {}))[1]
    return PackedBrve(pack_state(network), options)


class PackedBrve:
    """BRVE with bits; takes what `Brve` takes and gives the same.

    A clip is worked through as a stream, frame by frame, so that memory does not grow with it. The
    real convolutions at both ends are PyTorch's. Threads: as `torch.get_num_threads()` says.

    Args:
        state: of `pack_state`, from a network or a file.
        options: of the network's constructor.
    Shapes: (N, T, 4, H, W) or (T, 4, H, W) float32 tensor on the CPU -> the same.
    Raises:
        ShapeError: another number of dimensions or planes.
        OptionError: the state is not of such a network.
    """

    multiple = Brve.multiple

    def __init__(self, state, options=None):
        with torch.device("meta"):  # its structure only
            net = self._net = Brve(**(options or {}))
        try:
            self._blocks = {
                module: PackedBlock(module, state, name)
                for name, module in net.named_modules()
                if isinstance(module, (DABC2d, BinaryTransition))
            }
            self._ends = {
                k: (state[f"{k}.weight"].float(), state[f"{k}.bias"].float())
                for k in ("enter", "leave")
            }
        except KeyError as e:
            raise OptionError(f"the state is not of this packed network: no {e}") from e
        c = self._channels = net.enter.out_channels
        self._temporal = {
            (width, reverse): read_plan(lambda x, r=reverse: temporal_shift(x, r), 3, width)
            for width in (c, 2 * c)
            for reverse in (False, True)
        }
        self._steps = {}  # what a ShiftStep does before its convolutions: with others that do none
        for step in net.stage1.modules():
            if isinstance(step, ShiftStep) and step.shift != "none":
                bare = SimpleNamespace(
                    shift=step.shift, reverse=step.reverse, fuse=torch.clone, conv=torch.clone
                )
                if step.reverse not in self._steps:
                    plan = read_plan(lambda x, b=bare: ShiftStep.forward(b, x), 3, 2 * c)
                    self._steps[step.reverse] = plan

    def __call__(self, clip):
        if clip.dim() == 4:
            return self(clip[None])[0]
        if clip.dim() != 5 or clip.shape[2] != 4 or not clip.shape[1]:
            raise ShapeError(f"a clip is (N, T, 4, H, W) or (T, 4, H, W), got {tuple(clip.shape)}")
        return torch.stack([self._clip(frames) for frames in clip])

    def _clip(self, frames):
        stream = self.stream()
        done = [finished for frame in frames for finished in stream.push(frame)]
        return torch.stack(done + stream.close())

    def stream(self):
        """A `BrveStream`: for video without end, in constant memory."""
        return BrveStream(self)

    # What a stream calls; features are (N, H, W, C) arrays.

    def extract(self, frames):
        """(N, 4, H, W) tensor -> first features and those of stage 0."""
        y = F.conv2d(frames * self._net.gain, *self._ends["enter"], padding=1)
        first = channels_last(F.leaky_relu(y, 0.1))
        first = self._row(self._net.features, first, own=True)
        return first, self._unet(self._net.stage0, first)

    def align(self, window):
        """Features of three frames, each (1, H, W, C) -> the same, each knowing of the others."""
        return np.split(self._stage1(np.concatenate(window)), 3)

    def reconstruct(self, frames, first, deep, aligned):
        """Frames (N, 4, H, W) and all features of them -> enhanced frames."""
        known = np.concatenate([first, deep, aligned])
        y = self._blocks[self._net.fusion](known, plan=side_by_side(3, len(first), self._channels))
        y = channels_first(self._unet(self._net.stage2, y), self._channels)
        return frames + F.conv2d(y, *self._ends["leave"], padding=1) / self._net.gain

    def _row(self, blocks, x, *, own, out=None):
        """DABC blocks, one after the other; `own`: x may be overwritten. `out`: added to there."""
        for i, block in enumerate(blocks):
            last = out is not None and i == len(blocks) - 1
            x = self._blocks[block](x, out if last else x if own or i else None, last)
        return x

    def _unet(self, net, x):
        f = self._blocks
        y, kept = self._row(net.encoders[0], x, own=False), []
        for down, encode in zip(net.downs, net.encoders[1:], strict=True):
            kept.append(y)
            y = self._row(encode, f[down](y), own=True)
        y = self._row(net.decoders[2], y, own=True)
        for i in (1, 0):
            skip = f[net.skips[i]](kept[i], kept[i])
            y = f[net.ups[i]](y, skip, add=True)
            y = self._row(net.decoders[i], y, own=True, out=None if i else x.copy())
        return y

    def _stage1(self, x):
        net, f, c = self._net.stage1, self._blocks, self._channels
        y = f[net.enter](x, x)
        kept = [y]
        for i in range(4):
            if i:
                y = f[net.downs[i - 1]](y)
            for k, encode in enumerate(net.encoders[i]):
                if i < 2 and net.shifts:
                    y = f[encode](y, plan=self._temporal[2 * c if i else c, k == 1])
                else:
                    y = f[encode](y, None if y is kept[-1] else y)
            kept.append(y)
        for i in (3, 2, 1):
            if i < 3:
                skip = f[net.skips[i]](kept[i + 1], kept[i + 1])
                y = f[net.ups[i]](y, skip, add=True)
            for block in net.decoders[i - 1]:
                for step in block:
                    y = f[step.fuse](y, plan=self._steps.get(step.reverse))
                    y = f[step.conv](y, y)
        both = np.empty((6, *kept[0].shape[1:]), np.float32)
        f[net.ups[0]](y, both[:3])
        f[net.skips[0]](kept[0], both[3:])
        y = f[net.merge](both, plan=side_by_side(2, 3, c))
        return f[net.leave](y, y)


def side_by_side(n, frames, channels):
    """Plan of a concatenation: of n times `frames` frames, channels beside each other."""
    return np.array(
        [
            [(k * frames + t, 0, k * channels, channels, 0, 0) for k in range(n)]
            for t in range(frames)
        ]
    )
