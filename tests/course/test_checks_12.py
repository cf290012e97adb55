"""The checks of notebook 12: right answers pass, likely wrong ones are told what to think about."""

import numpy as np
import torch
from support.checks import refuses

from lowlight_lib.blocks import retinex
from lowlight_lib.course import checks


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


def test_draw_two(capsys):
    check = checks.draw_two
    check(safe(until_they_differ))
    check(safe(lambda rng, n: rng.choice(n, 2, replace=False)))
    assert "lonely" in capsys.readouterr().out
    refuses(check, until_they_differ, "draws for ever")
    refuses(check, safe(lambda rng, n: rng.integers(0, n, 2)), "agrees with itself")
    refuses(check, safe(lambda rng, n: sorted(until_they_differ(rng, n))), "either order")
    refuses(check, safe(lambda rng, n: (1, n)), "numbers from 0")
    refuses(check, lambda rng, n: (0, 0) if n < 2 else until_they_differ(rng, n), "cannot be")
    refuses(check, lambda rng, n: None, "return")


def with_gradient(symmetric):
    drawn = [torch.rand(1, c, 6, 6).requires_grad_() for c in (1, 3, 3, 1, 3, 3)]
    one, two = retinex.Decomposition(*drawn[:3]), retinex.Decomposition(*drawn[3:])
    retinex.pair_loss(*torch.rand(2, 1, 3, 6, 6), one, two, symmetric=symmetric).backward()
    return {f"{n}2" for n, t in zip("LRX", two, strict=True) if t.grad is not None}


def test_teachers():
    check = checks.teachers
    check(with_gradient)
    refuses(check, lambda symmetric: {"R2"}, "symmetric loss")
    refuses(check, lambda symmetric: {"L2", "R2", "X2"}, "released loss")
    refuses(check, lambda symmetric: {"R"}, "use the names")


def test_gamma_for():
    check = checks.gamma_for
    check(lambda light, wanted: np.log(wanted) / np.log(light))
    refuses(check, lambda light, wanted: np.log(light) / np.log(wanted), "upside down")
    refuses(check, lambda light, wanted: wanted / light, "both sides")


def test_matched_distance():
    check = checks.matched_distance

    def right(a, b):
        return np.sqrt(np.mean((a / a.mean() - b / b.mean()) ** 2))

    check(right)
    refuses(check, lambda a, b: np.sqrt(np.mean((a - b) ** 2)), "no photon has moved")
    refuses(check, lambda a, b: right(a, b) ** 2, "take its root")
    refuses(check, lambda a, b: np.abs(a / a.mean() - b / b.mean()).mean(), "one mean")
    refuses(check, lambda a, b: np.sqrt(np.mean((a / a.mean() - b) ** 2)), "ten times darker")


def test_best_x(capsys):
    check = checks.best_x
    check(lambda image, product, weight: (weight * image + product) / (weight + 1))
    assert "full scale" in capsys.readouterr().out
    refuses(check, lambda i, p, w: (i + w * p) / (w + 1), "gave the weight to")
    refuses(check, lambda i, p, w: i, "slope")
