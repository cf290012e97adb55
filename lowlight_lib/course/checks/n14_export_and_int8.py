"""Exercises of notebook 14."""

import math

import numpy as np
import torch
from torch.nn import functional as F

from .common import answer_of, exercise, hold_all, near

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


@exercise("14.2", 2, scale_and_zero)
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


def threshold(values, method, divergence):
    if method == "min-max":
        return values.max()
    if method == "percentile":
        return np.quantile(values, 0.999)
    counts, edges = np.histogram(values[values > 0], 1024, (0, values.max()))
    candidates = reversed(range(256, 1025, 16))  # of equal ones that which clips less
    best = min(candidates, key=lambda last: divergence(counts, last))
    return edges[best]


@exercise("14.3", 3, threshold)
def _(function):
    """Right: the largest, all but one in a thousand, and the one that loses the least."""
    rng = np.random.default_rng(0)
    values = np.concatenate([np.zeros(4000), rng.exponential(0.1, 20_000), [3.0, 4.0]])
    asked = []

    def far(counts, last):
        """Least at a place that follows from the counts, and at two places equally so."""
        asked.append((np.asarray(counts), int(last)))
        return float(int(last) not in (400, 640))

    steps = ("Step 1", "min-max"), ("Step 1 is right. Step 2", "percentile")
    for said, method in steps:
        found = float(answer_of(function, values, method, far))
        off = f"{said}: for {method!r} you answer {found:.4g}"
        wrong = np.quantile(values, 0.99)
        assert not near(found, wrong, 1e-4), f"{off}. So many lie below it: one in a hundred not."
        wrong = np.quantile(values[values > 0], 0.999)
        assert not near(found, wrong, 1e-4), f"{off}. Here the zeros count as well."
        right = threshold(values, method, far)
        assert near(found, right, 1e-4), f"{off}. How many of the values lie above it?"
    found, said = float(answer_of(function, values, "KL", far)), "Steps 1 and 2 are right. Step 3"
    assert asked, f"{said}: `divergence` was never asked."
    counts = asked[0][0]
    with_zeros = "The zeros are in your histogram: they would win over everything else."
    assert counts.sum() < len(values), f"{said}. {with_zeros}"
    assert len(counts) == 1024, f"{said}: your histogram has {len(counts)} bins."
    right = np.histogram(values[values > 0], 1024, (0, values.max()))
    assert np.array_equal(counts, right[0]), f"{said}: the bins go from 0 to the largest value."
    ends = sorted({last for _, last in asked})
    assert ends == list(range(256, 1025, 16)), f"""{said}: you asked for the ends {ends[:3]} ...
        {ends[-1]}. They begin at 256 and go in steps of 16 up to all of the bins."""
    smaller = near(found, right[1][400], 1e-6)
    assert not smaller, f"{said}: of two that lose equally little, you took that which clips more."
    index = found in (400, 640)
    assert not index, f"{said}: that is the number of a bin. Which value is at its end?"
    assert near(found, threshold(values, "KL", far), 1e-3), f"""{said}: you answer {found:.4g}. Take
        the edge at the end of the bins that are kept, where the divergence is least."""


def int8_conv(x, weight, bias, low, high):
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    zero = round(-low / scale)
    qx = (torch.round(x / scale) + zero).clamp(0, 255)
    scales = weight.abs().amax((1, 2, 3)).clamp(min=1e-12) / 127  # a filter of zeros stays 0
    qw = torch.round(weight / scales.view(-1, 1, 1, 1))
    sums = F.conv2d((qx - zero).double(), qw.double(), padding=weight.shape[-1] // 2)
    result = scale * scales.view(-1, 1, 1) * sums + bias.view(-1, 1, 1)
    return qx, qw, sums, result.float()


@exercise("14.4", 3, int8_conv)
def _(function):
    """Right: whole numbers all the way, and floats only at the end."""
    g = torch.Generator().manual_seed(0)
    for k, low, high in ((3, -0.5, 1.0), (5, 0.0, 0.8)):
        x = torch.rand(2, 6, 9, 11, generator=g) * 2 - 0.7
        weight = torch.randn(4, 6, k, k, generator=g)
        weight *= torch.tensor([1, 0.2, 3, 0.5]).view(-1, 1, 1, 1)
        bias = torch.randn(4, generator=g)
        answer = answer_of(function, x, weight, bias, low, high)
        truth = int8_conv(x, weight, bias, low, high)
        scale, zero = scale_and_zero(low, high)
        whole = weight.abs().max() / 127
        slips = (
            [(truth[0] - zero, "That has lost its zero point: it lies between 0 and 255."),
             ((x / scale).round() + zero, "What lies outside of 0 to 255 has to be clipped.")],
            [((weight / whole).round(), "That is one scale for all filters: each has its own.")],
            [(F.conv2d(truth[0].double(), truth[1].double(), padding=k // 2),
              "The zero point is still in it."),
             (_padded_late(truth, zero, k), "A whole 0 stands at the border: which float is it?")],
            [(truth[3] - bias.view(-1, 1, 1), "And the bias?"),
             (scale * truth[2] + bias.view(-1, 1, 1), "The scales of the filters are missing.")],
        )  # fmt: skip
        hold_all(answer, truth, slips)


def _padded_late(truth, zero, k):
    """Sums where the border is a whole 0, which stands for another number."""
    padded = F.pad(truth[0], (k // 2,) * 4) - zero
    return F.conv2d(padded.double(), truth[1].double()) if zero else torch.zeros(0)


def restored(layers, error):
    nothing = error(())
    gains = {layer: 10 * math.log10(nothing / error((layer,))) for layer in layers}
    return {
        layer: gains[layer] for layer in sorted(gains, key=lambda layer: gains[layer], reverse=True)
    }


@exercise("14.5", 2, restored)
def _(function):
    """Right: one layer at a time, against the network in which nothing is restored."""
    parts, asked = {"first": 0.5, "middle": 4.0, "last": 1.5}, []

    def error(keep):
        assert isinstance(keep, tuple | list), """`keep` is a tuple of names: with one name in it,
            it needs a comma."""
        asked.append(tuple(keep))
        return sum(e for name, e in parts.items() if name not in keep)

    found = answer_of(function, list(parts), error)
    assert isinstance(found, dict) and set(found) == set(parts), "Return a gain for each layer."
    assert max(map(len, asked)) == 1, "Restore one layer at a time, not several together."
    truth = restored(list(parts), error)
    for name, gain in found.items():
        said, right = f"Restoring {name!r} gains {float(gain):.3g} dB, you say", truth[name]
        assert not near(gain, -right), f"{said}. An error that gets smaller is a gain."
        half = near(gain, right / 2)
        assert not half, f"{said}. `error` is a squared error already: 10 times its log10."
        natural = near(gain, right * math.log(10))
        assert not natural, f"{said}. Decibels are of the logarithm to base 10."
        assert near(gain, right), f"{said}. Compare with the error where nothing is restored."
    assert list(found) == list(truth), "All gains are right. Put the most useful layer first."
