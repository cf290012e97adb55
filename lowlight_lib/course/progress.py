"""What the runner shows while a notebook runs: the cells, the time, and the training inside it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path

_LINE_EVERY_S = 10.0  # without a terminal; a CI that sees nothing for minutes looks hung
_DRAW_EVERY_S = 0.5
_TAIL_BYTES = 4096  # of metrics.jsonl: a few dozen lines, read twice a second


@contextlib.contextmanager
def progress(running, stream=None, stop=None):
    """Show how far notebooks are while they run inside: on a terminal one line is drawn over.

    A notebook runs in a kernel of its own and tells nothing before a cell ends, so what goes on
    inside a long cell is read from the `metrics.jsonl` that a training writes. `running` changes
    meanwhile: {label: (how many cells will run, the notebook that papermill writes, the folder
    where that notebook writes, time of the start in seconds since the epoch)}.
    """
    from tqdm import tqdm

    stream, stop = stream or sys.stdout, stop or threading.Event()
    width = _columns(stream) - 1  # in the last column some terminals begin a new line
    every, end = (_DRAW_EVERY_S, "\r") if width > 0 else (_LINE_EVERY_S, "\n")

    def told(label, cells, executed, folder, began):
        done, status = max(cells_begun(executed) - 1, 0), training_status(folder, began)
        took = tqdm.format_interval(time.time() - began)  # no estimate: cells differ too much
        return f"{label}: {done}/{cells} cells {took}" + (f", {status}" if status else "")

    def show():
        while not stop.wait(every):
            lines = [told(label, *about) for label, about in list(running.items())]
            for text in ["; ".join(lines)[:width].ljust(width)] if width > 0 else lines:
                print(text, end=end, file=stream, flush=True)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def runs(cell) -> bool:
    """Whether a cell gets a number: only then is cell k the one that shows In [k]."""
    return cell["cell_type"] == "code" and bool("".join(cell["source"]).strip())


def cells_begun(executed) -> int:
    """How many code cells have begun of a notebook that papermill executes; 0 where none is."""
    try:
        cells = json.loads(Path(executed).read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError):  # not there yet, or being written this very moment
        return 0
    return sum(runs(c) for c in cells if c["metadata"].get("papermill", {}).get("start_time"))


def training_status(folder, since=0.0) -> str | None:
    """How far the training is that writes the newest metrics.jsonl anywhere below `folder`: "step
    120/400  loss 0.0734", or None where nothing trains, it is done, or nothing was written `since`
    a time (in seconds since the epoch), as by an earlier run."""
    try:
        written, newest = max((p.stat().st_mtime, p) for p in Path(folder).rglob("metrics.jsonl"))
        with open(newest, "rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - _TAIL_BYTES))
            whole_lines = f.read().rpartition(b"\n")[0]
        entry = json.loads(whole_lines.splitlines()[-1])
        step, steps, loss = int(entry["step"]), int(entry["steps"]), entry.get("loss")
        said = f"step {step}/{steps}" + ("" if loss is None else f"  loss {float(loss):.4f}")
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
        return None  # nothing trains, or it has just begun
    return None if written < since or step >= steps else said


def say(text) -> None:
    """Print a line at once: a log that is a pipe would keep it back otherwise."""
    print(text.ljust(_columns(sys.stdout) - 1), flush=True)  # over the line of `progress`


def _columns(stream):
    """Of a terminal; 0 where there is none, and some CI terminals are no columns wide, too."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except OSError:  # it cannot tell
        return 80
