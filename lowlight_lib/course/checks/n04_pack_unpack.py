"""Exercises of notebook 04."""

import copy

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ...blocks.packing import pack, shuffle_order, unpack
from .common import ANY, answer_of, exercise, near


@exercise("04.1", 2, lambda x, a: pack(x, a))
def pack_by_hand(function):
    """Right, in all three steps: every pixel has its channel, and nothing is lost."""
    _moved(function, pack, [
        ("Step 1 of 3: ", (1, 1, 4, 6), 2),
        ("Step 1 is right. Step 2 of 3: ", (1, 3, 4, 6), 2),
        ("Steps 1 and 2 are right. Step 3 of 3: ", (2, 3, 8, 12), 4),
    ])  # fmt: skip


@exercise("04.2", 3, lambda z, a: unpack(z, a))
def unpack_at_once(function):
    """Right, in all three steps: a batch equals its pictures, and a few operations do it."""
    _moved(function, unpack, [
        ("Step 1 of 3: ", (1, 4, 2, 3), 2),
        ("Step 1 of 3, several colours: ", (1, 12, 2, 3), 2),
        ("Step 1 is right. Step 2 of 3: ", (2, 48, 2, 3), 4),
    ])  # fmt: skip
    few, many = (_operations(function, torch.rand(1, a * a, 2, 2), a) for a in (2, 8))
    assert many <= few, f"""Steps 1 and 2 are right. Step 3 of 3: a = 2 takes {few} operations of
        torch, a = 8 takes {many}. One reshape, one permute, one reshape do it for any a."""


def _moved(function, own, cases):
    """Hold what moves numbers to the library's, on tensors in which each number is another."""
    for step, shape, a in cases:
        x = torch.arange(torch.Size(shape).numel()).view(shape)
        truth, answer = own(x, a), answer_of(function, x.clone(), a)
        said = f"{step}{tuple(shape)} by {a} has the shape {tuple(truth.shape)}, yours has "
        yours = tuple(getattr(answer, "shape", ()))
        assert yours == truth.shape, said + f"{yours}."
        c = min(shape[1], truth.shape[1])
        other = F.pixel_unshuffle if own is pack else F.pixel_shuffle
        assert c == 1 or not torch.equal(answer, other(x, a)), f"""{step}that is PyTorch's order,
            colour by colour. Here all colours of one place come first, then the next place."""
        alone = torch.cat([function(v[None].clone(), a) for v in x])
        assert torch.equal(answer, truth) or not torch.equal(alone, truth), f"""{step}each picture
            alone is right, and two together are not. Where among your axes stands the picture's?"""
        for at in map(tuple, (answer != truth).nonzero().tolist()):
            raise AssertionError(f"""{step}with a = {a}, (picture, channel, row, column) = {at}
                should be {truth[at]:g} and is {answer[at]:g}. Where does that number come from?""")


def _operations(function, *args):
    class Counted(TorchDispatchMode):
        number = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.number += 1
            return func(*args, **(kwargs or {}))

    with Counted() as counted:
        function(*args)
    return counted.number


