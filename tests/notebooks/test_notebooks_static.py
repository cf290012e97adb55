"""What must hold of every notebook before anybody runs it.

nbval compares only cells that have an execution count and stored outputs, so a notebook that was
never run would pass it; these tests insist on both.
"""

import ast
import json
import re

import nbformat
import papermill
import pytest
from support.notebook_files import NOTEBOOKS, is_setup, tagged

from lowlight_lib.course import colab

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
LARGEST_BYTES = 2_000_000
LONGEST_CELL = 30

# Absolute paths of somebody's machine. A word, a dot or a slash before means that it is part of an
# address or of a relative path.
MACHINE_PATH = re.compile(
    r"(?<![\w.:/\\~])(?:/(?:work|home|Users|tmp|root|private|mnt)/|[A-Z]:\\\\?\w)"
)

every_notebook = pytest.mark.parametrize("path", PATHS, ids=[p.stem for p in PATHS])


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [c for c in read(path).cells if c.cell_type == "code"]


def first_line(cell):
    return next(iter(cell.source.splitlines()), "<empty>")


def texts(cell):
    """The source, and all text among the outputs: streams, results, tracebacks."""
    yield cell.source
    for output in cell.get("outputs", ()):
        yield "".join(output.get("text", ""))
        yield "".join(output.get("traceback", ()))
        for kind, data in output.get("data", {}).items():
            if not kind.startswith("image/") or kind == "image/svg+xml":
                yield data if isinstance(data, str) else json.dumps(data)


def test_there_are_notebooks_and_they_are_numbered_one_by_one():
    numbers = [p.stem[:2] for p in PATHS]
    assert numbers and len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"\d\d_[a-z0-9_]+", p.stem) for p in PATHS)


@every_notebook
def test_the_file_is_a_valid_small_python_notebook(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.kernelspec.language == "python"  # papermill asks for it
    assert path.stat().st_size < LARGEST_BYTES


@every_notebook
def test_it_was_run_from_top_to_bottom_without_complaint(path):
    cells = code_cells(path)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", first_line(cell)
            assert output.get("name") != "stderr", first_line(cell)


@every_notebook
def test_nothing_of_one_machine_or_run_is_left_in_it(path):
    notebook = read(path)
    for holder in (notebook, *notebook.cells):
        assert not {"papermill", "widgets", "execution"} & set(holder.metadata)
    for cell in notebook.cells:
        for text in texts(cell):
            found = MACHINE_PATH.search(text)
            assert found is None, text[max(0, found.start() - 40) : found.end() + 40]


@every_notebook
def test_figures_say_what_they_show_to_those_who_cannot_see_them(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            for kind in output.get("data", {}):
                if kind.startswith("image/"):
                    alt = output.metadata.get(kind, {}).get("alt", "")
                    assert len(alt) >= 20, first_line(cell)


def test_the_pattern_for_machine_paths_finds_them():
    for text in ("/home/ann/x", "open('/tmp/a')", "C:\\Users\\ann", r"'C:\\data'", "at /Users/ann"):
        assert MACHINE_PATH.search(text), text
    for text in ("https://example.org/home/x", "../tmp/x", "a/home/b", "1 / tmp / 2", "RGB:\\n"):
        assert not MACHINE_PATH.search(text), text


@every_notebook
def test_papermill_sees_every_parameter(path):
    cells = [c for c in code_cells(path) if tagged(c, "parameters")]
    assert len(cells) == 1, "exactly one cell is tagged `parameters`"
    declared = set()
    for statement in ast.parse(cells[0].source).body:
        if isinstance(statement, ast.AnnAssign):
            declared.add(statement.target.id)
        elif isinstance(statement, ast.Assign):
            pytest.fail(f"a parameter without a type: {ast.unparse(statement)}")
    # papermill reads lines, not Python: a type such as `str | None` hides the parameter from it.
    assert "profile" in declared and declared == set(papermill.inspect_notebook(path))


def test_the_setup_cell_is_the_same_everywhere_and_comes_before_the_parameters():
    sources = set()
    for path in PATHS:
        cells = code_cells(path)
        setup = [i for i, c in enumerate(cells) if is_setup(c)]
        parameters = [i for i, c in enumerate(cells) if tagged(c, "parameters")]
        assert setup == [0] and parameters == [1], path.name
        sources.add(cells[0].source)
    assert len(sources) == 1
    assigned = re.findall(r'^REPO_URL, TAG = "(.*)", "(.*)"$', sources.pop(), re.MULTILINE)
    assert assigned == [(colab.REPO_URL, colab.TAG)]


@every_notebook
def test_its_folders_are_settled_by_one_call_with_its_own_number(path):
    source = "\n".join(c.source for c in code_cells(path))
    [call] = re.findall(r"^(.*)notebook\.set_up\((.*)\)$", source, re.MULTILINE)
    parameters = next(c.source for c in code_cells(path) if tagged(c, "parameters"))
    for name, variable in (("data_root", "LOWLIGHT_DATA"), ("out_dir", "LOWLIGHT_OUT")):
        declared = f'{name}: str = os.environ.get("{variable}", "")  # ' in parameters
        assert declared == (name in call[0]) == (name in call[1])
    assert ("out_dir" in call[0]) == (f"number={int(path.stem[:2])}" in call[1].split(", "))
    assert not re.search(r"\.\./(datasets|runs)", source)


def opened_in_colab(text):
    return re.findall(r"\]\((https://colab\.research\.google\.com/github/[^)]*)\)", text)


def address_in_colab(path):
    """Of the tagged version, whose library the set-up cell fetches, too."""
    repository = colab.REPO_URL.removeprefix("https://github.com/")
    at = f"{repository}/blob/{colab.TAG}/notebooks/{path.name}"
    return f"https://colab.research.google.com/github/{at}"


@every_notebook
def test_title_and_link_name_this_notebook_of_this_version(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    number = re.match(r"# (\d\d) \S", first.source)
    assert number and number[1] == path.stem[:2]
    assert opened_in_colab(first.source) == [address_in_colab(path)]


def test_the_readme_opens_the_same_version_of_each(root):
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert opened_in_colab(readme) == [*map(address_in_colab, sorted(NOTEBOOKS.glob("*.ipynb")))]


@every_notebook
def test_no_picture_is_fetched_from_elsewhere(path):
    """Without a network it is a hole in the page, and with one somebody else counts the readers."""
    for cell in read(path).cells:
        assert not re.search(r"!\[[^\]]*\]\(http|<img[^>]*src=.?http", cell.source), cell.source


@every_notebook
def test_exercise_solution_and_check_come_in_that_order(path):
    tags = ["exercise", "solution", "check"]
    order = [tag for cell in code_cells(path) for tag in tags if tagged(cell, tag)]
    assert order == tags * (len(order) // 3)


@every_notebook
def test_cells_fit_on_a_screen_and_have_what_nbval_compares(path):
    """nbval knows its marks only as a comment on a line of their own, with nothing else on it."""
    for cell in read(path).cells:
        lines = cell.source.splitlines()
        assert len(lines) <= LONGEST_CELL, f"{len(lines)} lines: {first_line(cell)}"
        assert cell.source.strip(), "an empty cell"
        if cell.cell_type == "code":
            marks = [line for line in lines if "NBVAL" in line]
            assert all(re.fullmatch(r"\s*# NBVAL_(CHECK|IGNORE)_OUTPUT", m) for m in marks), marks
            checked = "NBVAL_CHECK_OUTPUT" in cell.source or tagged(cell, "nbval-check-output")
            assert cell.outputs or not checked, first_line(cell)
