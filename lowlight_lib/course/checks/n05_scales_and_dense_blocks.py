"""Checks of notebook 05."""

import math

import torch
from torch.nn import functional as F

from .common import ANY, Judge, answer_of


def share_of_padding(function) -> None:
    """Exercise 05/1.1: function(crop) -> share of what a 3x3 at 1/32 reads that is padding."""
    for crop in (32, 512, 128):
        side = crop // 32
        truth = 1 - ((3 * side - 2) / (3 * side)) ** 2
        hint = Judge(function, (crop,), truth)
        hint[lambda answer: not 0 <= answer <= 1] = "A share lies between 0 and 1."
        hint[1 - truth] = "That is the share of real numbers; the question asks for the rest."
        at_border = 1 - max(side - 2, 0) ** 2 / side**2
        hint[at_border] = "So many *positions* lie at the border, but not all of their taps."
        hint[...] = f"""{side} positions a side: along one line, how many of the three taps of each
            fall outside? Then both directions together."""
    print(f"Right: in training crops of {crop}, {truth:.0%} of what it reads is padding.")


def order_of_channels(function) -> None:
    """Exercise 05/2.1: function() -> `order` with two_steps == one_step[:, order]."""
    mosaic = torch.arange(2 * 64 * 32.0).view(2, 1, 64, 32)
    one, two = F.pixel_unshuffle(mosaic, 32), F.pixel_unshuffle(F.pixel_unshuffle(mosaic, 2), 16)
    order = torch.as_tensor(answer_of(function)).flatten()
    assert len(order) == 1024, f"1024 channels need 1024 numbers; yours are {len(order)}."
    once = order.sort().values.tolist() == list(range(1024))
    assert once, "Each channel has to come exactly once: the numbers 0 to 1023 in another order."
    way_back = torch.equal(two[:, order], one)
    assert not way_back, "This is the way back, from two steps to one. `argsort` turns it around."
    k = next((k for k in range(1024) if not torch.equal(two[:, k], one[:, order[k]])), None)
    assert k is None, f"""Channel {k} of two steps is colour {k // 256}, row {k // 16 % 16}, column
        {k % 16} of its plane. Which pixel of the 32 x 32 is that, row by row?"""
    print("Right: the same 1024 numbers in another order, and no layer would ever complain.")


def grouped_cost(function) -> None:
    """Exercise 05/3.1: function(c_in, c_out, k, groups, h, w) -> (weights, MACs)."""
    for case in ((64, 64, 3, 1, 10, 20), (128, 32, 3, 4, 7, 9), (1024, 128, 3, 128, 4, 4)):
        c_in, c_out, k, groups, h, w = case
        weights = c_in // groups * c_out * k**2
        hint = Judge(function, case, (weights, weights * h * w), relative=0)
        hint[(weights, ANY)] = "The weights are right. How often is each used on one picture?"
        hint[(weights * groups, ANY)] = "An output reads only its own group's inputs."
        hint[(weights // groups, ANY)] = f"You divided by the groups twice: {c_out} outputs stay."
        hint[...] = "Outputs, times inputs that each reads, times taps."
    print("Right: groups divide both, the size of the picture multiplies the second only.")


def layers_until_curved(function) -> None:
    """Exercise 05/4.1: function() -> fewest layers with which RDB* is no linear map."""
    truth = 3  # the first and the last have no rectifier in front
    hint = Judge(function, (), truth, relative=0)
    hint[lambda answer: answer < truth] = """So few still map a + b to the sum of what it makes of
        both. Which layers have a rectifier in front of them?"""
    hint[...] = "So many suffice, but fewer do, too."
    print(f"Right: {truth}. With fewer, all these convolutions are one linear filter.")


def best_speedup(function) -> None:
    """Exercise 05/6.1: function(branches, rest) -> speed-up if all branches ran at once."""
    for branches, rest in (((3, 14, 8), 34), ((5, 5, 5), 0), ((2, 6), 4)):
        truth = (sum(branches) + rest) / (max(branches) + rest)
        hint = Judge(function, (branches, rest), truth, relative=1e-3)
        hint[len(branches)] = "That would be so only if they are equal and all there is."
        hint[sum(branches) / max(branches)] = "So the branches. What comes behind waits for all."
        hint[lambda answer: answer < 1] = "Time before over time after: above 1 if anything is won."
        hint[...] = "Before: all in a row. After: the longest branch, then the rest."
    print("Right: the longest branch and the rest stay, whatever the hardware.")


def separated_by_luck(function) -> None:
    """Exercise 05/7.1: function(n) -> how often n dots lie clear of n others of the same law."""
    for n in (2, 3, 4):
        truth = 2 / math.comb(2 * n, n)
        said, hint = f"It is {truth:.3f}.", Judge(function, (n,), truth, relative=0.05)
        hint[truth / 2] = f"{said} You would have written a paper about the other way round, too."
        hint[...] = f"""{said} Put all {2 * n} in a row by height: of all choices of {n} places, in
            how many do a variant's stand together at one end?"""
    print("Right: with two seeds one time in three, with three still one in ten.")