def for_pixel_shuffle(layer, a):
    changed = copy.deepcopy(layer)
    order = shuffle_order(layer.out_channels // a**2, a)
    with torch.no_grad():
        changed.weight.copy_(layer.weight[order])
        changed.bias.copy_(layer.bias[order])
    return changed


@exercise("04.3", 2, for_pixel_shuffle)
def _(function):
    """Right, in all three steps: two networks with other weights, and the same picture."""
    torch.manual_seed(0)
    for c, a in ((3, 2), (2, 4)):
        layer, x = nn.Conv2d(5, c * a * a, 3, padding=1), torch.rand(2, 5, 4, 6)
        before, order = copy.deepcopy(layer.state_dict()), shuffle_order(c, a)
        answer = answer_of(function, layer, a)
        assert isinstance(answer, nn.Conv2d), "Step 1 of 3: return a convolution, nn.Conv2d."
        weight, bias = answer.weight, answer.bias
        for name, there in (
            ("is the way back", order.argsort()),
            ("moves no filter", torch.arange(len(order))),
        ):
            assert torch.equal(order, there) or not torch.equal(weight, before["weight"][there]), (
                f"Step 1 of 3: your order {name}. Which filter makes what PixelShuffle takes "
                "for colour 0, place 1?"
            )
        assert torch.equal(weight, before["weight"][order]), """Step 1 of 3: the filters are not the
            old ones in another order, or not in the right one."""
        right = "Step 1 is right. Step 2 of 3: a filter has a bias, too."
        assert bias is not None and torch.equal(bias, before["bias"][order]), right
        assert torch.equal(layer.weight, before["weight"]), """Steps 1 and 2 are right. Step 3 of 3:
            the layer you were given has changed. Work on a copy."""
        with torch.no_grad():
            same = torch.allclose(F.pixel_shuffle(answer(x), a), unpack(layer(x), a), atol=1e-5)
        assert same, "The weights are right, the convolution is another. Copy all of the layer."


_PACKINGS = [(4, 2, 2), (4, 2, 8), (4, 2, 32), (2, 3, 5)]


@exercise("04.4", 1, lambda a, c, c_packed: a**2 * (c / c_packed) ** 2, _PACKINGS)
def times_cheaper(answer, truth, a, c, c_packed):
    """Right. With all a * a * c channels kept, packing makes it a * a times as expensive."""
    yield a * a, "That counts the pixels. Through how many more weights does each of them go?"
    yield a * a * c / c_packed, "The channels count twice: those read and those written."
    upside_down = 1 / truth
    yield upside_down, "Upside down: it is full size over packed, above 1 where packing saves."
    yield True, "Multiply pixels, 9, channels in, channels out; for both."


@exercise("04.5", 2, lambda: 16 * (1 + 2 * (1 + 3 * 6)), [()])  # 3 x 6 in the RDBs
def receptive_field(answer, truth):
    """Right: 624 pixels, a seventh of the frame's width, in 19 small convolutions."""
    cells, one_side = truth // 16, "A 3x3 sees one cell further on *each* side."
    yield 16, "That is what one cell holds; its neighbours come in as well."
    yield cells, "So many cells it is. How many pixels wide is a cell?"
    yield answer in (cells // 2, 8 * (cells - 1), 8 * (cells + 1)), one_side
    yield 16 * 7, "An RDB is not one convolution: how many stand in a row inside of it?"
    yield True, f"Count the 3x3 convolutions in a row to the end of the third RDB. {one_side}"


def what_the_pairs_say(gap, error, n, wins):
    from scipy import stats

    half = stats.t.ppf(0.975, n - 1) * error
    by_mean = 2 * stats.t.sf(abs(gap) / error, n - 1)
    return gap - half, gap + half, by_mean, stats.binomtest(wins, n).pvalue


_PAIRS = [(1.0, 0.8, 12, 4), (-0.5, 0.2, 30, 21), (2.0, 0.6, 9, 2)]


@exercise("04.6", 2, what_the_pairs_say, _PAIRS)
def _(answer, truth, gap, error, n, wins):
    """Right: the mean says yes, the count of wins is not so sure."""
    low, high, by_mean, by_wins = truth
    step = "Step 1 of 3: "
    yield (gap - 1.96 * error, gap + 1.96 * error, ANY, ANY), f"{step}1.96 is for very many images."
    wide = f"{step}the standard error is the mean's already: it is not divided by n again."
    half = (high - low) / 2 / n**0.5
    yield (gap - half, gap + half, ANY, ANY), wide
    yield (high, low, ANY, ANY), f"{step}low first, then high."
    ends = near(answer[0], low, 1e-3) and near(answer[1], high, 1e-3)
    yield not ends, f"{step}gap -+ t error."
    step = "Step 1 is right. Step 2 of 3: "
    yield (ANY, ANY, by_mean / 2, ANY), f"{step}before the run nobody knew which would win."
    yield not near(answer[2], by_mean, 1e-3), f"{step}how likely is so large a |t| by luck?"
    step = "Steps 1 and 2 are right. Step 3 of 3: "
    yield (ANY, ANY, ANY, by_wins / 2), f"{step}before the run nobody knew which would win."
    yield True, f"{step}if both were equal, each image would be a coin. How likely so few heads?"


CHANGES = ("sgd", "penalty", "batch norm", "convolution after", "groups", "neighbours")


def order_matters():
    return {"groups", "neighbours"}  # a test trains with all six


@exercise("04.7", 2, order_matters)
def _(function):
    """Right. These two know channels by their places."""
    truth, answer = order_matters(), {str(c) for c in answer_of(function)}
    for change in sorted(answer - set(CHANGES)):
        raise AssertionError(f"{change!r} is not among {', '.join(CHANGES)}.")
    for change in sorted(answer - truth):
        raise AssertionError(f"""'{change}' does not care: from permuted weights both orders trained
            with equal losses. It treats channels alike, or comes after the picture is whole.""")
    assert answer, "None? Two of them look at channels by where they stand."
    more = f"{len(truth - answer)} more. Which of the six can tell which channels are neighbours?"
    assert answer == truth, more
