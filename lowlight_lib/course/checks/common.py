"""What all exercises share: the list of them, and how an answer is asked for and judged."""

import copy
import dis
import inspect
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

ANY = float("nan")  # in a wrong answer of several numbers: whatever this one is
EXERCISES: dict[str, "Exercise"] = {}  # by number, "04.1"


class Exercise(NamedTuple):
    """One exercise: the course's own answer to it, and what is said about others."""

    number: str
    stars: int  # one to three: how hard it is, and so many points
    own: tuple[Callable, ...]  # with the names that the student's functions have
    find: Callable  # what `exercise` decorates
    cases: Any  # a function that makes the list of arguments, or None
    relative: float
    absolute: float


class Verdict(NamedTuple):
    """What is said about an answer; `lines` are those of the student that raised an error."""

    kind: str  # "right", "not started" or "wrong"
    text: str
    lines: tuple[str, ...] = ()


def exercise(number, stars, own, cases=None, *, relative=1e-3, absolute=1e-9):
    """Decorate what finds the slip in an answer to exercise `number`; its docstring is the praise.

    With `cases`, a list of arguments (a tuple each where there are several) or a function that
    makes it, the truth is what the course's own function answers: a number, a tuple or array of
    numbers, or a word. A number may be off by the larger of `relative` and `absolute`. Where the
    student's answer is another, the decorated generator is asked, which knows wrong answers:

        @exercise("10.6", 1, lambda macs, peak: 2 * macs / peak, [(83.3e9, 11.3e12), (6e10, 2e11)])
        def fastest_possible(answer, truth, macs, peak):
            \"\"\"Right: 14.7 ms.\"\"\"
            yield truth / 2, "One MAC is two operations."       # said if this is the answer
            yield answer > 1, "In seconds, please."             # said if this holds
            yield ZeroDivisionError, "No card has a peak of 0."  # said if the function raised it
            yield True, "Operations over operations per second."

    `answer` has the shape of the truth. A sentence may say where to look, never what is true.

    Without `cases` the decorated function gets the student's functions and asks them itself. It
    raises an AssertionError that says what is wrong, or it yields what it looks at, a beginning
    of sentences alone or (beginning, answer, truth), and then slips as above, or a dictionary of
    them, {sentence: wrong answer}; where the answer is the truth they are passed over. Praise
    that it computes is its answer.
    `own` is a function, or a tuple of them where the student writes several; a lambda takes the
    name of what is decorated.
    """

    def add(find):
        functions = own if isinstance(own, tuple) else (own,)
        if functions[0].__name__ == "<lambda>":
            functions[0].__name__ = find.__name__
        make = cases if cases is None or callable(cases) else lambda: cases
        EXERCISES[number] = Exercise(number, stars, functions, find, make, relative, absolute)
        return find

    return add


def answer_of(function, *args):
    """What the student's function returns; AssertionError for None, the most common slip."""
    answer = function(*args)
    assert answer is not None, "Your function returned None: is there a `return` in it?"
    return answer


def array_of(function, shape, *args, form="Return an array of shape"):
    """The student's answer as floats; AssertionError where they are not of this shape."""
    answer = np.asarray(answer_of(function, *args), float)
    assert answer.shape == shape, f"{form} {shape}, not {answer.shape}."
    return answer


def near(a, b, relative=0.02) -> bool:
    """Whether a number is another one, to a tolerance relative to the second."""
    return abs(a - b) <= relative * max(abs(b), 1e-9)


def hold(said, given, right, slips=()) -> None:
    """AssertionError where a tensor is not the right one, up to what float32 rounds; `slips` are
    (what is wrong, what is said of it)."""

    def same(a, b):
        return a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-5)

    given = torch.as_tensor(given)
    shapes = f"{tuple(given.shape)} instead of {tuple(right.shape)}"
    assert given.shape == right.shape, f"{said}: your tensor is of shape {shapes}."
    for wrong, sentence in () if same(given, right) else slips:
        assert not same(given, wrong), f"{said}: {sentence}"
    off = (given.double() - right).abs()
    place = tuple(map(int, np.unravel_index(int(off.argmax()), off.shape)))
    assert same(given, right), f"""{said}: you are off by up to {off.max():.3g}, most of all at
        {place}. Work out that one number by hand."""


def hold_all(answer, truth, slips) -> None:
    """`hold` for a tuple of tensors, a step each, with the slips of each."""
    many = isinstance(answer, tuple | list) and len(answer) == len(truth)
    assert many, f"Return {len(truth)} tensors."
    said = "Step 1"
    for i, step in enumerate(zip(answer, truth, slips, strict=True), 1):
        hold(said, *step)
        said = f"{f'Steps 1 to {i} are' if i > 1 else 'Step 1 is'} right. Step {i + 1}"


