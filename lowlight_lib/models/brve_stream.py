"""BRVE on video without end: a frame goes in, a finished frame comes out, two late."""

import torch
from torch import Tensor, nn

from ..blocks.padding import pad_to_multiple
from ..errors import ShapeError
from .spec import ExportUnit, uniform


class BrveStream:
    """The network over a video, frame by frame, with what three frames need and no more.

    A frame is done when the two after it have been seen. The sums are those of the clip form, in
    the same order. Of a `Brve` in eval mode, or what has its `spec`, `extract`, `align` and
    `reconstruct`. Built in notebooks/08_shifts, section 6.

    >>> from lowlight_lib import models
    >>> stream = models.build("brve", channels=4).eval().stream()
    >>> frames = torch.rand(3, 4, 8, 8)
    >>> [len(stream.push(f)) for f in frames], len(stream.close())
    ([0, 0, 1], 2)
    """

    def __init__(self, network):
        self.network = network
        self._waiting = []  # (size, frame, first features, stage 0) of frames not done yet
        self._window = []  # features of these, aligned as far as could be
        self._aligned = False

    def push(self, frame: Tensor) -> list[Tensor]:
        """Take the next frame, (4, H, W) in [0, 1], amplified; return those done now: none or one.
        ShapeError for other than four planes, or another size than the frames before it."""
        if frame.dim() != 3 or frame.shape[0] != 4:
            raise ShapeError(f"a frame is (4, H, W), got {tuple(frame.shape)}")
        new = tuple(frame.shape[1:])
        if self._waiting and (size := self._waiting[0][0]) != new:
            raise ShapeError(f"the frames before are {size}, this one is {new}")
        x = pad_to_multiple(frame[None], self.network.spec.multiple)
        with torch.inference_mode():
            first, deep = self.network.extract(x)
            self._waiting.append((new, x, first, deep))
            self._window.append(deep)
            if len(self._window) < 3:
                return []
            left, *self._window = self.network.align(*self._window)
            self._aligned = True
            return [self._finish(left)]

    def close(self) -> list[Tensor]:
        """The last frames, up to two; the stream can then take another video."""
        with torch.inference_mode():
            if self._window and not self._aligned:  # a video of one or two frames: the last again
                last = self._window[-1]
                self._window = self.network.align(*(self._window + [last] * 2)[:3])
            done = [self._finish(left) for left in self._window[: len(self._waiting)]]
        self._window, self._aligned = [], False
        return done

    def run(self, frames: Tensor) -> Tensor:
        """A whole video at once: frames (T, 4, H, W) -> the same, enhanced. Errors as of `push`."""
        done = [finished for frame in frames for finished in self.push(frame)]
        return torch.stack(done + self.close())

    def _finish(self, left):
        (h, w), *known = self._waiting.pop(0)
        return self.network.reconstruct(*known, left)[0, :, :h, :w]


class Stage(nn.Module):
    def __init__(self, network, name):
        super().__init__()
        self.net, self.name = network, name

    def forward(self, *args):
        return getattr(self.net, self.name)(*args)


def stage_units(network) -> dict[str, ExportUnit]:
    """The three stages that a `BrveStream` calls, as files: a clip unrolled would take minutes."""
    c = network.conv_in.out_channels

    def seen(h, w, generator):
        frames = torch.rand(3, 4, h, w, generator=generator)
        return frames, *network.extract(frames)

    def known_of_a_frame(*size):
        frames, first, deep = seen(*size)
        return [frames[:1], first[:1], deep[:1], network.align(*deep.split(1))[0]]

    def unit(name, inputs, channels, outputs, draw, result: type | None = tuple):
        stage, multiple = Stage(network, name), network.spec.multiple
        return {name: ExportUnit(stage, inputs, channels, outputs, multiple, draw, result)}

    window, known = ("left", "middle", "right"), ("frames", "first", "deep", "aligned")
    aligned = tuple(f"aligned_{side}" for side in window)
    return (
        unit("extract", ("frames",), (4,), ("first", "deep"), uniform(4))
        | unit("align", window, (c, c, c), aligned, lambda *size: [*seen(*size)[2].split(1)])
        | unit("reconstruct", known, (4, c, c, c), ("enhanced",), known_of_a_frame, None)
    )
