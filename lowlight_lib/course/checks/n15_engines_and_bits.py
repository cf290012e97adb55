"""Exercises of notebook 15."""

import numpy as np
import torch
from torch.nn import functional as F

from .common import answer_of, exercise, hold_all

_B = torch.tensor([[1.0, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
_G = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_A = torch.tensor([[1.0, 1, 1, 0], [0, 1, -1, -1]])


def winograd(x, weight, B, G, A):
    h, w = x.shape[1:]
    weights = G @ weight @ G.T
    tiles = B @ F.pad(x, (1, 1, 1, 1)).unfold(1, 4, 2).unfold(2, 4, 2) @ B.T
    sums = torch.einsum("ocij,cyxij->oyxij", weights, tiles)
    blocks = A @ sums @ A.T
    return weights, tiles, sums, blocks.permute(0, 1, 3, 2, 4).reshape(-1, h, w)


@exercise("15.1", 3, winograd)
def _(function):
    """Right: 16 products for 36, and the result of the sums as written."""
    g = torch.Generator().manual_seed(0)
    x, weight = torch.randn(3, 6, 8, generator=g), torch.randn(5, 3, 3, 3, generator=g)
    answer = answer_of(function, x, weight, _B, _G, _A)
    truth = winograd(x, weight, _B, _G, _A)
    cut = F.pad(x, (1, 1, 1, 1)).unfold(1, 4, 2).unfold(2, 4, 2)
    corner = F.pad(x, (0, 2, 0, 2)).unfold(1, 4, 2).unfold(2, 4, 2)
    flipped = _G @ weight.flip(2, 3) @ _G.T
    slips = (
        [(flipped, "The kernel is not turned round in a network's convolution.")],
        [(cut, "Those are the tiles as they are. Transform them as well."),
         (_B @ corner @ _B.T, "Your first tile begins at the first pixel, without its border.")],
        [(torch.einsum("ocij,cyxjk->oyxik", truth[0], truth[1]),
          "That is a matrix product. Multiply place by place.")],
        [((_A @ truth[2] @ _A.T).reshape(-1, 6, 8),
          "The right numbers in the wrong places: a row of the result has a row of each block.")],
    )  # fmt: skip
    hold_all(answer, truth, slips)


def bits_in_use(channels):
    words = -(-channels // 64)
    return channels / (64 * words)


@exercise("15.2", 1, bits_in_use, [24, 48, 64, 72, 96, 130])
def _(answer, truth, channels):
    """Right: a word is paid for whole. BRVE's widths 24, 48, 72 and 96 all leave bits unused."""
    yield answer > 1, "That is more than there is. How many words does a pixel get?"
    yield True, "Bits that hold a channel, over all bits of the pixel's words; a word has 64."


def sums_of_signs(bits, weights, n):
    h, w = bits.shape[0] - 2, bits.shape[1] - 2
    differ = np.zeros((h, w, weights.shape[3]), np.int64)
    for dy in range(3):
        for dx in range(3):
            for k in range(bits.shape[2]):
                words = bits[dy : dy + h, dx : dx + w, k, None]
                differ += np.bitwise_count(words ^ weights[dy, dx, k])
    return n - 2 * differ


def _words():
    rng = np.random.default_rng(0)
    for channels, outputs, h, w in ((64, 3, 4, 5), (24, 5, 5, 3), (130, 4, 3, 4)):
        words = -(-channels // 64)
        used = np.full(words, 2**64 - 1, np.uint64)
        used[-1] >>= np.uint64(64 * words - channels)
        bits = rng.integers(0, 2**64, (h + 2, w + 2, words), np.uint64) & used
        weights = rng.integers(0, 2**64, (3, 3, words, outputs), np.uint64)
        yield bits, weights & used[:, None], 9 * channels


@exercise("15.3", 3, sums_of_signs, _words)
def _(answer, truth, bits, weights, n):
    """Right, and exact: 64 products at a time, for all words and all places."""
    differ = (n - truth) / 2
    yield differ, "Steps 1 and 2 are right. Step 3: that is how many differ. What is their sum?"
    yield n - differ, "Step 3: each pair that differs takes away one *and* fails to add one."
    yield -truth, "Step 3: the sign is wrong. Where all bits agree, the sum is largest."
    yield (n - 2 * differ % 256), "An integer of 8 bits has run over: add up in a larger type."
    yield (n - 2 * (differ % 256)), "An integer of 8 bits has run over: add up in a larger type."
    first = sums_of_signs(bits[..., :1], weights[:, :, :1], n)
    yield first, "Step 2: a pixel may have more than one word."
    turned = sums_of_signs(bits, weights.swapaxes(0, 1), n)
    yield turned, "Step 2: dy and dx have changed places, for the bits or for the weights."
    mirrored = sums_of_signs(bits, weights[::-1, ::-1], n)
    yield mirrored, "Step 2: the window is turned round. Place (0, 0) is its top left corner."
    yield True, "XOR, count, and add up over nine places and all words; then apply the formula."


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


@exercise("15.4", 3, put_right, _borders)
def _(answer, truth, sums, weights):
    """Right, and exact. It depends on the place, never on the picture: do it beforehand."""
    minus = sums.numpy()
    took = "Outside stood -1, so a weight of +1 took 1 from the sum: give it back."
    yield 2 * minus - truth, took
    yield 2 * truth - minus, "Twice too much: from -1 to 0 is one step, not two."
    inside = (answer != truth)[:, 1:-1, 1:-1].any()
    yield inside, "Inside, nothing was wrong, and now it is."
    yield True, "Which of the nine weights of each channel lie outside, at this pixel? Add them up."
