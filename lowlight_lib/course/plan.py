"""What a run of the course consists of; what the user mistyped is refused before it starts."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from ..errors import OptionError

_TRUTH = {"True": True, "False": False}
_KINDS = {"int": int, "float": float, "str": str, "bool": lambda text: _TRUTH[text.capitalize()]}
_ONCE_A_NETWORK = "train_test_stills"  # runs for each value of its parameter `model`


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of one notebook: `name` is that of its result folder."""

    path: Path
    name: str
    parameters: dict


def find_notebooks(folder=None) -> list[Path]:
    """The course's notebooks NN_name.ipynb in order, as absolute paths: of a folder, by default
    notebooks/ in the current one, else in the library's own checkout. OptionError for none."""
    places = [Path("notebooks"), Path(__file__).parents[2] / "notebooks"]
    for place in [Path(folder)] if folder else places:
        if found := sorted(place.resolve().glob("[0-9][0-9]_*.ipynb")):
            return found
    what, todo = "no notebooks NN_name.ipynb here", "run it in a clone of the project"
    raise OptionError(what, file=folder or places[0], todo=todo)


def select(notebooks, only) -> list[Path]:
    """Those of `notebooks` that `only` names, as "11,13_train_test_retinex"; all if it is empty."""
    names = {name.zfill(2) for name in (only or "").replace(",", " ").split()}
    for name in sorted(names - {n for p in notebooks for n in (p.stem, p.stem[:2])}):
        todo = f"choose from {', '.join(p.stem for p in notebooks)}"
        raise OptionError(f"there is no notebook {name!r}", todo=todo)
    return [p for p in notebooks if not names or names & {p.stem, p.stem[:2]}]


def typed(name, value, kind):
    """A parameter's value, or its text, as the type that its notebook gives it, such as "int";
    OptionError where it is none. A parameter of another type, or of none, stays as it is."""
    try:
        as_kind = _KINDS[kind](str(value)) if kind in _KINDS else value
        if isinstance(as_kind, float) and not math.isfinite(as_kind):
            raise ValueError
        return as_kind
    except (ValueError, KeyError) as e:
        raise OptionError(f"{name} is {value!r}", todo=f"give it a value of type {kind}") from e


def plan(notebooks, given, fixed) -> list[Job]:
    """The jobs in order: one a notebook, and one a network where each network is trained.

    Args:
        notebooks: the selected ones.
        given: what the user asks for, values or texts; a notebook gets those parameters that it
            declares, as the types that it declares.
        fixed: what the runner passes wherever it is declared.
    Raises:
        OptionError: a parameter that no selected notebook declares, of another type, or with an
            option of its own, a network that is not trained there, or a file that is no notebook.
    """
    from .. import models

    declared = {p: _declared(p) for p in notebooks}
    known = set().union(*declared.values()) - set(fixed)
    for name in given:
        if name in fixed:
            raise OptionError(f"{name} has an option of its own", todo="use --profile or --data")
        if name not in known:
            todo = f"choose from {', '.join(sorted(known)) or 'none'}"
            raise OptionError(f"no selected notebook has a parameter {name!r}", todo=todo)
    jobs = []
    for path, kinds in declared.items():
        values = {k: typed(k, v, kinds[k]) for k, v in (fixed | given).items() if k in kinds}
        if path.stem[3:] != _ONCE_A_NETWORK:
            jobs.append(Job(path, path.stem, values))
            continue
        keys = models.of_task(models.Task.RAW_STILL)
        for key in [given["model"]] if "model" in given else keys:
            if key not in keys:
                what = f"{path.stem} does not run with model={key}"
                raise OptionError(what, todo=f"choose {' or '.join(keys)}")
            jobs.append(Job(path, f"{path.stem}_{key}", values | {"model": key}))
    return jobs


def _declared(path):
    """{name: type} of a notebook's `parameters` cell."""
    import papermill

    try:
        found = papermill.inspect_notebook(literal(path))
        return {name: about["inferred_type_name"] for name, about in found.items()}
    except Exception as e:  # papermill passes on what its parsers raise
        raise OptionError(f"cannot be read as a notebook ({e})", file=path, todo="mend it") from e


def literal(path) -> str:
    """A path for papermill, which fills {names} in paths; a folder may really be called so."""
    return str(path).replace("{", "{{").replace("}", "}}")
