"""Exercises of notebook 15."""

import torch
from torch.nn import functional as F

from .common import exercise


def bits_in_use(channels):
    words = -(-channels // 64)
    return channels / (64 * words)


@exercise("15.1", 1, bits_in_use, [24, 48, 64, 72, 96, 130])
def _(answer, truth, channels):
    """Right: a word is paid for whole. BRVE's widths 24, 48, 72 and 96 all leave bits unused."""
    yield answer > 1, "That is more than there is. How many words does a pixel get?"
    yield True, "Bits that hold a channel, over all bits of the pixel's words; a word has 64."


def put_right(sums, weights):
    outside = F.pad(torch.zeros(1, 1, *sums.shape[1:]), (1, 1, 1, 1), value=1.0)
    return sums + F.conv2d(outside, weights.sum(1, keepdim=True))[0]


def _borders():
    g = torch.Generator().manual_seed(0)
    for c, o, h, w in ((3, 2, 4, 5), (24, 8, 6, 3), (5, 4, 1, 7)):
        signs, weights = (
            torch.randint(0, 2, s, generator=g).float() * 2 - 1
            for s in ((1, c, h, w), (o, c, 3, 3))
        )
        yield F.conv2d(F.pad(signs, (1, 1, 1, 1), value=-1.0), weights)[0], weights


@exercise("15.2", 3, put_right, _borders)
def _(answer, truth, sums, weights):
    """Right, and exact. It depends on the place, never on the picture: do it beforehand."""
    minus = sums.numpy()
    took = "Outside stood -1, so a weight of +1 took 1 from the sum: give it back."
    yield 2 * minus - truth, took
    yield 2 * truth - minus, "Twice too much: from -1 to 0 is one step, not two."
    inside = (answer != truth)[:, 1:-1, 1:-1].any()
    yield inside, "Inside, nothing was wrong, and now it is."
    outside = "Which of the nine weights of each channel lie outside, at this pixel?"
    yield True, f"{outside} Convolve a picture that is 1 outside and 0 inside."
