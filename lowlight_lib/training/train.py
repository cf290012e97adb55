"""The training loop, to be read in one sitting.

    lowlight train redi
    torchrun --nproc_per_node=2 -m lowlight_lib.cli train redi      in several processes

A batch is a function of (seed, step), the learning rate a function of the step, and a checkpoint
holds the weights and the optimiser's memory. So a run that is killed at any moment and started
again ends in the same weights, bit for bit on a CPU with the same number of threads and processes.

Several processes (see `training.distributed`) share every batch: two with a batch of 8 take the
steps of one with a batch of 8, up to the order in which numbers are added.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import models
from ..data.photos import LolDataset, PairsDataset
from ..data.sid import SidDataset
from ..data.video import VideoDataset
from ..errors import OptionError, RunError
from ..io.files import atomic_write, output_error
from ..models import Task
from ..models.released import our_name
from ..recipes import Recipe
from . import checkpoint, distributed
from .losses import find_loss
from .precision import Precision, choose
from .prefetch import Prefetcher

CONFIG, METRICS, STATE, WEIGHTS = "config.json", "metrics.jsonl", "state.pt", "weights.safetensors"


@dataclass(frozen=True)
class Trained:
    """What `fit` leaves: the weights' file, how long it took in all, the last logged loss."""

    checkpoint: Path
    steps: int
    seconds: float
    loss: float


def fit(
    recipe: Recipe,
    data_root: Path | str,
    run_dir: Path | str,
    resume: bool = True,
    *,
    device: torch.device | str = "auto",
    progress: bool = True,
) -> Trained:
    """Train a system by its recipe.

    Args:
        recipe: see `recipes.base`.
        data_root: the folder that holds SID/ and its like.
        run_dir: config.json, versions.json, metrics.jsonl, state.pt and weights.safetensors go
            here. One run directory belongs to one recipe. An entry of metrics.jsonl says `waited`:
            what part of the time since the one before went by in waiting for data.
        resume: go on from the last checkpoint in it; False starts over.
        device: "auto" (cuda where there is one), or a torch device.
        progress: show a bar.
    Returns:
        Trained.
    Raises:
        RunError: run_dir belongs to another recipe, its checkpoint is damaged, or one of several
            processes was lost.
        OptionError: what cannot be: more processes than crops in a batch, mixed precision on a CPU.
        DataError, OutputError: as the names say.
    Built in notebooks/10_train_test_stills.
    """
    from tqdm.auto import tqdm

    distributed.join()
    part = rank, world = distributed.rank(), distributed.world()
    first = rank == 0  # only this process writes, and shows a bar
    run_dir, progress = Path(run_dir), progress and first
    if world > recipe.batch:
        raise OptionError(
            f"{world} processes cannot share a batch of {recipe.batch}",
            todo="start fewer, or --set batch=... (which is another recipe)",
        )
    device = pick_device(device)
    precision = Precision(choose(recipe.amp, device), device)
    loss_of = find_loss(recipe.loss)
    of_pairs = loss_of.pairs
    if of_pairs != find_source(recipe.key, recipe.dataset).pairs:
        raise OptionError(f"the loss {recipe.loss!r} does not go with {recipe.dataset!r}")
    with distributed.first_alone():  # so that the others find the data decoded and the run claimed
        _check(run_dir, recipe, resume)
        torch.manual_seed(recipe.seed)
        model = models.build(recipe.key, **recipe.options).to(device).train()
        native = {"native": True} if model.spec.cfa == "X-Trans" else {}
        data = open_dataset(recipe, data_root, "train", **native).prepare(progress)
        balance = getattr(data, "white_balance", None)
        balance = None if balance is None else tuple(map(float, balance))
        camera = getattr(data, "camera", None)
        model.spec = model.spec.replace(trained_on=camera, white_balance=balance)
        if first:  # last: what is there already goes only when all else is right
            _claim(run_dir, recipe, resume)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr, betas=recipe.betas)
    start, seconds = _restore_state(run_dir, model, optimizer, precision, device)
    if first:
        _cut_metrics(run_dir / METRICS, start)
    shape = {n: getattr(recipe, n) for n in SOURCES[recipe.dataset].batch}
    shape["amplify"] = not model.spec.amplifies_itself

    began, last = time.perf_counter(), float("nan")
    batches = Prefetcher(
        lambda step: data.batch(step, seed=recipe.seed, size=recipe.batch, part=part, **shape),
        range(start, recipe.steps),
    )
    bar = tqdm(total=recipe.steps, initial=start, desc=f"train {recipe.key}", disable=not progress)
    with _open_log(run_dir / METRICS if first else os.devnull) as log, bar, batches:
        for step, (x, y) in batches:
            lr = recipe.lr_at(step)
            for group in optimizer.param_groups:
                group["lr"] = lr
            x, y = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
            prediction = precision.predict(model, x)
            if of_pairs:  # y is no target but a second exposure, which the network sees too
                prediction, y = (prediction, precision.predict(model, y)), (x, y)
            # A loss of pairs takes pairs, one of targets tensors.
            loss = loss_of(prediction, y, step, model.parameters())  # type: ignore[arg-type]
            loss = loss * (len(x) / recipe.batch)  # this part's share of the mean over the batch
            done = step + 1
            logs = done % recipe.log_every == 0 or done == recipe.steps
            saves = done % recipe.checkpoint_every == 0 or done == recipe.steps
            if logs or saves:  # now and then only: on a GPU reading the loss waits for it
                last = _finite(distributed.add(loss), done, run_dir)
            optimizer.zero_grad(set_to_none=True)
            precision.scaler.scale(loss).backward()
            distributed.add_gradients(model.parameters())
            precision.scaler.step(optimizer)
            precision.scaler.update()

            bar.update()
            elapsed = seconds + time.perf_counter() - began
            if logs:
                entry = {"step": done, "steps": recipe.steps, "loss": last, "lr": lr}
                entry |= {"seconds": round(elapsed, 3), "waited": round(batches.share(), 4)}
                log.write(json.dumps(entry) + "\n")
                log.flush()
                bar.set_postfix(loss=f"{last:.3f}")
            if saves and first:
                _save_state(run_dir, model, optimizer, precision, done, elapsed)
    total = seconds + time.perf_counter() - began
    if start == recipe.steps and (run_dir / WEIGHTS).exists():
        total = seconds  # nothing was left to do
    elif first:
        checkpoint.save(model, run_dir / WEIGHTS)
    distributed.wait()
    history = read_metrics(run_dir)
    return Trained(run_dir / WEIGHTS, recipe.steps, total, history[-1]["loss"] if history else last)


