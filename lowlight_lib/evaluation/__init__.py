"""Scores of a system, beside what a reader has without one: one test for every task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from .. import models, recipes
from ..data import find, open_dataset
from ..errors import DataError, OptionError, ShapeError
from ..io.movies import make_folder
from ..models import Task
from ..training import checkpoint as checkpoints
from ..training import distributed
from ..training.state import CONFIG, read_metrics
from ..training.train import pick_device
from .base import name_of
from .baselines import find_rival
from .metrics import find_protocol
from .photos import Photos
from .results import add_rows, commit, computed_by, read_rows, weights_id
from .stills import Stills
from .video import Video

TASKS = {Task.RAW_STILL: Stills, Task.RAW_VIDEO: Video, Task.PHOTO: Photos}


def test(
    key, data_root, run_dir, checkpoint=None, network=None, dataset=None, split="test",
    protocol="default", amplification: Any = "ratio", *, profile=None, seconds_train=None,
    limit=None, pictures=True, progress=True, device="auto", save_path=None, **options,
) -> list[dict]:  # fmt: skip
    """Score a system on a data set; write pictures and results.json into `run_dir`.

    Beside each result a baseline is scored, which needs no network. `stills.Stills`, `video.Video`
    and `photos.Photos` say which, and what `options` there are. Several processes share the images
    (see `training.distributed`); each gets all rows, the first writes them.

    Args:
        run_dir: results.json is added to (a row of the same test is replaced).
        checkpoint: file of weights; None with a `network`, which does as the system's networks do.
        dataset: layout; default the one of the system's recipe, for pairlie "lol".
        protocol: a name in `metrics.PROTOCOLS`.
        amplification: of raw data: "ratio" (the true exposure ratio), "auto" (estimated), a number,
            or for stills a callable such as a `LearnedAmplifier`. A network that amplifies itself
            is given the mosaic as it is; the factor then goes into the baseline only.
        pictures: write them, to save_path or else to run_dir/pictures.
    Returns:
        The row, in a list: what was asked for, the scores, how it was computed, "per_image". For
        raw video also "per_group" {ratio or gain: scores}, of which the row's scores are the mean,
        and "seconds_per_image" is a frame's, reading included.
    """
    from tqdm.auto import tqdm

    distributed.join()
    recipe = recipes.usual(key)
    dataset = dataset or find(key, recipe.dataset).tested_on or recipe.dataset
    task = find(key, dataset).task
    kind = TASKS[task]
    if unknown := sorted(options.keys() - kind.options()):
        raise OptionError(f"{', '.join(unknown)}: not for {dataset}", todo="leave it out")
    if limit is not None and limit < 1:
        raise OptionError(f"limit is at least 1, got {limit}")
    read_rows(results := Path(run_dir) / "results.json")  # an error now, and not after the work
    trained = {} if checkpoint is None else _training_of(checkpoint, key)
    if "levels" in kind.options() and (levels := options.get("levels") or trained.get("levels")):
        options["levels"] = tuple(levels)
    folder = Path(save_path or results.with_name("pictures")) if pictures else None
    how = find_protocol(protocol, task)
    job = kind(protocol=how, amplification=amplification, folder=folder, **options)
    if options.get("predictions") is None:
        job.network = _ready(network, key, checkpoint, device)
    elif checkpoint is not None or network is not None:
        raise OptionError("predictions are pictures already", todo="give no weights with them")
    recipe = recipe.replace(dataset=dataset)
    job.data = open_dataset(recipe, data_root, split, **job.data_options())
    job.count = len(job.data) if limit is None else min(limit, len(job.data))
    for place in (run_dir, folder) if pictures else (run_dir,):
        make_folder(place)
    job.rival = find_rival(job, data_root, recipe)
    job.begin()
    per_image, named = [], name_of(job.amplification)
    mine, shown = distributed.share(job.count), progress and distributed.is_first()
    for i in tqdm(mine, desc=f"test {key} ({named or how.name})", disable=not shown):
        try:
            per_image.append(job.score(i))
        except (DataError, ShapeError) as e:
            if e.file:
                raise
            raise type(e)(e.what, file=job.file(i), todo=e.todo) from e
    per_image = distributed.gather(per_image)
    chosen = {name: getattr(job, name) for name in kind.options()}
    if "m" in chosen and amplification != "auto":
        chosen["m"] = None  # a row of the same test whatever m
    name = None if checkpoint is None else Path(checkpoint).name
    row = {"model": key, "dataset": dataset, "split": split}
    row |= {"profile": profile or trained.get("profile"), "checkpoint": name}
    row |= {"weights": weights_id(checkpoint), "limit": limit, "images": len(per_image)}
    row |= job.summary(per_image) | {"amplification": named, "protocol": how.name} | chosen
    row |= {"seconds_train": seconds_train or trained.get("seconds_train")}
    row |= computed_by(job.network) | {"torch": torch.__version__, "commit": commit()}
    row |= {"per_image": per_image}
    if distributed.is_first():
        add_rows(results, [row])
    distributed.wait()  # until the file is written
    return [row]


test.__test__ = False  # pytest collects what is called test, wherever it finds it


def _ready(network, key, checkpoint, device):
    """The network, or that of the checkpoint, ready to be called."""
    if network is None:
        if checkpoint is None:
            raise OptionError("a test needs a checkpoint or a network", todo="train one first")
        network = checkpoints.load(key, checkpoint).to(pick_device(device))
    if isinstance(network, torch.nn.Module):
        network.eval()
    return models.with_spec(network, key)


def _training_of(checkpoint, key):
    """What the run directory of a checkpoint says; {} else."""
    folder = Path(checkpoint).parent
    try:
        recipe = recipes.Recipe(**json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
    if recipe.key != key:
        return {}
    seconds = [entry.get("seconds") for entry in read_metrics(folder)]
    about = {"profile": recipe.profile, "levels": recipe.levels}
    return about | {"seconds_train": seconds[-1] if seconds else None}
