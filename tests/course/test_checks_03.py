"""The checks of notebook 03 accept right answers and answer wrong ones with a hint."""

import itertools

import numpy as np
import pytest
from scipy import stats
from support.checks import accepts, laws

from lowlight_lib.blocks.amplifier import bin_edges, estimate_amplification
from lowlight_lib.course.checks.n03_amplifier import weighted_estimate as in_strips


def by_library(mosaic, black, white, edges, weights, m=1.0):
    """REDI's own bins go through the library, which has its own way; two bins through masks."""
    if len(edges) == len(bin_edges()):
        return estimate_amplification(np.atleast_2d(mosaic), black, white, m)
    x = np.maximum(mosaic.astype(float) - black, 0) / (white - black)
    inside = [(low <= x) & (x < high) for low, high in itertools.pairwise(edges)]
    w = np.select(inside, list(weights), 0.0)
    return np.clip(0.01 * m * w.sum() / (w * x).sum(), 1, 300)


def at_once(mosaic, black, white, edges, weights, m=1.0):
    x = np.maximum(mosaic.astype(np.float32) - black, 0) / (white - black)
    w = np.append(weights, 0)[np.searchsorted(edges, x, side="right") - 1]
    if not (w * x).any():
        return 300.0 if w.any() else 1.0
    return np.clip(0.01 * m * w.sum(dtype=float) / (w * x).sum(dtype=float), 1, 300)


def whole_numbers_only(mosaic, black, white, edges, weights, m=1.0):
    return by_library(mosaic.astype(np.uint16), black, white, edges, weights, m)


def m_outside(*args):
    return in_strips(*args[:5]) * (args[5] if len(args) > 5 else 1)


def no_edge_cases(mosaic, black, white, edges, weights, m=1.0):
    x = np.maximum(mosaic.astype(np.float32) - black, 0) / (white - black)
    w = np.append(weights, 0)[np.searchsorted(edges, x, side="right") - 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(0.01 * m * w.sum(dtype=float) / (w * x).sum(dtype=float), 1, 300)


def by_scipy(estimated, true, scenes):
    """The interval that scipy finds from the means of the scenes."""
    off = np.log(estimated / true)
    each = [off[scenes == s].mean() for s in sorted(set(scenes))]
    test = stats.ttest_1samp(each, 0).confidence_interval(0.95)
    return np.exp([np.mean(each), test.low, test.high])


def interval(factor, ddof=1, root=True, shots=False, exp=np.exp):
    def judged(estimated, true, scenes):
        off = np.log(estimated / true)
        each = np.array([off[scenes == s].mean() for s in np.unique(scenes)])
        each = off if shots else each
        n = len(each)
        t = stats.t.ppf(0.975, n - 1) if factor == "t" else factor
        half = t * each.std(ddof=ddof) / (n**0.5 if root else 1)
        return exp([each.mean(), each.mean() - half, each.mean() + half])

    return judged


def collapsed(net, bias=True, turned=False):
    first, second = net.hidden, net.out
    v = second.weight @ first.weight
    c = second.bias + (second.weight @ first.bias if bias else 0)
    return (v.flip(1) if turned else v), c


RIGHT = {
    "share_that_halves": lambda mean: mean / (1 - mean),
    "two_gains": lambda a, m: (np.clip(a * m, 1, 300), np.clip(a, 1, 300) * m),
    "weighted_estimate": by_library,
    "judge_estimates": by_scipy,
    "collapse": collapsed,
    "your_amplifier": lambda x: 0.1 / np.median(x),
}
WRONG = [
    ("share_that_halves", lambda mean: 0.5, "median"),
    ("share_that_halves", lambda mean: mean / 2, "not a half"),
    ("share_that_halves", lambda mean: 2 * mean, "not a half"),
    ("two_gains", lambda a, m: (np.clip(a, 1, 300) * m, np.clip(a * m, 1, 300)), "other way round"),
    ("two_gains", lambda a, m: (np.clip(a * m, 1, 300),) * 2, "clips first"),
    ("two_gains", lambda a, m: (a * m, np.clip(a, 1, 300) * m), "Both clip"),
    ("weighted_estimate", lambda *args: in_strips(*args, side="left"), "lower edge"),
    ("weighted_estimate", lambda *args: in_strips(*args, last=args[4][-1]), "lies in no bin"),
    ("weighted_estimate", lambda x, b, w, *_: 0.01 / ((x - b) / (w - b)).mean(), "and should give"),
    ("weighted_estimate", m_outside, r"Step 2 of 3: m = 200.* should give"),
    ("weighted_estimate", lambda *args: in_strips(*args[:5]), "Step 2 of 3: m = 9"),
    ("weighted_estimate", no_edge_cases, "all white"),
    ("weighted_estimate", whole_numbers_only, "with fractions"),
    ("weighted_estimate", at_once, "Step 3 of 3.*as long as the picture"),
    ("judge_estimates", lambda e, t, s: [(e / t).mean(), 1, 2], "shouts louder"),
    ("judge_estimates", interval("t", exp=np.array), "still logarithms"),
    ("judge_estimates", lambda e, t, s: by_scipy(t, e, s), "Upside down"),
    ("judge_estimates", interval("t", shots=True), "more say"),
    ("judge_estimates", lambda e, t, s: [7.0, *by_scipy(e, t, s)[1:]], "Step 1 of 3"),
    ("judge_estimates", interval("t", root=False), "scatter"),
    ("judge_estimates", interval(1.96), "very many scenes"),
    ("judge_estimates", interval(stats.norm.ppf(0.975)), "very many scenes"),
    ("judge_estimates", interval("t", ddof=0), "ddof=1"),
    ("judge_estimates", interval(3.0), "the ends are not"),
    ("judge_estimates", lambda e, t, s: [7.0, 6.0, 8.0], "Step 1 of 3"),
    ("collapse", lambda net: collapsed(net, bias=False), "bias too"),
    ("collapse", lambda net: collapsed(net, turned=True), "collect what stands"),
    ("collapse", lambda net: (net.hidden.weight, net.out.bias), "should have 63"),
    ("your_amplifier", lambda x: 0.18 / x.mean(), "Step 2 of 3.*lamp"),
    ("your_amplifier", lambda x: 0.18 / x[x < 1].mean(), "Step 3 of 3.*glow"),
    ("your_amplifier", lambda x: estimate_amplification(x, 0, 1, 12), "know what 0.001 means"),
    ("your_amplifier", lambda x: 200.0, "know what 0.001 means"),
    ("your_amplifier", lambda x: -1.0, "above 0"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


@pytest.mark.parametrize(
    "answer", [lambda x: 0.18 / np.median(x[x < 1]), lambda x: 0.25 / np.quantile(x, 0.6)]
)
def test_several_amplifiers_of_your_own_pass(answer):
    accepts("your_amplifier", answer)
