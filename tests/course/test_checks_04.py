"""The checks of notebook 04 accept right answers and answer wrong ones with a hint."""

import copy
import math

import numpy as np
import torch
from scipy import stats
from support.checks import laws
from torch import nn
from torch.nn import functional as F

from lowlight_lib.blocks.packing import pack, shuffle_order, unpack
from lowlight_lib.course.checks import n04_pack_unpack as n04
from lowlight_lib.deploy.cost import count
from lowlight_lib.models.llpacknet import LLPackNet


def unpack_one(z, a):
    """The notebook's variant that is right for one picture only."""
    n, channels, h, w = z.shape
    z = z.reshape(n, a, a, channels // (a * a), h, w).permute(3, 4, 0, 1, 5, 2)
    return z.reshape(n, channels // (a * a), h * a, w * a)


def with_loops(z, a):
    """Right, and in a * a assignments."""
    n, channels, h, w = z.shape
    c = channels // (a * a)
    x = z.new_empty(n, c, h * a, w * a)
    for k, (row, col) in enumerate(np.ndindex(a, a)):
        x[:, :, row::a, col::a] = z[:, k * c : (k + 1) * c]
    return x


def pack_with_loops(x, a):
    places = [x[:, :, row::a, col::a] for row in range(a) for col in range(a)]
    return torch.cat(places, 1)


def columns_first(z, a):
    return unpack(z, a).mT.contiguous().view_as(unpack(z, a))


def found_by_running(layer, a):
    """The filters in the order in which PixelShuffle's own inverse finds UnPack's numbers."""
    channels = layer.out_channels
    numbers = unpack(torch.arange(channels).view(1, -1, 1, 1), a)
    order = F.pixel_unshuffle(numbers, a).flatten()
    new = copy.deepcopy(layer)
    new.weight.data, new.bias.data = layer.weight.data[order], layer.bias.data[order]
    return new


def reordered(find, bias=True, copied=True, padding_mode="zeros"):
    def changed(layer, a):
        order = find(layer.out_channels // a**2, a)
        new = copy.deepcopy(layer) if copied else layer
        new.weight.data = layer.weight.data[order]
        if bias:
            new.bias.data = layer.bias.data[order]
        new.padding_mode = padding_mode
        return new

    return changed


def pairs(gap, error, n, wins, t=None, tails=(2, 2), root=False):
    half = (stats.t.ppf(0.975, n - 1) if t is None else t) * error / (n**0.5 if root else 1)
    by_mean = tails[0] * stats.t.cdf(-abs(gap) / error, n - 1)
    few = min(wins, n - wins)
    coins = sum(math.comb(n, k) for k in range(few + 1)) / 2**n  # counted, not looked up
    return gap - half, gap + half, by_mean, min(1, tails[1] * coins)


def times_cheaper(a, c, packed):
    full = count(nn.Conv2d(c, c, 3, padding=1), (1, c, 16, 16)).macs
    return full / count(nn.Conv2d(packed, packed, 3, padding=1), (1, packed, 16 // a, 16 // a)).macs


def same_training(change, steps=4):
    """Whether UnPack and PixelShuffle, from permuted weights, go through the same losses."""
    torch.manual_seed(0)
    x, t = torch.rand(2, 2, 6, 8, 8, dtype=torch.float64)
    t = F.pixel_shuffle(t.repeat(1, 2, 1, 1), 2)
    start = nn.Conv2d(6, 12, 3, padding=1, groups=3 if change == "groups" else 1)
    after = nn.Conv2d(3, 3, 3, padding=1) if change == "convolution after" else nn.Identity()
    losses = []
    for shuffle, order in ((unpack, slice(None)), (F.pixel_shuffle, shuffle_order(3, 2))):
        norm = nn.BatchNorm2d(12) if change == "batch norm" else nn.Identity()
        net = nn.ModuleList([copy.deepcopy(start), norm, copy.deepcopy(after)]).double()
        for p in net[0].parameters():
            p.data = p.data[order]
        kind = torch.optim.SGD if change == "sgd" else torch.optim.Adam
        optimizer = kind(net.parameters(), lr=0.01)
        for _ in range(steps):
            y = net[1](net[0](x))
            if change == "neighbours":  # each channel weighted by the means of those beside it
                mean = F.avg_pool1d(y.mean((2, 3))[:, None], 3, 1, 1)[:, 0]
                y = y * torch.sigmoid(mean)[..., None, None]
            loss = F.l1_loss(net[2](shuffle(y, 2)), t)
            if change == "penalty":
                loss = loss + 1e-2 * sum(p.abs().sum() for p in net.parameters())
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return all(abs(a - b) < 1e-9 for a, b in zip(losses[:steps], losses[steps:], strict=True))


CELLS = 1 + 2 * 19  # nineteen 3x3 convolutions
RIGHT = {
    "pack_by_hand": pack_with_loops,
    "unpack_at_once": unpack,
    "for_pixel_shuffle": found_by_running,
    "times_cheaper": times_cheaper,
    "receptive_field": lambda: 16 * CELLS,
    "what_the_pairs_say": pairs,
    "order_matters": lambda: {c for c in n04.CHANGES if not same_training(c)},
}
WRONG = [
    ("pack_by_hand", F.pixel_unshuffle, "Step 1 is right.*PyTorch's order"),
    ("pack_by_hand", lambda x, a: columns_first(pack(x, a), 1), "Step 1 of 3.*should be"),
    ("pack_by_hand", lambda x, a: x, "shape"),
    ("pack_by_hand", lambda x, a: pack(x, 2), "Steps 1 and 2 are right.*shape"),
    ("unpack_at_once", F.pixel_shuffle, "PyTorch's order"),
    ("unpack_at_once", unpack_one, "Step 2 of 3.*each picture *alone is right"),
    ("unpack_at_once", columns_first, "Step 1 of 3.*should be"),
    ("unpack_at_once", with_loops, "Step 3 of 3.*operations"),
    ("unpack_at_once", lambda z, a: z, "shape"),
    ("for_pixel_shuffle", lambda layer, a: layer, "moves no filter"),
    ("for_pixel_shuffle", reordered(lambda c, a: shuffle_order(c, a).argsort()), "is the way back"),
    ("for_pixel_shuffle", reordered(lambda c, a: torch.arange(c * a * a).flip(0)), "another order"),
    ("for_pixel_shuffle", reordered(shuffle_order, bias=False), "a bias, too"),
    ("for_pixel_shuffle", reordered(shuffle_order, copied=False), "Work on a copy"),
    ("for_pixel_shuffle", reordered(shuffle_order, padding_mode="circular"), "another"),
    ("for_pixel_shuffle", lambda layer, a: nn.ReLU(), "return a convolution"),
    ("what_the_pairs_say", lambda g, e, n, w: pairs(g, e, n, w, t=1.96), "very many"),
    ("what_the_pairs_say", lambda g, e, n, w: pairs(g, e, n, w, root=True), "divided by n again"),
    ("what_the_pairs_say", lambda *v: (pairs(*v)[1], pairs(*v)[0], 1, 1), "low first"),
    ("what_the_pairs_say", lambda *v: (0, 1, 0, 0), "t error"),
    ("what_the_pairs_say", lambda *v: pairs(*v, tails=(1, 2)), "Step 2 of 3.*nobody knew"),
    ("what_the_pairs_say", lambda *v: (*pairs(*v)[:2], 0.5, 0.5), "Step 2 of 3.*how likely"),
    ("what_the_pairs_say", lambda *v: pairs(*v, tails=(2, 1)), "Step 3 of 3.*nobody knew"),
    ("what_the_pairs_say", lambda *v: (*pairs(*v)[:3], 0.7), "Step 3 of 3.*a coin"),
    ("times_cheaper", lambda a, c, k: a * a, "counts the pixels"),
    ("times_cheaper", lambda a, c, k: a * a * c / k, "count twice"),
    ("times_cheaper", lambda a, c, k: (k / (a * c)) ** 2, "Upside down"),
    ("times_cheaper", lambda a, c, k: a, "Multiply"),
    ("receptive_field", lambda: 16, "one cell"),
    ("receptive_field", lambda: CELLS, "How many pixels"),
    ("receptive_field", lambda: 19 * 16, "each"),
    ("receptive_field", lambda: 20 * 16, "each"),
    ("receptive_field", lambda: 16 * 7, "RDB"),
    ("receptive_field", lambda: 16 * 37, "Count"),
    ("order_matters", set, "None"),
    ("order_matters", lambda: {"adam"}, "not among"),
    ("order_matters", lambda: {"groups"}, "1 more"),
]
WRONG += [
    ("order_matters", lambda n=name: {"groups", "neighbours", n}, f"'{name}' does not care")
    for name in ("sgd", "penalty", "batch norm", "convolution after")
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_a_packed_cell_is_seen_by_as_many_pixels_as_the_convolutions_in_a_row_say():
    net, cells = LLPackNet(weight_norm=False).double(), 61
    for p in net.parameters():
        nn.init.constant_(p, 0.01)  # all above 0: nothing cancels
    seen = []
    net.rdbs[-1].register_forward_hook(lambda _module, _args, y: seen.append(y))
    x = torch.zeros(1, 1, 16 * cells, 16, dtype=torch.float64, requires_grad=True)
    net(x)
    seen[0][0, :, cells // 2].sum().backward()
    assert (x.grad[0, 0].sum(1) != 0).sum() == 16 * CELLS
