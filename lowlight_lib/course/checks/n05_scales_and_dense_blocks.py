"""Exercises of notebook 05."""

from math import comb

import numpy as np
import torch
from torch.nn import functional as F

from .common import ANY, answer_of, exercise


def share_of_padding(crop):
    side = crop // 32
    inside = (3 * side - 2) / (3 * side)  # along one line: both ends lose one tap
    return 1 - inside**2


@exercise("05.1", 2, share_of_padding, [32, 512, 128])
def _(answer, truth, crop):
    """Right: in training crops of 128, 31% of what it reads is padding."""
    yield not 0 <= answer <= 1, "A share lies between 0 and 1."
    rest = 1 - truth
    yield rest, "That is the share of real numbers; the question asks for the rest."
    at_border = 1 - max(crop // 32 - 2, 0) ** 2 / (crop // 32) ** 2
    yield at_border, "So many *positions* lie at the border, but not all of their taps."
    line = f"{crop // 32} positions a side: along one line, how many of their taps fall outside?"
    yield True, f"{line} Then both directions together."


def order_of_channels():
    c, i, j = np.indices((4, 16, 16))
    row, column = 2 * i + c // 2, 2 * j + c % 2  # in the square of 32 x 32
    return (32 * row + column).flatten()


@exercise("05.2", 3, order_of_channels)
def _(function):
    """Right: the same 1024 numbers in another order, and no layer would ever complain."""
    mosaic = torch.arange(2 * 64 * 32.0).view(2, 1, 64, 32)
    one, two = F.pixel_unshuffle(mosaic, 32), F.pixel_unshuffle(F.pixel_unshuffle(mosaic, 2), 16)
    order = torch.as_tensor(answer_of(function)).flatten()
    assert len(order) == 1024, f"1024 channels need 1024 numbers; yours are {len(order)}."
    once = order.sort().values.tolist() == list(range(1024))
    assert once, "Each channel has to come exactly once: the numbers 0 to 1023 in another order."
    order = order.long()
    way_back = torch.equal(two[:, order], one)
    assert not way_back, "This is the way back, from two steps to one. `argsort` turns it around."
    k = next((k for k in range(1024) if not torch.equal(two[:, k], one[:, order[k]])), None)
    assert k is None, f"""Channel {k} of two steps is colour {k // 256}, row {k // 16 % 16}, column
        {k % 16} of its plane. Which pixel of the 32 x 32 is that, row by row?"""


def grouped_cost(c_in, c_out, k, groups, h, w):
    weights = c_out * (c_in // groups) * k * k
    return weights, weights * h * w


_LAYERS = [(64, 64, 3, 1, 10, 20), (128, 32, 3, 4, 7, 9), (1024, 128, 3, 128, 4, 4)]


@exercise("05.3", 1, grouped_cost, _LAYERS)
def _(answer, truth, c_in, c_out, k, groups, h, w):
    """Right: groups divide both, the size of the picture multiplies the second only."""
    weights, _ = truth
    yield (weights, ANY), "The weights are right. How often is each used on one picture?"
    yield (weights * groups, ANY), "An output reads only its own group's inputs."
    yield (weights // groups, ANY), f"You divided by the groups twice: {c_out} outputs stay."
    yield True, "Outputs, times inputs that each reads, times taps."


@exercise("05.4", 1, lambda: 3, [()])
def layers_until_curved(answer, truth):
    """Right. With fewer, all these convolutions are one linear filter."""
    yield answer > truth, "So many suffice, but fewer do, too."
    linear = "So few still map a + b to the sum of what they make of both."
    yield True, f"{linear} Which layers have a rectifier in front of them?"


_PARTS = [([3, 14, 8], 34), ([5, 5, 5], 0), ([2, 6], 4)]


@exercise("05.5", 1, lambda each, rest: (sum(each) + rest) / (max(each) + rest), _PARTS)
def best_speedup(answer, truth, branches, rest):
    """Right: the longest branch and the rest stay, whatever the hardware."""
    yield len(branches), "That would be so only if they are equal and all there is."
    yield sum(branches) / max(branches), "So the branches. What comes behind waits for all."
    yield answer < 1, "Time before over time after: above 1 if anything is won."
    yield True, "Before: all in a row. After: the longest branch, then the rest."


@exercise("05.6", 2, lambda n: 2 / comb(2 * n, n), [2, 3, 4], relative=0.05)
def separated_by_luck(answer, truth, n):
    """Right: with two seeds one time in three, with three still one in ten."""
    half = truth / 2
    yield half, "You would have written a paper about the other way round, too."
    row = f"Put all {2 * n} in a row by height: of all choices of {n} places,"
    yield True, f"{row} in how many do a variant's stand together at one end?"
