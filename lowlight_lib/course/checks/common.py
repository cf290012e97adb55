"""What all checks share: they ask the student's function, and judge what it answers."""

from __future__ import annotations

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


def judge(function, args, truth, hints, *, relative=0.02, absolute=1e-9):
    """Ask the student's function, and where the answer is wrong say what to think about next.

    Args:
        function: the student's.
        args: a tuple, what it is called with.
        truth: the right answer: a number, a tuple or array of numbers, a bool or a string.
        hints: {wrong: sentence}, of which the first that fits is said. `wrong` is another answer,
            with `ANY` in places that do not matter, or a function of the answer that says whether
            the sentence fits, or "otherwise". A sentence may be a function of the answer, too.
        relative, absolute: how far a number may be off; the larger of the two counts.
    Returns:
        The answer: a float, a float array of the shape of `truth`, or of the type of `truth`.
    Raises:
        AssertionError: the answer is wrong; the text shows call, answer, and sentence.
    """
    answer = answer_of(function, *args)
    if isinstance(truth, (bool, str)):
        answer = type(truth)(answer)
    else:
        answer, shape = np.asarray(answer, float), np.shape(truth)
        answer = answer.reshape(shape) if answer.size == 1 == np.size(truth) else answer
        assert answer.shape == shape, f"{_call(function, args, answer)} Return {_form(shape)}."

    def fits(wrong):
        if isinstance(wrong, (bool, str)):
            return wrong == "otherwise" or (type(wrong) is type(answer) and wrong == answer)
        wrong = np.asarray(wrong, float)
        given = ~np.isnan(wrong)
        if wrong.shape != answer.shape or not given.any():
            return False
        limit = np.maximum(absolute, relative * np.abs(wrong[given]))
        return bool((np.abs(answer[given] - wrong[given]) <= limit).all())

    if not fits(truth):
        which = (w(answer) if callable(w) else fits(w) for w in hints)
        sentence = next((s for s, here in zip(hints.values(), which, strict=True) if here), "")
        sentence = sentence(answer) if callable(sentence) else sentence
        raise AssertionError(f"{_call(function, args, answer)} {sentence}")
    return answer if np.ndim(answer) or isinstance(answer, (bool, str)) else float(answer)


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


def _call(function, args, answer):
    """ "name(3, 0.5) gives 7.": what was asked and answered, as far as it fits in a line."""
    if not args:
        return f"You say {_shown(answer)}."
    name = getattr(function, "__name__", "your function")
    return f"{name}({', '.join(map(_shown, args))}) gives {_shown(answer)}."


def _shown(value):
    if isinstance(value, (bool, str)):
        return str(value)
    if isinstance(value, (int, float, np.ndarray, np.generic)) and np.ndim(value) == 0:
        return f"{float(value):.6g}"
    short = isinstance(value, (tuple, list, np.ndarray)) and np.size(value) <= 8
    return f"({', '.join(map(_shown, value))})" if short else "..."


def _form(shape):
    """How to ask for an answer of this shape."""
    if len(shape) > 1 or sum(shape) > 4:
        return f"numbers of shape {shape}"
    words = {2: "two numbers", 3: "three numbers", 4: "four numbers"}
    return words.get(sum(shape), "one number")