@dataclass(frozen=True)
class Source:
    """The class that reads a data set, and what of a recipe it understands.

    Attributes:
        dataset: the class.
        task: of the systems that it is for.
        open: fields of the recipe that the constructor takes.
        batch: fields that `batch` takes, beside seed, size, amplify and part.
        pairs: `batch` gives two exposures of a scene, and no target.
        tests: the data set to be tested on, where this one is for training alone.
    """

    dataset: type
    task: Task
    open: tuple[str, ...]
    batch: tuple[str, ...]
    pairs: bool = False
    tests: str | None = None


_SID = Source(
    SidDataset,
    Task.RAW_STILL,
    open=("first_of_burst", "exclude_misaligned", "levels"),
    batch=("crop", "flips", "transpose"),
)
_VIDEO = Source(
    VideoDataset,
    Task.RAW_VIDEO,
    open=("dataset", "levels"),
    batch=("crop", "frames", "flips", "transpose", "reverse"),
)
_LOL = Source(LolDataset, Task.PHOTO, (), ("crop", "flips", "transpose"), pairs=True)
_PAIRS = dataclasses.replace(_LOL, dataset=PairsDataset, tests="lol")
SOURCES = {"sid": _SID, "llrvd": _VIDEO, "smoid": _VIDEO, "pairs": _PAIRS, "lol": _LOL}


def open_dataset(recipe: Recipe, data_root, split, **changes):
    """The data set a recipe names, for a split, with its options or others."""
    source = find_source(recipe.key, recipe.dataset)
    options = {n: getattr(recipe, n) for n in source.open} | changes
    return source.dataset(data_root, split, **options)


def find_source(key, dataset) -> Source:
    """The source of a data set for a system; OptionError where there is none, or not for it."""
    if dataset not in SOURCES:
        raise OptionError(f"unknown dataset {dataset!r}", todo=f"use {', '.join(SOURCES)}")
    task = models.SYSTEMS[key].spec.task
    if task is not SOURCES[dataset].task:
        fit = [n for n, source in SOURCES.items() if source.task is task]
        raise OptionError(f"{dataset!r} is no data set for {key}", todo=f"use {' or '.join(fit)}")
    return SOURCES[dataset]


