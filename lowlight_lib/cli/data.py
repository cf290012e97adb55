"""`lowlight data mini` and `lowlight data check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DEFAULT_DATA, Force, RootArgument

app = typer.Typer(help="Make and check data sets.", no_args_is_help=True)


@app.command()
def mini(
    root: RootArgument = DEFAULT_DATA,
    only: Annotated[list[str], typer.Option(
        "--only", metavar="SET", help="SID, LLRVD, SMOID, LOL or pairs; repeat for several. "
        "Default: all, but SID alone where --camera or --cfa is given.")] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(min=0, help="The files are a function of it.")] = 0,
    camera: Annotated[str, typer.Option(
        help="Camera to simulate: sony_a7s2, nikon_d850, canon_5d4, ..., or a profile that "
        "`lowlight calibrate` wrote, mycam.toml.")] = "sony_a7s2",
    cfa: Annotated[str | None, typer.Option(
        help="Other filters on its sensor: rggb, grbg, gbrg, bggr or xtrans.")] = None,
    photos: Annotated[Path | None, typer.Option(
        help="Make them of the photographs in this folder, or in its train/ and test/.")] = None,
    force: Force = False,
):  # fmt: skip
    """Make the mini data sets, without any download: in the layouts as they are published."""
    from ..data import mini

    made = mini.sets_of(only or None, camera, cfa)
    mini.ensure(root, seed, camera=camera, cfa=cfa, again=force, sets=made, photos=photos)
    for name in made:
        print(f"mini {name} is in {root / name}")


@app.command()
def check(
    root: RootArgument = DEFAULT_DATA,
    deep: Annotated[bool, typer.Option("--deep", help="Open every raw file.")] = False,
):
    """Say in words and counts what the data sets hold and lack; exit code 1 where one lacks."""
    from ..data.check import check

    report = check(root, deep=deep, progress=deep)
    print(report)
    raise typer.Exit(report.exit_code)
