"""What holds of every exercise, whatever it is about."""

import ast
import doctest
import json
import math
import re
import types

import numpy as np
import pytest
import torch
from support.checks import NOTEBOOKS, TASKS, gives_nothing_away, solution_of, stub_of
from torch.nn import functional as F

from lowlight_lib.blocks.binary import sign_ste
from lowlight_lib.blocks.shift import OFFSETS
from lowlight_lib.course import checks
from lowlight_lib.course.checks.common import EXERCISES, judge
from lowlight_lib.errors import CheckFailed, OptionError

every_exercise = pytest.mark.parametrize("name", TASKS)


def not_solved(*args):
    """A stub as students get it."""
    ...


def refused(*args):
    raise NotImplementedError("your answer")


def broken(*args):
    args = len(args)
    return 1 / (args - args)


ANSWERS = {
    "a word": "seven",
    "a list": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
    "a tensor": torch.zeros(2, 5, 3, 7),
    "no number": float("nan"),
    "numbers that are none": np.full((2, 2), np.nan),
    "an object": object(),
    "a type": int,
    "nested": [[1], [2, 3]],
}


@every_exercise
def test_the_course_s_own_version_is_right(name):
    assert judge(TASKS[name], TASKS[name].own).kind == "right"


@every_exercise
@pytest.mark.parametrize("stub", [not_solved, refused, None], ids=["...", "raise", "none"])
def test_what_is_not_started_is_told_so(name, stub):
    verdict = judge(TASKS[name], (stub,))
    assert verdict == ("not started", "Not started yet.", ())


@every_exercise
def test_answers_of_another_kind_are_wrong_and_get_nothing_given_away(name):
    for answer in ANSWERS.values():
        verdict = judge(TASKS[name], (lambda *args, answer=answer: answer,))
        assert verdict.kind == "wrong" and verdict.text and not verdict.lines
        gives_nothing_away(TASKS[name], verdict)
    verdict = judge(TASKS[name], (7,))
    assert verdict.kind == "wrong"
    gives_nothing_away(TASKS[name], verdict)


@every_exercise
def test_an_error_shows_the_student_s_own_lines_only(name):
    verdict = judge(TASKS[name], (broken,))
    assert verdict.kind == "wrong" and "division by zero" in verdict.text
    [line] = verdict.lines or ["line 0, in broken: return 1 / (args - args)"]
    assert line.endswith("in broken: return 1 / (args - args)")
    gives_nothing_away(TASKS[name], verdict)


def changed(answer, by):
    """The course's own answer with all numbers in it changed, as one who is nearly right has it."""
    if isinstance(answer, dict):
        return {key: changed(value, by) for key, value in answer.items()}
    if isinstance(answer, tuple | list):
        parts = [changed(value, by) for value in answer]
        return type(answer)(*parts) if hasattr(answer, "_fields") else type(answer)(parts)
    if isinstance(answer, str | set):
        return type(answer)([*answer][1:]) if isinstance(answer, set) else answer[::-1]
    if isinstance(answer, bool | np.bool_):
        return not answer
    if isinstance(answer, types.GeneratorType):
        return (changed(value, by) for value in answer)
    if isinstance(answer, torch.nn.Module):
        state = {key: by(value) for key, value in answer.state_dict().items()}
        return answer if answer.load_state_dict(state) else None
    return by(answer) if isinstance(answer, int | float | np.ndarray | torch.Tensor) else answer


NEARLY = {
    "twice": lambda x: x * 2,
    "half": lambda x: x / 2,
    "the other sign": lambda x: x * -1,
    "one more": lambda x: x + 1,
    "a little more": lambda x: x * 1.05,
    "mirrored": lambda x: x if np.ndim(x) == 0 else np.flip(x) if type(x) is not torch.Tensor
    else x.flip(-1),
}  # fmt: skip


@every_exercise
def test_nearly_right_answers_get_a_sentence_that_gives_nothing_away(name):
    task, kinds = TASKS[name], set()
    for by in NEARLY.values():
        verdict = judge(task, (lambda *args, by=by: changed(task.own[0](*args), by),))
        kinds.add(verdict.kind)
        if verdict.kind == "wrong":
            assert len(verdict.text) > 20
            gives_nothing_away(task, verdict)
    assert "wrong" in kinds and "not started" not in kinds


def test_a_forgotten_return_is_named():
    verdict = judge(TASKS["halo_width"], (lambda radius: [].append(radius),))
    assert "`return`" in verdict.text


