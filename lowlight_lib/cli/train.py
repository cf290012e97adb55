"""`lowlight train`: a system by its recipe, in one process or, started by torchrun, in several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .options import DEFAULT_DATA, DataRoot, Device, Key, Profile, RunDir, split_assignment


def train(
    key: Key,
    run_dir: RunDir = None,
    profile: Profile = "course",
    data: DataRoot = DEFAULT_DATA,
    weights: Annotated[Path | None, typer.Option(
        "--from", metavar="WEIGHTS", show_default=False,
        help="Begin with these weights instead of drawn ones: fine-tuning. `shipped` has the "
        "library's own.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Start over.")] = False,
    steps: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(
        help="The weights that a run begins and ends with are a function of it.")] = None,
    amp: Annotated[bool, typer.Option("--amp", help="Mixed precision, on GPUs.")] = False,
    set_: Annotated[list[str], typer.Option(
        "--set", metavar="NAME=VALUE",
        help="Change a number of the recipe, e.g. --set batch=4.")] = [],  # noqa: B006
    device: Device = "auto",
):  # fmt: skip
    """Train a system by its recipe; killed and started again it ends in the same weights.

    In several processes: torchrun --nproc_per_node=2 -m lowlight_lib.cli train KEY
    """
    from .. import recipes
    from ..training import distributed
    from ..training.train import fit
    from ..weights import path

    if weights == Path("shipped"):
        weights = path(key)

    given = {"steps": steps, "seed": seed, "amp": amp or None}
    changes = dict(map(_assignment, set_)) | {k: v for k, v in given.items() if v is not None}
    recipe = recipes.find(key, profile).replace(**changes)
    run = run_dir or Path("runs") / f"{key}_{profile}"
    done = fit(recipe, data, run, resume=not restart, weights=weights, device=device)
    if distributed.is_first():
        took = f"{done.steps} steps in {done.seconds:.0f} s, loss {done.loss:.4f}"
        print(f"{done.checkpoint}: {took}")


def _assignment(text):
    name, value = split_assignment(text)
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value
