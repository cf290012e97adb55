"""The training loop, to be read in one sitting.

A batch is a function of (seed, step), the learning rate a function of the step. So a run that is
killed at any moment and started again ends in the same weights, bit for bit on a CPU with the same
number of threads and processes. Several processes share every batch (see `training.distributed`).
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from .. import allocator, models
from ..blocks.binary import binary_layers
from ..data import find, open_dataset
from ..errors import CheckpointError, OptionError, RunError
from ..io.files import open_input
from ..recipes import Recipe
from . import checkpoint, distributed
from .losses import find_loss
from .precision import Precision, choose
from .prefetch import Prefetcher
from .state import BEST, RunDirectory, read_metrics
from .validation import Validation

Folder = Path | str


class Trained(NamedTuple):
    """What `fit` leaves: the weights' file, how long it took in all, the last logged loss."""

    checkpoint: Path
    steps: int
    seconds: float
    loss: float


def fit(
    recipe: Recipe, data_root: Folder, run_dir: Folder, resume=True, *,
    weights: Folder | None = None, device="auto", progress=True,
) -> Trained:  # fmt: skip
    """Train a system by its recipe.

    Args:
        data_root: the folder that holds SID/ and its like.
        run_dir: see `training.state`; it belongs to one recipe.
        resume: go on from the last checkpoint in it; False starts over.
        weights: to begin with, for fine-tuning; they are part of what the run belongs to.
        device: "auto" (cuda where there is one), or a torch device.
    Raises:
        RunError: run_dir belongs to another recipe, its checkpoint is damaged, or one of several
            processes was lost. OptionError, DataError, OutputError: as the names say.
    Built in notebooks/11_train_test_stills.
    """
    from tqdm.auto import tqdm

    allocator.keep_pages()
    distributed.join()
    part = rank, world = distributed.rank(), distributed.world()
    if weights:
        with open_input(weights, CheckpointError, "check --from") as f:
            recipe = recipe.replace(start=hashlib.file_digest(f, "sha256").hexdigest())
    first = rank == 0  # only this process writes, and shows a bar
    run = RunDirectory(run_dir, recipe, resume)
    progress = progress and first and "TQDM_DISABLE" not in os.environ  # as where nobody looks on
    if world > recipe.batch:
        what = f"{world} processes cannot share a batch of {recipe.batch}"
        raise OptionError(what, todo="start fewer, or --set batch=... (which is another recipe)")
    device = pick_device(device)
    precision = Precision(choose(recipe.amp, device), device)
    loss_of = find_loss(recipe.loss)
    if loss_of.pairs != find(recipe.key, recipe.dataset).two_exposures:
        raise OptionError(f"the loss {recipe.loss!r} does not go with {recipe.dataset!r}")
    with distributed.first_alone():  # so that the others find the data decoded and the run claimed
        run.check()
        torch.manual_seed(recipe.seed)
        build = functools.partial(checkpoint.load, path=weights) if weights else models.build
        model = build(recipe.key, **recipe.options).to(device).train()
        native = {"native": True} if model.spec.cfa == "X-Trans" else {}
        data = open_dataset(recipe, data_root, recipe.split, **native).prepare(progress)
        validate = recipe.validate_every and Validation(recipe, data_root, progress, **native)
        model.spec = model.spec.replace(trained_on=data.camera, white_balance=data.white_balance)
        if first:  # last: what is there already goes only when all else is right
            run.claim()
    optimizer = fast(model, recipe)
    start, seconds = run.restore(model, optimizer, precision)
    names = ("crop", "frames", "flips", "transpose", "reverse", "repeat")
    shape = {n: getattr(recipe, n) for n in names} | {"amplify": not model.spec.amplifies_itself}

    began, last, best = time.perf_counter(), float("nan"), run.best(start)
    batches = Prefetcher(
        lambda step: data.batch(step, seed=recipe.seed, size=recipe.batch, part=part, **shape),
        range(start, recipe.steps),
    )
    shown: dict[str, str] = {}
    bar = tqdm(total=recipe.steps, initial=start, desc=f"train {recipe.key}", disable=not progress)
    with run.log(start, first) as log, bar, batches:
        for step, (x, y) in batches:
            lr = recipe.lr_at(step)
            for group in optimizer.param_groups:
                group["lr"] = lr
            x, y = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
            prediction = precision.predict(model, x)
            if loss_of.pairs:  # y is no target but a second exposure, which the network sees too
                prediction, y = (prediction, precision.predict(model, y)), (x, y)
            # A loss of pairs takes pairs, one of targets tensors.
            loss = loss_of(prediction, y, step, model.parameters())  # type: ignore[arg-type]
            loss = loss * (len(x) / recipe.batch)  # this part's share of the mean over the batch
            done = step + 1
            every = recipe.log_every, recipe.checkpoint_every, recipe.validate_every
            logs, saves, validates = (n and (done % n == 0 or done == recipe.steps) for n in every)
            logs = logs or validates
            if logs or saves:  # now and then only: on a GPU reading the loss waits for it
                last = _finite(distributed.add(loss), done, run.path)
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
                if validate and validates and first:
                    entry |= validate(model, loss_of, step, precision)
                    shown["val"] = f"{entry['val_psnr']:.2f} dB"
                    if entry["val_psnr"] > best:
                        best, saves = entry["val_psnr"], True  # so that no state is from before it
                        checkpoint.save(model, run.path / BEST)
                log.write(json.dumps(entry) + "\n")
                log.flush()
                bar.set_postfix(shown | {"loss": f"{last:.3f}"})
            if first and recipe.keep_every and done % recipe.keep_every == 0:
                checkpoint.save(model, run.path / f"weights_{done}.safetensors")
            if saves and first:
                run.save(model, optimizer, precision, step=done, seconds=elapsed)
    if start < recipe.steps:  # else nothing was left to do
        seconds += time.perf_counter() - began
    if first:
        checkpoint.save(model, run.weights)
    distributed.wait()
    history = read_metrics(run.path)
    return Trained(run.weights, recipe.steps, seconds, history[-1]["loss"] if history else last)


def fast(model: nn.Module, recipe: Recipe) -> torch.optim.Adam:
    """The optimiser of a recipe; the network's binary branches become those of `training.fused`."""
    if binary_layers(model):
        from .fused import fuse  # numba is loaded by who has use for it

        fuse(model)
    return torch.optim.Adam(model.parameters(), lr=recipe.lr, betas=recipe.betas, fused=True)


def pick_device(device: torch.device | str = "auto") -> torch.device:
    """ "auto" is the GPU where there is one, else the CPU. Each process has a GPU of its own."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    local = distributed.local_rank()
    if str(device) == "cuda" and local is not None and torch.cuda.is_available():
        if local >= torch.cuda.device_count():
            what = f"process {local + 1} on this machine finds {torch.cuda.device_count()} GPUs"
            raise OptionError(what, todo="start as many (--nproc_per_node), or use --device cpu")
        torch.cuda.set_device(local)
        device = f"cuda:{local}"
    try:
        device = torch.device(device)
        torch.empty(1, device=device)
        return device
    except (RuntimeError, AssertionError) as e:  # PyTorch without CUDA asserts
        raise OptionError(f"this machine has no device {str(device)!r}", todo="use cpu") from e


def _finite(loss, step, run_dir):
    value = loss.item()
    if not math.isfinite(value):
        what = f"the loss became {value} by step {step}; the last checkpoint is from before that"
        raise RunError(what, file=run_dir, todo="lower the learning rate, in another directory")
    return value
