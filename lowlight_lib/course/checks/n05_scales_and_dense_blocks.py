"""Exercises of notebook 05."""

from math import comb

import numpy as np
import torch
from torch.nn import functional as F

from .common import ANY, answer_of, exercise


@exercise("05.1", 2, lambda crop: 1 - (1 - 2 / (3 * (crop // 32))) ** 2, [32, 512, 128])
def share_of_padding(answer, truth, crop):  # along one line both ends lose one tap
    """Right: in training crops of 128, 31% of what it reads is padding."""
    yield not 0 <= answer <= 1, "A share lies between 0 and 1."
    yield 1 - truth, "That is the share of real numbers; the question asks for the rest."
    at_border = 1 - max(crop // 32 - 2, 0) ** 2 / (crop // 32) ** 2
    yield at_border, "So many *positions* lie at the border, but not all of their taps."
    line = f"{crop // 32} positions a side: along one line, how many of their taps fall outside?"
    yield True, f"{line} Then both directions together."


def unshuffle_twice(mosaic):
    planes = torch.cat([mosaic[:, :, i::2, j::2] for i in range(2) for j in range(2)], 1)
    n, _, h, w = planes.shape
    squares = planes.reshape(n, 4, h // 16, 16, w // 16, 16)  # (N, c, y, i, x, j)
    channels = squares.permute(0, 1, 3, 5, 2, 4).reshape(n, 1024, h // 16, w // 16)
    c, i, j = np.indices((4, 16, 16))
    row, column = 2 * i + c // 2, 2 * j + c % 2  # in the square of 32 x 32
    return planes, channels, (32 * row + column).flatten()


@exercise("05.2", 3, unshuffle_twice, relative=0)
def _(function):
    """Right, all three steps: the same 1024 numbers in another order."""
    mosaic = torch.arange(2 * 64 * 32.0).view(2, 1, 64, 32)
    answer = answer_of(function, mosaic.clone())
    planes, *more = [answer] if torch.is_tensor(answer) else [a for a in answer if a is not None]
    truth, one = F.pixel_unshuffle(mosaic, 2), F.pixel_unshuffle(mosaic, 32)
    two = F.pixel_unshuffle(truth, 16)
    fits = planes.shape == truth.shape
    assert fits, f"""Step 1: of a mosaic (2, 1, 64, 32) your planes are {tuple(planes.shape)}. Four
        planes, each of half the height and half the width."""
    for k, name in enumerate(("R", "G1", "G2", "B")):
        same = torch.equal(planes[:, k], truth[:, k])
        assert same, f"""Step 1: the plane of {name} holds other pixels. G1 is to the right of R,
            and G2 below it: where in its cell of 2 x 2 does a colour begin?"""

    assert more, "Step 1 of 3 is right. Step 2: return the 1024 channels, too."
    channels, *more = more
    yield "Step 1 is right. Step 2:", channels, two
    shape = channels.shape
    yield shape != two.shape, f"squares of 16 x 16 of four planes (32, 16) are not {shape}."
    yield one, "this is one step by 32. Begin with the planes, not the mosaic."
    mixed = two.view(2, 4, 16, 16, 2, 1).movedim(1, 3).reshape(two.shape)
    yield mixed, "colours alternate in yours; the formula has c outermost."
    for k in range(1024):
        off = not torch.equal(channels[:, k], two[:, k])
        yield off, f"{_place(k)} of each square. Print a square and find that number."

    assert more, "Steps 1 and 2 of 3 are right. Step 3: return the order, too."
    order = torch.as_tensor(more[0]).flatten()
    yield "Steps 1 and 2 are right. Step 3:"
    once = sorted(order.tolist()) == list(range(1024))
    yield not once, "each of the 1024 channels comes exactly once: 0 to 1023 reordered."
    way_back = torch.equal(two[:, order.long()], one)
    yield way_back, "this is the way back, to one step. `argsort` turns it around."
    for k, place in enumerate(order.long().tolist()):
        off = not torch.equal(two[:, k], one[:, place])
        yield off, f"{_place(k)}. Which pixel of the 32 x 32 is that, row by row?"


def _place(k):
    return f"channel {k} is colour {k // 256}, row {k // 16 % 16}, column {k % 16}"


def grouped_cost(c_in, c_out, k, groups, h, w):
    weights = c_out * (c_in // groups) * k * k
    return weights, weights * h * w


@exercise("05.3", 1, grouped_cost, [(64, 64, 3, 1, 10, 20), (128, 32, 3, 4, 7, 9)])
def _(answer, truth, c_in, c_out, k, groups, h, w):
    """Right: groups divide both, the size of the picture multiplies the second only."""
    weights, _ = truth
    yield (weights, ANY), "The weights are right. How often is each used on one picture?"
    yield (weights * groups, ANY), "An output reads only its own group's inputs."
    yield (weights // groups, ANY), f"You divided by the groups twice: {c_out} outputs stay."
    yield True, "Outputs, times inputs that each reads, times taps."


def rdb_star(x, weights, last, slope=0.2):
    pile = x
    for k, weight in enumerate(weights):
        inner = 0 < k < len(weights) - 1
        read = F.leaky_relu(pile, slope) if inner else pile
        pile = torch.cat([pile, F.conv2d(read, weight, padding=1)], 1)
    return pile, x + F.conv2d(pile, last)


@exercise("05.4", 3, rdb_star, relative=1e-5, absolute=1e-4)
def _(function):
    """Right, all three steps: equal to the library's block, whatever its size."""
    for step, slope, layers in ((1, 1.0, 1), (1, 1.0, 4), (2, 0.2, 1), (2, 0.2, 2), (2, 0.2, 5)):
        x, *weights, last = _layers(layers)
        answer = answer_of(function, x.clone(), list(weights), last, slope)
        two = not torch.is_tensor(answer) and len(answer) == 2
        assert two, f"Step {step}: return the pile and the output, which is None until step 3."
        (pile, output), (truth, result) = answer, rdb_star(x, weights, last, slope)
        yield (said := ("Step 1:", "Step 1 of 3 is right. Step 2:")[step - 1])
        fits = pile.shape == truth.shape
        assert fits, f"""{said} with {layers} layers of 3 channels on 4 the pile is
            {tuple(pile.shape)}. It begins with the input, and each layer adds its own."""
        yield not torch.equal(pile[:, :4], x), "the input lies at the front of the pile."
        if not torch.allclose(pile, truth, atol=1e-4):
            yield True, _slip(pile, x, weights, slope)
    yield "Steps 1 and 2 of 3 are right. Step 3:"
    yield output is None, "boil the pile down, and add."
    yield "Steps 1 and 2 are right. Step 3:", output, result
    yield output.shape != x.shape, "the output has to have the shape of the input."
    yield result - x, "a *residual* block adds something to its result."
    bent = x + F.conv2d(F.leaky_relu(pile, slope), last)
    yield bent, "the 1 x 1 reads the pile as it is, without the rectifier."
    yield True, "a 1 x 1 convolution of the whole pile, and the input added."


def _layers(count):
    """An input of 4 channels, weights of dense layers of growth 3, and that of the 1 x 1."""
    generator = torch.Generator().manual_seed(count)
    shapes = [(2, 4, 6, 7), *((3, 4 + 3 * k, 3, 3) for k in range(count)), (4, 4 + 3 * count, 1, 1)]
    return [torch.randn(shape, generator=generator) / 2 for shape in shapes]


def _slip(pile, x, weights, slope):
    """Which block a wrong pile belongs to."""
    end, count = len(weights) - 1, f"with {len(weights)} layers"
    slips = {  # in front of which layers it rectifies
        f"{count} nothing of yours is rectified. Which layers should be?": lambda k: False,
        "every layer of yours rectifies what it reads. Two of them should not.": lambda k: True,
        f"{count} the last one should read the pile as it is.": lambda k: k > 0,
        "the first layer should read the input as it is.": lambda k: k < end,
        "you pile up what is rectified already. That is the ordinary RDB.": None,
    }
    for said, bends in slips.items():
        piled = x
        for k, weight in enumerate(weights):
            read = F.leaky_relu(piled, slope) if bends and bends(k) else piled
            new = F.conv2d(read, weight, padding=1)
            piled = torch.cat([piled, new if bends else F.leaky_relu(new, slope)], 1)
        if torch.allclose(pile, piled, atol=1e-4):
            return said
    return "compare the pile with the formula, layer by layer: what does layer k read?"


@exercise("05.5", 2, lambda n: 2 / comb(2 * n, n), [2, 3, 4], relative=0.05)
def separated_by_luck(answer, truth, n):
    """Right: with two seeds one time in three, with three still one in ten."""
    yield truth / 2, "You would have written a paper about the other way round, too."
    row = f"Put all {2 * n} in a row by height: of all choices of {n} places,"
    yield True, f"{row} in how many do a variant's stand together at one end?"


def side_of_most(influence, share=0.95):
    middle = len(influence) // 2
    for reach in range(middle + 1):
        near = slice(middle - reach, middle + reach + 1)
        if influence[near, near].sum() >= share * influence.sum():
            return 2 * reach + 1


def _maps():
    line = np.pad(np.array([[1.0, 2, 94, 2, 1]]), ((4, 4), (2, 2)))
    bell = np.exp(-(np.arange(-20, 21) ** 2) / 50)
    return [(np.ones((7, 7)), 0.4), (line, 0.95), (np.outer(bell, bell), 0.95), (line, 1.0)]


@exercise("05.6", 2, side_of_most, _maps)
def _(answer, truth, influence, share):
    """Right: the smallest square around the middle that holds that share of the influence."""
    yield (truth - 1) // 2, "That is how far it reaches from the middle. The side has two halves."
    yield answer == truth + 1, "A square around one pixel has an odd side."
    yield (influence > 0).any(0).sum(), "That is all that has any influence, however little."
    ranked = np.sort(influence.ravel())[::-1].cumsum()
    strongest = np.searchsorted(ranked, share * ranked[-1] * (1 - 1e-12)) + 1
    yield strongest, "That counts the strongest *pixels*. The question is for a square's side."
    yield truth - 2, "Your square holds a little less than the share."
    yield True, "Let a square grow around the middle until its sum is that share of the whole sum."
