"""The checks of notebook 14 accept right answers and answer wrong ones with a hint."""

import math

import numpy as np
import torch
from support.checks import laws
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F


def step(low, high):
    return (high - low) / 255


def scale_and_zero(low, high):
    low, high = min(low, 0.0), max(high, 0.0)
    return step(low, high), round(-low / step(low, high))


def too_coarse(low, high):
    scale, zero = scale_and_zero(low, high)
    return scale * 255 / 250, round(zero * 250 / 255)


def traced(example, width, multiple):
    graph = make_fx(lambda x: F.pad(x, (0, -x.shape[-1] % multiple)))(torch.zeros(1, example))
    return graph(torch.zeros(1, width)).shape[-1]


def rounded(bits):
    x, steps = np.random.default_rng(0).random(1_000_000), 2**bits - 1
    return -10 * math.log10(np.mean((np.round(x * steps) / steps - x) ** 2))


def drawn(dbs):
    errors = np.random.default_rng(0).standard_normal((len(dbs), 400_000))
    errors *= 10 ** (-np.array(dbs)[:, None] / 20)
    return -10 * math.log10(np.mean(errors.sum(0) ** 2))


RIGHT = {
    "frozen_width": traced,
    "scale_and_zero": scale_and_zero,
    "psnr_of_bits": rounded,
    "errors_together": drawn,
}
WRONG = [
    ("frozen_width", lambda example, width, multiple: width + -width % multiple, "no longer asks"),
    ("frozen_width", lambda example, width, multiple: example + -example % multiple, "How many"),
    ("scale_and_zero", lambda low, high: (step(low, high), -low / step(low, high)), "whole"),
    ("scale_and_zero", lambda low, high: (step(low, high), 0), "both ends"),
    ("scale_and_zero", lambda low, high: (-1.0, 0), "distance"),
    ("scale_and_zero", too_coarse, "the step can be"),
    ("scale_and_zero", lambda low, high: (step(low, high), 0 if low >= 0 else 64), "both ends"),
    ("psnr_of_bits", lambda bits: 20 * math.log10(2 * (2**bits - 1)), "largest"),
    ("psnr_of_bits", lambda bits: 6.02 * bits, "How long is a step"),
    ("errors_together", lambda d: -20 * math.log10(sum(10 ** (-v / 20) for v in d)), "same way"),
    ("errors_together", lambda dbs: sum(dbs) / len(dbs), "nobody's"),
    ("errors_together", min, "worst alone"),
    ("errors_together", sum, "squares"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
