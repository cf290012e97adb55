"""`train` and `test` as commands, for `lowlight` and for torchrun, which starts modules.

lowlight train redi --profile smoke
torchrun --nproc_per_node=2 -m lowlight_lib.cli train redi --profile smoke
torchrun --nproc_per_node=2 -m lowlight_lib.cli test redi --checkpoint W
"""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import LowlightError, OptionError


class Profile(StrEnum):
    """How much to compute: a check of a minute, a lesson on a laptop, the paper's numbers."""

    smoke = "smoke"
    course = "course"
    paper = "paper"


Key = Annotated[
    str,
    typer.Argument(help="Which system: sid, llpacknet, redi, brve or pairlie.", show_default=False),
]
DataRoot = Annotated[
    Path,
    typer.Option("--data", envvar="LOWLIGHT_DATA", help="Folder that holds SID/ and its like."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]
Backend = Annotated[str, typer.Option(
    help="What computes: eager (the network as it is), torch, onnxruntime, openvino, for brve "
    "bitpacked, or auto, the fastest installed.")]  # fmt: skip
Precision = Annotated[
    str, typer.Option(help="float32, or faster and less exact bfloat16 or float16.")
]
DEFAULT_DATA = Path("datasets/mini")


def train(
    key: Key,
    run: Annotated[Path | None, typer.Option(
        "--run", "--run-dir",
        help="Run directory; started again, a run goes on where it was.")] = None,
    profile: Annotated[Profile, typer.Option(help="Which recipe.")] = Profile.course,
    data: DataRoot = DEFAULT_DATA,
    restart: Annotated[bool, typer.Option("--restart", help="Start over.")] = False,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, instead of the recipe's.")]
    = None,
    seed: Annotated[int | None, typer.Option(
        help="The weights that a run begins and ends with are a function of it.")] = None,
    amp: Annotated[bool, typer.Option("--amp", help="Mixed precision, on GPUs.")] = False,
    set_: Annotated[list[str], typer.Option(
        "--set", metavar="NAME=VALUE",
        help="Change a number of the recipe, e.g. --set batch=4 or --set dataset=smoid.")]
    = [],  # noqa: B006
    device: Device = "auto",
):  # fmt: skip
    """Train a system by its recipe; killed and started again it ends in the same weights."""
    from .. import recipes
    from ..training import distributed
    from ..training.train import fit

    changes = dict(map(_assignment, set_)) | {
        name: value
        for name, value in (("steps", steps), ("seed", seed), ("amp", amp or None))
        if value is not None
    }
    recipe = recipes.find(key, profile.value).replace(**changes)
    run = run or Path("runs") / f"{key}_{profile.value}"
    done = fit(recipe, data, run, resume=not restart, device=device)
    if distributed.is_first():
        print(
            f"{done.checkpoint}: {done.steps} steps in {done.seconds:.0f} s, loss {done.loss:.4f}"
        )


def test(
    context: typer.Context,
    key: Key,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights.", show_default=False)] = None,
    run: Annotated[Path | None, typer.Option(
        "--run", "--run-dir",
        help="Where results.json and pictures/ go.", show_default="beside the weights")] = None,
    dataset: Annotated[str | None, typer.Option(
        help="The layout, e.g. smoid for brve; default the one of the course's recipe.")] = None,
    data: DataRoot = DEFAULT_DATA,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    protocol: Annotated[str, typer.Option(
        help="How to score: default, truncate, float; video: default, raw_video_released; "
        "photographs: pairlie_released and pairlie_vendor too.")]
    = "default",
    amplification: Annotated[str, typer.Option(
        help='"ratio" (the true one), "auto" (estimated), or a number.')] = "ratio",
    m: Annotated[float | None, typer.Option(
        "--m", "--brightness", help="Raw: brightness of the estimate.", show_default="5")] = None,
    first_of_burst: Annotated[bool, typer.Option(
        "--first-of-burst", help="Stills: only the first frame of each burst.")] = False,
    exclude_misaligned: Annotated[bool, typer.Option(
        "--exclude-misaligned", help="Stills: leave out SID's scenes 10034, 10045, 10172.")]
    = False,
    limit: Annotated[int | None, typer.Option(
        min=1, help="Only the first N images or clips.")] = None,
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(
        help="A file that gets the scores too, as JSON.", show_default=False)] = None,
    save_path: Annotated[Path | None, typer.Option(
        help="Where pictures go.", show_default="pictures/ of the run")] = None,
    seed: Annotated[int | None, typer.Option(help="Video: of torch.", show_default="0")] = None,
    tile: Annotated[int | None, typer.Option(
        help="Video: side of the tiles in packed pixels.", show_default="256")] = None,
    seams: Annotated[str | None, typer.Option(
        help='Video: how tiles meet, "blended" or "released" (their plain mean).',
        show_default="blended")] = None,
    gamma: Annotated[float | None, typer.Option(
        help="Photographs: the illumination to this power.", show_default="the protocol's")] = None,
    predictions: Annotated[Path | None, typer.Option(
        help="Photographs: a folder of pictures made elsewhere (PNG or npz), to be scored instead "
        "of weights.", show_default=False)] = None,
    perceptual: Annotated[bool, typer.Option(
        "--perceptual", help="Pictures: LPIPS and FID too (extra lowlight-lab[perceptual]).")]
    = False,
    backend: Backend = "eager",
    precision: Precision = "float32",
):  # fmt: skip
    """Score a system beside the baseline without a network, and write pictures."""
    from ..evaluation import test as score
    from ..evaluation.results import add_rows
    from ..io.files import atomic_write
    from ..io.movies import make_folder
    from ..training import checkpoint as checkpoints
    from ..training import distributed
    from ..training.train import pick_device

    metrics = _perceptual(key) if perceptual else None
    if amplification not in ("ratio", "auto"):
        amplification = number_or_auto(amplification)
    if checkpoint is None and predictions is None:
        raise OptionError("no weights given: --checkpoint is missing", todo="train some first")
    run = run or (checkpoint.parent if checkpoint else Path("runs") / f"{key}_predictions")
    if out is not None:
        make_folder(out.parent)  # an error now, and not after the work
    network = None
    if (backend, precision) != ("eager", "float32"):
        # Of a higher layer: what makes networks fast comes from the command line, by the context.
        if context.obj is None or checkpoint is None:
            raise OptionError(
                "only `lowlight test` of weights has a --backend and a --precision",
                todo="leave them out",
            )
        network = checkpoints.load(key, checkpoint).to(pick_device(device))
        network = context.obj(network, backend, precision)
    options = {"seed": seed, "tile": tile, "seams": seams, "gamma": gamma, "m": m}
    options |= {"predictions": predictions, "first_of_burst": first_of_burst or None}
    options |= {"exclude_misaligned": exclude_misaligned or None}
    [row] = score(
        key, data, run, checkpoint, network, dataset=dataset, split=split, protocol=protocol,
        amplification=amplification, limit=limit, device=device, save_path=save_path,
        **{name: value for name, value in options.items() if value is not None},
    )  # fmt: skip
    if not distributed.is_first():
        return
    pictures = save_path or run / "pictures"
    if metrics:
        row |= metrics(pictures, row)
        add_rows(run / "results.json", [row])
    if out is not None:
        with atomic_write(out, "w") as f:
            json.dump([row], f, indent=1)
    ours, baseline = (
        f"{row[of + 'psnr']:.2f} dB, SSIM {row[of + 'ssim']:.3f}"
        + "".join(
            f", {name} {row[of + k]:.4g}"
            for k, name in (("strred", "ST-RRED"), ("lpips", "LPIPS"), ("fid", "FID"))
            if row.get(k) is not None
        )
        for of in ("", "baseline_")
    )
    what = "clips" if "per_group" in row else "images"
    print(f"{key}, {row['images']} {what}: {ours}; without a network {baseline}")
    print(f"rows in {run / 'results.json'}, pictures in {pictures}")


