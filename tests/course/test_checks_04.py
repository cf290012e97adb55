"""The checks of notebook 04 accept right answers and answer wrong ones with a hint."""

import copy

import torch
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


def columns_first(z, a):
    return unpack(z, a).mT.contiguous().view_as(unpack(z, a))


def found_by_running(picture, row, batch, h, a):
    numbers = torch.arange(batch * h * a).view(batch, 1, h * a, 1).expand(-1, -1, -1, a)
    return divmod(unpack_one(pack(numbers, a), a)[picture, 0, row, 0].item(), h * a)


def source_of_single_rows(picture, row, batch, h, a):
    return divmod(picture * h * a + row, batch)[::-1]


def half(features, y, t):
    return F.mse_loss(features(y), features(t).detach())


def released(features, y, t):
    with torch.no_grad():
        return half(features, y, t)


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
    "unpack_by_loops": unpack,
    "source_of_row": found_by_running,
    "times_cheaper": times_cheaper,
    "receptive_field": lambda: 16 * CELLS,
    "perceptual": half,
    "order_matters": lambda: {c for c in n04.CHANGES if not same_training(c)},
}
WRONG = [
    ("unpack_by_loops", F.pixel_shuffle, "PixelShuffle"),
    ("unpack_by_loops", unpack_one, "should be"),
    ("unpack_by_loops", columns_first, "should be"),
    ("unpack_by_loops", lambda z, a: z, "shape"),
    ("source_of_row", lambda picture, row, *_: (picture, row), "picture's axis came first"),
    ("source_of_row", source_of_single_rows, "Number the rows"),
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
    ("perceptual", lambda f, y, t: F.mse_loss(f(y), f(t)), "memory"),
    ("perceptual", released, "nothing hangs on it"),
    ("perceptual", lambda f, y, t: F.l1_loss(f(y), f(t)), "distance"),
    ("perceptual", lambda f, y, t: F.mse_loss(f(y.detach()), f(t)), "its gradient is not"),
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
