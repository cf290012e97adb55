"""What all checks share: they ask the student's function, and Judge what it answers."""

import numpy as np

from ...sensor import noise, raw

ANY = float("nan")  # in a wrong answer of several numbers: whatever this one is


def answer_of(function, *args):
    """What the student's function returns; nothing at all is the most common slip.

    Raises:
        AssertionError: it returns None.
    """
    answer = function(*args)
    assert answer is not None, "Your function returned None: is there a `return` in it?"
    return answer


class Judge:
    """Ask the student's function; where the answer is wrong, say what to think about next.

        hint = Judge(function, (3, 4), truth)
        hint[1 / truth] = "That is upside down."      # raised if the answer is this wrong one
        hint[lambda answer: answer < 0] = "Nothing here is negative."
        hint[...] = "Count again."                    # raised if the answer is wrong at all

    Args:
        function: the student's.
        args: a tuple, what it is called with.
        truth: the right answer: a number, a tuple or array of numbers, or a string.
        relative, absolute: how far a number may be off; the larger of the two counts.
    Attributes:
        answer: a string, or a float array of the shape of `truth`.
    Raises:
        AssertionError: no answer, or one of another shape; from a hint: the answer is wrong, and
            this hint fits. The text shows call, answer, and sentence.

    A wrong answer may have `ANY` in places that do not matter. A sentence may be a function of the
    answer.
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
            assert self.answer.shape == shape, f"{self.said} Return {_form(shape)}."
        self.right = self._is(truth)

    def __setitem__(self, wrong, sentence):
        fits = wrong is ... or (wrong(self.answer) if callable(wrong) else self._is(wrong))
        if fits and not self.right:
            sentence = sentence(self.answer) if callable(sentence) else sentence
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


def flat_raw(cell, shape=(24, 24)):
    """A grey frame of the course's camera, in any Bayer order."""
    camera = noise.SONY_A7S2
    return raw.RawImage(
        mosaic=np.full(shape, 4000, np.uint16),
        cfa=cell,
        black_level=camera.black_level,
        white_level=camera.white_level,
        white_balance=camera.white_balance,
        color_matrix=camera.color_matrix,
    )


def _shown(value):
    """A number, a word or a few of them as a text; what is longer is not shown."""
    if isinstance(value, (bool, str)):
        return str(value)
    if isinstance(value, (int, float, np.ndarray, np.generic)) and np.ndim(value) == 0:
        return f"{float(value):.6g}"
    short = isinstance(value, (tuple, list, np.ndarray)) and np.size(value) <= 8
    return f"({', '.join(map(_shown, value))})" if short else "..."


def _form(shape):
    """How to ask for an answer of this shape."""
    if len(shape) > 1 or sum(shape) > 4:
        return f"numbers of shape {tuple(shape)}"
    words = {2: "two numbers", 3: "three numbers", 4: "four numbers"}
    return words.get(sum(shape), "one number")
