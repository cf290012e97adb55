"""Checks of notebook 13."""

import math

import torch
from torch.nn import functional as F

from .common import Judge, answer_of, near


def frozen_width(function) -> None:
    """Exercise 13/1.1: function(example, width, multiple) -> width that a blind trace gives."""
    for example, width, multiple in ((16, 20, 8), (6, 7, 8), (6, 9, 8), (30, 62, 32)):
        truth = width + -example % multiple
        hint = Judge(function, (example, width, multiple), truth, relative=0)
        asked = "The graph no longer asks for the width: what was written into it?"
        hint[width + -width % multiple] = f"So the *function* would. {asked}"
        hint[...] = f"A traced graph gives {truth}. How many columns did the example need?"
    print("Right: the example's answer to every picture. It fits only by luck.")


def scale_and_zero(function) -> None:
    """Exercise 13/2.1: function(low, high) -> (scale, zero point) for unsigned 8 bits."""
    for low, high in ((-0.5, 1.5), (0.0, 6.0), (1.0, 5.0), (-3.0, -1.0)):
        scale, zero = answer_of(function, low, high)
        case = f"Numbers from {low:g} to {high:g}: scale {scale:.4g}, zero point {zero:.4g}"
        assert scale > 0, f"{case}. A scale is a distance between two neighbours."
        assert float(zero).is_integer() and 0 <= zero <= 255, f"""{case}. 0 has to be one of the 256
            numbers exactly, for ReLUs and borders, so its place is a whole number from 0 to 255."""
        hint = "255 steps, not 256, lie between the lowest and the highest of 256 numbers."
        if low > 0 or high < 0:
            hint = "0 is not between them, and still must be there: widen the range up to it."
        x = torch.linspace(low, high, 1001)
        rounded = torch.fake_quantize_per_tensor_affine(x, float(scale), int(zero), 0, 255)
        error, step = (rounded - x).abs().max(), (max(high, 0.0) - min(low, 0.0)) / 255
        assert error <= 1.02 * step, f"""{case}. The worst of them is then off by {error:.3g}. Are
            both ends of the range still reached?"""
        assert near(scale, step, 0.003), f"{case}, but the step can be {step:.4g}. {hint}"
    print("Right: 255 steps from end to end, one of them exactly at 0.")


def psnr_of_bits(function) -> None:
    """Exercise 13/2.2: function(bits) -> PSNR in dB of numbers in [0, 1] rounded to 2^bits."""
    for bits in (4, 6, 8):
        steps = 2**bits - 1
        truth = 10 * math.log10(12 * steps**2)
        hint = Judge(function, (bits,), truth, relative=0, absolute=0.15)
        hint[20 * math.log10(2 * steps)] = "Half a step is the *largest* error, not its RMS."
        hint[...] = f"It is {truth:.1f} here. How long is a step, and its error's mean square?"
    print(f"Right: 6.02 dB a bit, and {truth:.1f} dB with eight.")


def errors_together(function) -> None:
    """Exercise 13/3.1: function(dbs) -> signal over error in dB of independent errors together."""
    for dbs in ([40.0, 30.0], [40.0, 40.0], [45.0] * 10):
        truth = -10 * math.log10(sum(10 ** (-db / 10) for db in dbs))
        hint = Judge(function, (dbs,), truth, relative=0, absolute=0.05)
        aligned = -20 * math.log10(sum(10 ** (-db / 20) for db in dbs))
        hint[aligned] = "So it would be if all errors pointed the same way. These do not."
        hint[sum(dbs) / len(dbs)] = "A mean of logarithms is nobody's error."
        hint[min(dbs)] = "The worst alone. The others are still there."
        hint[...] = "What adds up when errors are independent: they, or their squares?"
    print(f"Right: ten layers of 45 dB leave {truth:.1f}. Beside a bad one the good ones vanish.")


def bits_in_use(function) -> None:
    """Exercise 13/5.1: function(channels) -> share of the bits of a pixel's words in use."""
    for channels in (24, 48, 64, 72, 96, 130):
        words = -(-channels // 64)
        hint = Judge(function, (channels,), channels / (64 * words), relative=1e-6)
        hint[channels / 64] = "That is more than there is. How many words does a pixel get?"
        hint[...] = f"A pixel has {64 * words} bits here, in words of 64."
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
        outside = 2 * minus - truth, 2 * truth - minus
        hint = Judge(function, (minus.clone(), weights), truth, relative=0)
        hint[outside[0]] = "Outside stood -1, so a weight of +1 took 1 from the sum: give it back."
        hint[outside[1]] = "Twice too much: from -1 to 0 is one step, not two."
        wrong = hint.answer != truth.numpy()
        assert not wrong[:, 1:-1, 1:-1].any(), "Inside, nothing was wrong, and now it is."
        hint[...] = """Which of the nine weights of each channel lie outside, at this pixel? Their
            sum is what -1 has cost. (Convolve a picture that is 1 outside and 0 inside.)"""
    print("Right, and exact. It depends on the place, never on the picture: do it beforehand.")
