"""`lowlight cost`: what a system needs."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from ..errors import OptionError
from .options import Json, Key


def cost(
    key: Key,
    shape: Annotated[tuple[int, int, int, int] | None, typer.Option(
        help="Input: batch (for video frames of a clip), channels, height, width.",
        show_default="1 C 1024 1024, for video 4 4 128 128")] = None,
    memory: Annotated[bool, typer.Option(
        "--memory", help="Also the peak of a fresh process that does one pass.")] = False,
    parts: Annotated[bool, typer.Option(
        "--by-module", help="Also the share of each part of the network.")] = False,
    only_count: Annotated[bool, typer.Option(
        "--count", help="Count operations only; do not time. Works at any size.")] = False,
    as_published: Annotated[bool, typer.Option(
        "--as-published", help="Also what the counters of released code print.")] = False,
    as_json: Json = False,
):  # fmt: skip
    """Measure what a system costs: parameters, MACs, memory, time."""
    from .. import models
    from ..deploy import counting
    from ..deploy.cost import count, measure, summary
    from ..deploy.memory import process_peak

    spec = models.SYSTEMS[key].spec
    video = spec.task is models.Task.RAW_VIDEO
    shape = shape or ((4, 4, 128, 128) if video else (1, spec.channels, 1024, 1024))
    if min(shape) < 1:
        raise OptionError(f"a shape has positive sides, got {shape}")
    if shape[1] != spec.channels:
        todo = f"--shape {'FRAMES' if video else 1} {spec.channels} HEIGHT WIDTH"
        raise OptionError(f"{key} takes channels: {spec.channels}, got {shape}", todo=todo)
    model = models.build(key).eval()
    found = dataclasses.asdict(count(model, shape) if only_count else measure(model, shape))
    if memory:
        peak = process_peak(key, shape)
        found |= {"process_before_bytes": peak.before, "process_peak_bytes": peak.peak}
    if parts:
        found["by_module"] = counting.by_module(model, shape)
    if as_published:
        found["as_published"] = counting.as_published(model, shape)
    if as_json:
        print(json.dumps({"model": key, "shape": list(shape)} | found))
    else:
        print(f"{key} on {'x'.join(map(str, shape))}\n{summary(found)}")
