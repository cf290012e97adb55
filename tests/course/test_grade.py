"""Grading a class with right, wrong and hostile answers, on a small notebook of the course."""

import csv
import os
import sys

import nbformat
import pytest
from support.checks import stub_of
from support.notebook_files import NOTEBOOKS

from lowlight_lib.course import grade
from lowlight_lib.course.checks.common import EXERCISES
from lowlight_lib.course.students import read_notebook
from lowlight_lib.errors import OptionError

IMPORTS = "import torch\nfrom lowlight_lib.course import checks"
code = nbformat.v4.new_code_cell
HALO = "def halo_width(radius):\n    return 2 * radius"
CONTRAST = "def contrast_left(ratio, gamma):\n    return ratio**gamma, ratio"
OTHER = "def other_split(L, R):\n    return L * R.amax(0), R / R.amax(0)"
RIGHT = HALO, CONTRAST, OTHER
STUBS = tuple(s.split("\n")[0] + '\n    """Numbers."""\n    ...' for s in RIGHT)
CHECKS = tuple(
    f'{name} = checks.verify("09.{k}", {name})'
    for k, name in enumerate(("halo_width", "contrast_left", "other_split"), 1)
)
DONE, WRONG = ["right"] * 3, "wrong: "


def notebook(path, answers, checks=CHECKS, before=(), tag="exercise", solutions=()):
    cells = [code(source) for source in before]
    for k, answer in enumerate(answers):
        cells += [code(answer, metadata={"tags": [tag]})] if answer else []
        cells += [code(s, metadata={"tags": ["solution"]}) for s in solutions[k : k + 1]]
        cells += [code(check) for check in checks[k : k + 1]]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def with_halo(*lines):
    return "\n    ".join(("def halo_width(radius):", *lines)), CONTRAST, OTHER


ENDS = "the answer ended the process"
CLASS = {  # student: (answers, how the verdicts begin)
    "all_right": (RIGHT, DONE),
    "nothing": (STUBS, ["not started"] * 3),
    "slip": (with_halo("return radius"), [f"{WRONG}halo_width(1) gives 1. So far", *DONE[1:]]),
    "error": (with_halo("return radius / 0"), [f"{WRONG}Your code stops with Zero", *DONE[1:]]),
    "typo": (("def halo_width(radius:", CONTRAST, OTHER), [f"{WRONG}the cell stops with Syn"]),
    "at_once": (("1 / 0\n" + HALO, CONTRAST, OTHER), [f"{WRONG}the cell stops with Zero"]),
    "magic": (("%timeit 1\n!ls\n" + HALO, CONTRAST, OTHER), DONE),
    "names": (with_halo("return factor * radius"), DONE),
    "deleted": (("", CONTRAST, OTHER), ["no cell defines halo_width", *DONE[1:]]),
    "prints": (with_halo("print('x' * 10**6)", "return 2 * radius"), DONE),
    "loop": (
        with_halo("while True:", "    pass"),
        [f"{WRONG}the answer took over", *DONE[1:]],
    ),
    "exits": (with_halo("import os", "os._exit(0)"), [f"{WRONG}{ENDS}", *DONE[1:]]),
    "quits": (with_halo("raise SystemExit"), [f"{WRONG}Your code stops with SystemExit"]),
    "hungry": (with_halo("return bytearray(2**40)"), [f"{WRONG}Your code stops with MemoryError"]),
    "crashes": (with_halo("import ctypes", "ctypes.string_at(0)"), [f"{WRONG}{ENDS}", *DONE[1:]]),
    "breaks": (
        with_halo("import torch, sys", "torch.abs = None", "sys.modules.clear()", "return 0"),
        [WRONG, *DONE[1:]],
    ),
    "asks": (with_halo("return int(input())"), [f"{WRONG}Your code stops with EOF", *DONE[1:]]),
    "scores": (
        with_halo("print('9 of 9 solved, 14 of 14 points')", "return radius"),
        [f"{WRONG}halo_width(1) gives 1. So far", *DONE[1:]],
    ),
    "traces": (
        ("import sys\nsys.settrace(lambda *a: 1 / 0)\n" + HALO, CONTRAST, OTHER),
        [WRONG, *DONE[1:]],
    ),
    "verifies": (
        ("checks.verify = lambda number, f: f\ndef halo_width(radius): return radius", *RIGHT[1:]),
        [f"{WRONG}the answer exchanges verify", *DONE[1:]],
    ),
    "judges": (
        with_halo(
            "from lowlight_lib.course.checks import common",
            "common._equal = lambda *a: True",
            "return 7",
        ),
        [f"{WRONG}the answer exchanges _equal", *DONE[1:]],
    ),
    "reaches_out": (
        with_halo(
            "import os, pathlib",
            "for p in pathlib.Path().glob('*'):",
            '    p.write_text(\'["reaches_out", "09.1", "right"]\')',
            "for k in range(3, 99):",
            "    try:",
            '        os.write(k, b\'["all_right", "09.2", "wrong: ha"]\')',
            "    except OSError:",
            "        pass",
            "return radius",
        ),
        [WRONG, *DONE[1:]],
    ),
    "kills": (
        with_halo("import os, signal", "os.kill(os.getppid(), signal.SIGKILL)", "return 0"),
        [f"{WRONG}{ENDS}", *DONE[1:]],
    ),
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory, mini_root):
    top = tmp_path_factory.mktemp("class")
    setup = (
        "import torch\nfrom lowlight_lib.course import checks",
        "factor = 2",
        "factor * torch.ones(1)",
    )
    notebook(top / "course/09_tiny.ipynb", STUBS, before=setup, solutions=RIGHT)
    handed_in = top / "handed_in"
    for student, (answers, _) in CLASS.items():
        notebook(handed_in / student / "09_tiny.ipynb", answers)
    # Renamed, moved, with other checks and without a tag; the cell that stands last counts.
    cheat = ("halo_width = checks.verify = print",)
    notebook(handed_in / "renamed/final (2).ipynb", (STUBS[0], *RIGHT[::-1]), cheat, tag="x")
    notebook(handed_in / "full_copy.ipynb", STUBS, solutions=RIGHT)  # a notebook, not a folder
    for k, (name, answers) in enumerate((("old", STUBS), ("new", RIGHT))):
        path = handed_in / "twice" / f"{name}.ipynb"
        notebook(path, answers)
        os.utime(path, (1e9 + k, 1e9 + k))
    (handed_in / "broken").mkdir()
    (handed_in / "broken/09_tiny.ipynb").write_text('{"cells": [')
    notebook(handed_in / "other/notes.ipynb", ("x = 1",), ())
    out = top / "grades.csv"
    grade.grade(handed_in, out, 2, 10, notebooks_dir=top / "course", data_root=mini_root)
    tables = []
    for path in (out, top / "grades_summary.csv"):
        with open(path, newline="", encoding="utf-8") as f:
            tables.append(list(csv.DictReader(f)))
    return tables


@pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork limits of memory do not exist")
@pytest.mark.parametrize("student", CLASS)
def test_an_answer_gets_its_own_verdict_whatever_others_do(graded, student):
    rows = [r for r in graded[0] if r["student"] == student and r["exercise"] <= "09.3"]
    assert [r["exercise"] for r in rows] == ["09.1", "09.2", "09.3"]
    assert {r["notebook"] for r in rows} == {"09_tiny"}
    for row, verdict in zip(rows, CLASS[student][1], strict=False):
        if sys.platform != "darwin" or student != "hungry":  # it knows no limit of memory
            assert row["verdict"].startswith(verdict), row
        assert (row["points"] == row["of"]) == (row["verdict"] == "right")
        assert row["points"] in ("0", row["of"])


def test_names_places_and_checks_of_a_submission_do_not_matter(graded):
    def verdicts(student):
        return [r["verdict"] for r in graded[0] if r["student"] == student][:3]

    assert verdicts("renamed") == DONE and verdicts("full_copy") == ["not started"] * 3


def test_what_cannot_be_graded_is_said_in_a_row(graded):
    reasons = {(r["student"], r["notebook"]): r["verdict"] for r in graded[0] if not r["exercise"]}
    assert set(reasons) == {
        ("broken", "09_tiny.ipynb"), ("other", "notes.ipynb"), ("twice", "old.ipynb")
    }  # fmt: skip
    assert "no notebook" in reasons["broken", "09_tiny.ipynb"]
    assert "no exercise" in reasons["other", "notes.ipynb"]
    assert "newer" in reasons["twice", "old.ipynb"]
    twice = [r["verdict"] for r in graded[0] if r["student"] == "twice" and r["exercise"]]
    assert twice[:3] == DONE


def test_totals_say_who_has_what_and_what_most_got_wrong(graded):
    totals = {row["name"]: row for row in graded[1]}
    assert [totals["all_right"][k] for k in ("right", "tried", "points", "of")] == [
        "3",
        "3",
        "4",
        "14",
    ]
    assert totals["nothing"]["tried"] == "0" and totals["broken"]["of"] == "0"
    exercises = [row["name"] for row in graded[1] if row["what"] == "exercise"]
    assert exercises.index("09.1") < exercises.index("09.2")  # fewer got it right
    assert int(totals["09.1"]["right"]) < int(totals["09.2"]["right"])


def test_an_empty_folder_is_an_error_and_a_broken_course_a_reason(tmp_path, mini_root):
    breaks = [STUBS[0], "1 / 0"]
    notebook(tmp_path / "course/09_tiny.ipynb", breaks, before=[IMPORTS], solutions=RIGHT[:1])
    options = {"notebooks_dir": tmp_path / "course", "data_root": mini_root}
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptionError, match="no notebooks are handed in"):
        grade.grade(tmp_path / "empty", tmp_path / "grades.csv", **options)
    notebook(tmp_path / "in/ann.ipynb", RIGHT)
    rows = grade.grade(tmp_path / "in", tmp_path / "grades.csv", **options)
    assert rows[0]["verdict"] == "right"  # what came before it counts
    assert rows[1]["verdict"].startswith(f"{grade.NOT_RUN} (ZeroDivisionError")


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_the_cells_of_a_copy_are_its_own_stubs(path):
    """No other cell is taken for an answer, also where a name stands in two notebooks."""
    found = grade.answers_of(read_notebook(path), {p.stem[:2] for p in NOTEBOOKS.iterdir()})
    assert found == {n: stub_of(n) for n in EXERCISES if n[:2] == path.stem[:2]}
