"""Checks of notebook 03."""

import numpy as np
import torch

from ...blocks.amplifier import LearnedAmplifier
from ...sensor import noise
from .common import ANY, Judge, answer_of, near


def share_that_halves(function) -> None:
    """Exercise 03/1.1: function(mean) -> share of pixels at white that halve grey / mean."""
    for mean in (0.001, 0.01, 0.25):
        share = float(answer_of(function, mean))
        times = mean / (mean + np.clip(share, 0, 1) * (1 - mean))  # what is left of the factor
        said = f"Mean {mean:g}: {share:.3g} of the pixels at white leave {times:.3g} of the factor"
        assert not near(share, 0.5), f"{said}. Half of the pixels move a median, not a mean."
        assert near(times, 0.5, 0.005), f"""{said}, not a half. A lamp takes the place of a dark
            pixel: (1 - s) of the old light, and s times 1."""
    print("Right: one lamp pixel in a thousand, where the street has a thousandth of white.")


def weight_of(function, edges, weights) -> None:
    """Exercise 03/2.1: function(x, edges, weights) -> the weight of one signal x."""
    inside = [(edges[k] + edges[k + 1]) / 2 for k in (0, 1, 40, len(weights) - 1)]
    for x in [0.0, float(edges[1]), float(edges[57]), *inside, 1.0, 1.2]:
        bins = list(zip(edges[:-1], edges[1:], weights, strict=True))
        truth = sum(float(w) for low, high, w in bins if low <= x < high)
        beyond = "; the last bin goes up to 1 and does not hold it" if x >= 1 else ""
        hint = Judge(function, (float(x), edges, weights), truth, relative=1e-4)
        ends_at_x = sum(float(w) for _, high, w in bins if high == x < 1) or ANY
        hint[ends_at_x] = "So weighs the bin that ends at x. A bin holds its lower edge."
        hint[...] = f"The bin that holds x has weight {truth:.3g}{beyond}."
    print("Right: and what has burnt out weighs nothing at all.")


def two_gains(function) -> None:
    """Exercise 03/2.2: function(a, m) -> (clip after m, clip before m) of a at m = 1."""
    for a, m in ((40.0, 5), (90.0, 5), (900.0, 8), (0.3, 2)):
        formula, demo = np.clip(a * m, 1, 300), np.clip(a, 1, 300) * m
        hint = Judge(function, (a, m), (formula, demo), relative=1e-6)
        hint[(demo, formula)] = "You have both, the other way round."
        hint[lambda answer: answer[1] <= 300] = "The demo clips first, and nobody clips after that."
        hint[...] = "Both clip to [1, 300] once, and both multiply by m once."
    print(f"Right: at m = 8 the demo's gain can reach {300 * 8}.")


def fit_m(function) -> None:
    """Exercise 03/3.1: function(ratios, estimates) -> the m that makes the geometric mean 1."""
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        ratios = rng.choice([100.0, 250.0, 300.0], 40)
        estimates = ratios / 12 * np.exp(rng.normal(0, 0.8, 40))  # at m = 1
        truth = float(np.exp(np.log(ratios / estimates).mean()))
        louder = "One frame 4 times off shouts louder than one 1/4 off: average logarithms."
        hint = Judge(function, (ratios, estimates), truth, relative=1e-3)
        hint[(ratios / estimates).mean()] = louder
        hint[ratios.mean() / estimates.mean()] = louder
        hint[1 / truth] = "Upside down: m multiplies the estimates, and should give the ratios."
        hint[...] = "The geometric mean of m * estimate / ratio should be 1, and is not."
    print("Right: in logarithms twice too much and half too little weigh the same.")


def bytes_needed(function) -> None:
    """Exercise 03/5.1: function(h, w) -> (bytes of 127 masks, bytes of the counts)."""
    for h, w in ((2, 3), (2848, 4256)):
        masks = 127 * h * w * np.dtype(bool).itemsize
        counts = np.bincount([0], minlength=2**16).astype(np.int64).nbytes
        hint = Judge(function, (h, w), (masks, counts))
        hint[(masks / 8, ANY)] = "numpy spends a whole byte on a bool, although a bit would do."
        hint[(masks, 8 * h * w)] = "One count for each *value* of a uint16, not for each pixel."
        hint[(masks, ANY)] = "The counts are 2^16 numbers of 8 bytes."
        hint[...] = "The first number is what 127 masks take. How many bytes has one?"
    print(f"Right: {masks / 1e9:.2f} GB against {counts / 1e6:.2f} MB.")


def collapse(function) -> None:
    """Exercise 03/6.1: function(amplifier) -> (63 weights v, constant c) of the histogram kind."""
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
    assert off < 1e-3 or wrong.std() > 1e-3, f"""v is right, c is off by {off:.3g}: the first layer
        has a bias too, and the second one multiplies it."""
    assert off < 1e-3, f"""On random histograms you are off by up to {off:.3g}. Write out
        W2 (W1 h + b1) + b2 and collect what stands before h."""
    parameters = sum(p.numel() for p in net.parameters())
    print(f"Right: {parameters:,} parameters can say no more than {v.numel() + c.numel()}.")


def your_amplifier(function) -> None:
    """Exercise 03/7.1: function(x) -> a factor that scales with the light and ignores lamps."""
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
    print(f"Right: with a quarter of the light {times:.1f} times the factor, and no lamp moves it.")
