"""Notebooks for tests: the course's own files, and tiny ones made on the spot."""

import nbformat

from support import ROOT

NOTEBOOKS = ROOT / "notebooks"

KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}

PARAMETERS = """
import os
profile: str = os.environ.get("LOWLIGHT_PROFILE", "course")  # how long to train
data_root: str = ""  # where the data are
model: str = "sid"  # which network
steps: int = 7  # training steps
"""


def write_notebook(path, *sources, parameters=PARAMETERS):
    """A notebook with a markdown cell, a parameters cell, an empty cell and the given ones."""
    cells = [
        nbformat.v4.new_markdown_cell("# A title"),
        nbformat.v4.new_code_cell(parameters.strip(), metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(""),
        *(nbformat.v4.new_code_cell(s.strip()) for s in sources),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNELSPEC})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def tagged(cell, tag):
    """Whether a cell carries a tag."""
    return tag in cell.metadata.get("tags", ())


def is_setup(cell):
    """Whether a cell is the set-up cell, by its first line."""
    return cell.cell_type == "code" and cell.source.startswith("# Set-up:")
