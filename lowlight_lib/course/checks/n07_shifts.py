"""Checks of notebook 07."""

import numpy as np
import torch

from ...blocks.shift import OFFSETS, spatial_shift
from .common import ANY, Judge, answer_of


def steps_needed(function) -> None:
    """Exercise 07/1.1: function(frames) -> shift steps until every frame has heard of all."""
    for frames in (3, 5, 4, 8):
        hint = Judge(function, (frames,), frames - 1, relative=0)
        hint[frames] = "After *no* step a frame knows one frame: itself."
        hint[frames // 2] = "A step is a forward or a reverse shift: news from one side at a time."
        hint[...] = "Write down whom frame 1 knows after each step: how many more each time?"
    print("Right: one more frame with each step. A window of three needs two, and gets two.")


def guess_for(function) -> None:
    """Exercise 07/2.1: function(dy, dx) -> number of the nearest guess, -1 for the unmoved copy."""

    def nearest(dy, dx):  # the unmoved copy first: number -1
        return int(np.square(np.array([(0, 0), *OFFSETS]) - (dy, dx)).sum(1).argmin()) - 1

    for dy, dx in ((-1, 7), (-7, -7), (3, -5), (0, -3), (1, 0), (0, 5), (-4, 9), (8, 8)):
        truth = nearest(dy, dx)
        rule = "Round each direction to a multiple of 4, and look the pair up, numbered row by row."
        if truth < 0:
            rule = "Is the copy that nobody has moved not nearer? It is there, too: call it -1."
        try:
            hint = Judge(function, (dy, dx), truth, relative=0)
        except ValueError as e:  # (0, 0) looked up among the offsets
            assert truth >= 0, f"For ({dy}, {dx}) your function fails: {e}. {rule}"
            raise
        hint[nearest(-dy, -dx)] = "That copy moves the other way: against what went from here."
        hint[nearest(dx, dy)] = "You took down for right: an offset's first number is the row."
        hint[truth + 1 if truth >= 12 else ANY] = "Nearly: (0, 0) has no place among the numbers."
        hint[...] = rule
    print("Right: whatever moves by up to ten pixels has a guess within two of it.")


def share_covered(function) -> None:
    """Exercise 07/2.2: function(reach) -> share of motions up to 10 that a copy comes near."""

    motions, copies = np.arange(-10, 11), np.arange(-8, 9, 4)[:, None]
    for reach in (1, 2, 0):
        one_way = (np.abs(motions - copies) <= reach).any(0).mean()
        hint = Judge(function, (reach,), one_way**2, relative=1e-3)
        hint[one_way] = "That is the share along one direction. Both have to fit at once."
        moved_only = one_way**2 - ((2 * reach + 1) / motions.size) ** 2
        hint[moved_only] = "Those are the 24 moved copies. The unmoved one counts, too."
        hint[...] = f"""Along one direction cross out, of 21 motions from -10 to 10, what lies
            within {reach} of -8, -4, 0, 4, 8; then both directions."""
    print("Right: behind steps of 4 a kernel of 5 leaves no gap; a kernel of 3 leaves half.")


def where_it_goes(function) -> None:
    """Exercise 07/4.1: function(frame, channel, row, column) -> where the light comes out."""
    size = (3, 24, 40, 40)
    rng = np.random.default_rng(0)
    probes = [(t, 5, 20, 20) for t in range(3)] + [(1, c, 10, 30) for c in range(24)]
    probes += [(t, 2, r, 7) for t in range(3) for r in (0, 31, 32, 35, 36, 39)]
    probes += [tuple(int(n) for n in rng.integers(size)) for _ in range(40)]
    for probe in probes:
        x = torch.zeros(1, *size)
        x[(0, *probe)] = 1
        truth = next(iter(spatial_shift(x, "released")[0].nonzero().tolist()), None)
        answer = function(*probe)
        start = "Frame {}, channel {}, row {}, column {}".format(*probe)
        if answer is None:
            assert truth is None, f"{start}: you say nothing comes out, but something does."
            continue
        answer = [int(n) for n in answer]
        assert truth is not None, f"{start}: nothing comes out. Which axis has it run out of?"
        assert len(answer) == 4, f"{start}: Four numbers, please: frame, channel, row, column."
        off = [n for n, a, b in zip(_PROBE, answer, truth, strict=True) if a != b]
        assert not off, f"{start}: not {answer}. Wrong: {' and '.join(off)}. {_PROBE[off[0]]}"
    print(f"Right, for all {len(probes)} probes: you have found which axis it takes for which.")


_PROBE = {
    "frame": "Does light ever leave its frame?",
    "channel": "Light one channel after the other, all else equal, and compare the numbers.",
    "row": "Is the way down the same in all three frames? Probe one pixel in each of them.",
    "column": "Light pixels that differ in nothing but their column: how do they end?",
}


def share_lost(function) -> None:
    """Exercise 07/4.2: function(channels, height) -> share of the numbers that come out nowhere."""
    for channels, height in ((24, 64), (24, 16), (12, 32), (8, 64), (4, 20), (24, 8), (24, 6)):
        kept = spatial_shift(torch.ones(1, 3, channels, height, 3), "released").mean().item()
        lost = min(8 / channels, 1)
        hint = Judge(function, (channels, height), 1 - kept, relative=1e-3, absolute=1e-6)
        hint[kept] = "That is the share that survives."
        hint[lost] = "So much is lost to the channels. And what falls out of the bottom?"
        added = min(lost + np.mean([min(r / height, 1) for r in (8, 4, 0)]), 1)
        hint[added] = "Added up, what is lost twice counts twice. Multiply what survives."
        hint[...] = "All channels but 8, all rows but 8, 4 and 0 survive: average over the frames."
    print("Right: a third of the channels, and more the smaller the frames. Of 8 channels: all.")


def stream(function, extract, align, reconstruct) -> None:
    """Exercise 07/5.1: function(frames) -> iterator over finished frames, two frames late."""
    for n in (3, 4, 7):
        frames = np.random.default_rng(n).random((n, 2))
        deep = [extract(f) for f in frames]
        window, aligned = deep[:2], []
        for new in deep[2:]:
            done, *window = align(*window, new)
            aligned.append(done)
        aligned += window
        truth = [reconstruct(*v) for v in zip(frames, deep, aligned, strict=True)]
        taken, taken_at, outputs = [], [], []
        for y in answer_of(function, (taken.append(f) or f for f in frames)):
            taken_at.append(len(taken))
            outputs.append(np.asarray(y, float))
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
            late = any(np.allclose(y, reconstruct(f, deep[i], aligned[i])) for f in frames)
            assert not late, f"{wrong} Its features are right, but added to another frame."
            assert i == 0, f"""{wrong} Output 0 is right. `reconstruct` wants what `extract` made of
                the second frame, not what has been through `align` already."""
            raise AssertionError(f"{wrong} Compare it with the clip form, line by line.")
        assert all(t <= i + 3 for i, t in enumerate(taken_at)), f"""{clip} right numbers, but too
            late: output 0 came after {taken_at[0]} frames, and can come with the third."""
    print("Right: equal to the clip form, two frames late, whatever the length.")
