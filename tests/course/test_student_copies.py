"""A student's copy opens and runs up to the first check that is not solved yet."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from support.notebook_files import NOTEBOOKS

from lowlight_lib.course.students import student_copies

pytestmark = pytest.mark.notebooks


@pytest.mark.parametrize("name", sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb")))
def test_a_students_copy_runs_to_its_first_check(name, root, mini_root, tmp_path, monkeypatch):
    monkeypatch.setenv("LOWLIGHT_PROFILE", "smoke")
    monkeypatch.setenv("LOWLIGHT_DATA", str(mini_root))
    monkeypatch.setenv("LOWLIGHT_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    student_copies(root / "notebooks", tmp_path / "copies")
    notebook = nbformat.read(tmp_path / "copies" / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=120, kernel_name="python3")
    client.resources["metadata"] = {"path": str(tmp_path)}
    with pytest.raises(CellExecutionError, match="NotImplementedError") as e:
        client.execute()
    assert e.value.ename == "NotImplementedError"
    failed = [
        c for c in notebook.cells
        if any(o.output_type == "error" for o in c.get("outputs", ()))
    ]  # fmt: skip
    assert len(failed) == 1
    first = next(c for c in notebook.cells if "check" in c.metadata.get("tags", ()))
    assert failed[0] is first
