"""Exercises of notebook 03."""

import tracemalloc
from typing import Any

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


_GAINS = [(40.0, 5), (90.0, 5), (900.0, 8), (0.3, 2)]


@exercise("03.2", 1, lambda a, m: (np.clip(a * m, 1, 300), np.clip(a, 1, 300) * m), _GAINS)
def two_gains(answer, truth, a, m):
    """Right: at m = 8 the demo's gain can reach 2400."""
    yield truth[::-1], "You have both, the other way round."
    yield answer[1] <= 300, "The demo clips first, and nobody clips after that."
    yield True, "Both clip to [1, 300] once, and both multiply by m once."


def weighted_estimate(
    mosaic, black, white, edges, weights, m=1.0, *, side: Any = "right", last=0.0
):
    staircase = np.append(weights, np.float32(last))  # one more, for what is burnt out
    weight, light, flat = 0.0, 0.0, mosaic.reshape(-1)
    for start in range(0, flat.size, 1 << 20):
        strip = flat[start : start + (1 << 20)].astype(np.float32)
        x = np.maximum(strip - np.float32(black), 0) / np.float32(white - black)
        w = staircase[np.searchsorted(edges, x, side=side) - 1]
        weight += w.sum(dtype=np.float64)
        light += (w * x).sum(dtype=np.float64)
    if light == 0:
        return 300.0 if weight > 0 else 1.0
    return float(np.clip(np.float32(0.01 * weight / light) * np.float32(m), 1, 300))


_COARSE = np.array([0, 2**-11, 1]), np.array([1, 0.1], np.float32)  # two bins
_FINE = bin_edges(), bin_weights()


@exercise("03.3", 3, weighted_estimate)
def _(function):
    rng, step = np.random.default_rng(0), "Step 1 of 3: "
    dark = np.minimum(512 + rng.exponential(60, (40, 50)), 16383).astype(np.uint16)
    burnt = np.where(rng.random(dark.shape) < 0.03, 16383, dark).astype(np.uint16)
    small = np.array([10, 14, 18, 18, 8202], np.uint16)  # 0, an edge, twice inside, white

    def ask(what, mosaic, black, white, bins, m=1.0):
        args: Any = mosaic, black, white, *bins, m
        answer, truth = float(answer_of(function, *args)), weighted_estimate(*args)
        slips = {
            "A pixel at white lies in no bin: what is its weight?": {"last": bins[1][-1]},
            "A bin holds its lower edge and not its upper one.": {"side": "left"},
        }
        said = [k for k, v in slips.items() if near(answer, weighted_estimate(*args, **v), 1e-4)]
        said = f", and should give {truth:.4g}." if bins is _FINE or not said else f". {said[0]}"
        assert near(answer, truth, 1e-4), f"{step}{what} gives {answer:.4g}{said}"

    ask("a mosaic of four pixels in two bins", small[:-1], 10, 8202, _COARSE)
    ask("the same with a burnt-out pixel", small, 10, 8202, _COARSE)
    ask("a dark mosaic of 40 x 50 pixels", dark, 512, 16383, _FINE)
    step = "Step 1 is right. Step 2 of 3: "
    ask("m = 9", dark, 512, 16383, _FINE, 9.0)
    ask("m = 200, whose factor ends at the clip,", dark, 512, 16383, _FINE, 200.0)
    for name, value in (("black", 500), ("white", 16383)):
        ask(f"a mosaic all {name}", np.full((2, 3), value, np.uint16), 512, 16383, _FINE)
    ask("a float mosaic with fractions", burnt * np.float32(0.37) + 400, 512, 16383, _FINE)
    peaks = [_peak(function, millions) for millions in (1, 4)]
    assert peaks[1] - peaks[0] < 6 << 20, f"""Steps 1 and 2 are right. Step 3 of 3: four million
        pixels take {peaks[1] / 1e6:.0f} MB, one million {peaks[0] / 1e6:.0f}. Which of your arrays
        are as long as the picture? Work on at most a million pixels at a time."""
    return f"Right, in all three steps: {peaks[1] / 1e6:.0f} MB, however large the picture is."


def _peak(function, millions):
    mosaic = np.resize(np.arange(500, 3000, dtype=np.uint16), (millions << 10, 1 << 10))
    tracemalloc.start()
    try:
        function(mosaic, 512, 16383, *_FINE)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def judge_estimates(estimated, true, scenes):
    from scipy import stats

    off = np.log(estimated / true)
    each = np.array([off[scenes == s].mean() for s in np.unique(scenes)])
    half = stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / len(each) ** 0.5
    return np.exp([each.mean(), each.mean() - half, each.mean() + half])


def _estimates():
    for seed, scenes in ((1, "aaaaaabbc"), (0, "aaabbbcccddd")):
        rng = np.random.default_rng(seed)
        of_scene = dict(zip("abcd", rng.normal(0.1, 0.5, 4), strict=True))
        true = rng.choice([100.0, 250.0, 300.0], len(scenes))
        off = np.array([of_scene[s] for s in scenes]) + rng.normal(0, 0.1, len(scenes))
        yield true * np.exp(off), true, np.array(list(scenes))


