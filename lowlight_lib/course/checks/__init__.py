"""The exercises: the course's own answers, the checks that use them, and what a notebook calls.

One or two modules a notebook, nNN_name.py: first the answer as a function, then `exercise`, which
knows the slips that people really make. The truth is computed by that function and stands nowhere
else; a test holds the notebooks' solutions to it, and it to measurements.
"""

import html
import importlib
import os
import pkgutil
import sys

import torch

from ...errors import CheckFailed, OptionError
from .common import EXERCISES, Verdict, judge

for _module in pkgutil.iter_modules(__path__):
    if _module.name[1:3].isdigit():
        importlib.import_module(f".{_module.name}", __name__)

_COLOURS = {"right": "#2e7d32", "not started": "#b26a00", "wrong": "#c62828"}
_seen: dict[str, bool] = {}  # exercise number: whether it was right when last looked at


def verify(number, *given):
    """Judge the student's answer to an exercise, say so in a line, and hand back what works.

        unpack = checks.verify("04.1", unpack)

    Args:
        number: of the exercise, such as "04.1".
        given: the student's functions, then whatever else the check needs.
    Returns:
        The student's functions where they are right, else the course's own: one, or a tuple.
    Raises:
        CheckFailed: they are not right, and $LOWLIGHT_CHECKS is "strict". OptionError: there is no
            such exercise.
    """
    if number not in EXERCISES:
        raise OptionError(f"there is no exercise {number!r}", todo=f"one of {', '.join(EXERCISES)}")
    task = EXERCISES[number]
    functions, more = given[: len(task.own)], given[len(task.own) :]
    with torch.random.fork_rng(devices=[]):  # the notebook's random numbers are left alone
        verdict = judge(task, functions, more)
    right = _seen[number] = verdict.kind == "right"
    if not right:
        if os.environ.get("LOWLIGHT_CHECKS") == "strict":
            raise CheckFailed(f"exercise {number}: {verdict.text}")
        until = " The course's own version is used from here on."
        verdict = verdict._replace(text=verdict.text + until)
    _show(number, verdict)
    functions = functions if right else task.own
    return functions[0] if len(functions) == 1 else functions


def summary() -> None:
    """Say how much is solved of each notebook whose exercises were looked at, and what is left."""
    for notebook in sorted({number[:2] for number in _seen}):
        tasks = [t for t in EXERCISES.values() if t.number[:2] == notebook]
        solved = [t for t in tasks if _seen.get(t.number)]
        points, of = (sum(t.stars for t in some) for some in (solved, tasks))
        text = f"{len(solved)} of {len(tasks)} solved, {points} of {of} points."
        left = [f"{t.number} ({t.stars})" for t in tasks if t not in solved]
        text += f" Left, with their points: {', '.join(left)}." if left else ""
        _show(f"Notebook {notebook}", Verdict("wrong" if left else "right", text))


def _show(name, verdict):
    """One line: coloured where there is HTML, plain elsewhere."""
    plain = "\n    ".join((f"{name} · {verdict.text}", *verdict.lines))
    if "IPython" not in sys.modules or sys.modules["IPython"].get_ipython() is None:
        print(plain)
        return
    colour, text, lines = (
        _COLOURS[verdict.kind],
        html.escape(verdict.text),
        "\n".join(verdict.lines),
    )
    rest = f"<pre>{html.escape(lines)}</pre>" if lines else ""
    page = f'<div style="border-left: 6px solid {colour}; padding: 2px 12px">'
    page += f'<b style="color: {colour}">{name}</b> · {text}{rest}</div>'
    from IPython.display import display

    display({"text/plain": plain, "text/html": page}, raw=True)
