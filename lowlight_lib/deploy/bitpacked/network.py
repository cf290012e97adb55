"""BRVE with bits for signs, on the CPU: built in notebooks/15_engines_and_bits, section 2."""

import copy
import itertools

import numpy as np
import torch
from torch.nn import functional as F

from ...blocks.binary import BinaryTransition, DABC2d
from ...blocks.shift import ShiftStep, temporal_shift
from ...errors import OptionError, ShapeError
from ...models.brve_stream import BrveStream
from . import blocks
from .blocks import PackedBlock, PackedShiftStep, channels_first, channels_last, side_by_side


def pack_network(network):
    """A `Brve` on bits, with its weights as they are now; OptionError: see `pack_state`."""
    return PackedBrve(blocks.pack_state(network), copy.deepcopy(network).to("meta"))


class PackedBrve:
    """BRVE with bits; takes what `Brve` takes, on the CPU, and gives the same.

    The real convolutions at both ends are PyTorch's. Threads: as `torch.get_num_threads()` says.
    `state` is of `pack_state` or `checkpoint.read_packed`, else OptionError; of `net`, a `Brve`,
    the weights are not looked at (it may be on "meta")."""

    def __init__(self, state, net):
        self._net, self.spec = net, net.spec
        packed = {DABC2d: PackedBlock, BinaryTransition: PackedBlock, ShiftStep: PackedShiftStep}
        steps = tuple(f"{k}." for k, m in net.named_modules() if isinstance(m, ShiftStep))
        try:
            self._blocks = {
                module: packed[type(module)](module, state, f"{name}.")
                for name, module in net.named_modules()
                if type(module) in packed and not name.startswith(steps)  # they pack their own
            }
            self._ends = [
                [state[f"{end}.{k}"].float() for k in ("weight", "bias")]
                for end in ("conv_in", "conv_out")
            ]
        except KeyError as e:
            raise OptionError(f"the state is not of this packed network: no {e}") from e
        c = self._channels = net.conv_in.out_channels
        self._temporal = {
            (width, r): blocks.read_plan(lambda x, r=r: temporal_shift(x, r), 3, width)[0]
            for width, r in itertools.product((c, 2 * c), (False, True))
        }

    def __call__(self, clip):
        if clip.dim() == 4:
            return self(clip[None])[0]
        if clip.dim() != 5 or clip.shape[2] != 4 or not clip.shape[1]:
            raise ShapeError(f"a clip is (N, T, 4, H, W) or (T, 4, H, W), got {tuple(clip.shape)}")
        return torch.stack([self.stream().run(frames) for frames in clip])

    def stream(self):
        """A `BrveStream`: for video without end, in constant memory."""
        return BrveStream(self)

    # What a stream calls; features are (N, H, W, C) arrays.
    def extract(self, frames):
        """(N, 4, H, W) tensor -> first features and those of stage 0."""
        y = F.conv2d(frames * self._net.gain, *self._ends[0], padding=1)
        first = self._row(self._net.features, channels_last(F.leaky_relu(y, 0.1)))
        return first, self._unet(self._net.stage0, first)

    def align(self, *window):
        """Features of three frames, each (1, H, W, C) -> the same, each knowing of the others."""
        return np.split(self._stage1(np.concatenate(window)), 3)

    def reconstruct(self, frames, first, deep, aligned):
        """Frames (N, 4, H, W) and all features of them -> enhanced frames."""
        known = np.concatenate([first, deep, aligned])
        y = self._blocks[self._net.fusion](known, plan=side_by_side(3, len(first), self._channels))
        y = channels_first(self._unet(self._net.stage2, y), self._channels)
        return frames + F.conv2d(y, *self._ends[1], padding=1) / self._net.gain

    def _row(self, row, x):
        """DABC blocks, one after the other, in place."""
        for block in row:
            x = self._blocks[block](x, x)
        return x

    def _unet(self, net, x):
        f = self._blocks
        y, kept = self._row(net.encoders[0], x.copy()), []
        for down, encode in zip(net.downs, net.encoders[1:], strict=True):
            kept.append(y)
            y = self._row(encode, f[down](y))
        for i in (1, 0):
            y = self._row(net.decoders[i + 1], y)
            y = f[net.ups[i]](y, f[net.skips[i]](kept[i], kept[i]), add=True)
        *steps, last = net.decoders[0]
        return f[last](self._row(steps, y), x.copy(), add=True)

    def _stage1(self, x):
        net, f, c = self._net.stage1, self._blocks, self._channels
        y = f[net.conv_in](x, x)
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
                y = f[net.ups[i]](y, f[net.skips[i]](kept[i + 1], kept[i + 1]), add=True)
            for block in net.decoders[i - 1]:
                for step in block:
                    y = f[step](y)
        both = np.empty((6, *kept[0].shape[1:]), np.float32)
        f[net.ups[0]](y, both[:3])
        f[net.skips[0]](kept[0], both[3:])
        y = f[net.merge](both, plan=side_by_side(2, 3, c))
        return f[net.conv_out](y, y)
