"""What all checks share: they ask the student's function, and Judge what it answers."""

from typing import cast

import numpy as np

ANY = float("nan")  # in a wrong answer of several numbers: whatever this one is


def answer_of(function, *args):
    """What the student's function returns; AssertionError for None, the most common slip."""
    answer = function(*args)
    assert answer is not None, "Your function returned None: is there a `return` in it?"
    return answer


class Judge:
    """Ask the student's function; where the answer is wrong, say what to think about next.

        hint = Judge(function, (3, 4), truth)
        hint[1 / truth] = "That is upside down."      # raised if the answer is this wrong one
        hint[lambda answer: answer < 0] = "Nothing here is negative."
        hint[...] = "Count again."                    # raised if the answer is wrong at all

    `truth` is a number, a tuple or array of numbers, or a string; a number may be off by the larger
    of `relative` and `absolute`. Wrong answers may have `ANY` in places that do not matter. What
    the function answered is in `answer`: a string, or floats of the shape of `truth`.
    AssertionError, with call and answer: none, or of another shape; or the hint of a wrong one.
    """

    def __init__(self, function, args, truth, *, relative=0.02, absolute=1e-9):
        self.answer, self.relative, self.absolute = answer_of(function, *args), relative, absolute
        if not isinstance(truth, str):
            answer, shape = np.asarray(self.answer, float), np.shape(truth)
            self.answer = answer.reshape(shape) if answer.size == 1 == np.size(truth) else answer
        name = getattr(function, "__name__", "your function")
        call = f"{name}({', '.join(map(_shown, args))}) gives" if args else "You say"
        self.said = f"{call} {_shown(self.answer)}."
        if not isinstance(truth, str):
            form = f"numbers of shape {shape}" if shape else "one number"
            assert self.answer.shape == shape, f"{self.said} Return {form}."
        self.right = self._is(truth)

    def __setitem__(self, wrong, sentence):
        fits = wrong is ... or (wrong(self.answer) if callable(wrong) else self._is(wrong))
        if fits and not self.right:
            raise AssertionError(f"{self.said} {sentence}")

    def _is(self, value):
        if isinstance(value, str):
            return self.answer == value
        value = np.asarray(value, float)
        given = ~np.isnan(value)
        if value.shape != self.answer.shape or not given.any():
            return False
        limit = np.maximum(self.absolute, self.relative * np.abs(value[given]))
        return bool((np.abs(self.answer[given] - value[given]) <= limit).all())


def near(a, b, relative=0.02) -> bool:
    """Whether a number is another one, to a tolerance relative to the second."""
    return abs(a - b) <= relative * max(abs(b), 1e-9)


def _shown(value):
    """A number, a word or a few of them as a text; what is longer is not shown."""
    if isinstance(value, (bool, str)):
        return str(value)
    if isinstance(value, (int, float, np.ndarray, np.generic)) and np.ndim(value) == 0:
        return f"{float(value):.6g}"
    short = isinstance(value, (tuple, list, np.ndarray)) and np.size(value) <= 8
    return f"({', '.join(map(_shown, cast(tuple, value)))})" if short else "..."
