"""Each student's copy runs to its first check, which says what is missing."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from support.notebook_files import NOTEBOOKS, tagged

from lowlight_lib.course.students import student_copies

pytestmark = pytest.mark.notebooks


@pytest.fixture(scope="module")
def copies(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies") / "all"
    student_copies(root / "notebooks", folder)
    return folder


@pytest.mark.parametrize("name", sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb")))
def test_a_students_copy_runs_to_its_first_check(name, copies, mini_root, tmp_path, monkeypatch):
    monkeypatch.setenv("LOWLIGHT_PROFILE", "smoke")
    monkeypatch.setenv("LOWLIGHT_DATA", str(mini_root))
    monkeypatch.setenv("LOWLIGHT_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    notebook = nbformat.read(copies / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=120, kernel_name="python3")
    client.resources["metadata"] = {"path": str(tmp_path)}
    with pytest.raises(CellExecutionError, match="NotImplementedError") as e:
        client.execute()
    assert e.value.ename == "NotImplementedError"
    outputs = [(c, o.output_type) for c in notebook.cells for o in c.get("outputs", ())]
    [failed] = [c for c, kind in outputs if kind == "error"]
    assert failed is next(c for c in notebook.cells if tagged(c, "check"))
