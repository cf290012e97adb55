"""A run directory: whose it is, how far it has come, and how it goes on after a kill.

    config.json  versions.json  metrics.jsonl  state.pt  weights.safetensors

config.json is the recipe: one run directory belongs to one recipe. state.pt holds all that the next
step depends on. owner.json is there while a process is at work, so that no second one joins it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import platform
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import torch

from .. import models
from ..errors import RunError
from ..io.files import atomic_write, output_error
from ..io.movies import make_folder
from ..models.released import our_name
from ..recipes import Recipe
from . import distributed
from .precision import Precision

CONFIG, METRICS, STATE, WEIGHTS = "config.json", "metrics.jsonl", "state.pt", "weights.safetensors"
OWNER, VERSIONS = "owner.json", "versions.json"
_ANOTHER = "use another run directory, or resume=False (--restart) to start over"
_OVER = "start over with resume=False"


class RunDirectory:
    """The folder of one training.

    Args:
        path: the folder; it is made when the run claims it.
        recipe: what is trained.
        resume: go on from what is there; False starts over.
    """

    def __init__(self, path: Path | str, recipe: Recipe, resume: bool = True) -> None:
        self.path, self.recipe, self.resume = Path(path), recipe, resume
        self.weights = self.path / WEIGHTS

    def check(self) -> None:
        """Refuse a folder that is not this recipe's, or where somebody is at work; change nothing.

        Raises:
            RunError: says which number differs, or what is damaged.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunError(
                "is a file, not a run directory", file=self.path, todo="use another --run"
            )
        if distributed.is_first():  # the others of this run find it owned by the first
            self._refuse_owner()
        if not self.resume:
            return
        file, config = self.path / CONFIG, _config(self.recipe)
        if not file.exists():
            others = [n for n in (STATE, METRICS, WEIGHTS) if (self.path / n).exists()]
            if others:
                raise RunError(
                    f"holds {others[0]} but no {CONFIG}: whose it is cannot be told",
                    file=self.path,
                    todo=_ANOTHER,
                )
            return
        try:
            # Through a recipe, since an older file does not name what was added since.
            there = _config(Recipe(**json.loads(file.read_text(encoding="utf-8"))))
            differs = [k for k in config if there.get(k) != config[k]]
        except (ValueError, TypeError, OSError, RecursionError) as e:
            raise RunError("is damaged", file=file, todo=_OVER) from e
        if differs:
            k = differs[0]
            raise RunError(
                f"belongs to another recipe: {k} is {there.get(k)!r} there, {config[k]!r} here",
                file=self.path,
                todo=_ANOTHER,
            )

    def claim(self) -> None:
        """Make the folder this recipe's, and this process its owner.

        Raises:
            RunError: somebody else came first.
        """
        make_folder(self.path)
        self._refuse_owner()
        (self.path / OWNER).unlink(missing_ok=True)  # of a process that is no more
        try:
            with open(self.path / OWNER, "x", encoding="utf-8") as f:
                json.dump(_this_process(), f)
        except FileExistsError as e:
            raise self._owned_by("another process") from e
        except OSError as e:
            raise output_error(self.path / OWNER, e) from e
        if not self.resume:
            for name in (STATE, METRICS, WEIGHTS):
                (self.path / name).unlink(missing_ok=True)
        for left in self.path.glob(".*.part"):  # of a run that was killed while it wrote
            left.unlink(missing_ok=True)
        for name, content in ((CONFIG, _config(self.recipe)), (VERSIONS, versions())):
            with atomic_write(self.path / name, "w") as f:
                json.dump(content, f, indent=1)

    def _refuse_owner(self):
        owner = _read_json(self.path / OWNER)
        if owner is not None and _alive(owner):
            raise self._owned_by(f"process {owner[0]}")

    def _owned_by(self, who):
        return RunError(
            f"another training is at work there ({who})",
            file=self.path,
            todo="wait for it, or use another run directory",
        )

    @contextlib.contextmanager
    def owned(self, write: bool = True) -> Iterator[None]:
        """While this lasts the folder has an owner; `write` as of `log`."""
        try:
            yield
        finally:
            if write:
                (self.path / OWNER).unlink(missing_ok=True)

    def save(
        self,
        model: models.Network,
        optimizer: torch.optim.Optimizer,
        precision: Precision,
        step: int,
        seconds: float,
    ) -> None:
        """Write what the next step depends on, whole or not at all."""
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "precision": precision.name,
            "scaler": precision.scaler.state_dict(),
            "step": step,
            "seconds": seconds,
        }
        with atomic_write(self.path / STATE) as f:
            torch.save(state, f)

    def restore(
        self,
        model: models.Network,
        optimizer: torch.optim.Optimizer,
        precision: Precision,
        device: torch.device,
    ) -> tuple[int, float]:
        """(steps done, seconds spent); fills what is given where there is a state.

        Raises:
            RunError: the state is damaged, or was trained in another precision.
        """
        path = self.path / STATE
        if not path.exists():
            return 0, 0.0
        try:
            if (damaged := _damaged_entry(path)) is not None:
                raise ValueError(f"its entry {damaged} does not match its checksum")
            state = torch.load(path, map_location=device, weights_only=True)
            step, seconds = state["step"], state["seconds"]
            if type(step) is not int or not 0 <= step <= self.recipe.steps:
                raise ValueError(f"step {step!r}")
            if not (isinstance(seconds, float | int) and 0 <= seconds < math.inf):
                raise ValueError(f"seconds {seconds!r}")
            before = state.get("precision", "float32")
            if before == "float16" == precision.name:
                precision.scaler.load_state_dict(state["scaler"])
            key = model.spec.key
            model.load_state_dict({our_name(key, k): v for k, v in state["model"].items()})
            optimizer.load_state_dict(state["optimizer"])
        except Exception as e:  # whatever a damaged file raises
            raise RunError(f"is damaged ({type(e).__name__})", file=path, todo=_OVER) from e
        if before != precision.name:  # amp=True chooses by the GPU
            raise RunError(
                f"was trained in {before}, and this device would go on in {precision.name}",
                file=path,
                todo="go on where it began, or " + _OVER,
            )
        return step, seconds

    @contextlib.contextmanager
    def log(self, after_step: int, write: bool = True) -> Iterator[TextIO]:
        """metrics.jsonl, open for more entries: those after a step are dropped, to be done again.

        Args:
            after_step: of the checkpoint that the run goes on from.
            write: only the first of several processes does; the others' go nowhere.
        """
        path = self.path / METRICS
        if write:
            kept = [e for e in read_metrics(self.path) if e["step"] <= after_step]
            with atomic_write(path, "w") as f:
                f.writelines(json.dumps(e) + "\n" for e in kept)
        try:
            with open(path if write else os.devnull, "a", encoding="utf-8", newline="\n") as log:
                yield log
        except OSError as e:
            raise output_error(path, e) from e