@exercise("03.4", 2, judge_estimates, _estimates)
def _(answer, truth, estimated, true, scenes):
    """Right: scenes count, not shots, and few scenes make a wide interval."""
    off = np.log(estimated / true)
    names, which = np.unique(scenes, return_inverse=True)
    each, n = np.bincount(which, off) / np.bincount(which), len(names)
    mean, sd, half = each.mean(), each.std(ddof=1), np.log(truth[2] / truth[0])

    def around(half):
        return np.exp([mean, mean - half, mean + half])

    yield np.log(truth), "These are still logarithms. What undoes a logarithm?"
    yield ((estimated / true).mean(), ANY, ANY), "4 shouts louder than 1/4: average logarithms."
    yield (np.exp(-mean), ANY, ANY), "Upside down: above 1 should be too bright."
    more = "Step 1 is right. Step 2 of 3: a scene with many shots has more say than the others."
    yield abs(off.mean() - mean) > 1e-6 and near(answer[0], np.exp(off.mean()), 1e-6), more
    step = "The mean is right. Step 3 of 3: "
    yield around(half * n**0.5), f"{step}so far do scenes scatter. Their mean is known better."
    yield around(1.96 * sd / n**0.5), f"{step}1.96 is for very many scenes: see hint 3."
    yield around(half * ((n - 1) / n) ** 0.5), f"{step}numpy divides by n unless told ddof=1."
    yield near(answer[0], truth[0], 1e-6), f"{step}the middle is right, the ends are not."
    yield True, "Step 1 of 3: the first number is the exponential of a mean of logarithms."


def collapse(amplifier):
    first, second = amplifier.hidden, amplifier.out
    return second.weight @ first.weight, second.weight @ first.bias + second.bias


@exercise("03.5", 2, collapse)
def _(function):
    """Right: 8,321 parameters can say no more than 64."""
    torch.manual_seed(0)
    net = LearnedAmplifier("histogram")
    with torch.no_grad():
        net.out.get_parameter("bias").fill_(40.0)
        shares = torch.rand(16, 63).softmax(1)
        truth = net.out(net.hidden(shares)).flatten()
        answer = answer_of(function, net)
        v, c = (torch.as_tensor(a).detach().float() for a in answer)
        assert v.numel() == 63 and c.numel() == 1, f"""v has {v.numel()} numbers and c {c.numel()};
            they should have 63 and 1. Multiply the two matrices in the order in which they act."""
        wrong = (shares @ v.flatten() + c.flatten()) - truth
    off = wrong.abs().max()
    assert off < 1e-3 or not wrong.std() < 1e-3, f"""v is right, c is off by {off:.3g}: the first
        layer has a bias too, and the second one multiplies it."""
    assert off < 1e-3, f"""On random histograms you are off by up to {off:.3g}. Write out
        W2 (W1 h + b1) + b2 and collect what stands before h."""


def your_amplifier(x):
    h, w = (side // 8 * 8 for side in x.shape)
    blocks = x[:h, :w].reshape(h // 8, 8, w // 8, 8)
    burnt = (blocks >= 1).any((1, 3))  # a lamp is known by its value
    means = blocks.mean((1, 3), dtype=np.float64)  # of 64 pixels: less noise, all colours
    return 0.18 / float(np.median(means[~burnt]))  # a median does not mind a bright corner


@exercise("03.6", 3, your_amplifier)
def _(function):
    light, camera = np.random.default_rng(0).beta(1.2, 5, (200, 304)), noise.SONY_A7S2
    row, column = np.mgrid[:200, :304]
    from_lamp = np.hypot(row - 60, column - 90)

    def factor(ratio, lamp=0, glow=0.0):
        scene = np.where(from_lamp < lamp, 1000, light + glow * np.exp(-from_lamp / 10))
        dark = noise.expose(scene, ratio, camera, 1600, np.random.default_rng(1))
        span = camera.white_level - camera.black_level
        x = np.maximum(dark.astype(np.float32) - camera.black_level, 0) / np.float32(span)
        return float(answer_of(function, x))

    factors = [factor(ratio) for ratio in (10, 40, 160)]
    assert all(0 < a < np.inf for a in factors), "Step 1 of 3: a factor is above 0, and finite."
    for times in (factors[1] / factors[0], factors[2] / factors[1]):
        assert 3 < times < 5, f"""Step 1 of 3: a quarter of the light, and your factor becomes
            {times:.2f} times as much. Your formula may not know what 0.001 means: only how pixels
            compare."""
    for lamp in (20, 32):
        moved = factor(40, lamp) / factors[1]
        assert near(moved, 1, 0.15), f"""Step 1 is right. Step 2 of 3: a lamp of {2 * lamp} pixels
            across multiplies your factor by {moved:.3g}. What do you know about the pixels of a
            lamp before you average?"""
    moved, steps = factor(40, 20, 20.0) / factors[1], "Steps 1 and 2 are right. Step 3 of 3: "
    assert near(moved, 1, 0.25), f"""{steps} with a glow around the lamp, bright but not burnt out,
        your factor is multiplied by {moved:.3g}. Which average does not care how bright its
        brightest few are?"""
    return f"Right: a quarter of the light, {times:.1f} times the factor; no lamp moves it."