def test_numbers_are_numbered_without_gaps_and_stars_are_few():
    for number, task in EXERCISES.items():
        notebook, k = number.split(".")
        before = f"{notebook}.{int(k) - 1}"
        assert task.stars in (1, 2, 3) and (k == "1" or before in EXERCISES)
    assert len(TASKS) == len(EXERCISES)  # a name tells an exercise


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_has_all_its_exercises_in_order(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    called = re.findall(r'^(.*) = checks\.verify\("([\d.]+)", (.*)\)$', code, re.MULTILINE)
    own = [n for n in EXERCISES if n[:2] == path.stem[:2]]
    assert [number for _, number, _ in called] == own and own
    for names, number, given in called:
        assert names == given == ", ".join(f.__name__ for f in EXERCISES[number].own)
    headings = re.findall(
        r"^### Exercise ([\d.]+) ([★☆]{3}) \(\d+ minutes\): ",
        "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown"),
        re.MULTILINE,
    )
    assert headings == [(n, "★" * EXERCISES[n].stars + "☆" * (3 - EXERCISES[n].stars)) for n in own]


# ---- what a notebook sees


@pytest.fixture
def seen(monkeypatch):
    monkeypatch.setattr(checks, "_seen", {})
    monkeypatch.delenv("LOWLIGHT_CHECKS", raising=False)


def test_verify_hands_back_what_works_and_remembers(seen, capsys):
    def black_after_forgetting(black, white, ratio):
        return min(black * ratio / white, 1.0)

    right = checks.verify("00.1", black_after_forgetting)
    assert right is black_after_forgetting
    assert capsys.readouterr().out.startswith("00.1 · Right: at ratio 100")
    checks.summary()
    said = capsys.readouterr().out
    assert said.startswith("Notebook 00 · 1 of 3 solved, 1 of 5 points. Left, with their points: ")
    assert "00.2 (2)" in said

    assert checks.verify("00.1", not_solved)(64, 1023, 10) == pytest.approx(640 / 1023)
    said = capsys.readouterr().out
    assert said == "00.1 · Not started yet. The course's own version is used from here on.\n"
    assert checks.verify("00.1", broken) is not broken
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("00.1 · Your code stops with ZeroDivisionError: division by zero.")
    assert second.endswith("in broken: return 1 / (args - args)")
    checks.summary()
    assert "0 of 3 solved, 0 of 5 points. Left" in capsys.readouterr().out


def test_a_summary_counts_what_was_never_looked_at(seen, capsys):
    checks.verify("01.4", lambda: "BGGR")
    capsys.readouterr()
    checks.summary()
    said = capsys.readouterr().out
    assert said.startswith("Notebook 01 · 1 of 6 solved, 1 of ") and "01.1 (2)" in said


def test_strict_checks_raise(seen, monkeypatch):
    monkeypatch.setenv("LOWLIGHT_CHECKS", "strict")
    with pytest.raises(CheckFailed, match=r"exercise 09\.1: halo_width\(1\) gives 1\. So far"):
        checks.verify("09.1", lambda radius: radius)
    with pytest.raises(CheckFailed, match="Not started"):
        checks.verify("09.1", not_solved)
    with pytest.raises(OptionError, match=r"no exercise '09\.9'"):
        checks.verify("09.9", not_solved)


def test_in_a_notebook_a_verdict_is_coloured_and_plain_too(seen, monkeypatch):
    shown = []
    IPython = pytest.importorskip("IPython")
    monkeypatch.setattr(IPython, "get_ipython", object)
    monkeypatch.setattr("IPython.display.display", lambda page, raw: shown.append(page))
    checks.verify("09.1", lambda radius: radius)
    checks.verify("09.1", broken)
    [hint, error] = shown
    assert hint["text/plain"].startswith("09.1 · halo_width(1) gives 1. So far the *maximum*")
    assert "color: #c62828" in hint["text/html"] and "<pre>" not in hint["text/html"]
    assert "<pre>line " in error["text/html"] and "Traceback" not in str(shown)


@every_exercise
def test_the_example_of_a_stub_is_true_of_the_course_s_own_version(name):
    [function] = ast.parse(stub_of(TASKS[name].number)).body
    space = {"np": np, "torch": torch, name: TASKS[name].own[0]}
    text = ast.get_docstring(function)
    assert function.name == name and text
    examples = doctest.DocTestParser().get_doctest(text, space, name, None, 0)
    assert doctest.DocTestRunner(verbose=False).run(examples).failed == 0


@every_exercise
def test_the_notebook_s_solution_is_right_and_its_stub_is_not_started(name):
    task, kinds = TASKS[name], []
    for source in (solution_of(task.number), stub_of(task.number)):
        space = {"np": np, "torch": torch, "math": math, "F": F, "OFFSETS": OFFSETS}
        space["sign_ste"] = sign_ste
        exec(source, space)
        kinds.append(judge(task, (space[name],)).kind)
    assert kinds == ["right", "wrong" if name == "augment" else "not started"]