def _perceptual(key):
    """A function (folder of pictures, row) -> its LPIPS and FID; an error now where it cannot."""
    from .. import models
    from ..evaluation.perceptual import find_metrics, score_folder

    task = models.SYSTEMS[key].spec.task
    if task is models.Task.RAW_VIDEO:
        raise OptionError("LPIPS and FID are of pictures", todo="leave --perceptual out for video")
    metrics, baseline = find_metrics(), "input" if task is models.Task.PHOTO else "baseline"

    def scores(folder, row):
        named = "" if row["amplification"] in (None, "ratio") else f"_{row['amplification']}"
        names = [image["name"] for image in row["per_image"]]
        return score_folder(folder, names, f"result{named}", baseline + named, metrics)

    return scores


def run_app(app, argv, name) -> None:
    """Run a command line: errors on purpose are one line on stderr and exit code 1, no traceback.

    Args:
        app: a typer app.
        argv: its words, without the program's own name.
        name: of the program, for its help.
    """
    for stream in (sys.stdout, sys.stderr):  # a file's name may not fit the console's encoding
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=argv, prog_name=name)
    except LowlightError as e:
        rank = os.environ.get("RANK", "0")  # under torchrun: which of the processes
        print(f"error: {e}" if rank == "0" else f"error in process {rank}: {e}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def number_or_auto(text):
    """What --amplification may say: "auto", or a number."""
    try:
        return text if text == "auto" else float(text)
    except ValueError as e:
        raise OptionError(f"--amplification is auto or a number, not {text!r}") from e


def split_assignment(text):
    """ "NAME=VALUE" -> ("NAME", "VALUE")."""
    name, equals, value = text.partition("=")
    if not equals:
        raise OptionError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value.strip()


def _assignment(text):
    name, value = split_assignment(text)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
