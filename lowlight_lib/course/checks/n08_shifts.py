"""Exercises of notebook 08."""

import numpy as np
import torch

from ...blocks.shift import OFFSETS, spatial_shift, temporal_shift
from .common import answer_of, exercise


@exercise("08.1", 2, temporal_shift, relative=0)
def _(function):
    """Right, all three steps: half of each frame is a neighbour's, and no number is changed."""
    steps = "Step 1:", "Step 1 of 3 is right. Step 2:", "Steps 1 and 2 of 3 are right. Step 3:"
    for said, clips, back in zip(steps, (1, 1, 2), (False, True, False), strict=True):
        for frames, channels in ((3, 4), (5, 6)):
            x = torch.arange(clips * frames * channels * 4.0)
            x = x.view(clips, frames, channels, 2, 2)
            y, truth = answer_of(function, x.clone(), back), temporal_shift(x, back)
            assert torch.is_tensor(y), f"{said} return a tensor."
            yield said, y, truth
            yield y.shape != x.shape, f"{tuple(x.shape)} became {tuple(y.shape)}."
            half, way = channels // 2, -1 if back else 1
            way_said = "forward is asked for, and you shift in reverse."
            if back:
                way_said = "with reverse=True the news has to come from the future."
            yield temporal_shift(x, not back), way_said
            yield truth.roll(half, 2), "the neighbour's half stands on the wrong side."
            own, other = x[:, :, :half], x[:, :, half:]
            exchanged = [own, other.roll(way, 1)] if back else [own.roll(way, 1), other]
            yield torch.cat(exchanged, 2), "each frame takes the other half of its neighbour."
            yield x.roll(way, 1), "whole frames move, so a frame forgets itself."
            ends = truth.clone()
            ends[:, -1 if back else 0, half if back else 0 : None if back else half] = 0
            yield ends, "the window is a circle: the first frame's neighbour is the last one."
            wandering = x.flatten(0, 2).roll(-half if back else half, 0).view_as(x)
            yield wandering, "channels wander from one clip of the batch into the next."
            yield True, "number all channels, and print which of them each frame has got."


def fan(x):
    return spatial_shift(x, "intended")


@exercise("08.2", 3, fan)
def _(function):
    """Right, all three steps: 24 guesses, zeros from outside, any number of channels a group."""
    x = torch.zeros(1, 1, 24, 33, 33)
    x[..., 16, 16] = 1
    y = _moved(function, x, "Step 1:")
    for k, offset in enumerate(OFFSETS):
        lit = (y[0, 0, k].nonzero() - 16).tolist()
        assert len(lit) == 1, f"Step 1: channel {k} had one pixel lit, and now has {len(lit)}."
        went = tuple(lit[0])
        if went == offset:
            continue
        assert went != (-offset[0], -offset[1]), f"""Step 1: channel {k} moves against its offset. A
            positive first number is a move down: rows go to higher numbers."""
        assert went != offset[::-1], "Step 1: down and right have changed places."
        raise AssertionError(f"""Step 1: channel {k} should go by {offset}, yours goes by {went}.
            The offsets are numbered row by row, and the middle is left out.""")
    x = torch.rand(2, 3, 24, 20, 30) + 1
    y = _moved(function, x, "Step 2:")
    yield "Step 1 of 3 is right. Step 2:", y, fan(x)
    round_trip = [x[:, :, k].roll(offset, (2, 3)) for k, offset in enumerate(OFFSETS)]
    yield {
        """what leaves at one side comes in at the other. Nobody knows what lies outside the
        picture: let zeros come in.""": torch.stack(round_trip, 2),
        f"""on a picture of 20 x 30 with {int((y == 0).sum())} zeros, numbers or zeros are in the
        wrong place. Look at one corner of channel 0.""": True,
    }
    x = torch.rand(1, 2, 48, 20, 30) + 1
    said, dealt = "Steps 1 and 2 of 3 are right. Step 3:", x.unflatten(2, (2, 24))
    yield said, _moved(function, x, said), fan(x)
    dealt = torch.cat([fan(dealt[:, :, 0]), fan(dealt[:, :, 1])], 2)
    yield dealt, "of 48 channels, 0 and 1 go the same way."
    yield True, "with 48 channels each offset has two neighbours."


def _moved(function, x, said):
    y = answer_of(function, x.clone())
    assert torch.is_tensor(y) and y.shape == x.shape, f"""{said} of a tensor of shape
        {tuple(x.shape)} make one of the same shape."""
    return y


def share_covered(reach):
    near = [any(abs(m - copy) <= reach for copy in range(-8, 9, 4)) for m in range(-10, 11)]
    return (sum(near) / len(near)) ** 2  # both directions have to fit


