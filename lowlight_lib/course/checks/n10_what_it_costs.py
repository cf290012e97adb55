"""Exercises of notebook 10."""

from ... import models
from ...deploy import counting
from .common import ANY, exercise

_SONY = (1, 1, 2848, 4256)


def one_by_one_against_three_by_three(channels, scale):
    full = 1.0  # positions, in units of the picture
    return (full * channels**2) / (full / scale**2 * channels**2 * 9)


@exercise("10.1", 1, one_by_one_against_three_by_three, [(64, 8), (12, 2), (32, 32)])
def _(answer, truth, channels, scale):
    """Right: at 1/8, the modest 1x1 costs 7.1 times as much as the 3x3."""
    yield 1 / 9, "So it would be at one size. The 3x3 layer has far fewer positions to visit."
    yield scale / 9, "The scale divides the width *and* the height."
    yield 9 / scale**2, "That is the other layer over this one."
    yield True, "Write both as positions x weights, and divide."


def bytes_of_layer(c_in, c_out, kernel, groups, height, width):
    weights = c_out * (c_in // groups) * kernel**2
    return 4 * (c_in * height * width + weights + c_out * height * width)


_LAYERS = [(16, 16, 3, 1, 10, 12), (256, 256, 3, 256, 10, 12), (24, 12, 5, 4, 10, 12)]


@exercise("10.2", 2, bytes_of_layer, _LAYERS)
def _(answer, truth, c_in, c_out, kernel, groups, height, width):
    """Right: what a layer computes says nothing about what it has to carry."""
    yield truth / 4, "Those are numbers. A float32 has four bytes."
    dense = bytes_of_layer(c_in, c_out, kernel, 1, height, width)
    yield dense, "A filter sees only its own group's channels."
    no_weights = 4 * (c_in + c_out) * height * width
    yield no_weights, "The weights have to be read as well."
    for channels in (c_in, c_out):
        one_end = truth - 4 * channels * height * width
        yield one_end, "The input is read *and* the output is written."
    yield True, "Input, weights, output: how many numbers each?"


def redi_with_small_kernels(parts):
    large = parts["lse"] + parts["fuse"]
    return sum(parts.values()) - large + large * 9 / 25


def _parts():
    return [dict(counting.by_module(models.build("redi"), _SONY))]


@exercise("10.3", 1, redi_with_small_kernels, _parts)
def _(answer, truth, parts):
    """Right: 43.3 instead of 59.6 GMac, from two layers."""
    total, large = sum(parts.values()), parts["lse"] + parts["fuse"]
    yield total * 9 / 25, "Only two of the layers are 5x5: the others do not change."
    yield total - large + large * 3 / 5, "A window has two sides: 3/5 in each direction."
    yield total - parts["fuse"] * 16 / 25, "You shrank `fuse`. There is a second 5x5 beside it."
    yield True, "Which parts have a 5x5 window, and how many weights does each lose?"


def share_of_transposed(ops):
    up = sum(op.macs for op in ops if op.kind == "transposed convolution")
    rest = sum(op.macs for op in ops) - up
    return up / (up + rest), 4 * up / (4 * up + rest)


def _operations():
    return [counting.trace(models.build("sid"), _SONY)]


@exercise("10.4", 2, share_of_transposed, _operations)
def _(answer, truth, ops):
    """Right: 4.4% of the work, counted as 15.6%."""
    share, _ = truth
    yield (share, 4 * share), "The old counter has the larger number in its total, too."
    yield (share, ANY), "In the old way: what is multiplied by 4, and what is not?"
    yield True, "The true share: the MACs of that kind of operation over the MACs of all."


@exercise("10.5", 2, lambda: (0, 2, 1, 1), [()])
def features_kept(answer, truth):
    """Right. In place saves what ReLU saves of itself: one feature a layer, in training only."""
    questions = {
        "inference": "Once a layer is through, who needs its input any more?",
        "training": "The convolution needs its input for its gradient. What does LeakyReLU need?",
        "training in place": "In place, there is no input left: the output has to do, and is kept.",
        "training with ReLU": "Where ReLU gave 0 the slope was 0: the output says it all.",
    }
    for wrong, (name, question) in zip(answer != truth, questions.items(), strict=True):
        yield wrong, f"{name}: {question}"


@exercise("10.6", 1, lambda macs, peak: 2 * macs / peak, [(83.3e9, 11.3e12), (59.6e9, 187e9)])
def fastest_possible(answer, truth, macs, peak):
    """Right: 14.7 ms. Who reports 4 ms has timed *handing out* the work, not the work."""
    yield truth / 2, "One MAC is a multiplication and an addition: two operations."
    yield 1e3 * truth, "In seconds, please."
    yield 1 / truth, "That is pictures a second."
    yield True, "Operations over operations per second."


_BLOCKS = [(5e9, 0.1e9, 100e9, 10e9), (5e9, 2e9, 100e9, 10e9)]


@exercise("10.7", 1, lambda flops, moved, peak, wide: max(flops / peak, moved / wide), _BLOCKS)
def least_seconds(answer, truth, flops, moved, peak, bandwidth):
    """Right: the longer of the two. That is the roof, read as a clock."""
    times = flops / peak, moved / bandwidth
    yield sum(times), "You add: but a processor computes while it fetches the next tile."
    yield min(times), "A block is not done before both are."
    yield True, "Take each time alone, and ask which of the two one has to wait for."
