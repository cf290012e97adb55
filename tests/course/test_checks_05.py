"""The checks of notebook 05 accept right answers and answer wrong ones with a hint."""

from math import comb

import numpy as np
import torch
from support.checks import accepts, laws
from torch.nn import functional as F

from lowlight_lib.blocks.dense import ResidualDenseBlock, conv
from lowlight_lib.deploy.cost import count


def padding(crop):
    inside = F.conv2d(torch.ones(1, 1, crop // 32, crop // 32), torch.ones(1, 1, 3, 3), padding=1)
    return 1 - inside.mean().item() / 9


def order():
    c, i, j = np.indices((4, 16, 16))
    return (32 * (2 * i + c // 2) + 2 * j + c % 2).flatten()


def counted(c_in, c_out, k, groups, h, w):
    layer = conv(c_in, c_out, k, groups=groups, bias=False, norm=False)
    return layer.weight.numel(), count(layer, (1, c_in, h, w)).macs


def cost(c_in, c_out, k, groups, h, w):
    weights = c_in // groups * c_out * k * k
    return weights, weights * h * w


def is_linear(layers):
    block = ResidualDenseBlock(3, 2, layers, norm=False).double()
    a, b = torch.randn(2, 1, 3, 8, 8, dtype=torch.float64)
    return torch.allclose(block(a + b), block(a) + block(b), atol=1e-9)


def speedup(branches, rest):
    return (sum(branches) + rest) / (max(branches) + rest)


def drawn_luck(n):
    a, b = np.random.default_rng(0).standard_normal((2, 200_000, n))
    return np.mean((a.min(1) > b.max(1)) | (b.min(1) > a.max(1)))


def luck(n):
    return 2 / comb(2 * n, n)


RIGHT = {
    "share_of_padding": padding,
    "order_of_channels": order,
    "grouped_cost": counted,
    "layers_until_curved": lambda: next(n for n in range(1, 9) if not is_linear(n)),
    "best_speedup": speedup,
    "separated_by_luck": drawn_luck,
}

WRONG = [
    ("share_of_padding", lambda crop: 1 - padding(crop), "the rest"),
    ("share_of_padding", lambda crop: 100 * padding(crop), "between 0 and 1"),
    ("share_of_padding", lambda crop: 1 - max(crop // 32 - 2, 0) ** 2 / (crop // 32) ** 2, "taps"),
    ("share_of_padding", lambda crop: 2 / (3 * crop / 32), "both directions"),
    ("share_of_padding", lambda crop: 0, "positions a side"),
    ("order_of_channels", lambda: np.argsort(order()), "way back"),
    ("order_of_channels", lambda: np.arange(1024), "Channel 1 of two steps"),
    ("order_of_channels", lambda: np.arange(256), "1024 numbers"),
    ("order_of_channels", lambda: order() // 2, "exactly once"),
    ("order_of_channels", lambda: np.arange(1024).reshape(256, 4).T.flatten(), "row by row"),
    ("grouped_cost", lambda i, o, k, g, h, w: cost(i, o, k, 1, h, w), "only its own group"),
    ("grouped_cost", lambda i, o, k, g, h, w: cost(i, o // g, k, g, h, w), "divided by the groups"),
    ("grouped_cost", lambda i, o, k, g, h, w: (cost(i, o, k, g, h, w)[0],) * 2, "How often"),
    ("grouped_cost", lambda i, o, k, g, h, w: (1, 1), "Outputs, times inputs"),
    ("layers_until_curved", lambda: 1, "sum of what they make"),
    ("layers_until_curved", lambda: 2, "sum of what they make"),
    ("layers_until_curved", lambda: 4, "fewer do"),
    ("best_speedup", lambda b, r: len(b), "only if they are equal"),
    ("best_speedup", lambda b, r: sum(b) / max(b), "waits for all"),
    ("best_speedup", lambda b, r: 1 / speedup(b, r), "above 1"),
    ("best_speedup", lambda b, r: 1 - 1 / speedup(b, r), "above 1"),
    ("best_speedup", lambda b, r: 1.5, "longest branch"),
    ("separated_by_luck", lambda n: luck(n) / 2, "other way round"),
    ("separated_by_luck", lambda n: 0.05, "in a row by height"),
    ("separated_by_luck", lambda n: 0.5 ** (n - 1), "in a row by height"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_kinds_of_numbers_do_not_matter():
    accepts("order_of_channels", lambda: order().tolist())
    accepts("layers_until_curved", lambda: 3.0)
