"""What a run of the course consists of: which notebooks, with which parameters.

Everything that the user may have mistyped is refused here, before the first notebook starts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path

from ..errors import OptionError

# What the runner passes by itself, and the option that sets it.
_OF_THE_RUNNER = {"profile": "--profile", "data_root": "--data"}


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of one notebook: `name` is that of its result folder."""

    path: Path
    name: str
    parameters: dict


def find_notebooks(folder=None) -> Path:
    """The folder of the notebooks, as an absolute path.

    Args:
        folder: by default notebooks/ in the current folder, else in the library's own checkout.
    Raises:
        OptionError: it has no notebooks NN_name.ipynb.
    """
    places = [Path("notebooks"), Path(__file__).resolve().parents[2] / "notebooks"]
    places = places if folder is None else [Path(folder)]
    for place in places:
        if notebooks_of(place):
            return place.resolve()
    raise OptionError(
        "no notebooks NN_name.ipynb here", file=places[0], todo="run it in a clone of the project"
    )


def notebooks_of(folder) -> list[Path]:
    """The notebooks NN_name.ipynb of a folder, in the course's order."""
    return sorted(Path(folder).glob("[0-9][0-9]_*.ipynb"))


def select(notebooks, only) -> list[Path]:
    """Those of `notebooks` that `only` names, in the course's order.

    Args:
        notebooks: all there are.
        only: "10", "10_train_test_stills", several with commas, or a list of such; all if empty.
    Raises:
        OptionError: a name that no notebook has.
    """
    only = [only] if isinstance(only, (str, int)) else only or []
    wanted = [w.strip() for o in only for w in str(o).split(",") if w.strip()]
    chosen = set()
    for name in wanted:
        found = {p for p in notebooks if name.removesuffix(".ipynb") in _names(p)}
        if not found:
            names = ", ".join(p.stem for p in notebooks)
            raise OptionError(f"there is no notebook {name!r}", todo=f"choose from {names}")
        chosen |= found
    return [p for p in notebooks if p in chosen] if wanted else notebooks


def _names(path):
    """How a notebook may be called: 01_raw_and_bayer, 01, 1."""
    return path.stem, path.stem[:2], path.stem[:2].lstrip("0") or "0"


def parse_parameters(parameters) -> dict:
    """{"name": value}, texts typed as papermill's -p types them: int, float, bool, None, else str.

    Args:
        parameters: a mapping, a list of "name=value", or None.
    Raises:
        OptionError: a text without "=", or a name that has an option of its own.
    """
    if not isinstance(parameters, Mapping):
        texts = [parameters] if isinstance(parameters, str) else parameters or []
        for text in texts:
            if "=" not in text:
                raise OptionError(f"parameter {text!r} has no value", todo="write name=value")
        parameters = dict(text.split("=", 1) for text in texts)
    for name in parameters:
        if name in _OF_THE_RUNNER:
            raise OptionError(f"{name} is no parameter here", todo=f"use {_OF_THE_RUNNER[name]}")
    return {k.strip(): _typed(v) for k, v in parameters.items()}


def _typed(value):
    if isinstance(value, str):
        for kind in ({"True": True, "False": False, "None": None}.__getitem__, int, float):
            with contextlib.suppress(KeyError, ValueError):
                return kind(value)
    return value


def plan(notebooks, given, fixed, repeats) -> list[Job]:
    """The jobs in order.

    Args:
        notebooks: the selected ones.
        given: what the user asks for; a notebook gets those parameters that it declares.
        fixed: what the runner passes wherever it is declared.
        repeats: {name without its number: (parameter, values)}: one run for each value, unless
            `given` picks one.
    Raises:
        OptionError: a parameter that no selected notebook declares, or a notebook that is none.
    """
    declared = {p: _declared(p) for p in notebooks}
    known = set().union(*declared.values())
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            names = ", ".join(sorted(known - set(_OF_THE_RUNNER))) or "none"
            raise OptionError(
                f"no selected notebook has a parameter {name!r}", todo=f"{hint}they have: {names}"
            )
    jobs = []
    for path, names in declared.items():
        values = {k: v for k, v in (fixed | given).items() if k in names}
        parameter, choices = repeats.get(path.stem[3:], (None, ()))
        if parameter not in names:
            jobs.append(Job(path, path.stem, values))
            continue
        if parameter in given:
            if given[parameter] not in choices:
                raise OptionError(
                    f"{path.stem} does not run with {parameter}={given[parameter]}",
                    todo=f"choose {' or '.join(choices)}",
                )
            choices = (given[parameter],)
        for choice in choices:
            jobs.append(Job(path, f"{path.stem}_{choice}", values | {parameter: choice}))
    return jobs


def _declared(path):
    """The names in a notebook's `parameters` cell."""
    try:
        import papermill
    except ImportError as e:
        raise OptionError("papermill is not installed", todo="pip install papermill") from e
    try:
        return set(papermill.inspect_notebook(literal(path)))
    except Exception as e:  # papermill passes on what its parsers raise
        raise OptionError(f"cannot be read as a notebook ({e})", file=path, todo="mend it") from e


def literal(path) -> str:
    """A path for papermill, which fills {names} in paths; a folder may really be called so."""
    return str(path).replace("{", "{{").replace("}", "}}")
