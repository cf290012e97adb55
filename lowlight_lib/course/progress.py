"""What the runner shows while a notebook runs: the cell, the time, and the training inside it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

LINE_EVERY_S = 10.0  # without a terminal; a CI that sees nothing for minutes looks hung
_TICK_S = 0.5
_TAIL_BYTES = 4096  # of metrics.jsonl: a few dozen lines, read twice a second


class Progress:
    """A bar on a terminal, lines elsewhere, kept alive by a thread while the kernel works.

    The notebook runs in a kernel of its own and tells nothing before a cell ends, so what goes on
    inside a long cell is read from the `metrics.jsonl` that a training writes.

    Args:
        label: what to call the run, for example "[3/5] 10_train_test_stills_redi".
        cells: how many code cells will run.
        folder: where the notebook writes; the newest metrics.jsonl below it is shown.
        stream: where to write; default is standard output.
        clock: seconds; tests give their own.
    """

    def __init__(self, label, cells, folder, stream=None, clock=time.monotonic):
        self.label, self.cells, self.folder = label, cells, Path(folder)
        self.stream = sys.stdout if stream is None else stream
        self.cell = 0
        self._clock, self._began, self._began_wall = clock, clock(), time.time()
        self._last_line = self._began
        self._stop, self._bar = threading.Event(), None
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self):
        if _is_terminal(self.stream):
            from tqdm import tqdm

            # Cells are no measure of time, so no rate and no estimate.
            self._bar = tqdm(
                total=self.cells,
                desc=self.label,
                file=self.stream,
                leave=False,
                bar_format="{desc}: {n_fmt}/{total_fmt} cells |{bar:20}| {elapsed}{postfix}",
            )
        else:
            say(f"{self.label}  {self.cells} code cells", self.stream)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()
        if self._bar is not None:
            self._bar.close()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began

    def line(self) -> str:
        """One line that says how far the notebook is."""
        training = training_status(self.folder, self._began_wall)
        parts = [self.label, f"cell {self.cell} of {self.cells}", duration(self.seconds), training]
        return "  ".join(p for p in parts if p)

    def tick(self) -> None:
        """Show where the run is: at once on a terminal, every `LINE_EVERY_S` elsewhere."""
        if self._bar is not None:
            self._bar.n = max(self.cell - 1, 0)
            self._bar.set_postfix_str(training_status(self.folder, self._began_wall) or "")
        elif self._clock() - self._last_line >= LINE_EVERY_S:
            self._last_line = self._clock()
            say(self.line(), self.stream)

    def _loop(self):
        while not self._stop.wait(_TICK_S):
            self.tick()


def _is_terminal(stream):
    """Whether a bar can be drawn; some CI terminals are no columns wide, and would show nothing."""
    if not stream.isatty():
        return False
    try:
        return os.get_terminal_size(stream.fileno()).columns > 0
    except (OSError, ValueError):
        return True


def training_status(folder, since=0.0) -> str | None:
    """How far the training is that writes the newest metrics.jsonl below `folder`.

    Args:
        folder: searched with all its subfolders.
        since: files last written before this time (seconds since the epoch) do not count: they
            belong to an earlier run that was resumed.

    Returns:
        For example "step 120/400  loss 0.0734"; None where nothing trains, or when it is done.
    """
    entry = _last_entry(_newest(folder, since))
    try:
        step, steps = int(entry["step"]), int(entry["steps"])
        loss = entry.get("loss")
    except (TypeError, KeyError, ValueError):
        return None
    if step >= steps:
        return None
    return f"step {step}/{steps}" + ("" if loss is None else f"  loss {float(loss):.4f}")


def _newest(folder, since):
    newest, when = None, since
    for top, _, files in os.walk(folder):
        if "metrics.jsonl" in files:
            path = Path(top, "metrics.jsonl")
            try:
                written = path.stat().st_mtime
            except OSError:  # replaced this very moment
                continue
            if written >= when:
                newest, when = path, written
    return newest


def _last_entry(path):
    """The last whole line of a file that somebody is writing."""
    if path is None:
        return None
    try:
        with open(path, "rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - _TAIL_BYTES))
            tail = f.read()
        return json.loads(tail[: tail.rindex(b"\n")].splitlines()[-1])
    except (OSError, ValueError, IndexError):
        return None


def duration(seconds) -> str:
    """Minutes and seconds, with hours where there are any: 0:07, 12:30, 1:02:03."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def say(text, stream=None) -> None:
    """Print a line at once: a log that is a pipe would keep it back otherwise."""
    print(text, file=sys.stdout if stream is None else stream, flush=True)
