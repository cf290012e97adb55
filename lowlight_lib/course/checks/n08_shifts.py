"""Exercises of notebook 08."""

import numpy as np

from ...blocks.shift import OFFSETS
from .common import ANY, answer_of, exercise


@exercise("08.1", 1, lambda frames: frames - 1, [3, 5, 4, 8])
def steps_needed(answer, truth, frames):
    """Right: one more frame with each step. A window of three needs two, and gets two."""
    yield frames, "After *no* step a frame knows one frame: itself."
    yield frames // 2, "A step is a forward or a reverse shift: news from one side at a time."
    yield True, "Write down whom frame 1 knows after each step: how many more each time?"


def guess_for(dy, dx):
    nearest = (4 * round(dy / 4), 4 * round(dx / 4))
    return OFFSETS.index(nearest) if nearest in OFFSETS else -1


_MOTIONS = [(-1, 7), (-7, -7), (3, -5), (0, -3), (1, 0), (0, 5), (-4, 9), (8, 8)]


@exercise("08.2", 2, guess_for, _MOTIONS)
def _(answer, truth, dy, dx):
    """Right: whatever moves by up to ten pixels has a guess within two of it."""
    unmoved = "Is the copy that nobody has moved not nearer? It has no number: call it -1."
    yield ValueError, f"{unmoved if truth < 0 else 'Is what you look up among the OFFSETS?'}"
    other_way = "That copy moves the other way: against what went from here."
    yield guess_for(-dy, -dx), other_way
    yield guess_for(dx, dy), "You took down for right: an offset's first number is the row."
    yield truth + 1 if truth >= 12 else ANY, "Nearly: (0, 0) has no place among the numbers."
    yield truth < 0, unmoved
    yield True, "Round each direction to a multiple of 4; look the pair up, numbered row by row."


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


def share_lost(channels, height):
    kept_channels = max(channels - 8, 0) / channels
    kept_rows = [max(height - down, 0) / height for down in (8, 4, 0)]
    return 1 - kept_channels * sum(kept_rows) / 3


_SIZES = [(24, 64), (24, 16), (12, 32), (8, 64), (4, 20), (24, 8), (24, 6)]


@exercise("08.5", 2, share_lost, _SIZES, absolute=1e-6)
def _(answer, truth, channels, height):
    """Right: a third of the channels, and more the smaller the frames. Of 8 channels: all."""
    lost = min(8 / channels, 1)
    yield 1 - truth, "That is the share that survives."
    yield lost, "So much is lost to the channels. And what falls out of the bottom?"
    added = min(lost + np.mean([min(r / height, 1) for r in (8, 4, 0)]), 1)
    yield added, "Added up, what is lost twice counts twice. Multiply what survives."
    yield True, "All channels but 8, all rows but 8, 4 and 0 survive: average over the frames."


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


@exercise("08.6", 3, stream)
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
