"""Run the course without a screen: every notebook in order, through papermill, into one folder."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, cast

import psutil
from tqdm import tqdm

from .. import allocator
from ..errors import DataError, OptionError, OutputError
from ..io.files import atomic_write, is_running, make_folder, this_process
from .notebook import check_profile
from .plan import find_notebooks, literal, plan, select
from .progress import cells_begun, progress, runs, say
from .report import STARTED, read_state, write_index

_CELL_TIMEOUT = {"smoke": 3600, "course": 24 * 3600}  # seconds; others train for weeks:
_LONGEST = 60 * 24 * 3600
_AT_ONCE = 4  # notebooks at most, each of up to 2 GB


def run_course(
    profile="course", only=None, parameters=None, data_root=None, notebooks_dir=None,
    out: Path | str = "runs/latest", resume=False, cell_timeout=None,
) -> int:  # fmt: skip
    """Run the notebooks in order and leave executed notebooks, scores, pictures and a report.

    Where a notebook fails, its cell and error are reported, and the others still run. In smoke
    each core runs one, as its trainings are too short for several cores; else one runs at a time.

    Args:
        profile: a name in `recipes.PROFILES`.
        only: which notebooks, as "11,13_train_test_retinex"; all by default.
        parameters: {name: value}, given to the notebooks that declare them.
        data_root: by default $LOWLIGHT_DATA, else datasets/mini beside the notebooks, made first.
        out: the folder of results. One of an earlier run is renamed to its start time, not lost.
        resume: go on in `out`: finished notebooks are skipped, trainings continue.
        cell_timeout: seconds after which a cell is given up; an hour in smoke, a day in course.
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
    return _Run(jobs, out, state, cell_timeout or _CELL_TIMEOUT.get(profile, _LONGEST)).run()


