"""Students' copies run from top to bottom with no exercise solved."""

import nbformat
import pytest
from nbclient import NotebookClient
from support.notebook_files import NOTEBOOKS, tagged

from lowlight_lib.course.checks.common import EXERCISES
from lowlight_lib.course.students import student_copies

pytestmark = pytest.mark.notebooks

NAMES = sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb"))
QUICK = [name for name in NAMES if name.endswith(("start_here", "shifts"))]


def runs_unsolved(name, mini_root, tmp_path, monkeypatch):
    """Run a student's copy in a folder of its own, with no exercise solved."""
    monkeypatch.setenv("LOWLIGHT_PROFILE", "smoke")
    monkeypatch.setenv("LOWLIGHT_DATA", str(mini_root))
    monkeypatch.setenv("LOWLIGHT_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.delenv("LOWLIGHT_CHECKS", raising=False)
    student_copies(NOTEBOOKS, tmp_path / "copies")
    notebook = nbformat.read(tmp_path / "copies" / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3")
    client.resources["metadata"] = {"path": str(tmp_path)}
    client.execute()  # an error would be raised
    tasks = [t for t in EXERCISES.values() if t.number[:2] == name[:2]]
    checks = [c for c in notebook.cells if tagged(c, "check")]
    for task, cell in zip(tasks, checks, strict=True):
        said = cell.outputs[0]["data"]["text/plain"]
        # The exercise with faulty code to mend is wrong, all others are not started.
        assert said.startswith(f"{task.number} · ") and "The course's own version" in said
        assert "Not started yet" in said or task.own[0].__name__ == "augment"
    last = notebook.cells[-1].outputs[0]["data"]
    assert f"0 of {len(tasks)} solved, 0 of " in last["text/plain"] and "<div" in last["text/html"]


@pytest.mark.parametrize("name", QUICK)
def test_a_students_copy_runs_unsolved(name, mini_root, tmp_path, monkeypatch):
    runs_unsolved(name, mini_root, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in NAMES if n not in QUICK])
def test_every_students_copy_runs_unsolved(name, mini_root, tmp_path, monkeypatch):
    runs_unsolved(name, mini_root, tmp_path, monkeypatch)