@exercise("08.3", 2, share_covered, [1, 2, 0])
def _(answer, truth, reach):
    """Right: behind steps of 4 a kernel of 5 leaves no gap; a kernel of 3 leaves half."""
    yield truth**0.5, "That is the share along one direction. Both have to fit at once."
    moved_only = truth - ((2 * reach + 1) / 21) ** 2
    yield moved_only, "Those are the 24 moved copies. The unmoved one counts, too."
    line = f"Along one direction cross out what lies within {reach} of -8, -4, 0, 4, 8."
    yield True, f"{line} How many of the 21 motions is that? Then both directions."


def where_it_goes(frame, channel, row, column):
    down = (8, 4, 0)[frame]
    if channel + 8 >= 24 or row + down >= 40:
        return None
    return frame, channel + 8, row + down, column


@exercise("08.4", 3, where_it_goes)
def _(function):
    """Right, for all 85 probes: you have found which axis it takes for which."""
    size, rng = (3, 24, 40, 40), np.random.default_rng(0)
    probes = [(t, 5, 20, 20) for t in range(3)] + [(1, c, 10, 30) for c in range(24)]
    probes += [(t, 2, r, 7) for t in range(3) for r in (0, 31, 32, 35, 36, 39)]
    probes += [tuple(int(n) for n in rng.integers(size)) for _ in range(40)]
    for probe in probes:
        truth, answer = where_it_goes(*probe), function(*probe)
        start = "Frame {}, channel {}, row {}, column {}".format(*probe)
        if answer is None:
            assert truth is None, f"{start}: you say nothing comes out, but something does."
            continue
        answer = [int(n) for n in answer]
        assert truth is not None, f"{start}: nothing comes out. Which axis has it run out of?"
        assert len(answer) == 4, f"{start}: Four numbers, please: frame, channel, row, column."
        off = [n for n, a, b in zip(_PROBE, answer, truth, strict=True) if a != b]
        assert not off, f"{start}: not {answer}. Wrong: {' and '.join(off)}. {_PROBE[off[0]]}"


_PROBE = {
    "frame": "Does light ever leave its frame?",
    "channel": "Light one channel after the other, all else equal, and compare the numbers.",
    "row": "Is the way down the same in all three frames? Probe one pixel in each of them.",
    "column": "Light pixels that differ in nothing but their column: how do they end?",
}


def stream(frames, extract, align, reconstruct):
    waiting, window = [], []  # (frame, what extract made of it) not finished yet; their features
    for frame in frames:
        waiting.append((frame, extract(frame)))
        window.append(waiting[-1][1])
        if len(window) == 3:
            done, *window = align(*window)
            yield reconstruct(*waiting.pop(0), done)
    for of_one, done in zip(waiting, window, strict=True):  # the camera has stopped
        yield reconstruct(*of_one, done)


def _align(*window):
    return [0.5 * feature + 0.5 * sum(window) / 3 for feature in window]


def _reconstruct(frame, deep, aligned):
    return frame + 0.5 * deep + 0.25 * aligned


@exercise("08.5", 3, stream)
def _(function):
    """Right: equal to the clip form, two frames late, whatever the length."""
    for n in (3, 4, 7):
        frames = np.random.default_rng(n).random((n, 2))
        stages = np.tanh, _align, _reconstruct
        deep, truth = np.tanh(frames), list(stream(frames, *stages))
        taken, taken_at, outputs = [], [], []
        for y in answer_of(function, (taken.append(f) or f for f in frames), *stages):
            taken_at.append(len(taken))
            outputs.append(np.asarray(y, float))
            assert len(outputs) <= 2 * n, f"A video of {n} frames, and yours has no end."
        clip = f"A video of {n} frames:"
        assert len(outputs) != n - 2, f"""{clip} the last two are missing. When the camera stops,
            who brings out what is still in the window?"""
        assert len(outputs) == n, f"{clip} {len(outputs)} came out."
        for i, (y, right) in enumerate(zip(outputs, truth, strict=True)):
            assert y.shape == right.shape, f"""{clip} output {i} has shape {y.shape}, a frame has
                {right.shape}. One frame belongs to each output: of the window's left feature."""
            if np.allclose(y, right):
                continue
            wrong = f"{clip} output {i} is off by {np.abs(y - right).max():.2g}."
            aligned = (right - _reconstruct(frames[i], deep[i], 0)) / 0.25
            late = any(np.allclose(y, _reconstruct(f, deep[i], aligned)) for f in frames)
            assert not late, f"{wrong} Its features are right, but added to another frame."
            assert i == 0, f"""{wrong} Output 0 is right. `reconstruct` wants what `extract` made of
                the second frame, not what has been through `align` already."""
            raise AssertionError(f"{wrong} Compare it with the clip form, line by line.")
        assert all(t <= i + 3 for i, t in enumerate(taken_at)), f"""{clip} right numbers, but too
            late: output 0 came after {taken_at[0]} frames, and can come with the third."""
