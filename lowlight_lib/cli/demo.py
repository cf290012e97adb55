"""`lowlight demo`: a dark raw file and what becomes of it, for those who have none at hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from ..models import SYSTEMS
from . import options as opt
from .restore import restore


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write into.")] = Path("demo"),
    model: Annotated[str, typer.Option(help="Which system restores raw stills.")] = "redi",
    checkpoint: opt.Weights = None,
    force: opt.Force = False,
):  # fmt: skip
    """Take a photograph in the dark and restore it: night.dng, night_MODEL.png, night_target.png.

    The scene is a photograph of a temple that comes with scikit-learn. The model of a Sony A7S II
    sees it at ISO 1600 with a hundredth of the light that it needs, and with all of it.
    """
    from ..data.mini.stills import light_of, shoot
    from ..errors import OptionError, OutputError
    from ..io.files import write_picture
    from ..models import Task
    from ..sensor import isp, noise
    from ..sensor.raw import write_dng

    if SYSTEMS[model].spec.task is not Task.RAW_STILL:
        raise OptionError(f"{model} takes no raw stills", todo="use sid, llpacknet or redi")
    night, target = out / "night.dng", out / "night_target.png"
    for path in () if force else filter(Path.exists, (night, target)):
        raise OutputError("exists already", file=path, todo="use --force, or -o")
    camera, iso, ratio = noise.SONY_A7S2, 1600, 100
    light = light_of("china", camera)
    for file, given in ((night, ratio), (target, 1)):
        raw = shoot(light, given, camera, iso, seed=given)
        raw = dataclasses.replace(raw, model=camera.model, iso=iso, exposure_s=10 / given)
        if file is night:
            write_dng(file, raw)
        else:
            write_picture(file, isp.develop(raw))
    print(f"{night}: a photograph with 1/{ratio} of the light; {target}: with all of it")
    restore([night], model=model, checkpoint=checkpoint, amplification=str(ratio), force=force)
