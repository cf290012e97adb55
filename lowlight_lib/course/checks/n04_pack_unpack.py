"""Checks of notebook 04."""

import torch
from torch import nn
from torch.nn import functional as F

from ...blocks.packing import pack
from .common import Judge, answer_of


def unpack_by_loops(function) -> None:
    """Exercise 04/1.1: function(z, a) -> (N, C, H * a, W * a), the inverse of pack."""
    for n, c, a in ((1, 1, 2), (1, 3, 2), (2, 3, 4)):
        x = torch.arange(n * c * 2 * 3 * a * a).view(n, c, 2 * a, 3 * a)
        z = pack(x, a)
        answer = answer_of(function, z, a)
        said = tuple(getattr(answer, "shape", ()))
        assert said == x.shape, f"""{tuple(z.shape)} unpacked by {a} has the shape {tuple(x.shape)},
            yours has {said}. The channels are shared out among the a * a places."""
        assert not torch.equal(answer, F.pixel_shuffle(z, a)) or c == 1, """That is PixelShuffle,
            colour by colour. Here all colours of one place come first, then the next place."""
        for at in map(tuple, (answer != x).nonzero().tolist()):
            raise AssertionError(f"""a = {a}, C = {c}: (picture, channel, row, column) = {at} should
                be {x[at]} and is {answer[at]}. In which channel of z does it lie?""")
    print("Right: every number is back in its place. Packing loses nothing.")


def source_of_row(function, unpack_one) -> None:
    """Exercise 04/2.1: function(picture, row, batch, h, a) -> (picture, row) that is found there.

    `unpack_one` is the notebook's variant that is right for one picture only.
    """
    for batch, h, a in ((1, 4, 2), (2, 4, 2), (2, 3, 4), (3, 5, 2)):
        shape = (batch, 1, h * a, a)
        picture = torch.arange(batch).view(-1, 1, 1, 1).expand(shape)
        row = torch.arange(h * a).view(1, 1, -1, 1).expand(shape)
        pictures, rows = (unpack_one(pack(v, a), a)[:, 0, :, 0].tolist() for v in (picture, row))
        for i in range(batch):
            for r in range(h * a):
                truth = pictures[i][r], rows[i][r]
                hint = Judge(function, (i, r, batch, h, a), truth, relative=0)
                hint[(i, r)] = """That row would be where it belongs if the picture's axis came
                    first. What stands in front of n in the permuted shape?"""
                hint[...] = "Number the rows of the result; take that apart along (y, n, row)."
    print("Right: strips of a rows, taken from each picture in turn. No error, no warning.")


def times_cheaper(function) -> None:
    """Exercise 04/6.1: function(a, c, c_packed) -> MACs at full size / MACs after packing by a."""
    for a, c, c_packed in ((4, 2, 2), (4, 2, 8), (4, 2, 32), (2, 3, 5)):
        truth = (a * c / c_packed) ** 2
        hint = Judge(function, (a, c, c_packed), truth, relative=1e-6)
        hint[a * a] = "That counts the pixels. Through how many more weights does each of them go?"
        hint[a * a * c / c_packed] = "The channels count twice: those read and those written."
        hint[1 / truth] = "Upside down: it is full size over packed, above 1 where packing saves."
        hint[...] = "Multiply pixels, 9, channels in, channels out; for both."
    print("Right. With all a * a * c channels kept, packing makes it a * a times DEARER.")


def receptive_field(function) -> None:
    """Exercise 04/6.2: function() -> side in mosaic pixels of what a cell sees after the RDBs."""
    radius = 1 + 3 * 6  # 3x3 convolutions in a row: the first, and those of three RDBs
    truth = 16 * (2 * radius + 1)
    one_side = "A 3x3 convolution sees one cell further on *each* side."
    hint = Judge(function, (), truth, relative=0)
    hint[16] = "That is what one cell holds; its neighbours come in as well."
    hint[truth // 16] = "So many cells it is. How many pixels wide is a cell?"
    hint[lambda answer: answer in (16 * radius, 16 * (radius + 1))] = one_side
    hint[16 * 7] = "An RDB is not one convolution: how many stand in a row inside of it?"
    hint[...] = f"Count the 3x3 convolutions in a row to the end of the third RDB. {one_side}"
    print(f"Right: {truth} pixels, a seventh of the frame's width, in {radius} small convolutions.")


CHANGES = ("sgd", "penalty", "batch norm", "convolution after", "groups", "neighbours")


def order_matters(function) -> None:
    """Exercise 04/8.1: function() -> set of the changes under which the order does matter."""
    truth = {"groups", "neighbours"}  # a test trains with all six
    answer = {str(c) for c in answer_of(function)}
    unknown = sorted(answer - set(CHANGES))
    assert not unknown, f"{unknown[0]!r} is not among {', '.join(CHANGES)}."
    for change in sorted(answer - truth):
        raise AssertionError(f"""'{change}' does not care: from permuted weights both orders trained
            with equal losses. It treats channels alike, or comes after the picture is whole.""")
    assert answer, "None? Two of them look at channels by where they stand."
    more = f"{len(truth - answer)} more. Which of the six can tell which channels are neighbours?"
    assert answer == truth, more
    print(f"Right: {' and '.join(sorted(truth))}. They know channels by their places.")


def perceptual(function) -> None:
    """Exercise 04/7.1: function(features, y, t) -> mean squared distance of features, trainable."""
    torch.manual_seed(0)
    features = nn.Conv2d(3, 8, 3)
    y, t = (torch.rand(2, 3, 8, 8).requires_grad_() for _ in range(2))
    truth = F.mse_loss(features(y), features(t))
    slope = torch.autograd.grad(truth, y)[0]
    answer = answer_of(function, features, y, t)
    value, truth = float(torch.as_tensor(answer).detach()), truth.item()
    said = f"The mean squared distance of the features is {truth:.4g} here, yours {value:.4g}."
    assert abs(value - truth) < 1e-4 * truth, said
    assert getattr(answer, "requires_grad", False), """The number is right, and nothing hangs on it:
        `backward` finds no way from here to y. For which of the two pictures is that harmless?"""
    answer.backward()
    assert y.grad is not None and torch.allclose(y.grad, slope, rtol=1e-4, atol=1e-8), """The value
        is right, its gradient is not. Does y go through the features without detach?"""
    assert t.grad is None, "It teaches. But no target needs a gradient: that memory can be saved."
    print("Right: only the target may go without. Same number as theirs, and now it teaches.")
