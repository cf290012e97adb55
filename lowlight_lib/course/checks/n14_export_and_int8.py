"""Exercises of notebook 14."""

import math

import numpy as np
import torch

from .common import answer_of, exercise, near

_WIDTHS = [(16, 20, 8), (6, 7, 8), (6, 9, 8), (30, 62, 32)]


@exercise("14.1", 1, lambda example, width, multiple: width + -example % multiple, _WIDTHS)
def frozen_width(answer, truth, example, width, multiple):
    """Right: the example's answer to every picture. It fits only by luck."""
    asked = "The graph no longer asks for the width: what was written into it?"
    yield width + -width % multiple, f"So the *function* would. {asked}"
    yield True, f"How many columns did the example need? {asked}"


def scale_and_zero(low, high):
    low, high = min(low, 0.0), max(high, 0.0)  # 0 is always among them
    scale = (high - low) / 255
    return scale, round(-low / scale)


@exercise("14.2", 3, scale_and_zero)
def _(function):
    """Right: 255 steps from end to end, one of them exactly at 0."""
    for low, high in ((-0.5, 1.5), (0.0, 6.0), (1.0, 5.0), (-3.0, -1.0)):
        scale, zero = map(float, answer_of(function, low, high))
        case = f"Numbers from {low:g} to {high:g}: scale {scale:.4g}, zero point {zero:.4g}"
        assert scale > 0, f"{case}. A scale is a distance between two neighbours."
        assert zero.is_integer() and 0 <= zero <= 255, f"""{case}. 0 has to be one of the 256
            numbers exactly, for ReLUs and borders, so its place is a whole number from 0 to 255."""
        hint = "255 steps, not 256, lie between the lowest and the highest of 256 numbers."
        if low > 0 or high < 0:
            hint = "0 is not between them, and still must be there: widen the range up to it."
        x = torch.linspace(low, high, 1001)
        rounded = torch.fake_quantize_per_tensor_affine(x, scale, int(zero), 0, 255)
        error, step = (rounded - x).abs().max(), scale_and_zero(low, high)[0]
        assert error <= 1.02 * step, f"""{case}. The worst of them is then off by {error:.3g}. Are
            both ends of the range still reached?"""
        assert near(scale, step, 0.003), f"{case}, but the step can be smaller. {hint}"


def psnr_of_bits(bits):
    step = 1 / (2**bits - 1)
    return -10 * np.log10(step**2 / 12)


@exercise("14.3", 2, psnr_of_bits, [4, 6, 8], absolute=0.15)
def _(answer, truth, bits):
    """Right: 6.02 dB a bit, and 58.9 dB with eight."""
    largest = 20 * math.log10(2 * (2**bits - 1))
    yield largest, "Half a step is the *largest* error, not its RMS."
    yield True, "How long is a step between 2^b numbers, and what is its error's mean square?"


def errors_together(dbs):
    return -10 * np.log10(sum(10 ** (-db / 10) for db in dbs))


@exercise("14.4", 2, errors_together, [[40.0, 30.0], [40.0, 40.0], [45.0] * 10], absolute=0.05)
def _(answer, truth, dbs):
    """Right: ten layers of 45 dB leave 35.0. Beside a bad one the good ones vanish."""
    aligned = -20 * math.log10(sum(10 ** (-db / 20) for db in dbs))
    yield aligned, "So it would be if all errors pointed the same way. These do not."
    yield sum(dbs) / len(dbs), "A mean of logarithms is nobody's error."
    yield min(dbs), "The worst alone. The others are still there."
    yield True, "What adds up when errors are independent: they, or their squares?"
