"""Exercises of notebook 04."""

import torch
from torch import nn
from torch.nn import functional as F

from ...blocks.packing import pack, unpack
from .common import answer_of, exercise


@exercise("04.1", 2, lambda z, a: unpack(z, a))
def unpack_by_loops(function):
    """Right: every number is back in its place. Packing loses nothing."""
    for n, c, a in ((1, 1, 2), (1, 3, 2), (2, 3, 4)):
        x = torch.arange(n * c * 2 * 3 * a * a).view(n, c, 2 * a, 3 * a)
        z = pack(x, a)
        answer = answer_of(function, z.clone(), a)
        said = tuple(getattr(answer, "shape", ()))
        assert said == x.shape, f"""{tuple(z.shape)} unpacked by {a} has the shape {tuple(x.shape)},
            yours has {said}. The channels are shared out among the a * a places."""
        assert not torch.equal(answer, F.pixel_shuffle(z, a)) or c == 1, """That is PixelShuffle,
            colour by colour. Here all colours of one place come first, then the next place."""
        for at in map(tuple, (answer != x).nonzero().tolist()):
            raise AssertionError(f"""a = {a}, C = {c}: (picture, channel, row, column) = {at} should
                be {x[at]} and is {answer[at]}. In which channel of z does it lie?""")


def source_of_row(picture, row, batch, h, a):
    through = picture * h * a + row  # rows numbered through the whole result
    y, rest = divmod(through, batch * a)
    n, inside = divmod(rest, a)
    return n, y * a + inside


def _rows():
    for batch, h, a in ((1, 4, 2), (2, 4, 2), (2, 3, 4), (3, 5, 2)):
        yield from ((i, r, batch, h, a) for i in range(batch) for r in range(h * a))


@exercise("04.2", 3, source_of_row, _rows)
def _(answer, truth, picture, row, batch, h, a):
    """Right: strips of a rows, taken from each picture in turn. No error, no warning."""
    first = "So it would be if the picture's axis came first. What stands in front of n?"
    yield (picture, row), first
    yield True, "Number the rows of the result; take that apart along (y, n, row)."


_PACKINGS = [(4, 2, 2), (4, 2, 8), (4, 2, 32), (2, 3, 5)]


@exercise("04.3", 1, lambda a, c, c_packed: a**2 * (c / c_packed) ** 2, _PACKINGS)
def times_cheaper(answer, truth, a, c, c_packed):
    """Right. With all a * a * c channels kept, packing makes it a * a times DEARER."""
    yield a * a, "That counts the pixels. Through how many more weights does each of them go?"
    yield a * a * c / c_packed, "The channels count twice: those read and those written."
    upside_down = 1 / truth
    yield upside_down, "Upside down: it is full size over packed, above 1 where packing saves."
    yield True, "Multiply pixels, 9, channels in, channels out; for both."


def receptive_field():
    convolutions = 1 + 3 * 6  # one for the colour, six in each RDB
    return 16 * (1 + 2 * convolutions)


@exercise("04.4", 2, receptive_field, [()])
def _(answer, truth):
    """Right: 624 pixels, a seventh of the frame's width, in 19 small convolutions."""
    cells, one_side = truth // 16, "A 3x3 sees one cell further on *each* side."
    yield 16, "That is what one cell holds; its neighbours come in as well."
    yield cells, "So many cells it is. How many pixels wide is a cell?"
    yield answer in (8 * (cells - 1), 8 * (cells + 1)), one_side
    yield 16 * 7, "An RDB is not one convolution: how many stand in a row inside of it?"
    yield True, f"Count the 3x3 convolutions in a row to the end of the third RDB. {one_side}"


def perceptual(features, y, t):
    with torch.no_grad():
        of_t = features(t)
    return F.mse_loss(features(y), of_t)


@exercise("04.5", 2, perceptual)
def _(function):
    """Right: only the target may go without. Same number as theirs, and now it teaches."""
    torch.manual_seed(0)
    features = nn.Conv2d(3, 8, 3)
    y, t = (torch.rand(2, 3, 8, 8).requires_grad_() for _ in range(2))
    truth = F.mse_loss(features(y), features(t))
    slope = torch.autograd.grad(truth, y)[0]
    answer = answer_of(function, features, y, t)
    value, truth = float(torch.as_tensor(answer).detach()), truth.item()
    said = f"{value:.4g} is not the mean squared distance between features(y) and features(t)."
    assert abs(value - truth) < 1e-4 * truth, said
    assert getattr(answer, "requires_grad", False), """The number is right, and nothing hangs on it:
        `backward` finds no way from here to y. For which of the two pictures is that harmless?"""
    answer.backward()
    assert y.grad is not None and torch.allclose(y.grad, slope, rtol=1e-4, atol=1e-8), """The value
        is right, its gradient is not. Does y go through the features without detach?"""
    assert t.grad is None, "It teaches. But no target needs a gradient: that memory can be saved."


CHANGES = ("sgd", "penalty", "batch norm", "convolution after", "groups", "neighbours")


def order_matters():
    return {"groups", "neighbours"}  # a test trains with all six


@exercise("04.6", 2, order_matters)
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
