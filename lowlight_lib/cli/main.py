"""The command line: thin, every command a call of the library.

lowlight restore | train | test | cost | bench | export | data | course
(or python -m lowlight_lib.cli)
"""

from __future__ import annotations

import json
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from ..errors import LowlightError, OptionError, OutputError
from .bench import bench
from .export import PRECISIONS, export
from .train import (
    DEFAULT_DATA,
    Backend,
    Key,
    Precision,
    Profile,
    number_or_auto,
    run_app,
    split_assignment,
    test,
    train,
)

app = typer.Typer(
    help="Efficient low-light raw imaging: restore dark raw files, train and test networks, "
    "run the course.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Make and check data sets.", no_args_is_help=True)
course_app = typer.Typer(
    help="Run the notebooks, or write the students' copies.", no_args_is_help=True
)
app.add_typer(data_app, name="data")
app.add_typer(course_app, name="course")


class Format(StrEnum):
    """Of the pictures that are written."""

    png = "png"
    tiff = "tiff"
    jpg = "jpg"


@app.command()
def restore(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", show_default=False,
                      help="Raw files (.ARW .NEF .CR2 .DNG ...) or .npy mosaics; for video .npy "
                      "clips, (T, H, W, 4) or (T, 4, H, W); for pairlie photographs (.jpg .png "
                      ".tif ...).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the pictures.",
                                      show_default=False)],
    model: Annotated[str, typer.Option(
        help="Which system restores: sid, llpacknet or redi; video: brve; photographs: "
        "pairlie.")] = "redi",
    checkpoint: Annotated[Path | None, typer.Option(
        help="Weights: the authors' .pth or a .safetensors of ours.")] = None,
    amplification: Annotated[str, typer.Option(
        help='How much light is missing: "auto" estimates it, or a number such as 100.')] = "auto",
    m: Annotated[list[float] | None, typer.Option(
        "--m", show_default="5 with auto, else 1",
        help="Brightness: multiplies the amplification. Several give a picture each, --m 1 5 8; "
        "5 suits SID's nights, about 12 the mini data.")] = None,
    gamma: Annotated[float | None, typer.Option(
        help="Photographs: brightness, the light to this power; 1 leaves it, 0 takes it away.",
        show_default="0.2")] = None,
    tile: Annotated[int | None, typer.Option(help="Work in tiles of N pixels, to save memory.",
                                             show_default="1024 for photographs")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing pictures.")] = False,
    black: Annotated[float | None, typer.Option(help="Black level of .npy files.")] = None,
    white: Annotated[float | None, typer.Option(help="White level of .npy files.")] = None,
    cfa: Annotated[str | None, typer.Option(
        help="Filters of .npy mosaics: RGGB, GRBG, GBRG, BGGR or XTRANS. Clips have a default.")]
    = None,
    format_: Annotated[Format, typer.Option(
        "--format", help="tiff has 16 bits, jpg quality 95.")] = Format.png,
    trained_on: Annotated[str, typer.Option(
        help="The camera whose colours the weights know; auto: what the weights say, or the "
        "A7S II. Files of other cameras are brought to it and back.")] = "auto",
    no_colour_match: Annotated[bool, typer.Option(
        "--no-colour-match", help="Leave the colours of other cameras as they are.")] = False,
    backend: Backend = "auto",
    precision: Precision = "float32",
):  # fmt: skip
    """Restore dark raw files: a picture a file and a brightness, full size and upright.

    Clips of raw video become a folder of frames and an mp4, before and after, side by side.
    Photographs (with --model pairlie) are split into light and paint, and the light is raised.
    """
    from .. import models
    from ..io.files import write_picture
    from ..restore.clip import open_raw_clip, restore_clip
    from ..restore.still import check_gamma, open_mosaic, output_names, takes_photos
    from ..restore.still import restore as restore_one
    from ..sensor.cameras import find_camera
    from ..training import checkpoint as checkpoints

    factor = number_or_auto(amplification)
    inputs = list(dict.fromkeys(inputs))
    if checkpoint is None:
        raise OptionError(
            "no weights given: --checkpoint is missing",
            todo="train some with `lowlight train`, or get the authors' and read NOTICE",
        )
    video = models.SYSTEMS[model].spec.task is models.Task.RAW_VIDEO
    photos = takes_photos(model)
    if photos and (factor != "auto" or m):
        raise OptionError(
            f"{model} takes photographs, which are not amplified",
            todo="leave --amplification and --m out; --gamma says how bright",
        )
    if gamma is not None:
        check_gamma(gamma)
        if not photos:
            raise OptionError(f"--gamma is for photographs; {model} takes raw", todo="use --m")
    network = _fast(checkpoints.load(model, checkpoint), backend, precision)
    # 5: REDI's training code
    ms = list(dict.fromkeys(m or [5.0 if factor == "auto" and not photos else 1.0]))
    camera = None if no_colour_match else trained_on
    if camera not in (None, "auto"):
        find_camera(camera)  # a wrong name is an error of the call, not of every file
    names = output_names(inputs, out, model, ms, format_.value)
    failed = 0
    for source in inputs:
        try:
            raw = source
            if not photos:
                raw = (open_raw_clip if video else open_mosaic)(source, black, white, cfa)
            for value, target in names[source]:
                if video:
                    done = restore_clip(
                        raw, network, out, target.stem, factor, value, suffix=target.suffix,
                        force=force, **({} if tile is None else {"tile": tile}),
                    )  # fmt: skip
                    print(
                        f"{source} -> {done.movie}, {done.frames} frames in {done.folder}  "
                        f"amplified {done.amplification:.4g} times, {done.seconds:.1f} s"
                    )
                    continue
                if target.exists() and not force:
                    raise OutputError("exists already", file=target, todo="use --force, or -o")
                light = {} if gamma is None else {"gamma": gamma}
                done = restore_one(
                    raw, network, model, factor, value, tile=tile, trained_on=camera, **light
                )
                write_picture(target, done.image)
                h, w = done.image.shape[:2]
                how = f"  amplified {done.amplification:.4g} times" * (not photos)
                print(f"{source} -> {target}  {w}x{h}{how}, {sum(done.seconds.values()):.1f} s")
                del done  # before the next one needs the memory
        except LowlightError as e:
            failed += 1
            print(f"error: {e}", file=sys.stderr)
    if failed:
        if len(inputs) > 1:
            rest = "" if failed == len(inputs) else ", the others are done"
            print(f"{failed} of {len(inputs)} files failed{rest}", file=sys.stderr)
        raise typer.Exit(1)


