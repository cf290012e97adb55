"""Checks of notebook 05."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from ...blocks.dense import ResidualDenseBlock, conv
from .common import ANY, answer_of, judge


def share_of_padding(function) -> None:
    """Exercise 05/1.1: function(crop) -> share of what a 3x3 at 1/32 reads that is padding."""
    for crop in (32, 512, 128):
        side = crop // 32
        inside = F.conv2d(torch.ones(1, 1, side, side), torch.ones(1, 1, 3, 3), padding=1)
        truth = 1 - inside.sum().item() / (9 * side**2)
        hints = {
            (lambda answer: not 0 <= answer <= 1): "A share lies between 0 and 1.",
            1 - truth: "That is the share of real numbers; the question asks for the rest.",
            1 - max(side - 2, 0) ** 2 / side**2: """That many *positions* lie at the border. But
                even in a corner some of the nine taps fall inside: count taps, not positions.""",
            "otherwise": f"""{crop} pixels are {side} positions a side at 1/32. Along one line, how
                many of the three taps of each position fall outside? Then both directions together.
                """,
        }
        judge(function, (crop,), truth, hints)
    print(f"Right: in training crops of {crop}, {truth:.0%} of what it reads is padding.")


def order_of_channels(function) -> None:
    """Exercise 05/2.1: function() -> `order` with two_steps == one_step[:, order]."""
    mosaic = torch.arange(2 * 64 * 32.0).view(2, 1, 64, 32)
    one, two = F.pixel_unshuffle(mosaic, 32), F.pixel_unshuffle(F.pixel_unshuffle(mosaic, 2), 16)
    order = torch.as_tensor(answer_of(function)).flatten()
    assert len(order) == 1024, f"1024 channels need 1024 numbers; yours are {len(order)}."
    assert order.sort().values.tolist() == list(range(1024)), """Each channel has to come exactly
        once: the numbers 0 to 1023 in another order."""
    assert not torch.equal(two[:, order], one), """This is the way back: it turns two steps into
        one. Exchange what you read and what you write (`argsort` does it)."""
    k = next((k for k in range(1024) if not torch.equal(two[:, k], one[:, order[k]])), None)
    assert k is None, f"""Not yet: channel {k} of two steps is colour {k // 256}, row
        {k // 16 % 16}, column {k % 16} of its plane. Which pixel of the 32 x 32 square is that,
        counted row by row?"""
    print("Right: the same 1024 numbers in another order, and no layer would ever complain.")


def grouped_cost(function) -> None:
    """Exercise 05/3.1: function(c_in, c_out, k, groups, h, w) -> (weights, MACs)."""
    for case in ((64, 64, 3, 1, 10, 20), (128, 32, 3, 4, 7, 9), (1024, 128, 3, 128, 4, 4)):
        c_in, c_out, k, groups, h, w = case
        layer = conv(c_in, c_out, k, groups=groups, bias=False, norm=False)
        weights = layer.weight.numel()
        hints = {
            (weights * groups, ANY): "An output reads only its own group's inputs.",
            (weights // groups, ANY): f"""You divided by the groups twice. Each of the {c_out}
                outputs still has its own weights; only the inputs it reads have become fewer.""",
            (weights, ANY): "The weights are right. How often is each of them used on one picture?",
            "otherwise": "Outputs, times inputs that each reads, times taps.",
        }
        truth = weights, weights * layer(torch.zeros(1, c_in, h, w))[0, 0].numel()
        judge(function, case, truth, hints, relative=0)
    print("Right: groups divide both, the size of the picture multiplies the second only.")


def layers_until_curved(function) -> None:
    """Exercise 05/4.1: function() -> fewest layers with which RDB* is no linear map."""

    def is_linear(layers):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            block = ResidualDenseBlock(3, 2, layers, norm=False).double()
            a, b = torch.randn(2, 1, 3, 8, 8, dtype=torch.float64)
        with torch.no_grad():
            return torch.allclose(block(a + b), block(a) + block(b), atol=1e-9)

    truth = next(n for n in range(1, 9) if not is_linear(n))
    hints = {
        (lambda answer: answer < 1): "A block has at least one layer.",
        (lambda answer: answer < truth): """With so few the block still maps a + b to the sum of
            what it makes of a and of b. Which layers have a rectifier in front of them, and which
            do not?""",
        "otherwise": "So many suffice, but fewer do, too.",
    }
    judge(function, (), truth, hints, relative=0)
    print(f"Right: {truth}. With fewer, all these convolutions are one linear filter.")


def best_speedup(function) -> None:
    """Exercise 05/6.1: function(branches, rest) -> speed-up if all branches ran at once."""
    for branches, rest in (((3, 14, 8), 34), ((5, 5, 5), 0), ((2, 6), 4)):
        lanes = np.zeros(len(branches))
        lanes += branches  # one lane of hardware for each branch, all begin at once
        truth = (sum(branches) + rest) / (lanes.max() + rest)
        upside_down = "A speed-up is time before over time after: above 1 if anything is won."
        hints = {
            len(branches): f"""{len(branches)} at once are {len(branches)} times as fast only if
                they are equal, and if nothing comes behind them.""",
            sum(branches) / max(branches): """So much faster get the branches. What comes behind
                them waits for all of them, and takes as long as ever.""",
            1 / truth: upside_down,
            1 - 1 / truth: upside_down,
            "otherwise": """Before: everything in a row. After: as long as the longest branch, then
                the rest.""",
        }
        judge(function, (branches, rest), truth, hints, relative=1e-3)
    print("Right: the longest branch and the rest stay, whatever the hardware.")


def separated_by_luck(function) -> None:
    """Exercise 05/7.1: function(n) -> how often n dots lie clear of n others of the same law."""
    rng = np.random.default_rng(0)
    for n in (2, 3, 4):
        a, b = rng.standard_normal((2, 200_000, n))
        truth = np.mean((a.min(1) > b.max(1)) | (b.min(1) > a.max(1)))
        drawn = f"200,000 drawn experiments say {truth:.3f}."
        hints = {
            truth / 2: f"""{drawn} That is one variant clear above the other. You would have written
                a paper about the other way round, too.""",
            "otherwise": f"""{drawn} Put all {2 * n} dots in a row by height: every order is equally
                likely. In how many choices of {n} places out of {2 * n} do a variant's dots stand
                together at one end?""",
        }
        judge(function, (n,), truth, hints, relative=0.05)  # the draws are good to 2 % at n = 4
    print("Right: with two seeds one time in three, with three still one in ten.")
