"""What several tests ask of a refusal: its kind and its words."""

import ast
import functools
import inspect
import re

import nbformat
import numpy as np
import pytest

from lowlight_lib.course.checks.common import EXERCISES, _shown, judge
from lowlight_lib.errors import CheckpointError
from lowlight_lib.training import checkpoint

from .notebook_files import NOTEBOOKS, tagged

TASKS = {task.own[0].__name__: task for task in EXERCISES.values()}


def accepts(name, *answer):
    """The check takes the answer; the praise."""
    verdict = judge(TASKS[name], answer)
    assert verdict.kind == "right" and verdict.text.startswith("Right"), verdict
    return verdict.text


def refuses(name, answer, words):
    """The check does not take the answer, says so in these words, and gives nothing away."""
    verdict = judge(TASKS[name], (answer,))
    assert verdict.kind == "wrong" and re.search(words, verdict.text), verdict
    gives_nothing_away(TASKS[name], verdict)


def gives_nothing_away(task, verdict):
    """No line of a solution and no true value is in what is said, but for what the student said."""
    said, (lines, values) = " ".join((verdict.text, *verdict.lines)), truth_of(task.number)
    for line in lines:
        assert line not in "".join(said.split()), (line, said)
    said = re.sub(r"^\w+\(.*?\) (gives|stops).*?[.:] ", "", verdict.text)
    for value in values:
        assert not re.search(rf"(?<![\w.]){re.escape(value)}(?!\w)", said), (value, said)


@functools.cache
def truth_of(number):
    """The lines of the solutions, in the library and in the notebook, without spaces; and the
    answers: all, where the student returns one value, else those of three digits or more."""
    task, sources, values = EXERCISES[number], solution_of(number).splitlines()[1:], set()
    for function in task.own:
        tree = ast.parse(inspect.getsource(function))
        inner = [n.body for n in ast.walk(tree) if isinstance(n, ast.Lambda)][:1]
        sources += [line for n in inner or tree.body[0].body for line in ast.unparse(n).split("\n")]
    lines = {"".join(line.split("#")[0].split()) for line in sources if '"""' not in line}
    for case in task.cases() if task.cases else ():
        args = case if isinstance(case, tuple) else (case,)
        truth = task.own[0](*args)
        value = _shown(truth if isinstance(truth, str) else np.asarray(truth, float))
        if value != "..." and (not args or len(re.sub(r"\D", "", value)) > 2):
            values.add(value)
    return {line for line in lines if len(line) > 9}, values


def solution_of(number):
    """The source of an exercise's solution in its notebook."""
    return _source(number, "solution")


def stub_of(number):
    """The source of an exercise's stub in its notebook."""
    return _source(number, "exercise")


@functools.cache
def _source(number, tag):
    [path] = NOTEBOOKS.glob(f"{number[:2]}_*.ipynb")
    cells = [c for c in nbformat.read(path, as_version=4).cells if tagged(c, tag)]
    return cells[int(number[3:]) - 1].source


def laws(right, wrong):
    """Two tests: right answers are praised, wrong ones get a hint that gives nothing away.

    Args:
        right: {exercise's function: answer}.
        wrong: [(exercise's function, answer, words of the hint), ...].
    """

    @pytest.mark.parametrize("name", right)
    def right_answers_are_praised(name):
        accepts(name, right[name])

    @pytest.mark.parametrize(
        "name, answer, words", wrong, ids=[f"{name}-{words}" for name, _, words in wrong]
    )
    def wrong_answers_get_a_hint(name, answer, words):
        refuses(name, answer, words)

    return right_answers_are_praised, wrong_answers_get_a_hint


def complaint_of_load(key, path, **options):
    """The message that loading `path` as weights gives; it names the file."""
    with pytest.raises(CheckpointError, match=re.escape(str(path))) as caught:
        checkpoint.load(key, path, **options)
    return str(caught.value)
