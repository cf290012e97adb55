"""Run the course without a screen: every notebook in order, through papermill, into one folder.

papermill only warns about a parameter that nobody declares and then runs the defaults; here such a
name is refused before anything runs.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import time
from pathlib import Path
from typing import cast
from unittest.mock import patch

from .. import allocator
from ..errors import DataError, OptionError, OutputError
from ..io.files import atomic_write, is_running, make_folder, this_process
from .notebook import check_profile
from .plan import find_notebooks, literal, plan, select
from .progress import cells_begun, progress, runs, say
from .report import STARTED, read_state, write_index

_CELL_TIMEOUT = {"smoke": 3600, "course": 24 * 3600}  # seconds; others train for weeks:
_LONGEST = 60 * 24 * 3600


def run_course(
    profile="course", only=None, parameters=None, data_root=None, notebooks_dir=None,
    out: Path | str = "runs/latest", resume=False, cell_timeout=None,
) -> int:  # fmt: skip
    """Run the notebooks in order and leave executed notebooks, scores, pictures and a report.

    Where a notebook fails, its cell and error are reported, and the others still run.

    Args:
        profile: a name in `recipes.PROFILES`.
        only: which notebooks, as "10,12_train_test_retinex"; all by default.
        parameters: {name: value}, given to the notebooks that declare them.
        data_root: by default $LOWLIGHT_DATA, else datasets/mini beside the notebooks, made first.
        notebooks_dir: by default what `find_notebooks` finds.
        out: the folder of results. One of an earlier run is renamed to its start time, not lost.
        resume: go on in `out`: finished notebooks are skipped, trainings continue.
        cell_timeout: seconds after which a cell is given up, and its notebook has failed; by
            default an hour in smoke, a day in course, else sixty days.
    Returns:
        The exit code: 0, 1 where a notebook failed, 130 after Ctrl-C.
    Raises:
        OptionError: before anything runs: something asked for does not exist, or `out` is no folder
            of results. OutputError: it cannot be written.
    """
    from ..evaluation.results import commit
    from ..training.state import versions

    check_profile(profile)
    notebooks, out = find_notebooks(notebooks_dir), Path(out).resolve()
    mini_root = notebooks[0].parents[1] / "datasets" / "mini"
    root = Path(data_root or os.environ.get("LOWLIGHT_DATA") or mini_root).expanduser().resolve()
    if root != mini_root and not root.is_dir():
        raise OptionError("the data folder is not there", file=root, todo="check --data")
    given, fixed = parameters or {}, {"profile": profile, "data_root": str(root)}
    jobs = plan(select(notebooks, only), given, fixed)
    given = {k: v for job in jobs for k, v in job.parameters.items() if k in given}
    settings = fixed | {"parameters": given}
    state = _earlier_run(make_folder(out), settings, resume)
    if root == mini_root:
        from ..data import mini

        say(f"Mini data: {root}")
        mini.ensure(root)
    if state and not resume:
        _set_aside(out, state["started"])
        state = None
    state = state or {"started": _now(), **settings, "notebooks": {}}
    state |= {"status": "running", "versions": versions(), "commit": commit()}
    state |= {"finished": None, "process": this_process()}
    return _run_all(jobs, out, state, cell_timeout or _CELL_TIMEOUT.get(profile, _LONGEST))


def _run_all(jobs, out, state, cell_timeout):
    from tqdm import tqdm

    say(f"{len(jobs)} runs of notebooks, profile {state['profile']}, results in {out}")
    began, done, status = time.monotonic(), 0, "done"
    for i, job in enumerate(jobs, 1):
        label = f"[{i}/{len(jobs)}] {job.name}"
        source = hashlib.sha256(job.path.read_bytes()).hexdigest()
        executed, entry = out / f"{job.name}.ipynb", state["notebooks"].get(job.name, {})
        if entry.get("status") == "done" and entry.get("source") == source and executed.exists():
            say(f"{label}  skipped, it finished in this run already")
            done += 1
            continue
        entry = {"status": "running", "source": source, "parameters": job.parameters}
        state["notebooks"][job.name] = entry
        _save(out, state)
        try:
            entry |= cast(dict, _run_one(job, out, state, label, cell_timeout))
        except KeyboardInterrupt:
            entry["status"] = status = "interrupted"
            break
        _save(out, state)  # it may find that what the notebook left is damaged
        write_index(out)  # after each: the reader need not wait for the last
        took = tqdm.format_interval(entry["seconds"])
        if entry["status"] == "done":
            say(f"{label}  done in {took}")
            done += 1
        else:
            status = "failed"
            where = f"in cell {entry['cell']} of {entry['cells']}"
            error = f"{entry['error']['name']}: {entry['error']['message']}"
            say(f"{label}  FAILED after {took} {where}: {error}\n    see {executed}")
    state |= {"status": status, "finished": _now()}
    _save(out, state)
    index, took = write_index(out), tqdm.format_interval(time.monotonic() - began)
    what = "Interrupted" if status == "interrupted" else "Finished"
    say(f"{what} after {took}: {done} of {len(jobs)} without error.\nReport: {index}")
    return {"done": 0, "failed": 1, "interrupted": 130}[status]


def _run_one(job, out, state, label, cell_timeout):
    """Execute one notebook; returns what state.json says of it. Ctrl-C goes through."""
    import nbformat
    import papermill
    from jupyter_client import KernelManager
    from traitlets.config import Config

    config = Config()
    if "transport_encryption" in KernelManager.class_trait_names():
        # Other users of this machine cannot listen, and no kernel warns that they could.
        config.KernelManager.transport_encryption = "auto"
    folder, executed = out / job.name, out / f"{job.name}.ipynb"
    make_folder(folder)
    environment = {
        "LOWLIGHT_PROFILE": state["profile"],
        "LOWLIGHT_DATA": state["data_root"],
        "LOWLIGHT_OUT": str(folder),
        "LOWLIGHT_CHECKS": "strict",  # an answer that is not right is an error
        "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one in the home folder
        "MPLBACKEND": "",  # the kernel draws into the notebook
    } | (allocator.ENVIRONMENT if allocator.wanted() else {})
    options = {"kernel_name": "python3", "progress_bar": False, "config": config}
    options |= {"parameters": job.parameters, "cwd": str(job.path.parent)}
    options |= {"execution_timeout": cell_timeout}
    cells = sum(map(runs, nbformat.read(job.path, as_version=4).cells))
    cells += bool(job.parameters)  # papermill's own cell
    for attempt in (1, 2):
        executed.unlink(missing_ok=True)  # its cells are counted
        began, entry = time.monotonic(), {"status": "done", "cells": cells}
        try:
            with patch.dict(os.environ, environment), progress(label, cells, executed, folder):
                papermill.execute_notebook(literal(job.path), literal(executed), **options)
        except Exception as e:  # whatever it is, the other notebooks still run
            name, message = getattr(e, "ename", type(e).__name__), getattr(e, "evalue", str(e))
            if isinstance(e, TimeoutError):
                message = f"took over {cell_timeout} s. To fix: give a longer --cell-timeout"
            entry |= {"status": "failed", "cell": cells_begun(executed)}
            entry["error"] = {"name": name, "message": message.strip()}
            # Kernels choose their ports before they bind them, so another program can be faster.
            taken = "Address already in use", "Kernel died before replying"
            if attempt == 1 and any(t in message for t in taken):
                say(f"{label}  its kernel found no free port; once more")
                continue
        return entry | {"seconds": round(time.monotonic() - began, 1)}


def _earlier_run(out, settings, resume):
    """The state of an earlier run in `out`, or None; refuses a folder that is no run's."""
    if not any(out.iterdir()):
        return None
    earlier = read_state(out)
    if not earlier or "started" not in earlier or "notebooks" not in earlier:
        what = "is not the folder of an earlier run, so nothing is written there"
        raise OptionError(what, file=out, todo="give another --out")
    if earlier.get("status") == "running" and is_running(earlier.get("process")):
        raise OptionError("another run is at work there", file=out, todo="wait, or use --out")
    for key, value in settings.items() if resume else ():
        if earlier.get(key) != value:
            what = f"that run had {key} {earlier.get(key)}, not {value}"
            raise OptionError(what, file=out, todo="resume with the same, or leave --resume out")
    return earlier


def _set_aside(out, started):
    try:
        kept = out.rename(out.with_name(started))
    except OSError as e:
        what = f"cannot be renamed to {started} ({e.strerror})"
        raise OutputError(what, file=out, todo="close what is open in it") from e
    say(f"The earlier run is kept as {kept}")


def _save(out, state):
    """state.json, and results.json with the rows of all notebooks, both whole at any moment."""
    from ..evaluation.results import read_rows

    entries, rows = dict(sorted(state["notebooks"].items(), key=lambda item: item[0][:2])), []
    state["notebooks"] = entries
    for name, entry in entries.items():
        try:
            rows += read_rows(out / name / "results.json")
        except DataError as e:
            if entry.get("status") == "done":
                entry |= {"status": "failed", "cell": entry.get("cells")}
                entry["error"] = {"name": "DataError", "message": str(e)}
    for file, content in (("state.json", state), ("results.json", rows)):
        with atomic_write(out / file, "w") as f:
            json.dump(content, f, indent=1, default=str)


def _now():
    return datetime.datetime.now().strftime(STARTED)
