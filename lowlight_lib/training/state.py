"""A run directory: whose it is, how far it has come, and how it goes on after a kill.

    config.json  versions.json  metrics.jsonl  state.pt  weights.safetensors
    weights_best.safetensors  weights_1000.safetensors  (by validate_every and keep_every)

config.json is the recipe, state.pt all that the next step depends on; owner.json is there while a
process is at work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import torch
from torch import nn
from torch.optim import Optimizer

from .. import models
from ..errors import RunError
from ..io.files import atomic_write, is_running, make_folder, output_error, this_process
from ..io.pickles import read_checkpoint
from ..models.released import our_name
from ..recipes import Recipe
from . import distributed
from .checkpoint import check_finite
from .precision import Precision

CONFIG, METRICS, STATE, WEIGHTS = "config.json", "metrics.jsonl", "state.pt", "weights.safetensors"
OWNER, VERSIONS, BEST = "owner.json", "versions.json", "weights_best.safetensors"
_ANOTHER = "use another run directory, or resume=False (--restart) to start over"
_OVER = "start over with resume=False"


class RunDirectory:
    """The folder of one training, made when the run claims it; `resume` goes on from its state."""

    def __init__(self, path: Path | str, recipe: Recipe, resume: bool = True) -> None:
        self.path, self.recipe, self.resume = Path(path), recipe, resume
        self.weights = self.path / WEIGHTS

    def check(self) -> None:
        """RunError for a folder of another recipe, or one where somebody is at work."""
        if distributed.is_first():  # the others of this run find it owned by the first
            self._refuse_owner()
        if not self.resume:
            return
        file, config = self.path / CONFIG, _config(self.recipe)
        if not file.exists():
            for left in (n for n in (STATE, METRICS, WEIGHTS) if (self.path / n).exists()):
                what = f"holds {left} but no {CONFIG}: whose it is cannot be told"
                raise RunError(what, file=self.path, todo=_ANOTHER)
            return
        try:
            # Through a recipe, since an older file does not name what was added since.
            there = _config(Recipe(**json.loads(file.read_text(encoding="utf-8"))))
            differs = [k for k in config if there[k] != config[k]]
        except (ValueError, TypeError, OSError, RecursionError) as e:
            raise RunError("is damaged", file=file, todo=_OVER) from e
        for k in differs:
            what = f"belongs to another recipe: {k} is {there[k]!r} there, {config[k]!r} here"
            raise RunError(what, file=self.path, todo=_ANOTHER)

    def claim(self) -> None:
        """Make the folder this recipe's, and this process its owner; RunError where another is."""
        make_folder(self.path)
        self._refuse_owner()
        (self.path / OWNER).unlink(missing_ok=True)  # of a process that is no more
        try:
            with open(self.path / OWNER, "x", encoding="utf-8") as f:
                json.dump(this_process(), f)
        except OSError as e:
            raise output_error(self.path / OWNER, e) from e
        if not self.resume:
            kept = self.path.glob("weights_[0-9]*.safetensors")
            for file in (*(self.path / name for name in (STATE, METRICS, WEIGHTS, BEST)), *kept):
                file.unlink(missing_ok=True)
        for left in self.path.glob(".*.part"):  # of a run that was killed while it wrote
            left.unlink(missing_ok=True)
        for name, content in ((CONFIG, _config(self.recipe)), (VERSIONS, versions())):
            with atomic_write(self.path / name, "w") as f:
                json.dump(content, f, indent=1)

    def _refuse_owner(self):
        """RunError where another process, which owner.json names, is at work."""
        try:
            owner = json.loads((self.path / OWNER).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return
        if owner != this_process() and is_running(owner):
            what = f"another training is at work there (process {owner[0]})"
            raise RunError(what, file=self.path, todo="wait, or use another run directory")

    def save(self, model: nn.Module, optimizer: Optimizer, precision: Precision, **done) -> None:
        """Write what the next step depends on, with step and seconds as `done`; CheckpointError for
        weights that are not finite: the state before stays."""
        check_finite(model.state_dict(), self.path / STATE)
        buffer = io.BytesIO()  # PyTorch's own writer does not say that a disk is full
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), **done}
        state |= {"precision": precision.name, "scaler": precision.scaler.state_dict()}
        torch.save(state, buffer)
        with atomic_write(self.path / STATE) as f:
            f.write(buffer.getbuffer())

    def restore(self, model: models.Network, optimizer: Optimizer, precision: Precision):
        """(steps done, seconds spent); fills what is given where there is a state. RunError for one
        that is damaged, or was trained in another precision."""
        path = self.path / STATE
        if not path.exists():
            return 0, 0.0
        try:
            state = read_checkpoint(path)
            step, before = state["step"], state.get("precision", "float32")
            seconds = float(state["seconds"])
            if type(step) is not int or not 0 <= step <= self.recipe.steps or not seconds >= 0:
                raise ValueError
            if before == "float16" == precision.name:
                precision.scaler.load_state_dict(state["scaler"])
            key = model.spec.key
            model.load_state_dict({our_name(key, k): v for k, v in state["model"].items()})
            check_finite(model.state_dict(), path)
            # The numbers of its groups are the recipe's, which may have been edited there.
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict(state["optimizer"] | {"param_groups": groups})
            for parameter, adam in optimizer.state.items():
                wanted = {"step": (), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
                if {k: v.shape for k, v in adam.items()} != wanted:
                    raise ValueError
                check_finite(adam, path)
        except Exception as e:  # whatever a damaged file raises
            raise RunError(f"is damaged ({type(e).__name__})", file=path, todo=_OVER) from e
        if before != precision.name:  # amp=True chooses by the GPU
            what = f"was trained in {before}, and this device would go on in {precision.name}"
            raise RunError(what, file=path, todo="go on where it began, or " + _OVER)
        return step, seconds

    def best(self, after_step: int) -> float:
        """The highest PSNR of the validations up to a step; -inf without any."""
        scores = (e.get("val_psnr") for e in read_metrics(self.path) if e["step"] <= after_step)
        return max((s for s in scores if isinstance(s, float)), default=-math.inf)

    @contextlib.contextmanager
    def log(self, after_step: int, write: bool = True) -> Iterator[TextIO]:
        """metrics.jsonl without the entries after a step, open for more; at the end the folder has
        no owner any more. Only the first process is to `write`; the others' entries go nowhere."""
        path = self.path / METRICS
        try:
            if write:
                kept = [e for e in read_metrics(self.path) if e["step"] <= after_step]
                with atomic_write(path, "w") as f:
                    f.writelines(json.dumps(e) + "\n" for e in kept)
            with open(path if write else os.devnull, "a", encoding="utf-8", newline="\n") as log:
                yield log
        except OSError as e:
            raise output_error(path, e) from e
        finally:
            if write:
                (self.path / OWNER).unlink(missing_ok=True)


def read_metrics(run_dir: Path | str) -> list[dict]:
    """The entries of metrics.jsonl, numbers with a step and a loss; other lines are passed by."""
    path, entries = Path(run_dir) / METRICS, []
    if not path.exists():
        return entries
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError, RecursionError, TypeError, OverflowError):
            entry = json.loads(line)
            sound = {"step", "loss"} <= {*entry} and all(map(math.isfinite, entry.values()))
            if sound and type(entry["step"]) is int:
                entries.append(entry)
    return entries


def versions() -> dict:
    """What a result depends on beside the code."""
    import numpy
    import rawpy

    return {
        "python": platform.python_version(),
        **{package.__name__: package.__version__ for package in (torch, numpy, rawpy)},
        "libraw": ".".join(map(str, rawpy.libraw_version)),
        "threads": torch.get_num_threads(),
        "processes": distributed.world(),
        "machine": platform.machine(),
    }


def _config(recipe):
    return json.loads(json.dumps(dataclasses.asdict(recipe)))  # tuples become lists
