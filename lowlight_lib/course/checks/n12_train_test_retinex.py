"""Checks of notebook 12."""

from __future__ import annotations

import numpy as np
import torch

from ...blocks.retinex import Decomposition, pair_loss
from .common import answer_of, near


class _Counting:
    """A random generator that counts how often it is asked, and stops who asks for ever."""

    def __init__(self, seed, n):
        self.rng, self.n, self.left = np.random.default_rng(seed), n, 2000

    def __getattr__(self, name):
        self.left -= 1
        assert self.left > 0, (
            f"With {self.n} picture{'s'[: self.n != 1]} in the folder your loop draws for ever. "
            "Which condition can never come true?"
        )
        return getattr(self.rng, name)


def draw_two(function) -> None:
    """Exercise 12.1: function(rng, n) -> two different numbers below n; ValueError under two."""
    for n in (2, 3, 5):
        seen = set()
        for seed in range(300):
            pair = tuple(int(i) for i in answer_of(function, _Counting(seed, n), n))
            assert len(pair) == 2 and all(0 <= i < n for i in pair), (
                f"Of {n} pictures you drew {pair}: two numbers from 0 to {n - 1} are wanted."
            )
            assert pair[0] != pair[1], (
                f"Of {n} pictures you drew {pair}: a picture agrees with itself about everything, "
                "and the network learns nothing from it."
            )
            seen.add(pair)
        assert len(seen) == n * (n - 1), (
            f"Of {n} pictures only {sorted(seen)} ever come. The loss treats its two pictures "
            "differently: either order should be drawn."
        )
    for n in (1, 0):
        try:
            got = function(_Counting(0, n), n)
        except ValueError:
            continue
        raise AssertionError(f"From a folder of {n} you return {got}. Say that it cannot be.")
    print("Right: two different ones in either order, and a lonely picture is an error at once.")


def teachers(function) -> None:
    """Exercise 12.2: function(symmetric) -> which of "L2", "R2", "X2" the loss depends on."""
    for symmetric in (False, True):
        g = torch.Generator().manual_seed(0)
        one, two = (
            Decomposition(
                *(torch.rand(1, c, 6, 6, generator=g).requires_grad_() for c in (1, 3, 3))
            )
            for _ in "12"
        )
        images = torch.rand(2, 1, 3, 6, 6, generator=g)
        pair_loss(*images, one, two, symmetric=symmetric).backward()
        truth = {f"{n}2" for n, t in zip("LRX", two, strict=True) if t.grad is not None}
        answer = set(answer_of(function, symmetric))
        assert answer <= {"L2", "R2", "X2"}, f"{sorted(answer)}: use the names L2, R2 and X2."
        form = "symmetric" if symmetric else "released"
        assert answer == truth, (
            f"The {form} loss: it is not {sorted(answer)}. Write down C, Rl and P, and underline "
            "every letter that has a 2 in it."
        )
    print("Right: as released, the second exposure teaches through its paint alone.")


def gamma_for(function) -> None:
    """Exercise 12.3: function(light, wanted) -> gamma with light ** gamma == wanted."""
    for light, wanted in ((0.1, 0.6), (0.02, 0.5), (0.3, 0.3), (0.5, 1.0)):
        truth, answer = np.log(wanted) / np.log(light), float(answer_of(function, light, wanted))
        wrong = f"Light {light}, wanted {wanted}: you say {answer:.3f}, "
        assert near(answer, truth) or not near(answer, 1 / truth if truth else np.inf), (
            f"{wrong}which is upside down. Which of the two logarithms is the larger?"
        )
        assert near(answer, truth) or abs(answer - truth) < 1e-9, (
            f"{wrong}and the light becomes {light**answer:.3f}. Take the logarithm of both sides."
        )
    print("Right. And gamma 0 makes any light 1: the paint alone.")


def matched_distance(function) -> None:
    """Exercise 12.4: function(a, b) -> RMS difference of two pictures divided by their means."""
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 9, 8, 3)) + 0.1
    truth = float(np.sqrt(np.mean((a / a.mean() - b / b.mean()) ** 2)))
    scaled = float(answer_of(function, a, 0.1 * b))
    assert not near(scaled, float(np.sqrt(np.mean((a - 0.1 * b) ** 2)))), (
        "A picture and its darker copy are far apart by your measure, and no photon has moved. "
        "Divide each by its mean first."
    )
    assert near(scaled, float(function(a, b)), 1e-6), (
        "Make one picture ten times darker: your distance changes. Divide each by its own mean."
    )
    assert not near(scaled, truth**2, 1e-6), "That is the mean square; take its root."
    assert near(scaled, truth, 1e-6), (
        f"You give {scaled:.4f}, but it is {truth:.4f}: the root of the mean square of "
        "a / mean(a) - b / mean(b), over all pixels and colours, with one mean a picture."
    )
    assert abs(float(function(a, 3 * a))) < 1e-9
    print("Right: 0 for two exposures without noise, and it does not matter which is darker.")


def best_x(function) -> None:
    """Exercise 12.5: function(image, product, weight) -> X that minimises two squared errors."""
    for image, product, weight in ((0.1, 0.3, 500.0), (0.1, 0.3, 5.0), (0.4, 0.2, 1.0)):
        truth = (weight * image + product) / (weight + 1)
        answer = float(answer_of(function, image, product, weight))
        swapped = (image + weight * product) / (weight + 1)
        assert near(answer, truth, 1e-6) or not near(answer, swapped, 1e-6), (
            "You gave the weight to the product. It multiplies (image - X)^2."
        )
        assert near(answer, truth, 1e-6), (
            f"image {image}, product {product}, weight {weight:g}: you say {answer:.4f}. Where is "
            "the slope of weight (image - X)^2 + (product - X)^2 zero?"
        )
    far = [100 * abs((w * 0.1 + 0.3) / (w + 1) - 0.1) for w in (500, 5)]
    print(f"Right: with 500 X stays within {far[0]:.2f} % of full scale of the photograph here,")
    print(f"with 5 it may leave it by {far[1]:.1f} %.")
