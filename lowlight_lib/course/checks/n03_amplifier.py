"""Exercises of notebook 03."""

import numpy as np
import torch

from ...blocks.amplifier import LearnedAmplifier, bin_edges, bin_weights
from ...sensor import noise
from .common import ANY, answer_of, exercise, near


@exercise("03.1", 1, lambda mean: mean / (1 - mean), [0.001, 0.01, 0.25], relative=0.01)
def share_that_halves(answer, truth, mean):
    """Right: one lamp pixel in a thousand, where the street has a thousandth of white."""
    yield 0.5, "Half of the pixels move a median, not a mean."
    left = mean / (mean + np.clip(answer, 0, 1) * (1 - mean))
    lamp = "What is left of the old light, and what does white bring?"
    yield True, f"That leaves {left:.3g} of the factor, not a half. {lamp}"


def weight_of(x, edges, weights):
    k = np.searchsorted(edges, x, side="right") - 1  # a bin holds its lower edge
    return weights[k] if k < len(weights) else 0.0  # at 1 the staircase has ended


def _signals():
    edges, weights = bin_edges(), bin_weights()
    inside = [(edges[k] + edges[k + 1]) / 2 for k in (0, 1, 40, len(weights) - 1)]
    for x in [0.0, float(edges[1]), float(edges[57]), *inside, 1.0, 1.2]:
        yield float(x), edges, weights


@exercise("03.2", 2, weight_of, _signals)
def _(answer, truth, x, edges, weights):
    """Right: and what has burnt out weighs nothing at all."""
    ends_at_x = sum(float(w) for high, w in zip(edges[1:], weights, strict=True) if high == x < 1)
    yield ends_at_x or ANY, "So weighs the bin that ends at x. A bin holds its lower edge."
    yield x >= 1, "The last bin goes up to 1 and does not hold it. What is left for x?"
    yield True, "Which bin holds x: between which two neighbouring edges does it lie?"


_GAINS = [(40.0, 5), (90.0, 5), (900.0, 8), (0.3, 2)]


@exercise("03.3", 1, lambda a, m: (np.clip(a * m, 1, 300), np.clip(a, 1, 300) * m), _GAINS)
def two_gains(answer, truth, a, m):
    """Right: at m = 8 the demo's gain can reach 2400."""
    yield truth[::-1], "You have both, the other way round."
    yield answer[1] <= 300, "The demo clips first, and nobody clips after that."
    yield True, "Both clip to [1, 300] once, and both multiply by m once."


def _estimates():
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        ratios = rng.choice([100.0, 250.0, 300.0], 40)
        yield ratios, ratios / 12 * np.exp(rng.normal(0, 0.8, 40))  # at m = 1


@exercise("03.4", 2, lambda r, e: np.exp(np.log(r / e).mean()), _estimates)
def fit_m(answer, truth, ratios, estimates):
    """Right: in logarithms twice too much and half too little weigh the same."""
    louder = "One frame 4 times off shouts louder than one 1/4 off: average logarithms."
    yield (ratios / estimates).mean(), louder
    yield ratios.mean() / estimates.mean(), louder
    upside_down = 1 / truth
    yield upside_down, "Upside down: m multiplies the estimates, and should give the ratios."
    yield True, "The geometric mean of m * estimate / ratio should be 1, and is not."


@exercise("03.5", 1, lambda h, w: (127 * h * w, 2**16 * 8), [(2, 3), (2848, 4256)])
def bytes_needed(answer, truth, h, w):
    """Right: 1.54 GB against 0.52 MB."""
    masks, _ = truth
    yield (masks / 8, ANY), "numpy spends a whole byte on a bool, although a bit would do."
    yield (masks, 8 * h * w), "One count for each *value* of a uint16, not for each pixel."
    yield (masks, ANY), "The counts: how many values has a uint16, and how many bytes an int64?"
    yield True, "The first number is what 127 masks take. How many bytes has one?"


def collapse(amplifier):
    first, second = amplifier.hidden, amplifier.out
    return second.weight @ first.weight, second.weight @ first.bias + second.bias


@exercise("03.6", 3, collapse)
def _(function):
    """Right: 8,321 parameters can say no more than 64."""
    torch.manual_seed(0)
    net = LearnedAmplifier("histogram")
    with torch.no_grad():
        net.out.get_parameter("bias").fill_(40.0)
        shares = torch.rand(16, 63).softmax(1)
        truth = net.out(net.hidden(shares)).flatten()
        answer = answer_of(function, net)
        assert len(answer) == 2, "Return two things: the weights v, and the constant c."
        v, c = (torch.as_tensor(a).detach().float() for a in answer)
        assert v.numel() == 63 and c.numel() == 1, f"""v has {v.numel()} numbers and c {c.numel()};
            they should have 63 and 1. Multiply the two matrices in the order in which they act."""
        wrong = (shares @ v.flatten() + c.flatten()) - truth
    off = wrong.abs().max()
    assert off < 1e-3 or not wrong.std() < 1e-3, f"""v is right, c is off by {off:.3g}: the first
        layer has a bias too, and the second one multiplies it."""
    assert off < 1e-3, f"""On random histograms you are off by up to {off:.3g}. Write out
        W2 (W1 h + b1) + b2 and collect what stands before h."""


@exercise("03.7", 2, lambda x: 0.18 / float(x[x < 1].mean(dtype=np.float64)))
def your_amplifier(function):
    light = np.random.default_rng(0).beta(1.2, 5, (200, 300))  # a street in daylight
    camera = noise.SONY_A7S2

    def seen(ratio, lamp=0.0):
        scene = light.copy()
        scene[: round(200 * lamp)] = 1000  # beyond white at every ratio here
        dark = noise.expose(scene, ratio, camera, 1600, np.random.default_rng(1))
        span = camera.white_level - camera.black_level
        return np.maximum(dark.astype(np.float32) - camera.black_level, 0) / np.float32(span)

    factors = {r: float(answer_of(function, seen(r))) for r in (10, 40, 160)}
    for r, a in factors.items():
        assert 0 < a < np.inf, f"At ratio {r} you answer {a}: a factor is above 0."
    for times in (factors[40] / factors[10], factors[160] / factors[40]):
        assert 3 < times < 5, f"""A quarter of the light, and your factor becomes {times:.2f} times
            as much. Your formula may not know what 0.001 means: only how pixels compare."""
    for lamp in (0.02, 0.05):
        a, b = factors[40], float(function(seen(40, lamp)))
        assert near(b, a, 0.15), f"""A lamp on {lamp:.0%} of the picture moves your factor from
            {a:.3g} to {b:.3g}. What do you know about the pixels of a lamp before you average?"""
    return f"Right: with a quarter of the light {times:.1f} times the factor; no lamp moves it."
