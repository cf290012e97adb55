"""Checks of notebook 09. The truth is counted on networks that are built here."""

from __future__ import annotations

import math

from torch import nn

from ... import models
from ...deploy import cost, counting, roofline
from .common import answer_of, near

SONY = (1, 1, 2848, 4256)


def one_by_one_against_three_by_three(function) -> None:
    """Exercise 09/1.1: function(channels, scale) -> MACs of a 1x1 layer over those of a 3x3."""
    for channels, scale in ((64, 8), (12, 2), (32, 32)):
        shape = (1, channels, 64, 96)
        small = (1, channels, 64 // scale, 96 // scale)
        point = cost.count(nn.Conv2d(channels, channels, 1), shape).macs
        window = cost.count(nn.Conv2d(channels, channels, 3, padding=1), small).macs
        answer = float(answer_of(function, channels, scale))
        hint = "Write both as positions x weights, and divide."
        if near(answer, 1 / 9):
            hint = "So it would be at one size. The 3x3 layer has far fewer positions to visit."
        elif near(answer, scale / 9):
            hint = "The scale divides the width *and* the height."
        elif near(answer, window / point):
            hint = "That is the other layer over this one."
        assert near(answer, point / window), (
            f"{channels} channels, 3x3 at 1/{scale}: the ratio is not {answer:.3g}. {hint}"
        )
    print(f"Right: at 1/8, the modest 1x1 costs {64 / 9:.1f} times as much as the 3x3.")


def bytes_of_layer(function) -> None:
    """Exercise 09/2.1: function(c_in, c_out, kernel, groups, height, width) -> bytes moved."""
    for c_in, c_out, kernel, groups in ((16, 16, 3, 1), (256, 256, 3, 256), (24, 12, 5, 4)):
        layer = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups, bias=False)
        [op] = counting.trace(layer, (1, c_in, 10, 12))
        truth = 4 * sum(math.prod(shape) for shape in (op.input, op.weight, op.output))
        answer = float(answer_of(function, c_in, c_out, kernel, groups, 10, 12))
        dense = truth + 4 * (c_in * c_out * kernel**2 - math.prod(op.weight))
        hints = {
            truth / 4: "Those are numbers. A float32 has four bytes.",
            dense: "Each filter of a grouped layer sees only its own group's channels.",
            truth - 4 * math.prod(op.weight): "The weights have to be read as well.",
            truth - 4 * math.prod(op.output): "The input is read *and* the output is written.",
            truth - 4 * math.prod(op.input): "The input is read *and* the output is written.",
        }
        hint = next((h for value, h in hints.items() if near(answer, value, 1e-9)), "")
        assert near(answer, truth, 1e-9), (
            f"{c_in} -> {c_out} channels, {kernel}x{kernel}, {groups} groups, 10x12 pixels: not "
            f"{answer:,.0f} bytes. {hint or 'Input, weights, output: how many numbers each?'}"
        )
    print("Right: what a layer computes says nothing about what it has to carry.")


def redi_with_small_kernels(function) -> None:
    """Exercise 09/3.1: function(parts) -> MACs of REDI with 3x3 instead of 5x5 convolutions."""
    parts = counting.by_module(models.build("redi"), SONY)
    truth = cost.count(models.build("redi", kernel=3), SONY).macs
    answer = float(answer_of(function, dict(parts)))
    total, large = sum(parts.values()), parts["lse"] + parts["fuse"]
    hint = "Which parts have a 5x5 window, and how many weights does each lose?"
    if near(answer, total * 9 / 25):
        hint = "Only two of the layers are 5x5: the others do not change."
    elif near(answer, total - large + large * 3 / 5):
        hint = "A window has two sides: 3/5 in each direction."
    elif near(answer, total - parts["fuse"] * 16 / 25):
        hint = "You shrank `fuse`. There is a second 5x5, at the same resolution."
    assert near(answer, truth, 1e-6), f"It would not be {answer / 1e9:.1f} GMac. {hint}"
    layers = sum(isinstance(m, nn.Conv2d) for m in models.build("redi").modules())
    print(
        f"Right: {truth / 1e9:.1f} instead of {total / 1e9:.1f} GMac. Two layers of {layers}, "
        f"{1 - truth / total:.0%} of the work. The authors themselves advise against large kernels."
    )


