"""Points for a class: only the exercise cells of a submission count, run in the course's notebooks.

A process of its own (`course.examiner`) runs a course's notebook with the course's answers and
judges each student's cells at their places, apart from each other, with limits of time and memory.
Forging points takes somebody who patches this library from an exercise cell, and who reads what was
handed in sees it. Submissions are programs all the same: grade in an account that may be lost.
"""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import DataError, OptionError
from ..io.files import atomic_write
from .checks.common import EXERCISES
from .plan import find_notebooks
from .students import read_notebook

COLUMNS = ("student", "notebook", "exercise", "points", "of", "verdict")
NOT_RUN = "not graded: the course's own notebook stops"
SUMMARY = ("what", "name", "right", "tried", "points", "of")
_NOTEBOOK_S = 1800  # for the course's own cells between two exercises


def grade(submissions, out, jobs=1, timeout=20.0, notebooks_dir=None, data_root=None) -> list[dict]:
    """Grade a folder of submissions and write a row for each exercise to the table `out`, and
    totals of students and exercises beside it, to NAME_summary.csv.

    Args:
        submissions: a folder of folders, one a student, or of notebooks, one a student. What a
            notebook answers is told by the functions in it, whatever its name is.
        jobs: how many processes run at a time.
        timeout: seconds that an exercise may take.
        notebooks_dir, data_root: the course's, by default as for `run_course`.
    Returns:
        The rows, with the keys `COLUMNS`.
    Raises:
        OptionError: nothing is handed in there.
    """
    from ..data import mini

    folder, paths = Path(submissions), {p.stem[:2]: p for p in find_notebooks(notebooks_dir)}
    files = sorted(p for p in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    if not files:
        what, todo = "no notebooks are handed in here", "give the folder of the submissions"
        raise OptionError(what, file=folder, todo=todo)
    mini_root = next(iter(paths.values())).parents[1] / "datasets" / "mini"
    data_root = Path(data_root or os.environ.get("LOWLIGHT_DATA") or mini_root).resolve()
    if data_root == mini_root:
        mini.ensure(data_root)
    rows, answers = [], defaultdict(dict)
    for file in sorted(files, key=lambda p: p.stat().st_mtime, reverse=True):
        student = file.relative_to(folder).parts[0].removesuffix(".ipynb")
        try:
            found = answers_of(read_notebook(file), set(paths))
            if not found:
                raise DataError("holds no exercise of the course")
        except DataError as e:
            rows.append(_row(student, file.name, "", 0, 0, f"not graded: {e.what}"))
            continue
        notebook = next(iter(found))[:2]
        if student in answers[notebook]:
            verdict = "not graded: there is a newer one of this notebook"
            rows.append(_row(student, file.name, "", 0, 0, verdict))
        else:
            answers[notebook][student] = found
    work = [
        (paths[notebook], dict(some))
        for notebook, given in sorted(answers.items())
        for some in _shared_out(sorted(given.items()), jobs)
    ]
    with ThreadPoolExecutor(jobs) as pool:
        verdicts = pool.map(lambda job: _in_own_process(job[0], job[1], timeout, data_root), work)
    for (path, given), said in zip(work, verdicts, strict=True):
        for student in given:
            for task in (t for t in EXERCISES.values() if t.number[:2] == path.stem[:2]):
                gone = f"no cell defines {task.own[0].__name__}"
                verdict = said.get((student, task.number), gone)
                points = task.stars if verdict == "right" else 0
                rows.append(_row(student, path.stem, task.number, points, task.stars, verdict))
    rows.sort(key=lambda r: (r["student"], r["notebook"], r["exercise"]))
    _write(out, COLUMNS, rows)
    out = Path(out)
    _write(out.with_name(f"{out.stem}_summary{out.suffix}"), SUMMARY, summary(rows))
    return rows


def summary(rows) -> list[dict]:
    """Totals: a row for each student, then for each exercise, the one that most got wrong first."""
    totals = []
    for what in ("student", "exercise"):
        groups = defaultdict(list)
        for r in rows:
            groups[r[what]].append(r)
        groups.pop("", None)
        for name, group in groups.items():
            right = sum(r["verdict"] == "right" for r in group)
            tried = sum(r["verdict"].startswith(("right", "wrong")) for r in group)
            points, of = (sum(r[k] for r in group) for k in ("points", "of"))
            values = what, name, right, tried, points, of
            totals.append(dict(zip(SUMMARY, values, strict=True)))
    # Students as they come, by name; exercises by how few got them right.
    return sorted(totals, key=lambda t: t["right"] if t["what"] == "exercise" else -1)


def answers_of(submission, notebooks) -> dict[str, str]:
    """{exercise number: source} of the last cell, but a solution, that defines its function.

    Of several notebooks in question it is the one with the most such cells: names are used again.
    """
    found = defaultdict(dict)
    for number, task in EXERCISES.items():
        name = task.own[0].__name__
        define = re.compile(rf"^(def {name}\b|{name}\s*=\s*lambda\b)", re.MULTILINE)
        for cell in submission["cells"]:
            code = cell.get("cell_type") == "code" and "solution" not in cell["tags"]
            if code and define.search(cell["source"]) and number[:2] in notebooks:
                found[number[:2]][number] = cell["source"]
    return max(found.values(), key=len, default={})


def _in_own_process(path, answers, timeout, data_root):
    """{(student, exercise number): verdict}; an answer that ends the process is passed over."""
    said = {}
    environment = dict(os.environ, LOWLIGHT_PROFILE="smoke", LOWLIGHT_DATA=str(data_root))
    environment |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "CUDA_VISIBLE_DEVICES": ""}
    environment |= {"LOWLIGHT_CHECKS": "strict", "PYTHONPATH": os.pathsep.join(sys.path)}
    while True:
        left = {
            student: {k: v for k, v in own.items() if (student, k) not in said}
            for student, own in answers.items()
        }
        if not any(left.values()):
            return said
        with tempfile.TemporaryDirectory() as folder:
            job, results = Path(folder, "job.json"), Path(folder, "results")
            job.write_text(json.dumps([str(path), left, timeout]), encoding="utf-8")
            command = [sys.executable, "-m", f"{__package__}.examiner", str(job), str(results)]
            environment["LOWLIGHT_OUT"] = str(Path(folder, "run", path.stem))  # alone in its run
            with open(results, "w+", encoding="utf-8") as said_so_far:
                nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
                process = subprocess.Popen(command, cwd=folder, env=environment, **nowhere)
                lines = _watch(process, said_so_far, timeout)
        for student, number, verdict in lines:
            said[student, number] = verdict or "wrong: the answer ended the process"
        if not lines or lines[-1][0] is None:
            why = lines[-1][2] if lines else "it comes to no exercise"
            rest = [(student, k) for student, own in left.items() for k in own]
            return dict.fromkeys(rest, f"{NOT_RUN} ({why})") | said


def _watch(process, results, timeout):
    """Wait for an examiner, or end it where nothing happens for too long; what it wrote."""
    while True:
        results.seek(0)
        lines = [json.loads(line) for line in results.read().splitlines() if line.endswith("]")]
        if process.poll() is not None:
            return lines
        limit = timeout + 10 if lines and lines[-1][2] is None else _NOTEBOOK_S
        if time.time() - os.fstat(results.fileno()).st_mtime > limit:
            process.kill()
        time.sleep(0.2)


def _shared_out(given, jobs):
    """The (student, answers) in `jobs` parts; one by one where they cannot be kept apart."""
    parts = jobs if hasattr(os, "fork") else len(given)
    return [given[k::parts] for k in range(min(parts, len(given)))]


def _row(*values):
    return dict(zip(COLUMNS, values, strict=True))


def _write(path, columns, rows):
    with atomic_write(path, "w") as f:
        table = csv.DictWriter(f, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