def pick_device(device: torch.device | str = "auto") -> torch.device:
    """ "auto" is the GPU where there is one, else the CPU. Each process has a GPU of its own."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    local = distributed.local_rank()
    if str(device) == "cuda" and local is not None and torch.cuda.is_available():
        if local >= torch.cuda.device_count():
            raise OptionError(
                f"process {local + 1} on this machine finds {torch.cuda.device_count()} GPUs",
                todo="start as many as there are (--nproc_per_node), or use --device cpu",
            )
        torch.cuda.set_device(local)
        device = f"cuda:{local}"
    try:
        device = torch.device(device)
        torch.empty(1, device=device)
        return device
    except (RuntimeError, AssertionError) as e:  # PyTorch without CUDA asserts
        raise OptionError(f"this machine has no device {str(device)!r}", todo="use cpu") from e


def read_metrics(run_dir: Path | str) -> list[dict]:
    """The entries of metrics.jsonl; a last line cut off by a kill is ignored."""
    entries = []
    path = Path(run_dir) / METRICS
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            entries.append(json.loads(line))
        except ValueError:
            break
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


def _check(run_dir, recipe, resume):
    """Refuse a run directory that is not this recipe's; nothing is changed."""
    if run_dir.exists() and not run_dir.is_dir():
        raise RunError("is a file, not a run directory", file=run_dir, todo="use another --run")
    if not resume:
        return
    path, config = run_dir / CONFIG, _config(recipe)
    if not path.exists():
        others = [n for n in (STATE, METRICS, WEIGHTS) if (run_dir / n).exists()]
        if others:
            raise RunError(
                f"holds {others[0]} but no {CONFIG}: whose it is cannot be told",
                file=run_dir,
                todo="use another run directory, or resume=False (--restart) to start over",
            )
        return
    try:
        # Through a recipe, since an older file does not name what was added since.
        there = _config(Recipe(**json.loads(path.read_text(encoding="utf-8"))))
        differs = [k for k in config if there.get(k) != config[k]]
    except (ValueError, TypeError, OSError) as e:
        raise RunError("is damaged", file=path, todo="start over with resume=False") from e
    if differs:
        k = differs[0]
        raise RunError(
            f"belongs to another recipe: {k} is {there.get(k)!r} there, {config[k]!r} here",
            file=run_dir,
            todo="use another run directory, or resume=False (--restart) to start over",
        )


def _claim(run_dir, recipe, resume):
    """Make the run directory this recipe's."""
    if not resume:
        for name in (STATE, METRICS, WEIGHTS):
            (run_dir / name).unlink(missing_ok=True)
    for left in run_dir.glob(".*.part"):  # of a run that was killed while it wrote
        left.unlink(missing_ok=True)
    with atomic_write(run_dir / CONFIG, "w") as f:
        json.dump(_config(recipe), f, indent=1)
    with atomic_write(run_dir / "versions.json", "w") as f:
        json.dump(versions(), f, indent=1)


def _config(recipe):
    return json.loads(json.dumps(dataclasses.asdict(recipe)))  # tuples become lists


def _finite(loss, step, run_dir):
    value = loss.item()
    if not math.isfinite(value):
        raise RunError(
            f"the loss became {value} by step {step}; the last checkpoint is from before that",
            file=run_dir,
            todo="lower the learning rate (--set lr=...), in another run directory",
        )
    return value


@contextlib.contextmanager
def _open_log(path):
    try:
        with open(path, "a", encoding="utf-8", newline="\n") as log:
            yield log
    except OSError as e:
        raise output_error(path, e) from e


def _save_state(run_dir, model, optimizer, precision, step, seconds):
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "precision": precision.name,
        "scaler": precision.scaler.state_dict(),
        "step": step,
        "seconds": seconds,
    }
    with atomic_write(run_dir / STATE) as f:
        torch.save(state, f)


def _restore_state(run_dir, model, optimizer, precision, device):
    """(steps done, seconds spent); fills what was given where there is a state."""
    path = run_dir / STATE
    if not path.exists():
        return 0, 0.0
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        before = state.get("precision", "float32")
        if before == "float16" == precision.name:
            precision.scaler.load_state_dict(state["scaler"])
        key = model.spec.key
        model.load_state_dict({our_name(key, k): v for k, v in state["model"].items()})
        optimizer.load_state_dict(state["optimizer"])
        found = state["step"], state["seconds"]
    except Exception as e:  # whatever a damaged file raises
        raise RunError(
            f"is damaged ({type(e).__name__})", file=path, todo="start over with resume=False"
        ) from e
    if before != precision.name:  # amp=True chooses by the GPU
        raise RunError(
            f"was trained in {before}, and this device would go on in {precision.name}",
            file=path,
            todo="go on where it began, or start over with resume=False",
        )
    return found


def _cut_metrics(path, step):
    """Drop what was logged after the checkpoint: those steps are going to be done again."""
    kept = [e for e in read_metrics(path.parent) if e["step"] <= step]
    with atomic_write(path, "w") as f:
        f.writelines(json.dumps(e) + "\n" for e in kept)
