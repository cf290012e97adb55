"""The checks of notebook 05 accept right answers and answer wrong ones with a hint."""

from math import comb

import numpy as np
import pytest
import torch
from support.checks import accepts, laws
from torch.nn import functional as F

from lowlight_lib.blocks.dense import ResidualDenseBlock, conv
from lowlight_lib.course.checks.n05_scales_and_dense_blocks import rdb_star
from lowlight_lib.deploy.cost import count


def padding(crop):
    inside = F.conv2d(torch.ones(1, 1, crop // 32, crop // 32), torch.ones(1, 1, 3, 3), padding=1)
    return 1 - inside.mean().item() / 9


def twice(mosaic):
    """Both steps by PyTorch, and the order read off a mosaic of its own numbers."""
    planes = F.pixel_unshuffle(mosaic, 2)
    square = torch.arange(1024.0).view(1, 1, 32, 32)
    return planes, F.pixel_unshuffle(planes, 16), channels_of(square).flatten()


def channels_of(mosaic):
    return F.pixel_unshuffle(F.pixel_unshuffle(mosaic, 2), 16)


def altered(planes=None, channels=None, order=None):
    """`twice`, but for what these functions make of a part of it."""

    def wrong(mosaic):
        changes = zip((planes, channels, order), twice(mosaic), strict=True)
        return tuple(change(part) if change else part for change, part in changes)

    return wrong


def one_step(channels):
    return channels[:, twice(torch.zeros(1, 1, 32, 32))[2].argsort()]


def counted(c_in, c_out, k, groups, h, w):
    layer = conv(c_in, c_out, k, groups=groups, bias=False, norm=False)
    return layer.weight.numel(), count(layer, (1, c_in, h, w)).macs


def cost(c_in, c_out, k, groups, h, w):
    weights = c_in // groups * c_out * k * k
    return weights, weights * h * w


def block(x, weights, last, slope, bends=None, keep=lambda y: y, read=lambda y: y, skip=1):
    """RDB* with its rectifiers anywhere; `keep` and `read`: of what is piled up, and by the end."""
    n, pile = len(weights), x
    for k, weight in enumerate(weights):
        bent = bends(k, n) if bends else 0 < k < n - 1
        new = F.conv2d(F.leaky_relu(pile, slope) if bent else pile, weight, padding=1)
        pile = torch.cat([pile, F.leaky_relu(new, slope) if keep == "bent" else new], 1)
    return pile, skip * x + F.conv2d(F.leaky_relu(pile, slope) if read == "bent" else pile, last)


def bent(where):
    return lambda x, weights, last, slope: block(x, weights, last, slope, where)


def front(x, weights, last, slope):
    pile, output = block(x, weights, last, slope)
    return pile.flip(1), output


def side(influence, share):
    """The side, by sums over growing squares from the integral image."""
    s = np.pad(influence.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    m = len(influence) // 2
    sums = [
        s[m + r + 1, m + r + 1] - s[m - r, m + r + 1] - s[m + r + 1, m - r] + s[m - r, m - r]
        for r in range(m + 1)
    ]
    return 2 * int(np.argmax(np.array(sums) >= share * sums[-1] * (1 - 1e-12))) + 1


def strongest(influence, share):
    ranked = np.sort(influence.ravel())[::-1].cumsum()
    return np.searchsorted(ranked, share * ranked[-1] * (1 - 1e-12)) + 1


def drawn_luck(n):
    a, b = np.random.default_rng(0).standard_normal((2, 200_000, n))
    return np.mean((a.min(1) > b.max(1)) | (b.min(1) > a.max(1)))


def luck(n):
    return 2 / comb(2 * n, n)


RIGHT = {
    "share_of_padding": padding,
    "unshuffle_twice": twice,
    "grouped_cost": counted,
    "rdb_star": block,
    "side_of_most": side,
    "separated_by_luck": drawn_luck,
}

WRONG = [
    ("share_of_padding", lambda crop: 1 - padding(crop), "the rest"),
    ("share_of_padding", lambda crop: 100 * padding(crop), "between 0 and 1"),
    ("share_of_padding", lambda crop: 1 - max(crop // 32 - 2, 0) ** 2 / (crop // 32) ** 2, "taps"),
    ("share_of_padding", lambda crop: 2 / (3 * crop / 32), "both directions"),
    ("share_of_padding", lambda crop: 0, "positions a side"),
    ("unshuffle_twice", lambda m: m, "half the height"),
    ("unshuffle_twice", altered(planes=lambda p: p[:, [0, 2, 1, 3]]), "plane of G1"),
    ("unshuffle_twice", altered(planes=lambda p: p.flip(1)), "plane of R "),
    ("unshuffle_twice", lambda m: twice(m)[0], "Step 2: return the 1024"),
    ("unshuffle_twice", altered(channels=lambda c: c[:, :256]), "squares of 16 x 16"),
    ("unshuffle_twice", altered(channels=one_step), "one step by 32"),
    (
        "unshuffle_twice",
        altered(channels=lambda c: c.view(2, 4, 256, 2, 1).transpose(1, 2).reshape(c.shape)),
        "colours alternate",
    ),
    ("unshuffle_twice", altered(channels=lambda c: c.flip(1)), "channel 0 is colour 0"),
    ("unshuffle_twice", lambda m: twice(m)[:2], "Step 3: return the order"),
    ("unshuffle_twice", lambda m: (*twice(m)[:2], None), "Step 3: return the order"),
    ("unshuffle_twice", altered(order=lambda o: o[:256]), "exactly once"),
    ("unshuffle_twice", altered(order=lambda o: o // 2), "exactly once"),
    ("unshuffle_twice", altered(order=lambda o: o.argsort()), "way back"),
    ("unshuffle_twice", altered(order=lambda o: np.arange(1024)), "channel 1 is colour 0"),
    ("grouped_cost", lambda i, o, k, g, h, w: cost(i, o, k, 1, h, w), "only its own group"),
    ("grouped_cost", lambda i, o, k, g, h, w: cost(i, o // g, k, g, h, w), "divided by the groups"),
    ("grouped_cost", lambda i, o, k, g, h, w: (cost(i, o, k, g, h, w)[0],) * 2, "How often"),
    ("grouped_cost", lambda i, o, k, g, h, w: (1, 1), "Outputs, times inputs"),
    ("rdb_star", lambda *a: block(*a)[0], "Step 1: return the pile and the output"),
    ("rdb_star", lambda x, *a: (x, x), "each layer adds its own"),
    ("rdb_star", front, "lies at the front"),
    (
        "rdb_star",
        lambda *a: (torch.cat([a[0], block(*a)[0][:, 4:] + 1], 1), None),
        "layer by layer",
    ),
    ("rdb_star", lambda *a: block(*a, keep="bent"), "ordinary RDB"),
    ("rdb_star", bent(lambda k, n: False), "nothing of yours"),
    ("rdb_star", bent(lambda k, n: True), "Two of them should not"),
    ("rdb_star", bent(lambda k, n: k > 0), "the last one should read"),
    ("rdb_star", bent(lambda k, n: k < n - 1), "the first layer should"),
    ("rdb_star", bent(lambda k, n: k == 1 < n - 1), "layer by layer"),
    ("rdb_star", lambda *a: (block(*a)[0], None), "boil the pile down"),
    ("rdb_star", lambda *a: (block(*a)[0], block(*a)[0]), "shape of the input"),
    ("rdb_star", lambda *a: block(*a, skip=0), "residual"),
    ("rdb_star", lambda *a: block(*a, read="bent"), "without the rectifier"),
    ("rdb_star", lambda *a: block(*a, skip=2), "the whole pile"),
    ("side_of_most", lambda i, s: side(i, s) // 2, "two halves"),
    ("side_of_most", lambda i, s: side(i, s) + 1, "odd side"),
    ("side_of_most", lambda i, s: side(i, 1), "however little"),
    ("side_of_most", strongest, "strongest"),
    ("side_of_most", lambda i, s: side(i, s) - 2, "a little less"),
    ("side_of_most", lambda i, s: 0.5, "until its sum"),
    ("separated_by_luck", lambda n: luck(n) / 2, "other way round"),
    ("separated_by_luck", lambda n: 0.05, "in a row by height"),
    ("separated_by_luck", lambda n: 0.5 ** (n - 1), "in a row by height"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_kinds_of_numbers_do_not_matter():
    accepts("unshuffle_twice", lambda m: [*twice(m)[:2], twice(m)[2].tolist()])


@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_the_course_s_block_is_the_library_s(layers, slope):
    library = ResidualDenseBlock(6, 4, layers, slope=slope, norm=False)
    x = torch.randn(2, 6, 7, 8)
    weights = [layer.weight for layer in library.layers]
    torch.testing.assert_close(rdb_star(x, weights, library.fuse.weight, slope)[1], library(x))
