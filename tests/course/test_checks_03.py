"""The checks of notebook 03 refuse the likely wrong answers, each with a hint of its own.

That they accept the solutions, the run of the notebook shows.
"""

import numpy as np
import pytest

from lowlight_lib.blocks.amplifier import bin_edges, bin_weights, estimate_amplification
from lowlight_lib.course import checks


def geometric(v):
    return np.exp(np.mean(np.log(v)))


def by_side(side, last):
    def weight(x, edges, weights):
        k = np.searchsorted(edges, x, side=side) - 1
        return weights[min(max(k, 0), 126)] if last or k < 127 else 0.0

    return weight


def collapsed(net, bias=True, turned=False):
    first, second = net.hidden, net.out
    v = second.weight @ first.weight
    c = second.bias + (second.weight @ first.bias if bias else 0)
    return (v.flip(1) if turned else v), c


WRONG = {
    "share_that_halves": [
        (lambda mean: 0.5, "median"),
        (lambda mean: mean / 2, "not a half"),
        (lambda mean: 2 * mean, "not a half"),
        (lambda mean: None, "return"),
    ],
    "two_gains": [
        (lambda a, m: (np.clip(a, 1, 300) * m, np.clip(a * m, 1, 300)), "other way round"),
        (lambda a, m: (np.clip(a * m, 1, 300),) * 2, "clips first"),
        (lambda a, m: (a * m, np.clip(a, 1, 300) * m), "Both clip"),
        (lambda a, m: (a,), "two gains"),
    ],
    "fit_m": [
        (lambda r, e: np.mean(r / e), "shouts louder"),
        (lambda r, e: np.mean(r) / np.mean(e), "mean of the estimates"),
        (lambda r, e: geometric(e / r), "Upside down"),
        (lambda r, e: 5.0, "should be 1"),
        (lambda r, e: 0.0, "should be 1"),
    ],
    "bytes_needed": [
        (lambda h, w: (127 * h * w / 8, 2**19), "whole byte"),
        (lambda h, w: (127 * h * w * 4, 2**19), "127 masks"),
        (lambda h, w: (127 * h * w, 8 * h * w), "each \\*value\\*"),
        (lambda h, w: (127 * h * w, 2**16), "8 bytes"),
    ],
    "collapse": [
        (lambda net: collapsed(net, bias=False), "bias too"),
        (lambda net: collapsed(net, turned=True), "collect what stands"),
        (lambda net: (net.hidden.weight, net.out.bias), "should have 63"),
    ],
    "your_amplifier": [
        (lambda x: 0.18 / x.mean(), "lamp"),
        (lambda x: estimate_amplification(x, 0, 1, 12), "know what 0.001 means"),
        (lambda x: 200.0, "know what 0.001 means"),
        (lambda x: -1.0, "above 0"),
    ],
}
CASES = [(name, f, hint) for name, answers in WRONG.items() for f, hint in answers]


@pytest.mark.parametrize(
    "name, answer, hint", CASES, ids=[f"{name}-{hint}" for name, _, hint in CASES]
)
def test_wrong_answers_teach(name, answer, hint):
    with pytest.raises(AssertionError, match=hint):
        getattr(checks, name)(answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (by_side("left", last=False), "lower edge"),
        (by_side("right", last=True), "does not hold it"),
        (lambda x, edges, weights: 10 ** (-5 * x) if x < 1 else 0, "has weight"),
    ],
)
def test_wrong_weights_teach(answer, hint):
    with pytest.raises(AssertionError, match=hint):
        checks.weight_of(answer, bin_edges(), bin_weights())


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: 0.18 / x[x < 1].mean(),
        lambda x: 0.1 / np.median(x),
        lambda x: 0.25 / np.quantile(x, 0.8),
    ],
    ids=["without the saturated", "median", "quantile"],
)
def test_several_amplifiers_of_your_own_pass(answer, capsys):
    checks.your_amplifier(answer)
    assert capsys.readouterr().out.startswith("Right")