app.command()(train)  # these two are shared with torchrun, see there
app.command()(test)
app.command()(bench)
app.command()(export)


@app.command()
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
):  # fmt: skip
    """Measure what a system costs: parameters, MACs, memory, time."""
    import dataclasses

    from .. import models
    from ..deploy.cost import count, measure, summary
    from ..deploy.counting import by_module
    from ..deploy.memory import process_peak

    card = models.SYSTEMS[key]
    video = card.spec.task is models.Task.RAW_VIDEO
    shape = shape or ((4, 4, 128, 128) if video else (1, card.spec.channels, 1024, 1024))
    if min(shape) < 1:
        raise OptionError(f"a shape has positive sides, got {shape}")
    if shape[1] != card.spec.channels:
        raise OptionError(
            f"{key} takes {card.spec.channels} channel{'s'[: card.spec.channels > 1]}: got {shape}",
            todo=f"--shape {'FRAMES' if video else 1} {card.spec.channels} HEIGHT WIDTH",
        )
    model = models.build(key).eval()
    found = dataclasses.asdict(count(model, shape) if only_count else measure(model, shape))
    if memory:
        peak = process_peak(key, shape)
        found |= {"process_before_bytes": peak.before, "process_peak_bytes": peak.peak}
    if parts:
        found["by_module"] = by_module(model, shape)
    if as_json:
        print(json.dumps({"model": key, "shape": list(shape)} | found))
        return
    print(f"{key} on {'x'.join(map(str, shape))}")
    print(summary(found))


