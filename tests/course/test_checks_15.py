"""The checks of notebook 15 accept right answers and answer wrong ones with a hint."""

import numpy as np
import torch
from support.checks import laws
from torch.nn import functional as F

from lowlight_lib.deploy.bitpacked.blocks import PackedConv


def outside(sums, weights):
    ring = F.pad(torch.zeros(1, 1, *sums.shape[1:]), (1, 1, 1, 1), value=1.0)
    return F.conv2d(ring, weights.sum(1, keepdim=True))[0]


def used(channels):
    bits = np.zeros((8, -(-channels // 8)), np.uint8)
    return channels / (64 * PackedConv(bits, (8, channels, 1, 1)).words)


RIGHT = {
    "bits_in_use": used,
    "put_right": lambda sums, weights: sums + outside(sums, weights),
}
WRONG = [
    ("bits_in_use", lambda channels: channels / 64, "more than there is"),
    ("bits_in_use", lambda channels: min(channels / 64, 1), "a word has 64"),
    ("put_right", lambda sums, weights: sums - outside(sums, weights), "took 1 from the sum"),
    ("put_right", lambda sums, weights: sums + 2 * outside(sums, weights), "Twice"),
    ("put_right", lambda sums, weights: sums, "nine weights"),
    ("put_right", lambda sums, weights: sums + weights.sum(), "Inside"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