def judge(task: Exercise, functions, more=()) -> Verdict:
    """The verdict on a student's functions, whatever they do; `more` is handed to the check."""
    try:
        if any(map(_is_empty, functions)):
            raise NotImplementedError
        if task.cases is None:
            praise = _listen(task, task.find(*functions, *more))
        else:
            praise = _compare(task, functions[0])
        return Verdict("right", " ".join((praise or task.find.__doc__ or "").split()))
    except NotImplementedError:
        return Verdict("not started", "Not started yet.")
    except (Exception, SystemExit) as e:
        frames = [frame for frame, _ in traceback.walk_tb(e.__traceback__)]
        innermost = frames[-1].f_globals.get("__name__", "")
        if isinstance(e, AssertionError) and innermost.startswith(_PACKAGE):
            return Verdict("wrong", " ".join(str(e).split()))
        theirs = [getattr(f, "__globals__", None) for f in functions]
        lines = tuple(
            f"line {s.lineno}, in {s.name}: {s.line}"
            for frame, s in zip(frames, traceback.extract_tb(e.__traceback__), strict=True)
            if any(frame.f_globals is g for g in theirs)
        )
        error = " ".join(f"{type(e).__name__}: {e}".split())[:300].rstrip(": .")
        if lines:
            return Verdict("wrong", f"Your code stops with {error}.", lines[-4:])
        return Verdict("wrong", f"What it answers cannot be used ({error}). Read the docstring.")


_PACKAGE = __name__.rpartition(".")[0]


def _is_empty(function):
    """Whether nothing is in a function but a docstring and `...`, `pass` or `return None`."""
    if not (code := getattr(function, "__code__", None)):
        return function is None or function is ...
    nothing = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    steps = [i for i in dis.get_instructions(code) if i.opname not in ("CACHE", "RESUME")]
    return all(i.opname in nothing and i.argval is None for i in steps)


def _listen(task, check):
    """Go through what a check yields, to the first slip, an AssertionError; what it returns."""
    said, answer, truth = "", None, None
    while inspect.isgenerator(check):
        try:
            item: Any = next(check)
        except StopIteration as e:
            return e.value
        if isinstance(item, str):
            said, answer, truth = item, None, None
        elif isinstance(item, tuple) and len(item) == 3:
            said, answer, truth = item
        elif truth is None or not _equal(answer, truth, task):
            for sentence, wrong in item.items() if isinstance(item, dict) else [item[::-1]]:
                assert not _fits(answer, wrong, task), f"{said} {sentence}"
    return check


def _compare(task, function):
    """Hold an answer to the course's own, case by case; AssertionError at the first slip."""
    for case in task.cases():
        args = case if isinstance(case, tuple) else (case,)
        call = f"{task.own[0].__name__}({', '.join(map(_shown, args))})"
        truth, raised = task.own[0](*copy.deepcopy(args)), None
        form, nothing = "one word", ""
        if not isinstance(truth, str):
            truth = np.asarray(truth, float)
            form = f"numbers of shape {truth.shape}" if truth.shape else "one number"
            nothing = np.full(truth.shape, np.nan)
        try:
            given = answer_of(function, *copy.deepcopy(args))
        except (AssertionError, NotImplementedError):
            raise
        except Exception as e:
            given, raised = nothing, e
        answer = _like(given, truth) if raised is None else given
        shown = f"{_shown(given)} ({type(given).__name__})" if answer is None else _shown(answer)
        shown = "other numbers" if shown == "..." else shown
        assert answer is not None, f"{call} gives {shown}. Return {form}."
        if raised is None and _equal(answer, truth, task):
            continue
        said = f"{call} stops: {raised}." if raised else f"{call} gives {shown}."
        for wrong, sentence in task.find(answer, truth, *args):
            if isinstance(wrong, type):
                fits = isinstance(raised, wrong)
            else:
                fits = raised is None and _fits(answer, wrong, task)
            assert not fits, f"{said} {sentence}"
        raise (raised or AssertionError(f"{said} That is not it yet."))


def _like(given, truth):
    """A student's answer as the truth is, a word or floats of its shape; None where it is none."""
    if isinstance(given, str) or isinstance(truth, str):
        both = isinstance(given, str) and isinstance(truth, str)
        return given.strip().upper() if both else None
    try:
        answer = _floats(given)
    except (TypeError, ValueError):
        return None
    answer = answer.reshape(truth.shape) if answer.size == 1 == truth.size else answer
    return answer if answer.shape == truth.shape else None


def _floats(numbers):
    return np.asarray(numbers.detach() if hasattr(numbers, "detach") else numbers, float)


def _fits(answer, wrong, task):
    """Whether a slip is the one: its condition holds, or its wrong answer is the given one."""
    return bool(wrong) if isinstance(wrong, bool | np.bool_) else _equal(answer, wrong, task)


def _equal(answer, value, task):
    if isinstance(answer, str) or isinstance(value, str):
        return isinstance(value, str) and answer == value
    answer = _floats(answer)
    try:
        value = np.broadcast_to(_floats(value), answer.shape)
    except ValueError:
        return False
    given = ~np.isnan(value)
    limit = np.maximum(task.absolute, task.relative * np.abs(value))
    return bool(given.any() and (np.abs(answer - value) <= limit)[given].all())


def _shown(value):
    """A number, a word or a few of them as a text; what is longer is not shown."""
    if isinstance(value, (bool, str)):
        return str(value)[:40]
    if isinstance(value, (int, float, np.ndarray, np.generic)) and np.ndim(value) == 0:
        return f"{float(value):.6g}"
    if isinstance(value, (tuple, list)) and len(value) <= 8:
        return f"({', '.join(map(_shown, value))})"
    return _shown(value.tolist()) if isinstance(value, np.ndarray) and value.size <= 8 else "..."
