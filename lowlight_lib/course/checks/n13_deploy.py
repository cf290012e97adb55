"""Checks of notebook 13."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F

from .common import answer_of, near


def frozen_width(function) -> None:
    """Exercise 13/1.1: function(example, width, multiple) -> width that a blind trace gives."""
    from torch.fx.experimental.proxy_tensor import make_fx

    def traced(example, width, multiple):
        def padded(x):
            return F.pad(x, (0, -x.shape[-1] % multiple))

        return make_fx(padded)(torch.zeros(1, example))(torch.zeros(1, width)).shape[-1]

    for example, width, multiple in ((16, 20, 8), (6, 7, 8), (6, 9, 8), (30, 62, 32)):
        truth = traced(example, width, multiple)
        answer = answer_of(function, example, width, multiple)
        wanted = width + -width % multiple
        case = f"Traced at {example}, run at {width}, multiples of {multiple}: you say {answer}"
        assert answer == truth or answer != wanted, (
            f"{case}, which is what the *function* would give. The graph no longer asks for the "
            "width: what was written into it?"
        )
        assert answer == truth, (
            f"{case}, and we traced it: {truth}. How many columns did the example need?"
        )
    print("Right: the example's answer to every picture. It fits only by luck.")


def scale_and_zero(function) -> None:
    """Exercise 13/2.1: function(low, high) -> (scale, zero point) for unsigned 8 bits."""
    for low, high in ((-0.5, 1.5), (0.0, 6.0), (1.0, 5.0), (-3.0, -1.0)):
        scale, zero = answer_of(function, low, high)
        case = f"Numbers from {low:g} to {high:g}: scale {scale:.4g}, zero point {zero:.4g}"
        assert scale > 0, f"{case}. A scale is a distance between two neighbours."
        assert float(zero).is_integer() and 0 <= zero <= 255, (
            f"{case}. 0 has to be one of the 256 numbers exactly, because zeros are what a ReLU "
            "and a border are made of; so its place is a whole number from 0 to 255."
        )
        if low > 0 or high < 0:
            hint = "0 is not between them, and still must be there: widen the range up to it."
        else:
            hint = "255 steps, not 256, lie between the lowest and the highest of 256 numbers."
        x = torch.linspace(low, high, 1001)
        error = (
            torch.fake_quantize_per_tensor_affine(x, float(scale), int(zero), 0, 255) - x
        ).abs()
        span = max(high, 0.0) - min(low, 0.0)
        assert error.max() <= 1.02 * span / 255, (
            f"{case}. The worst of them is then off by {error.max():.3g}, and half a step would be "
            f"{span / 510:.3g}. Are both ends of the range still reached?"
        )
        assert near(scale, span / 255, 0.003), (
            f"{case}, but the step can be {span / 255:.4g}. {hint}"
        )
    print("Right: 255 steps from end to end, one of them exactly at 0.")


def psnr_of_bits(function) -> None:
    """Exercise 13/2.2: function(bits) -> PSNR in dB of numbers in [0, 1] rounded to 2^bits."""
    x = np.random.default_rng(0).random(1_000_000)
    for bits in (4, 6, 8):
        steps = 2**bits - 1
        truth = -10 * math.log10(np.mean((np.round(x * steps) / steps - x) ** 2))
        answer = float(answer_of(function, bits))
        case = f"{bits} bits: you say {answer:.1f} dB, a million random numbers say {truth:.1f}"
        worst = 20 * math.log10(2 * steps)
        assert abs(answer - truth) < 0.15 or abs(answer - worst) > 0.15, (
            f"{case}. Half a step is the *largest* error. What is the root of the mean square of "
            "what is anywhere between 0 and half a step?"
        )
        assert abs(answer - truth) < 0.15, (
            f"{case}. How long is a step, and what is the mean square of an error that is anywhere "
            "between minus and plus half of it? PSNR is -10 log10 of that."
        )
    print(f"Right: 6.02 dB a bit, and {truth:.1f} dB with eight.")


def errors_together(function) -> None:
    """Exercise 13/3.1: function(dbs) -> signal over error in dB of independent errors together."""
    rng = np.random.default_rng(0)
    for dbs in ((40.0, 30.0), (40.0, 40.0), (45.0,) * 10):
        errors = rng.standard_normal((len(dbs), 400_000)) * 10 ** (-np.array(dbs)[:, None] / 20)
        truth = -10 * math.log10(np.mean(errors.sum(0) ** 2))
        answer = float(answer_of(function, list(dbs)))
        said = ", ".join(f"{db:g}" for db in dbs[:3]) + ", ..." * (len(dbs) > 3)
        case = f"{said} dB: you say {answer:.1f}, and a simulation {truth:.1f}"
        straight = -20 * math.log10(sum(10 ** (-db / 20) for db in dbs))
        hint = "What adds up when errors know nothing of each other: they, or their squares?"
        if abs(answer - straight) < 0.1:
            hint = "So it would be if all errors pointed the same way. These know nothing of it."
        elif abs(answer - np.mean(dbs)) < 0.1:
            hint = "A mean of logarithms is nobody's error."
        elif abs(answer - min(dbs)) < 0.1:
            hint = "The worst alone. The others are still there."
        assert abs(answer - truth) < 0.05, f"{case}. {hint}"
    print(
        f"Right: ten layers of 45 dB leave {truth:.1f}, and beside a bad one the good ones vanish."
    )


def bits_in_use(function) -> None:
    """Exercise 13/5.1: function(channels) -> share of the bits of a pixel's words in use."""
    from ...deploy.bitpacked.blocks import PackedConv

    for channels in (24, 48, 64, 72, 96, 130):
        bits = np.zeros((8, -(-channels // 8)), np.uint8)
        words = PackedConv(bits, (8, channels, 1, 1)).words
        truth, answer = channels / (64 * words), float(answer_of(function, channels))
        case = f"{channels} channels: you say {answer:.3f}"
        assert near(answer, truth, 1e-6) or not near(answer, channels / 64, 1e-6), (
            f"{case}, more than there is. How many words does a pixel get?"
        )
        assert near(answer, truth, 1e-6), (
            f"{case}. The library's layer has {words} word{'s'[: words != 1]} of 64 bits a pixel."
        )
    print("Right: a word is paid for whole. BRVE's widths 24, 48, 72 and 96 all leave bits unused.")


def put_right(function) -> None:
    """Exercise 13/5.2: function(sums, weights) -> what zeros at the border would have given."""
    g = torch.Generator().manual_seed(0)
    for c, o, h, w in ((3, 2, 4, 5), (24, 8, 6, 3), (5, 4, 1, 7)):
        signs, weights = (
            torch.randint(0, 2, s, generator=g).float() * 2 - 1
            for s in ((1, c, h, w), (o, c, 3, 3))
        )
        truth = F.conv2d(signs, weights, padding=1)[0]
        minus = F.conv2d(F.pad(signs, (1, 1, 1, 1), value=-1.0), weights)[0]
        answer = torch.as_tensor(answer_of(function, minus.clone(), weights))
        assert answer.shape == truth.shape, (
            f"{tuple(answer.shape)} came back, of {tuple(truth.shape)}."
        )
        assert h < 3 or torch.equal(answer[:, 1:-1, 1:-1], truth[:, 1:-1, 1:-1]), (
            "Inside, nothing was wrong, and now it is. Only what lies outside counts."
        )
        assert not torch.equal(answer, 2 * minus - truth), (
            "Added where it should be taken away, or the other way round: outside stood -1, so a "
            "weight of +1 took 1 from the sum."
        )
        assert not torch.equal(answer, 2 * truth - minus), (
            "Twice too much: from -1 to 0 is one step, not two."
        )
        assert torch.equal(answer, truth), (
            "Not yet. Which of the nine weights of each channel lie outside, at this pixel? Their "
            "sum, over all channels, is what -1 has cost. (A convolution of a picture that is 1 "
            "outside and 0 inside adds them up for all pixels at once.)"
        )
    print(
        "Right, and exact. It depends on the place alone, never on the picture: do it beforehand."
    )
