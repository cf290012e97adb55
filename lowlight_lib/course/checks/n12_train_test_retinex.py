"""Checks of notebook 12."""

import numpy as np

from .common import ANY, Judge, answer_of


class _Counting:
    """A random generator that counts how often it is asked, and stops who asks for ever."""

    def __init__(self, seed, n):
        self.rng, self.n, self.left = np.random.default_rng(seed), n, 2000

    def __getattr__(self, name):
        self.left -= 1
        assert self.left > 0, f"""Of {self.n} your loop draws for ever. Which condition can never
            come true?"""
        return getattr(self.rng, name)


def draw_two(function) -> None:
    """Exercise 12.1: function(rng, n) -> two different numbers below n; ValueError under two."""
    for n in (2, 3, 5):
        seen = set()
        for seed in range(300):
            pair = tuple(int(i) for i in answer_of(function, _Counting(seed, n), n))
            drawn = f"Of {n} pictures you drew {pair}:"
            inside = len(pair) == 2 and all(0 <= i < n for i in pair)
            assert inside, f"{drawn} two numbers from 0 to {n - 1} are wanted."
            assert pair[0] != pair[1], f"{drawn} a picture agrees with itself, and teaches nothing."
            seen.add(pair)
        assert len(seen) == n * (n - 1), f"Of {n} only {sorted(seen)} come: either order should."
    for n in (1, 0):
        try:
            got = function(_Counting(0, n), n)
        except ValueError:
            continue
        raise AssertionError(f"From a folder of {n} you return {got}. Say that it cannot be.")
    print("Right: two different ones in either order, and a lonely picture is an error at once.")


def teachers(function) -> None:
    """Exercise 12.2: function(symmetric) -> which of "L2", "R2", "X2" the loss depends on."""
    for symmetric, form in ((False, "released"), (True, "symmetric")):
        truth = {"L2", "R2", "X2"} if symmetric else {"R2"}
        answer = set(answer_of(function, symmetric))
        assert answer <= {"L2", "R2", "X2"}, f"{sorted(answer)}: use the names L2, R2 and X2."
        said = f"The {form} loss: it is not {sorted(answer)}."
        assert answer == truth, f"{said} Write down C, Rl and P, and underline every 2."
    print("Right: as released, the second exposure teaches through its reflectance alone.")


def gamma_for(function) -> None:
    """Exercise 12.3: function(light, wanted) -> gamma with light ** gamma == wanted."""
    for light, wanted in ((0.1, 0.6), (0.02, 0.5), (0.3, 0.3), (0.5, 1.0)):
        truth = np.log(wanted) / np.log(light)
        hint = Judge(function, (light, wanted), truth)
        hint[1 / truth if truth else ANY] = "That is upside down: which logarithm is the larger?"
        hint[...] = "Take the logarithm of both sides of light ** gamma = wanted."
    print("Right. And gamma 0 makes any light 1: the reflectance alone.")


def matched_distance(function) -> None:
    """Exercise 12.4: function(a, b) -> RMS difference of two pictures divided by their means."""

    def rms(difference):
        return np.sqrt(np.mean(difference**2))

    a, other = np.random.default_rng(0).random((2, 9, 8, 3)) + 0.1
    for b in (0.1 * other, 3 * a):
        truth = rms(a / a.mean() - b / b.mean())
        hint = Judge(function, (a, b), truth, relative=1e-6)
        hint[rms(a - b)] = "It changes though no photon has moved: divide each by its mean first."
        hint[rms(a / a.mean() - b)] = "You divide only one. Make b ten times darker: it changes."
        hint[truth**2] = "That is the mean square; take its root."
        hint[...] = f"It should be {truth:.4f}: the root of the mean square, one mean a picture."
    print("Right: 0 for two exposures without noise, and it does not matter which is darker.")


def best_x(function) -> None:
    """Exercise 12.5: function(image, product, weight) -> X that minimises two squared errors."""
    for image, product, weight in ((0.4, 0.2, 1.0), (0.1, 0.3, 500.0), (0.1, 0.3, 5.0)):
        truth = (weight * image + product) / (weight + 1)
        hint = Judge(function, (image, product, weight), truth, relative=1e-6)
        swapped = (image + weight * product) / (weight + 1)
        hint[swapped] = "You gave the weight to the product. It multiplies (image - X)^2."
        hint[...] = "Where is the slope of weight (image - X)^2 + (product - X)^2 zero?"
    far = [100 * abs((w * 0.1 + 0.3) / (w + 1) - 0.1) for w in (500, 5)]
    print(f"Right: X is off by {far[0]:.2f} % of full scale with 500, by {far[1]:.1f} % with 5.")
