"""Exercises of notebook 13."""

import numpy as np

from .common import ANY, answer_of, exercise


class _Counting:
    """A random generator that counts how often it is asked, and stops who asks for ever."""

    def __init__(self, seed, n):
        self.rng, self.n, self.left = np.random.default_rng(seed), n, 2000

    def __getattr__(self, name):
        self.left -= 1
        assert self.left > 0, f"""Of {self.n} your loop draws for ever. Which condition can never
            come true?"""
        return getattr(self.rng, name)


def draw_two(rng, n):
    if n < 2:
        raise ValueError(f"a pair needs two pictures, and here is {n}")
    return rng.choice(n, 2, replace=False)


@exercise("13.1", 2, draw_two)
def _(function):
    """Right: two different ones in either order, and a lonely picture is an error at once."""
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


def teachers(symmetric):
    return {"L2", "R2", "X2"} if symmetric else {"R2"}


@exercise("13.2", 1, teachers)
def _(function):
    """Right: as released, the second exposure teaches through its reflectance alone."""
    for symmetric, form in ((False, "released"), (True, "symmetric")):
        answer = {str(name) for name in answer_of(function, symmetric)}
        assert answer <= {"L2", "R2", "X2"}, f"{sorted(answer)}: use the names L2, R2 and X2."
        said = f"The {form} loss: it is not {sorted(answer)}."
        assert answer == teachers(symmetric), f"{said} Write down C, Rl and P, underline every 2."


_WANTED = [(0.1, 0.6), (0.02, 0.5), (0.3, 0.3), (0.5, 1.0)]


@exercise("13.3", 1, lambda light, wanted: np.log(wanted) / np.log(light), _WANTED)
def gamma_for(answer, truth, light, wanted):
    """Right. And gamma 0 makes any light 1: the reflectance alone."""
    yield 1 / truth if truth else ANY, "That is upside down: which logarithm is the larger?"
    yield True, "Take the logarithm of both sides of light ** gamma = wanted."


def _pairs():
    a, other = np.random.default_rng(0).random((2, 9, 8, 3)) + 0.1
    return [(a, 0.1 * other), (a, 3 * a)]


@exercise("13.4", 2, lambda a, b: np.std(a / a.mean() - b / b.mean()), _pairs)
def matched_distance(answer, truth, a, b):
    """Right: 0 for two exposures without noise, and it does not matter which is darker."""
    plain, one = (np.sqrt(np.mean((c - b) ** 2)) for c in (a, a / a.mean()))
    yield plain, "It changes though no photon has moved: divide each by its mean first."
    yield one, "You divide only one. Make b ten times darker: it changes."
    yield truth**2, "That is the mean square; take its root."
    yield True, "The root of the mean square of a difference, with one mean for each whole picture."


_CASES = [(0.4, 0.2, 1.0), (0.1, 0.3, 500.0), (0.1, 0.3, 5.0)]


@exercise("13.5", 2, lambda image, product, w: (w * image + product) / (w + 1), _CASES)
def best_x(answer, truth, image, product, weight):
    """Right: X is off by 0.04 % of full scale with 500, by 3.3 % with 5."""
    swapped = (image + weight * product) / (weight + 1)
    yield swapped, "You gave the weight to the product. It multiplies (image - X)^2."
    yield True, "Where is the slope of weight (image - X)^2 + (product - X)^2 zero?"
