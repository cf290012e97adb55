"""The checks of notebook 15 accept right answers and answer wrong ones with a hint."""

import numpy as np
import torch
from support.checks import laws
from torch.nn import functional as F

from lowlight_lib.deploy.bitpacked.blocks import PackedConv


def tiled(x, weight, B, G, A, start=-1):
    """Tile by tile, with the sums as they are written at the end."""
    _, h, w = x.shape
    big = F.pad(x, (4, 4, 4, 4))
    tiles = torch.stack([
        torch.stack([
            B @ big[:, y + 4 + start : y + 8 + start, z + 4 + start : z + 8 + start] @ B.T
            for z in range(0, w, 2)
        ], 1)
        for y in range(0, h, 2)
    ], 1)  # fmt: skip
    weights = torch.stack([torch.stack([G @ g @ G.T for g in its]) for its in weight])
    sums = (weights[:, :, None, None] * tiles[None]).sum(1)
    return weights, tiles, sums, F.conv2d(x[None], weight, padding=1)[0]


def slip(place, change):
    def answer(x, weight, B, G, A):
        found = list(tiled(x, weight, B, G, A))
        found[place] = change(found, x, weight, B, G, A)
        return tuple(found)

    return answer


def outside(sums, weights):
    ring = F.pad(torch.zeros(1, 1, *sums.shape[1:]), (1, 1, 1, 1), value=1.0)
    return F.conv2d(ring, weights.sum(1, keepdim=True))[0]


def used(channels):
    bits = np.zeros((8, -(-channels // 8)), np.uint8)
    return channels / (64 * PackedConv(bits, (8, channels, 1, 1)).words)


def signs_of(words):
    """(..., words, axis) or (..., words) of uint64 -> ±1 for each bit."""
    return 2.0 * np.unpackbits(words.view(np.uint8), axis=-1, bitorder="little") - 1


def by_floats(bits, weights, n):
    """Bits unpacked, one PyTorch convolution; what fills up agrees and is taken off again."""
    x = torch.from_numpy(signs_of(np.ascontiguousarray(bits))).permute(2, 0, 1)
    w = np.ascontiguousarray(weights.transpose(3, 0, 1, 2))
    w = torch.from_numpy(signs_of(w)).permute(0, 3, 1, 2)
    filling = 9 * len(x) - n
    return (F.conv2d(x[None], w)[0].permute(1, 2, 0) - filling).numpy()


def differing(bits, weights, n):
    return (n - by_floats(bits, weights, n)) / 2


RIGHT = {
    "winograd": tiled,
    "bits_in_use": used,
    "sums_of_signs": by_floats,
    "put_right": lambda sums, weights: sums + outside(sums, weights),
}
WRONG = [
    ("winograd", lambda *given: tiled(*given)[3], "Return 4 tensors"),
    ("winograd", lambda *given: (tiled(*given)[0][:1], *tiled(*given)[1:]), "shape"),
    ("winograd", slip(0, lambda f, x, w, B, G, A: G @ w.flip(2, 3) @ G.T), "turned round"),
    ("winograd", slip(0, lambda f, *_: f[0] + 1), "Step 1: you are off"),
    ("winograd", slip(1, lambda f, *given: tiled(*given, start=0)[1]), "without its border"),
    ("winograd", slip(1, lambda f, x, w, B, *_: torch.linalg.inv(B) @ f[1] @ torch.linalg.inv(B.T)),
     "Transform them"),
    ("winograd", slip(2, lambda f, *_: torch.einsum("ocij,cyxjk->oyxik", f[0], f[1])), "by place"),
    ("winograd", slip(3, lambda f, x, w, B, G, A: (A @ f[2] @ A.T).reshape(5, 6, 8)), "places"),
    ("bits_in_use", lambda channels: channels / 64, "more than there is"),
    ("bits_in_use", lambda channels: min(channels / 64, 1), "a word has 64"),
    ("sums_of_signs", differing, "how many differ"),
    ("sums_of_signs", lambda *given: given[2] - differing(*given), "fails to add"),
    ("sums_of_signs", lambda *given: -by_floats(*given), "sign is wrong"),
    ("sums_of_signs", lambda *given: given[2] - 2 * (differing(*given) % 256), "8 bits|how many"),
    ("sums_of_signs", lambda b, w, n: by_floats(b, w.swapaxes(0, 1), n), "changed places"),
    ("sums_of_signs", lambda b, w, n: by_floats(b, w[::-1, ::-1], n), "turned round"),
    ("sums_of_signs", lambda *given: 0 * by_floats(*given) + 1.5, "then apply"),
    ("put_right", lambda sums, weights: sums - outside(sums, weights), "took 1 from the sum"),
    ("put_right", lambda sums, weights: sums + 2 * outside(sums, weights), "Twice"),
    ("put_right", lambda sums, weights: sums, "nine weights"),
    ("put_right", lambda sums, weights: sums + weights.sum(), "Inside"),
]  # fmt: skip
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_a_kernel_that_reads_one_word_of_a_pixel_is_told_so():
    """Only the last case has more than one, so the others must have been right."""
    from support.checks import refuses

    def first_word(bits, weights, n):
        if bits.shape[2] == 1:
            return by_floats(bits, weights, n)
        return by_floats(bits[..., :1], weights[:, :, :1], n)

    refuses("sums_of_signs", first_word, "more than one word")