def read_metrics(run_dir: Path | str) -> list[dict]:
    """The entries of metrics.jsonl; lines that are none, such as one cut off by a kill, are not."""
    path, entries = Path(run_dir) / METRICS, []
    if not path.exists():
        return entries
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            entry = json.loads(line)
            if isinstance(entry, dict) and type(entry.get("step")) is int:
                entries.append(entry)
    return entries


def versions() -> dict:
    """What a result depends on beside the code."""
    import numpy
    import rawpy

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "rawpy": rawpy.__version__,
        "libraw": ".".join(map(str, rawpy.libraw_version)),
        "threads": torch.get_num_threads(),
        "processes": distributed.world(),
        "machine": platform.machine(),
    }


def _config(recipe):
    return json.loads(json.dumps(dataclasses.asdict(recipe)))  # tuples become lists


def _damaged_entry(path):
    """The first entry of a zip whose checksum is wrong; PyTorch does not look at them."""
    if not zipfile.is_zipfile(path):
        return None  # an old format of PyTorch's, or no checkpoint, which loading tells
    with zipfile.ZipFile(path) as file:
        return file.testzip()


def _this_process():
    import psutil

    return [os.getpid(), psutil.Process().create_time()]


def _alive(owner):
    """Whether the process that wrote owner.json still runs; process ids are used again."""
    import psutil

    try:
        pid, began = owner
        return pid != os.getpid() and psutil.Process(pid).create_time() == began
    except (psutil.Error, TypeError, ValueError):
        return False


def _read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
