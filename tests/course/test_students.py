"""The notebooks as students get them."""

import json

import nbformat
import pytest
from support.notebook_files import NOTEBOOKS

from lowlight_lib.course.students import student_copies
from lowlight_lib.errors import DataError, OptionError, OutputError

BADGE = (
    "# 01 Raw\n\n[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/a/b/blob/main/notebooks/01_raw.ipynb)\n\n**Why?**"
)


@pytest.fixture
def books(tmp_path):
    code = nbformat.v4.new_code_cell
    cells = [
        nbformat.v4.new_markdown_cell(BADGE, id="a0"),
        code("def f(): ...", metadata={"tags": ["exercise"]}, id="a1"),
        code("def f(): return 42", metadata={"tags": ["solution"]}, id="a2"),
        code("f = verify(f)", metadata={"tags": ["check"]}, id="a3", execution_count=3),
    ]
    cells[3].outputs = [nbformat.v4.new_output("stream", text="42\n")]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {}, "papermill": {}})
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in ("01_raw.ipynb", "02_noise.ipynb"):
        nbformat.write(notebook, folder / name)
    return folder


def test_copies_have_no_solutions_outputs_or_links_to_them(books, tmp_path):
    out = tmp_path / "student"
    assert student_copies(books, out) == [out / "01_raw.ipynb", out / "02_noise.ipynb"]
    copy = nbformat.read(out / "01_raw.ipynb", as_version=4)
    nbformat.validate(copy)
    assert [c.id for c in copy.cells] == ["a0", "a1", "a3"] and copy.metadata == {}
    assert copy.cells[2].outputs == [] and copy.cells[2].execution_count is None
    assert copy.cells[0].source == "# 01 Raw\n\n**Why?**"


def test_links_open_the_copies_themselves(books, tmp_path):
    out = tmp_path / "student"
    student_copies(books, out, colab="https://github.com/ann/class/tree/main/week1/")
    first = nbformat.read(out / "02_noise.ipynb", as_version=4).cells[0].source
    address = "https://colab.research.google.com/github/ann/class/blob/main/week1/02_noise.ipynb"
    assert first == f"# 01 Raw\n\n[Open in Colab]({address})\n\n**Why?**"
    with pytest.raises(OptionError, match="no folder on GitHub"):
        student_copies(books, out, force=True, colab="https://example.org/class")


def test_nothing_is_overwritten_and_nothing_half_done(books, tmp_path):
    out = tmp_path / "student"
    out.mkdir()
    (out / "02_noise.ipynb").write_text("a student's work")
    with pytest.raises(OutputError, match=r"02_noise.*already"):
        student_copies(books, out)
    assert [p.read_text() for p in out.iterdir()] == ["a student's work"]
    student_copies(books, out, force=True)
    assert nbformat.read(out / "02_noise.ipynb", as_version=4).cells
    with pytest.raises(OutputError, match="course itself"):
        student_copies(books, books, force=True)
    (books / "03_bad.ipynb").write_text('{"cells": 1}')
    with pytest.raises(DataError, match=r"03_bad.*no notebook"):
        student_copies(books, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_course_s_copies_are_notebooks_with_gaps(tmp_path):
    for path in student_copies(NOTEBOOKS, tmp_path):
        copy = nbformat.read(path, as_version=4)
        nbformat.validate(copy)
        kinds = [tag for c in copy.cells for tag in c.metadata.get("tags", ())]
        assert "solution" not in kinds and kinds.count("exercise") == kinds.count("check") > 0
        assert kinds.count("hints") == kinds.count("exercise")
        text = json.dumps(copy)
        assert "colab.research.google.com/github" not in text
        assert copy.cells[-1].source == "checks.summary()"
