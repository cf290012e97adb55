"""The checks of notebook 13: right answers pass, likely wrong ones are told what to think about."""

import math

import numpy as np
import torch
from support.checks import refuses
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F

from lowlight_lib.course import checks
from lowlight_lib.deploy.bitpacked.blocks import PackedConv


def test_frozen_width(capsys):
    check = checks.frozen_width

    def traced(example, width, multiple):
        graph = make_fx(lambda x: F.pad(x, (0, -x.shape[-1] % multiple)))(torch.zeros(1, example))
        return graph(torch.zeros(1, width)).shape[-1]

    check(traced)
    assert "luck" in capsys.readouterr().out
    refuses(check, lambda example, width, multiple: width + -width % multiple, "no longer asks")
    refuses(check, lambda example, width, multiple: example + -example % multiple, "How many")
    refuses(check, lambda *a: None, "return")


def scale_and_zero(low, high):
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    return scale, round(-low / scale)


def test_scale_and_zero():
    check = checks.scale_and_zero
    check(scale_and_zero)
    refuses(check, lambda low, high: ((high - low) / 255, -255 * low / (high - low)), "whole")
    refuses(check, lambda low, high: ((high - low) / 255, 0), "both ends")
    refuses(check, lambda low, high: (-1.0, 0), "distance")

    def too_coarse(low, high):
        scale, zero = scale_and_zero(low, high)
        return scale * 255 / 250, round(zero * 250 / 255)

    refuses(check, too_coarse, "the step can be")
    refuses(check, lambda low, high: ((high - low) / 255, 0 if low >= 0 else 64), "both ends")


def test_psnr_of_bits():
    check = checks.psnr_of_bits

    def rounded(bits):
        x, steps = np.random.default_rng(0).random(1_000_000), 2**bits - 1
        return -10 * math.log10(np.mean((np.round(x * steps) / steps - x) ** 2))

    check(rounded)
    refuses(check, lambda bits: 20 * math.log10(2 * (2**bits - 1)), "largest")
    refuses(check, lambda bits: 6.02 * bits, "How long is a step")


def test_errors_together():
    check = checks.errors_together

    def drawn(dbs):
        errors = np.random.default_rng(0).standard_normal((len(dbs), 400_000))
        errors *= 10 ** (-np.array(dbs)[:, None] / 20)
        return -10 * math.log10(np.mean(errors.sum(0) ** 2))

    check(drawn)
    refuses(check, lambda dbs: -20 * math.log10(sum(10 ** (-db / 20) for db in dbs)), "same way")
    refuses(check, lambda dbs: sum(dbs) / len(dbs), "nobody's")
    refuses(check, min, "worst alone")
    refuses(check, lambda dbs: sum(dbs), "squares")


def test_bits_in_use():
    check = checks.bits_in_use

    def used(channels):
        bits = np.zeros((8, -(-channels // 8)), np.uint8)
        return channels / (64 * PackedConv(bits, (8, channels, 1, 1)).words)

    check(used)
    refuses(check, lambda channels: channels / 64, "more than there is")
    refuses(check, lambda channels: min(channels / 64, 1), "words of 64")


def outside_sums(sums, weights):
    outside = F.pad(torch.zeros(1, 1, *sums.shape[1:]), (1, 1, 1, 1), value=1.0)
    return F.conv2d(outside, weights.sum(1, keepdim=True))[0]


def test_put_right(capsys):
    check = checks.put_right
    check(lambda sums, weights: sums + outside_sums(sums, weights))
    assert "exact" in capsys.readouterr().out
    refuses(check, lambda sums, weights: sums - outside_sums(sums, weights), "took 1 from the sum")
    refuses(check, lambda sums, weights: sums + 2 * outside_sums(sums, weights), "Twice")
    refuses(check, lambda sums, weights: sums, "nine weights")
    refuses(check, lambda sums, weights: sums + weights.sum(), "Inside")
    refuses(check, lambda sums, weights: sums[:1], "numbers of shape")