@data_app.command("mini")
def data_mini(
    root: Annotated[Path, typer.Argument(help="Data root; the sets go into it.")] = DEFAULT_DATA,
    only: Annotated[list[str], typer.Option(
        "--only", metavar="SET", help="SID, LLRVD, SMOID, LOL or pairs; repeat for several. "
        "Default: all, but SID alone where --camera or --cfa is given.")] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(min=0, help="The files are a function of it.")] = 0,
    camera: Annotated[str, typer.Option(
        help="Who takes SID's pictures: sony_a7s2, nikon_d850, canon_5d4, ...")] = "sony_a7s2",
    cfa: Annotated[str | None, typer.Option(
        help="Other filters on its sensor: rggb, grbg, gbrg, bggr or xtrans.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Make them again.")] = False,
):  # fmt: skip
    """Make the mini data sets, without any download: in the layouts as they are published."""
    from ..data import mini

    made = mini.sets_of(only or None, camera, cfa)
    mini.ensure(root, seed, camera=camera, cfa=cfa, again=force, sets=made)
    for name in made:
        print(f"mini {name} is in {root / name}")


@data_app.command("check")
def data_check(
    root: Annotated[Path, typer.Argument(help="Data root.")] = DEFAULT_DATA,
    deep: Annotated[bool, typer.Option("--deep", help="Open every raw file.")] = False,
):
    """Say in words and counts what the data sets hold and lack; exit code 1 where one lacks."""
    from ..data.check import check

    report = check(root, deep=deep, progress=deep)
    print(report)
    raise typer.Exit(report.exit_code)


@course_app.command("run")
def course_run(
    profile: Annotated[Profile, typer.Option(help="How much to compute.")] = Profile.course,
    only: Annotated[list[str], typer.Option(
        help="Only these notebooks: 10, or 10_train_test_stills.")] = [],  # noqa: B006
    parameters: Annotated[list[str], typer.Option(
        "-p", metavar="NAME=VALUE", help="A notebook's parameter, e.g. -p model=redi.")] = [],  # noqa: B006
    data: Annotated[Path | None, typer.Option(
        help="Data root; default: mini data, made if absent.")] = None,
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("runs/latest"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
    = False,
):  # fmt: skip
    """Run the course without a screen; open OUT/index.html afterwards."""
    from ..course.run import run_course

    given = dict(split_assignment(p) for p in parameters)
    code = run_course(profile.value, only or None, given, data, out=out, resume=resume)
    raise typer.Exit(code)


@course_app.command("student")
def course_student(
    out: Annotated[Path, typer.Argument(help="Folder for the copies.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing copies.")] = False,
):
    """Write the students' copies of the notebooks: without the solutions."""
    from ..course.run import find_notebooks, student_copies

    copies = student_copies(find_notebooks(), out, force=force)
    print(f"{len(copies)} notebooks in {out}")


def _version(show: bool):
    if show:
        print(__version__)
        raise typer.Exit()


def _fast(network, backend, precision):
    """What `restore` and `test` run, see there."""
    from ..deploy.runtime import resolve_backend

    return resolve_backend(network, backend, precision)


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option(
        "--version", callback=_version, is_eager=True, help="Print the version.")] = False,
):  # fmt: skip
    context.obj = _fast  # for commands of lower layers


# ---------------------------------------------------------------------------------------------
# helpers


def _spread(argv):
    """`--m 1 5 8` -> `--m 1 --m 5 --m 8`, which is how the parser takes several values.

    The same for `--precision float32 int8`.
    """
    out, many = [], None
    for word in argv:
        if many and (word in PRECISIONS if many == "--precision" else _is_number(word)):
            out += [word] if out[-1] == many else [many, word]
            continue
        many = word if word in ("--m", "--precision") else None
        out.append(word)
    return out


def _is_number(word):
    try:
        float(word)
        return True
    except ValueError:
        return False


def main(argv=None) -> None:
    """Entry point: errors on purpose are one line on stderr and exit code 1, never a traceback."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda what, *_: print(f"warning: {what}", file=sys.stderr)
        run_app(app, _spread(sys.argv[1:] if argv is None else argv), "lowlight")
