"""The notebooks as students get them: without solutions, and not yet run."""

from pathlib import Path

from ..errors import OutputError
from ..io.files import atomic_write
from .plan import find_notebooks


def student_copies(notebooks_dir, out, force=False) -> list[Path]:
    """Write the notebooks of a folder (None: found as by `run_course`) without solutions and
    outputs to the folder `out`, for students to fill in; with `force` over copies that are there.
    Returns the paths written. OutputError: a copy is there, or `out` is the course itself.
    """
    notebooks = {path: Path(out, path.name) for path in find_notebooks(notebooks_dir)}
    for path, target in notebooks.items():  # all before the first is written
        if target.resolve() == path:
            raise OutputError("holds the course itself", file=out, todo="give another folder")
        if target.exists() and not force:
            todo = "use --force, or another folder"
            raise OutputError("is there already", file=target, todo=todo)
    import nbformat
    from nbconvert.preprocessors import ClearOutputPreprocessor, TagRemovePreprocessor

    steps = TagRemovePreprocessor(remove_cell_tags={"solution"}), ClearOutputPreprocessor()
    for path, target in notebooks.items():
        notebook = nbformat.read(path, as_version=4)
        for step in steps:
            notebook, _ = step.preprocess(notebook, {})
        for name in ("widgets", "papermill"):
            notebook.metadata.pop(name, None)
        with atomic_write(target, "w") as f:
            nbformat.write(notebook, f)
    return list(notebooks.values())
