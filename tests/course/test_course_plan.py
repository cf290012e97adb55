"""What a run of the course refuses, plans and keeps; nothing is executed here."""

import json
import os
from pathlib import Path

import nbformat
import papermill
import pytest
from support.notebook_files import NOTEBOOKS, write_notebook

from lowlight_lib import models
from lowlight_lib.course import run
from lowlight_lib.course.plan import plan, typed
from lowlight_lib.course.students import student_copies
from lowlight_lib.data import mini
from lowlight_lib.errors import OptionError, OutputError


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """A course whose notebooks are not executed: `calls` lists what would have run."""
    write_notebook(tmp_path / "notebooks" / "00_first.ipynb", parameters="profile: str = 'x'")
    write_notebook(tmp_path / "notebooks" / "10_train_test_stills.ipynb")
    write_notebook(tmp_path / "notebooks" / "11_video.ipynb", parameters="kind: str = 'brve'")
    (tmp_path / "data").mkdir()
    monkeypatch.delenv("LOWLIGHT_DATA", raising=False)
    calls = []

    def execute(source, target, **options):
        calls.append((Path(target).stem, options["parameters"]))

    monkeypatch.setattr(papermill, "execute_notebook", execute)

    def course(**options):
        defaults = {"data_root": tmp_path / "data", "notebooks_dir": tmp_path / "notebooks"}
        return run.run_course(**({"out": tmp_path / "runs" / "latest"} | defaults | options))

    course.calls, course.out, course.top = calls, tmp_path / "runs" / "latest", tmp_path
    return course


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"parameters": {"stepz": "3"}}, "choose from .*steps"),
        ({"parameters": {"steps": "3"}, "only": "11"}, "no selected notebook has a .* 'steps'"),
        ({"parameters": {"profile": "smoke"}}, "--profile"),
        ({"parameters": {"model": "unet"}}, "choose sid or llpacknet or redi"),
        ({"only": "12"}, "there is no notebook '12'"),
        ({"only": "10,10_train"}, "there is no notebook '10_train'"),
        ({"profile": "quick"}, "choose smoke or course or paper"),
        ({"data_root": "no/such/folder"}, "data folder is not there"),
        ({"notebooks_dir": "no/such/folder"}, "no notebooks"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_runs(quick, options, says):
    with pytest.raises(OptionError, match=says) as error:
        quick(**options)
    assert error.value.todo and not quick.calls and not quick.out.exists()


def test_a_folder_that_is_no_run_is_not_touched(quick):
    quick.out.mkdir(parents=True)
    (quick.out / "thesis.txt").write_text("precious")
    with pytest.raises(OptionError, match="not the folder of an earlier run"):
        quick()
    assert [p.name for p in quick.out.iterdir()] == ["thesis.txt"] and not quick.calls


def test_two_runs_never_share_a_folder(quick):
    assert quick(only="00") == 0
    state = json.loads((quick.out / "state.json").read_text())
    (quick.out / "state.json").write_text(json.dumps(state | {"status": "running"}))
    with pytest.raises(OptionError, match="another run is at work"):
        quick(only="00")
    gone = state | {"status": "running", "process": [os.getpid(), 1.0]}  # an id used again
    (quick.out / "state.json").write_text(json.dumps(gone))
    assert quick(only="00") == 0


def test_which_runs_there_are(quick):
    quick(only="11, 10_train_test_stills,0")
    assert [name for name, _ in quick.calls] == [
        "00_first",
        "10_train_test_stills_sid",
        "10_train_test_stills_llpacknet",
        "10_train_test_stills_redi",
        "11_video",
    ]
    assert quick.calls[0][1] == {"profile": "course"} and quick.calls[4][1] == {}
    quick.calls.clear()
    quick(parameters={"model": "redi", "kind": "9"})
    assert [name for name, _ in quick.calls][1:] == ["10_train_test_stills_redi", "11_video"]
    assert quick.calls[-1][1] == {"kind": 9}


def test_parameters_are_typed_as_papermill_types_them():
    texts = ["5", "0.5", "True", "None", "redi", "x=y", "1e-4", "true", (1, 2)]
    values = [5, 0.5, True, None, "redi", "x=y", 1e-4, "true", (1, 2)]
    assert [typed(text) for text in texts] == values


def test_without_data_the_mini_sets_are_made_beside_the_notebooks(quick, monkeypatch):
    made = []
    monkeypatch.setattr(mini, "ensure", lambda root: made.append(root))
    assert quick(data_root=None, only="00") == 0
    assert made == [quick.top / "datasets" / "mini"]
    monkeypatch.setenv("LOWLIGHT_DATA", str(quick.top / "data"))
    assert quick(data_root=None, only="00") == 0
    assert len(made) == 1
    state = json.loads((quick.out / "state.json").read_text())
    assert state["data_root"] == str(quick.top / "data")


def test_a_taken_port_is_tried_once_more_and_other_errors_are_not(quick, monkeypatch):
    calls = []

    def execute(*a, **k):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("zmq.error.ZMQError: Address already in use (addr='tcp://...')")

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    assert quick(only="00") == 0 and len(calls) == 2

    def broken(*a, **k):
        calls.append(1)
        raise RuntimeError("something else")

    monkeypatch.setattr(papermill, "execute_notebook", broken)
    assert quick(only="00") == 1 and len(calls) == 3


def test_a_damaged_results_file_is_a_failure_not_a_crash(quick, monkeypatch):
    def execute(source, target, **k):
        Path(target).with_suffix("").joinpath("results.json").write_text("[{")

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    assert quick(only="00") == 1
    entry = json.loads((quick.out / "state.json").read_text())["notebooks"]["00_first"]
    assert entry["status"] == "failed" and "is damaged" in entry["error"]["message"]


def test_stills_are_trained_once_for_each_network_for_them():
    [path] = NOTEBOOKS.glob("*_train_test_stills.ipynb")
    jobs = plan([path], {}, {})
    keys = [key for key, card in models.SYSTEMS.items() if card.spec.task is models.Task.RAW_STILL]
    assert [j.name for j in jobs] == [f"{path.stem}_{key}" for key in keys] and len(keys) >= 3


def test_student_copies(tmp_path):
    books, out = tmp_path / "notebooks", tmp_path / "student"
    code = nbformat.v4.new_code_cell
    cells = [
        code("def f(): raise NotImplementedError", metadata={"tags": ["exercise"]}, id="a1"),
        code("def f(): return 42", metadata={"tags": ["solution"]}, id="a2"),
        code("print(f())", metadata={"tags": ["check"]}, id="a3", execution_count=3),
    ]
    cells[2].outputs = [nbformat.v4.new_output("stream", text="42\n")]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {}, "papermill": {}})
    books.mkdir()
    nbformat.write(notebook, books / "01_raw.ipynb")
    nbformat.write(notebook, books / "02_noise.ipynb")
    assert student_copies(books, out) == [out / "01_raw.ipynb", out / "02_noise.ipynb"]
    copy = nbformat.read(out / "01_raw.ipynb", as_version=4)
    nbformat.validate(copy)
    assert [c.id for c in copy.cells] == ["a1", "a3"] and copy.metadata == {}
    assert copy.cells[1].outputs == [] and copy.cells[1].execution_count is None

    (out / "01_raw.ipynb").unlink()
    (out / "02_noise.ipynb").write_text("a student's work")
    with pytest.raises(OutputError, match=r"02_noise.*already"):
        student_copies(books, out)
    assert not (out / "01_raw.ipynb").exists()  # all or nothing
    assert (out / "02_noise.ipynb").read_text() == "a student's work"
    student_copies(books, out, force=True)
    assert nbformat.read(out / "02_noise.ipynb", as_version=4).cells
    with pytest.raises(OutputError, match="course itself"):
        student_copies(books, books, force=True)
