"""The notebooks as students get them: without solutions, and not yet run."""

import json
import re
from pathlib import Path

from ..errors import DataError, OptionError, OutputError
from ..io.files import atomic_write
from .plan import find_notebooks

_LINK = re.compile(r"\[(!\[)?Open in Colab\](\([^)]*\)\])?\([^)]*\)\n*")  # or a badge
_GITHUB = re.compile(r"https://github\.com/([^/]+/[^/]+)/(?:tree|blob)/(.+?)/?")


def student_copies(notebooks_dir, out, force=False, colab=None) -> list[Path]:
    """Write the notebooks of a folder (None: found as by `run_course`) without solutions and
    outputs to the folder `out`, for students to fill in; with `force` over copies that are there.

    Their link to Colab would open the solutions, and is left out; where `colab` is the address of
    the folder on GitHub that the copies will be in (https://github.com/YOU/CLASS/tree/main/week1),
    it opens them there. Returns the paths written. OutputError: a copy is there, or `out` is the
    course itself. DataError: a file is no notebook. OptionError: no such address.
    """
    address = _GITHUB.fullmatch(colab or "")
    if colab and not address:
        todo = "give one like https://github.com/YOU/CLASS/tree/main/week1"
        raise OptionError(f"{colab!r} is no folder on GitHub", todo=todo)
    copies = {}
    for path in find_notebooks(notebooks_dir):  # all before the first is written
        target = Path(out, path.name)
        if target.resolve() == path:
            raise OutputError("holds the course itself", file=out, todo="give another folder")
        if target.exists() and not force:
            todo = "use --force, or another folder"
            raise OutputError("is there already", file=target, todo=todo)
        link = address and "https://colab.research.google.com/github/{}/blob/{}/{}".format(
            *address.groups(), path.name
        )
        copies[target] = _copy(read_notebook(path), link)
    for target, notebook in copies.items():
        with atomic_write(target, "w") as f:
            f.write(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return list(copies)


def read_notebook(path) -> dict:
    """A notebook of format 4, whose cells' `source` are texts; DataError where it is none."""
    try:
        notebook = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
            cell["tags"] = list(cell.get("metadata", {}).get("tags", []))
        return notebook
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
        what = f"is no notebook ({type(e).__name__}: {e})"
        raise DataError(what, file=path, todo="save it again as .ipynb") from e


def _copy(notebook, link):
    cells = [c for c in notebook["cells"] if "solution" not in c.pop("tags")]
    for cell in cells:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    shown = f"[Open in Colab]({link})\n\n" if link else ""
    cells[0]["source"] = _LINK.sub(lambda _: shown, cells[0]["source"])
    kept = {k: v for k, v in notebook["metadata"].items() if k not in ("widgets", "papermill")}
    return notebook | {"cells": cells, "metadata": kept}
