"""Checks of notebook 09."""

from ... import models
from ...deploy import cost, counting, roofline
from .common import ANY, Judge

SONY = (1, 1, 2848, 4256)


def one_by_one_against_three_by_three(function) -> None:
    """Exercise 09/1.1: function(channels, scale) -> MACs of a 1x1 layer over those of a 3x3."""
    for channels, scale in ((64, 8), (12, 2), (32, 32)):
        hint = Judge(function, (channels, scale), scale**2 / 9)
        hint[1 / 9] = "So it would be at one size. The 3x3 layer has far fewer positions to visit."
        hint[scale / 9] = "The scale divides the width *and* the height."
        hint[9 / scale**2] = "That is the other layer over this one."
        hint[...] = "Write both as positions x weights, and divide."
    print(f"Right: at 1/8, the modest 1x1 costs {64 / 9:.1f} times as much as the 3x3.")


def bytes_of_layer(function) -> None:
    """Exercise 09/2.1: function(c_in, c_out, kernel, groups, height, width) -> bytes moved."""
    for c_in, c_out, kernel, groups in ((16, 16, 3, 1), (256, 256, 3, 256), (24, 12, 5, 4)):
        read, written = 4 * 120 * c_in, 4 * 120 * c_out
        weights = 4 * c_in // groups * c_out * kernel**2
        truth = read + weights + written
        hint = Judge(function, (c_in, c_out, kernel, groups, 10, 12), truth, relative=1e-9)
        hint[truth / 4] = "Those are numbers. A float32 has four bytes."
        dense = 4 * c_in * c_out * kernel**2
        hint[truth - weights + dense] = "A filter sees only its own group's channels."
        hint[truth - weights] = "The weights have to be read as well."
        hint[truth - written] = "The input is read *and* the output is written."
        hint[truth - read] = "The input is read *and* the output is written."
        hint[...] = "Input, weights, output: how many numbers each?"
    print("Right: what a layer computes says nothing about what it has to carry.")


def redi_with_small_kernels(function) -> None:
    """Exercise 09/3.1: function(parts) -> MACs of REDI with 3x3 instead of 5x5 convolutions."""
    parts = dict(counting.by_module(models.build("redi"), SONY))
    truth = cost.count(models.build("redi", kernel=3), SONY).macs
    total, large = sum(parts.values()), parts["lse"] + parts["fuse"]
    hint = Judge(function, (parts,), truth, relative=1e-6)
    hint[total * 9 / 25] = "Only two of the layers are 5x5: the others do not change."
    hint[total - large + large * 3 / 5] = "A window has two sides: 3/5 in each direction."
    hint[total - parts["fuse"] * 16 / 25] = "You shrank `fuse`. There is a second 5x5 beside it."
    hint[...] = "Which parts have a 5x5 window, and how many weights does each lose?"
    print(f"Right: {truth / 1e9:.1f} instead of {total / 1e9:.1f} GMac, from two layers.")


def share_of_transposed(function) -> None:
    """Exercise 09/3.2: function(ops) -> (true share of transposed MACs, share in the old way)."""
    ops = counting.trace(models.build("sid"), SONY)
    plain = sum(op.macs for op in ops if op.kind == "convolution")
    up = sum(op.macs for op in ops if op.kind == "transposed convolution")
    truth = up / (plain + up), 4 * up / (plain + 4 * up)
    hint = Judge(function, (ops,), truth, relative=1e-3)
    hint[(truth[0], 4 * truth[0])] = "The old counter has the larger number in its total, too."
    hint[(truth[0], ANY)] = "In the old way: what is multiplied by 4, and what is not?"
    hint[...] = "The true share: the MACs of that kind of operation over the MACs of all."
    print(f"Right: {truth[0]:.1%} of the work, counted as {truth[1]:.1%}.")


def features_kept(function) -> None:
    """Exercise 09/4.1: function() -> features that a layer adds to the peak, in four settings."""
    in_turn = {
        "inference": "Once a layer is through, who needs its input any more?",
        "training": "The convolution needs its input for its gradient. What does LeakyReLU need?",
        "training in place": "In place, there is no input left: the output has to do, and is kept.",
        "training with ReLU": "Where ReLU gave 0 the slope was 0: the output says it all.",
    }
    truth = 0, 2, 1, 1  # what the peak grows by with each layer
    hint = Judge(function, (), truth, relative=0)
    for i, (name, question) in enumerate(in_turn.items()):
        hint[lambda answer, i=i: round(answer[i]) != truth[i]] = f"{name}: {question}"
    print(f"Right: {', '.join(f'{n} {t}' for n, t in zip(in_turn, truth, strict=True))}.")


def fastest_possible(function) -> None:
    """Exercise 09/5.1: function(macs, flops_per_second) -> seconds of two operations a MAC."""
    for macs, peak in ((83.3e9, 11.3e12), (59.6e9, 187e9)):
        truth = 2 * macs / peak
        hint = Judge(function, (macs, peak), truth)
        hint[truth / 2] = "One MAC is a multiplication and an addition: two operations."
        hint[1e3 * truth] = "In seconds, please."
        hint[1 / truth] = "That is pictures a second."
        hint[...] = "Operations over operations per second."
    print("Right: 14.7 ms. Who reports 4 ms has timed *handing out* the work, not the work.")


def least_seconds(function) -> None:
    """Exercise 09/6.1: function(flops, moved, peak, bandwidth) -> seconds of a block at least."""
    roof = roofline.Roof(100e9, 10e9)
    for flops, moved in ((5e9, 0.1e9), (5e9, 2e9)):  # arithmetic, then memory, is the longer
        times = flops / roof.peak, moved / roof.bandwidth
        truth = flops / roof.bound(flops / moved)
        hint = Judge(function, (flops, moved, roof.peak, roof.bandwidth), truth)
        hint[sum(times)] = "You add: but a processor computes while it fetches the next tile."
        hint[min(times)] = "A block is not done before both are."
        hint[...] = "Take each time alone, and ask which of the two one has to wait for."
    print("Right: the longer of the two. That is the roof, read as a clock.")