def share_of_transposed(function) -> None:
    """Exercise 09/3.2: function(ops) -> (true share of transposed MACs, share in the old way)."""
    ops = counting.trace(models.build("sid"), SONY)
    plain = sum(op.macs for op in ops if op.kind == "convolution")
    up = sum(op.macs for op in ops if op.kind == "transposed convolution")
    truth = up / (plain + up), 4 * up / (plain + 4 * up)
    answer = answer_of(function, ops)
    assert len(answer) == 2, "Return two shares: the true one, and the old counter's."
    said = tuple(float(a) for a in answer)
    assert near(said[0], truth[0], 1e-3), (
        f"The true share is not {said[0]:.1%}: the MACs of the operations of that kind, over the "
        "MACs of all of them."
    )
    assert not near(said[1], 4 * truth[0], 1e-3), (
        "Four times the share? The old counter has the larger number in its total as well."
    )
    assert near(said[1], truth[1], 1e-3), (
        f"In the old way it is not {said[1]:.1%}. What is multiplied by 4, and what is not?"
    )
    print(
        f"Right: {truth[0]:.1%} of the work, counted as {truth[1]:.1%}. A small layer, a large lie."
    )


def features_kept(function) -> None:
    """Exercise 09/4.1: function() -> features that a layer adds to the peak, in four settings."""
    names = ("inference", "training", "training in place", "training with ReLU")
    truth = tuple(_kept_per_layer(name) for name in names)
    answer = answer_of(function)
    assert len(answer) == len(names), f"Return four numbers: {', '.join(names)}."
    hints = (
        "Once a layer is through, who needs its input any more?",
        "The convolution needs its input for its weights' gradient. What does LeakyReLU need?",
        "In place, the activation has no input left: it works from its output, which the next "
        "convolution keeps anyway.",
        "Where ReLU gave 0 the slope was 0: the output says it all, and that is kept anyway.",
    )
    for name, said, true, hint in zip(names, answer, truth, hints, strict=True):
        assert round(float(said)) == true, f"{name}: not {said} features a layer. {hint}"
    print(f"Right: {', '.join(f'{n} {t}' for n, t in zip(names, truth, strict=True))}.")


def _kept_per_layer(setting):
    """How many features one more convolution with its activation adds to the peak."""
    place, training = setting == "training in place", setting != "inference"

    def peak(layers):
        chain = []
        for _ in range(layers):
            act = nn.ReLU() if "ReLU" in setting else nn.LeakyReLU(0.2, inplace=place)
            chain += [nn.Conv2d(8, 8, 3, padding=1, bias=False), act]
        return cost.count(nn.Sequential(*chain), (1, 8, 64, 64), training=training).peak_bytes

    return round((peak(12) - peak(4)) / 8 / (4 * 8 * 64 * 64))


def fastest_possible(function) -> None:
    """Exercise 09/5.1: function(macs, flops_per_second) -> seconds that no program can beat."""
    for macs, peak in ((83.3e9, 11.3e12), (59.6e9, 187e9)):
        truth = 2 * macs / peak
        answer = float(answer_of(function, macs, peak))
        hint = "Operations over operations per second."
        if near(answer, truth / 2):
            hint = "A multiply-accumulate is a multiplication and an addition: two operations."
        elif near(answer, 1e3 * truth) or near(answer, 500 * truth):
            hint = "In seconds, please."
        elif near(answer, 1 / truth):
            hint = "That is pictures a second."
        assert near(answer, truth), (
            f"{macs:.3g} MACs at {peak:.3g} operations a second take not {answer:.3g} s. {hint}"
        )
    print(
        f"Right: {2e3 * 83.3e9 / 11.3e12:.1f} ms at the very least. Whoever reports 4 ms has "
        "stopped the time it takes to *hand out* the work, not the work."
    )


def least_seconds(function) -> None:
    """Exercise 09/6.1: function(flops, moved, peak, bandwidth) -> seconds of a block at least."""
    for flops, moved in ((5e9, 0.1e9), (5e9, 2e9)):  # arithmetic, then memory, is the longer
        roof = roofline.Roof(100e9, 10e9)
        truth = flops / roof.bound(flops / moved)
        answer = float(answer_of(function, flops, moved, roof.peak, roof.bandwidth))
        times = flops / roof.peak, moved / roof.bandwidth
        hint = "Take the time of each alone, and ask which of the two one has to wait for."
        if near(answer, sum(times)):
            hint = "You add: but a processor computes on one tile while it fetches the next."
        elif near(answer, min(times)):
            hint = "A block is not done before both are."
        assert near(answer, truth), (
            f"{flops:.0e} operations and {moved:.0e} bytes on a machine of {roof.peak:.0e} and "
            f"{roof.bandwidth:.0e} a second take not {answer:.3g} s. {hint}"
        )
    print("Right: the longer of the two. That is the roof, read as a clock.")
