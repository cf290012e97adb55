"""The checks of notebook 13 accept right answers and answer wrong ones with a hint."""

import numpy as np
import torch
from support.checks import accepts, laws

from lowlight_lib.blocks import retinex


def until_they_differ(rng, n):
    first = second = rng.integers(0, n)
    while first == second:
        second = rng.integers(0, n)
    return first, second


def safe(draw):
    def of(rng, n):
        if n < 2:
            raise ValueError
        return draw(rng, n)

    return of


def matched(a, b):
    return np.sqrt(np.mean((a / a.mean() - b / b.mean()) ** 2))


def with_gradient(symmetric):
    drawn = [torch.rand(1, c, 6, 6).requires_grad_() for c in (1, 3, 3, 1, 3, 3)]
    one, two = retinex.Decomposition(*drawn[:3]), retinex.Decomposition(*drawn[3:])
    retinex.pair_loss(*torch.rand(2, 1, 3, 6, 6), one, two, symmetric=symmetric).backward()
    return {f"{n}2" for n, t in zip("LRX", two, strict=True) if t.grad is not None}


RIGHT = {
    "draw_two": safe(until_they_differ),
    "teachers": with_gradient,
    "gamma_for": lambda light, wanted: np.log(wanted) / np.log(light),
    "matched_distance": matched,
    "best_x": lambda image, product, weight: (weight * image + product) / (weight + 1),
}
WRONG = [
    ("draw_two", until_they_differ, "draws for ever"),
    ("draw_two", safe(lambda rng, n: rng.integers(0, n, 2)), "agrees with itself"),
    ("draw_two", safe(lambda rng, n: sorted(until_they_differ(rng, n))), "either order"),
    ("draw_two", safe(lambda rng, n: (1, n)), "numbers from 0"),
    ("draw_two", lambda rng, n: (0, 0) if n < 2 else until_they_differ(rng, n), "cannot be"),
    ("teachers", lambda symmetric: {"R2"}, "symmetric loss"),
    ("teachers", lambda symmetric: {"L2", "R2", "X2"}, "released loss"),
    ("teachers", lambda symmetric: {"R"}, "use the names"),
    ("gamma_for", lambda light, wanted: np.log(light) / np.log(wanted), "upside down"),
    ("gamma_for", lambda light, wanted: wanted / light, "both sides"),
    ("matched_distance", lambda a, b: np.sqrt(np.mean((a - b) ** 2)), "no photon has moved"),
    ("matched_distance", lambda a, b: matched(a, b) ** 2, "take its root"),
    ("matched_distance", lambda a, b: np.abs(a / a.mean() - b / b.mean()).mean(), "one mean"),
    ("matched_distance", lambda a, b: np.sqrt(np.mean((a / a.mean() - b) ** 2)), "times darker"),
    ("best_x", lambda image, product, w: (image + w * product) / (w + 1), "gave the weight to"),
    ("best_x", lambda image, product, w: image, "slope"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_numpy_can_draw_two_at_once():
    accepts("draw_two", safe(lambda rng, n: rng.choice(n, 2, replace=False)))
