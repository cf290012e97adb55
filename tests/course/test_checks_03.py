"""The checks of notebook 03 accept right answers and answer wrong ones with a hint."""

import numpy as np
import pytest
from support.checks import accepts, laws

from lowlight_lib.blocks.amplifier import estimate_amplification


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


RIGHT = {
    "share_that_halves": lambda mean: mean / (1 - mean),
    "weight_of": by_side("right", last=False),
    "two_gains": lambda a, m: (np.clip(a * m, 1, 300), np.clip(a, 1, 300) * m),
    "fit_m": lambda r, e: geometric(r / e),
    "bytes_needed": lambda h, w: (127 * h * w, 2**19),
    "collapse": collapsed,
    "your_amplifier": lambda x: 0.18 / x[x < 1].mean(),
}
WRONG = [
    ("share_that_halves", lambda mean: 0.5, "median"),
    ("share_that_halves", lambda mean: mean / 2, "not a half"),
    ("share_that_halves", lambda mean: 2 * mean, "not a half"),
    ("two_gains", lambda a, m: (np.clip(a, 1, 300) * m, np.clip(a * m, 1, 300)), "other way round"),
    ("two_gains", lambda a, m: (np.clip(a * m, 1, 300),) * 2, "clips first"),
    ("two_gains", lambda a, m: (a * m, np.clip(a, 1, 300) * m), "Both clip"),
    ("fit_m", lambda r, e: np.mean(r / e), "shouts louder"),
    ("fit_m", lambda r, e: np.mean(r) / np.mean(e), "shouts louder"),
    ("fit_m", lambda r, e: geometric(e / r), "Upside down"),
    ("fit_m", lambda r, e: 5.0, "should be 1"),
    ("fit_m", lambda r, e: 0.0, "should be 1"),
    ("bytes_needed", lambda h, w: (127 * h * w / 8, 2**19), "whole byte"),
    ("bytes_needed", lambda h, w: (127 * h * w * 4, 2**19), "127 masks"),
    ("bytes_needed", lambda h, w: (127 * h * w, 8 * h * w), "each \\*value\\*"),
    ("bytes_needed", lambda h, w: (127 * h * w, 2**16), "how many bytes an int64"),
    ("collapse", lambda net: collapsed(net, bias=False), "bias too"),
    ("collapse", lambda net: collapsed(net, turned=True), "collect what stands"),
    ("collapse", lambda net: (net.hidden.weight, net.out.bias), "should have 63"),
    ("your_amplifier", lambda x: 0.18 / x.mean(), "lamp"),
    ("your_amplifier", lambda x: estimate_amplification(x, 0, 1, 12), "know what 0.001 means"),
    ("your_amplifier", lambda x: 200.0, "know what 0.001 means"),
    ("your_amplifier", lambda x: -1.0, "above 0"),
    ("weight_of", by_side("left", last=False), "bin that ends"),
    ("weight_of", by_side("right", last=True), "does not hold it"),
    ("weight_of", lambda x, edges, weights: 10 ** (-5 * x) if x < 1 else 0, "Which bin holds x"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


@pytest.mark.parametrize(
    "answer", [lambda x: 0.1 / np.median(x), lambda x: 0.25 / np.quantile(x, 0.8)]
)
def test_several_amplifiers_of_your_own_pass(answer):
    accepts("your_amplifier", answer)