class _Run:
    """What the threads of a run share, each of which runs one notebook after the other."""

    def __init__(self, jobs, out, state, cell_timeout):
        self.jobs, self.out, self.state, self.cell_timeout = jobs, out, state, cell_timeout
        smoke = state["profile"] == "smoke"
        self.at_once = min(os.cpu_count() or 1, _AT_ONCE) if smoke else 1
        self.lock, self.shown, self.kernels = threading.Lock(), {}, []

    def run(self):
        state, began, count = self.state, time.monotonic(), len(self.jobs)
        what = f"{count} runs of notebooks, {self.at_once} at a time, profile {state['profile']}"
        say(f"{what}, results in {self.out}")
        jobs = [(f"[{i}/{count}] {job.name}", job) for i, job in enumerate(self.jobs, 1)]
        # What comes after the trainings reads what all before it left, so it waits for them.
        free = max((i for i, (name, _) in enumerate(jobs, 1) if "train_test" in name), default=0)
        with ThreadPoolExecutor(self.at_once) as pool, progress(self.shown):
            try:
                for batch in (jobs[:free], *([job] for job in jobs[free:])):
                    left = {pool.submit(self._run_one, *labelled) for labelled in batch}
                    while left:  # a wait without an end would be deaf to Ctrl-C on Windows
                        ended, left = wait(left, 1, FIRST_EXCEPTION)
                        _ = [future.result() for future in ended]
            except KeyboardInterrupt:
                state["status"] = "interrupted"
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                while not all(future.done() for future in left):  # after Ctrl-C or an error
                    for kernel in self.kernels:
                        with contextlib.suppress(psutil.Error):
                            kernel.kill()
                    time.sleep(0.2)
        done = sum(state["notebooks"].get(j.name, {}).get("status") == "done" for j in self.jobs)
        if state["status"] == "running":
            state["status"] = "done" if done == count else "failed"
        state["finished"] = _now()
        self._save()
        took, index = tqdm.format_interval(time.monotonic() - began), write_index(self.out)
        what = "Interrupted" if state["status"] == "interrupted" else "Finished"
        say(f"{what} after {took}: {done} of {count} without error.\nReport: {index}")
        return {"done": 0, "failed": 1, "interrupted": 130}[state["status"]]

    def _run_one(self, label, job):
        """Execute one notebook, or skip it, and write down how it went."""
        source = hashlib.sha256(job.path.read_bytes()).hexdigest()
        executed, entry = self.out / f"{job.name}.ipynb", self.state["notebooks"].get(job.name, {})
        if entry.get("status") == "done" and entry.get("source") == source and executed.exists():
            return say(f"{label}  skipped, it finished in this run already")
        entry = {"status": "running", "source": source, "parameters": job.parameters}
        with self.lock:
            self.state["notebooks"][job.name] = entry
            self._save()
        result = cast(dict, self._execute(label, job, executed))
        if self.state["status"] == "interrupted":
            result = {"status": "interrupted"}
        with self.lock:
            entry |= result
            self._save()  # it may find that what the notebook left is damaged
            write_index(self.out)  # after each: the reader need not wait for the last
        took = tqdm.format_interval(entry.get("seconds", 0))
        if entry["status"] == "done":
            say(f"{label}  done in {took}")
        elif entry["status"] == "failed":
            where = f"in cell {entry['cell']} of {entry['cells']}"
            error = f"{entry['error']['name']}: {entry['error']['message']}"
            say(f"{label}  FAILED after {took} {where}: {error}\n    see {executed}")

    def _execute(self, label, job, executed):
        """What state.json says of a notebook once it has run."""
        import nbformat
        import papermill
        from jupyter_client import AsyncKernelManager
        from traitlets.config import Config

        config, kernels, limit = Config(), self.kernels, self.cell_timeout
        folder = make_folder(self.out / job.name)
        if "transport_encryption" in AsyncKernelManager.class_trait_names():
            # Other users of this machine cannot listen, and no kernel warns that they could.
            config.KernelManager.transport_encryption = "auto"
        environment = {
            "LOWLIGHT_PROFILE": self.state["profile"],
            "LOWLIGHT_DATA": self.state["data_root"],
            "LOWLIGHT_OUT": str(folder),
            "LOWLIGHT_CHECKS": "strict",  # an answer that is not right is an error
            "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one in the home folder
            "MPLBACKEND": "",  # the kernel draws into the notebook
            "TQDM_DISABLE": "1",  # a bar would stay in it; `progress` shows how far it is
        } | (allocator.ENVIRONMENT if allocator.wanted() else {})
        environment |= {"OMP_NUM_THREADS": "1"} if self.at_once > 1 else {}

        class Kernel(AsyncKernelManager):
            async def start_kernel(self, **options):
                await super().start_kernel(**options | {"env": os.environ | environment})
                kernels.append(psutil.Process(cast(Any, self.provisioner).pid))

        options = {"kernel_name": "python3", "progress_bar": False, "config": config}
        options |= {"parameters": job.parameters, "execution_timeout": limit}
        options |= {"kernel_manager_class": Kernel}
        # The kernel's folder; papermill's `cwd` would change that of this whole process.
        options |= {"resources": {"metadata": {"path": str(job.path.parent)}}}
        cells = sum(map(runs, nbformat.read(job.path, as_version=4).cells))
        cells += bool(job.parameters)  # papermill's own cell
        for attempt in (1, 2):
            executed.unlink(missing_ok=True)  # its cells are counted
            began, entry = time.monotonic(), {"status": "done", "cells": cells}
            self.shown[label] = cells, executed, folder, time.time()
            try:
                papermill.execute_notebook(literal(job.path), literal(executed), **options)
            except Exception as e:  # whatever it is, the other notebooks still run
                name, message = getattr(e, "ename", type(e).__name__), getattr(e, "evalue", str(e))
                if isinstance(e, TimeoutError):
                    message = f"took over {limit} s. To fix: give a longer --cell-timeout"
                entry |= {"status": "failed", "cell": cells_begun(executed)}
                entry["error"] = {"name": name, "message": message.strip()}
                # Kernels choose ports before they bind them, so another program can be faster.
                taken = "Address already in use", "Kernel died before replying"
                if attempt == 1 and any(t in message for t in taken):
                    say(f"{label}  its kernel found no free port; once more")
                    continue
            finally:
                del self.shown[label]
            return entry | {"seconds": round(time.monotonic() - began, 1)}

    def _save(self):
        """state.json, and results.json with the rows of all notebooks, both whole at any moment."""
        from ..evaluation.results import read_rows

        place, rows = {job.name: i for i, job in enumerate(self.jobs)}, []
        names = sorted(self.state["notebooks"], key=lambda name: (name[:2], place.get(name, -1)))
        entries = self.state["notebooks"] = {n: self.state["notebooks"][n] for n in names}
        for name, entry in entries.items():
            try:
                rows += read_rows(self.out / name / "results.json")
            except DataError as e:
                if entry.get("status") == "done":
                    entry |= {"status": "failed", "cell": entry.get("cells")}
                    entry["error"] = {"name": "DataError", "message": str(e)}
        for file, content in (("state.json", self.state), ("results.json", rows)):
            with atomic_write(self.out / file, "w") as f:
                json.dump(content, f, indent=1, default=str)


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


def _now():
    return datetime.datetime.now().strftime(STARTED)
