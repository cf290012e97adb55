"""`lowlight restore`: dark files become pictures, and one bad file does not stop the others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from ..errors import LowlightError, OptionError, OutputError
from ..models import SYSTEMS
from . import options as opt


def restore(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", show_default=False,
                      help="Raw files (.ARW .NEF .CR2 .DNG ...) or .npy mosaics; for video .npy "
                      "clips, (T, H, W, 4) or (T, 4, H, W); for pairlie photographs (.jpg .png "
                      ".tif ...), or folders of them.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the pictures.",
                                      show_default=False)],
    model: Annotated[str, typer.Option(
        help=f"Which system restores: {', '.join(SYSTEMS)}. Each takes its own kind of files: "
        "raw stills, brve raw video, pairlie photographs.")] = "redi",
    checkpoint: opt.Weights = None,
    amplification: Annotated[str, typer.Option(
        help='How much light is missing: "auto" estimates it, or a number such as 100.')] = "auto",
    m: Annotated[list[float] | None, typer.Option(
        "--m", show_default="5 with auto, else 1",
        help="Brightness: multiplies the amplification. Several give a picture each, --m 1 5 8; "
        "5 suits SID's nights, about 12 the mini data.")] = None,
    gamma: opt.Gamma = None,
    tile: opt.Tile = None,
    result_only: opt.ResultOnly = False,
    force: opt.Force = False,
    black: Annotated[float | None, typer.Option(help="Black level of .npy files.")] = None,
    white: Annotated[float | None, typer.Option(help="White level of .npy files.")] = None,
    cfa: Annotated[str | None, typer.Option(
        help="Filters of .npy files: RGGB, GRBG, GBRG, BGGR, XTRANS. Clips have some.")] = None,
    format_: Annotated[str, typer.Option(
        "--format", help="png; tiff, which has 16 bits; or jpg, of quality 95.")] = "png",
    trained_on: Annotated[str, typer.Option(
        help="The camera whose colours the weights know; auto: what the weights say, or the "
        "A7S II. Files of other cameras are brought to it and back.")] = "auto",
    no_colour_match: Annotated[bool, typer.Option(
        "--no-colour-match", help="Leave the colours of other cameras as they are.")] = False,
    backend: opt.Backend = "auto",
    precision: opt.Precision = "float32",
):  # fmt: skip
    """Restore dark raw files: a picture a file and a brightness, full size and upright.

    Clips of raw video become a folder of frames and an mp4, before and after, side by side.
    Photographs (--model pairlie) are split into illumination and reflectance, the former is raised.
    """
    from concurrent.futures import ThreadPoolExecutor

    import torch

    from .. import models
    from ..data.photos import photos_in
    from ..deploy.runtime import resolve_backend
    from ..io.files import PICTURES, write_picture
    from ..restore.clip import open_raw_clip, restore_clip
    from ..restore.photo import check_gamma
    from ..restore.still import open_mosaic
    from ..restore.still import restore as restore_one
    from ..sensor.cameras import find_camera
    from ..training import checkpoint as checkpoints

    factor = opt.number_or_auto(amplification)
    weights = opt.need_weights(checkpoint)
    task = models.SYSTEMS[model].spec.task
    video, photos = task is models.Task.RAW_VIDEO, task is models.Task.PHOTO
    folders = [photos_in(p) if photos and p.is_dir() else [] for p in inputs]
    inputs = list(dict.fromkeys(f for p, files in zip(inputs, folders, strict=True)
                                for f in files or [p]))  # fmt: skip
    if photos and (factor != "auto" or m):
        what = f"{model} takes photographs, which are not amplified"
        raise OptionError(what, todo="leave --amplification and --m out; --gamma says how bright")
    if gamma is not None:
        check_gamma(gamma)
        if not photos:
            raise OptionError(f"--gamma is for photographs; {model} takes raw", todo="use --m")
    if f".{format_}" not in PICTURES:
        raise OptionError(f"unknown format {format_!r}", todo="use png, tiff or jpg")
    network = resolve_backend(checkpoints.load(model, weights), backend, precision)
    ms = list(dict.fromkeys(m or [5.0 if factor == "auto" and not photos else 1.0]))  # REDI's 5
    camera = None if no_colour_match else trained_on
    if camera not in (None, "auto"):
        find_camera(camera)  # a wrong name is an error of the call, not of every file
    names = _output_names(inputs, out, model, ms, format_)

    def work(source):
        """What to print of a file when it is done, and what went wrong, or None."""
        said = []
        try:
            open_raw = open_raw_clip if video else open_mosaic
            raw = source if photos else open_raw(source, black, white, cfa)
            for value, target in names[source]:
                if video:
                    done = restore_clip(
                        raw, network, out, target.stem, factor, value, suffix=target.suffix,
                        force=force, alone=result_only, **({} if tile is None else {"tile": tile}),
                    )  # fmt: skip
                    what = f"{done.movie}, {done.frames} frames in {done.folder}"
                    seconds = done.seconds
                elif target.exists() and not force:
                    raise OutputError("exists already", file=target, todo="use --force, or -o")
                else:
                    done = restore_one(
                        raw, network, amplification=factor, m=value, tile=tile, trained_on=camera,
                        **cast(dict[str, Any], {} if gamma is None else {"gamma": gamma}),
                    )  # fmt: skip
                    write_picture(target, done.image)
                    what = f"{target}  {done.image.shape[1]}x{done.image.shape[0]}"
                    seconds = sum(done.seconds.values())
                amplified = "" if photos else f"  amplified {done.amplification:.4g} times"
                said.append(f"{source} -> {what}{amplified}, {seconds:.1f} s")
                del done  # before the next one needs the memory
        except LowlightError as e:
            return said, e
        except MemoryError:
            return said, f"{source}: does not fit into memory"
        return said, None

    failed, threads = 0, torch.get_num_threads()
    # Two stills at a time: while one is read or written, the other keeps the processors busy.
    workers = 1 if video else min(2, threads, len(inputs))
    pool = ThreadPoolExecutor(workers, "", torch.set_num_threads, (threads // workers,))
    try:
        for said, error in pool.map(work, inputs):
            for line in said:
                print(line)
            if error:
                failed += 1
                print(f"error: {error}", file=sys.stderr)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
    if failed:
        if len(inputs) > 1:
            rest = "" if failed == len(inputs) else ", the others are done"
            print(f"{failed} of {len(inputs)} files failed{rest}", file=sys.stderr)
        raise typer.Exit(1)


def _output_names(inputs, out, key, ms, suffix):
    """Where `restore` writes: {source: [(m, path)]}, no two the same.

    Files of one stem keep apart by their extension, then by a number.
    """
    names, taken = {}, set()
    stems = [p.stem.casefold() for p in inputs]
    for source in inputs:
        stem = source.stem
        if stems.count(stem.casefold()) > 1:
            stem += "_" + source.suffix.lstrip(".").lower()
        base, n = stem, 2
        while stem.casefold() in taken:  # some systems hold a and A for one name
            stem, n = f"{base}_{n}", n + 1
        taken.add(stem.casefold())
        ends = {m: f"_m{m:g}" if len(ms) > 1 else "" for m in ms}
        names[source] = [(m, out / f"{stem}_{key}{end}.{suffix}") for m, end in ends.items()]
    return names
