"""`lowlight bench`: thin, and light to import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .options import Json, split_assignment


def bench(
    model: Annotated[list[str], typer.Option(
        "--model", help="Only these systems; repeat for several.")] = [],  # noqa: B006
    size: Annotated[str, typer.Option(help="full (the papers'), medium or small.")] = "full",
    checkpoint: Annotated[list[str], typer.Option(
        metavar="KEY=PATH", help="Weights, e.g. redi=W.pth; else drawn ones.")] = [],  # noqa: B006
    quantised: Annotated[list[str], typer.Option(
        metavar="KEY=PATH", help="Quantised .onnx, for rows in int8.")] = [],  # noqa: B006
    backend: Annotated[list[str], typer.Option(
        "--backend", help="Only these; repeat for several.")] = [],  # noqa: B006
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; each form runs once in each.")] = 5,
    no_memory: Annotated[bool, typer.Option(
        "--no-memory", help="Without the peak of a process for each.")] = False,
    train: Annotated[bool, typer.Option(
        "--train", help="Time a step of training of each course recipe instead.")] = False,
    as_json: Json = False,
    out: Annotated[Path | None, typer.Option(
        "-o", "--out", help="A file that gets the rows too, as JSON.", show_default=False)] = None,
):  # fmt: skip
    """Time every network by every engine, against plain PyTorch in the same run."""
    from .. import models
    from ..blocks.binary import binary_layers
    from ..deploy import bench as timing
    from ..deploy import bench_training
    from ..deploy import bench_video as video
    from ..io.files import atomic_write

    rows = []
    weights, files = (dict(map(split_assignment, words)) for words in (checkpoint, quantised))
    for key in model or models.SYSTEMS:
        if train:
            rows += bench_training.bench([key], repeats)
        else:
            how = backend or None, files, repeats
            rows += timing.bench([key], size, weights, *how, memory=not no_memory)
        if out is not None:  # what is done stays, whatever comes
            with atomic_write(out, "w") as f:
                json.dump(rows, f, indent=1)
    shown = bench_training if train else timing
    print(json.dumps(rows) if as_json else shown.table(rows))
    for key in () if as_json or train else model or models.of_task(models.Task.RAW_VIDEO):
        if key in models.of_task(models.Task.RAW_VIDEO) and binary_layers(models.build(key)):
            print(video.video_line(key, video.bench_video(key)))
