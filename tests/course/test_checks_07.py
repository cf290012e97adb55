"""The checks of notebook 07 accept right answers and answer wrong ones with a hint."""

import math

import numpy as np
import torch
from support.checks import laws

from lowlight_lib.blocks.binary import DABC2d


def normal(x, t, sigma):
    return (x - t) / (sigma * 2**0.5)


def bits(macs, binary):
    return macs / (macs - binary + binary / 64)


def pixels_seen(attention, kernel, h, w):
    """How many pixels of the input, changed one by one, change the output in the middle."""
    torch.manual_seed(0)
    block, x = DABC2d(4, kernel, attention=attention), torch.randn(1, 4, h, w)
    one = torch.eye(h * w).view(-1, 1, h, w)
    with torch.inference_mode():
        # Far over the threshold in one pixel of each item; none in the last.
        y = block(x - 10 * x.sign() * torch.cat([one, 0 * one[:1]]))[..., h // 2, w // 2]
    return int(((y[:-1] - y[-1]).abs() > 1e-6).any(1).sum())


def drawn_flips(n, density, d):
    rng = np.random.default_rng(0)
    z = rng.normal(0, 1 / (density * (2 * math.pi) ** 0.5), n)
    return (np.sign(z) != np.sign(z + d * rng.choice([-1, 1], n))).sum()


RIGHT = {
    "pixels_seen": pixels_seen,
    "expected_flips": drawn_flips,
    "times_cheaper_with_bits": bits,
}
WRONG = [
    ("pixels_seen", lambda attention, k, h, w: k * k, "from which pixels"),
    ("pixels_seen", lambda attention, k, h, w: h * w, "one pixel after the other"),
    ("expected_flips", lambda n, p, d: 2 * n * p * d, "half of them"),
    ("expected_flips", lambda n, p, d: n * d * d, "which length"),
    ("times_cheaper_with_bits", lambda m, b: 64, "bits alone"),
    ("times_cheaper_with_bits", lambda m, b: 64 * b / m, "does not vanish"),
    ("times_cheaper_with_bits", lambda m, b: 1 / bits(m, b), "upside down"),
    ("times_cheaper_with_bits", lambda m, b: m / (m - b), "Old cost"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
