"""`lowlight restore`: dark files become pictures, and one bad file does not stop the others."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, cast

import typer

from ..errors import DataError, LowlightError, OptionError, OutputError
from ..models import SYSTEMS, Task
from . import options as opt


def restore(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", show_default=False,
                      help="Raw files (.ARW .NEF .CR2 .DNG ...) or .npy mosaics; for video .npy "
                      "clips, (T, H, W, 4) or (T, 4, H, W); for pairlie photographs (.jpg .png "
                      ".tif ...). Or folders of them.")],
    out: Annotated[Path | None, typer.Option(
        "-o", "--out", help="Folder for the pictures.", show_default="beside each file")] = None,
    model: Annotated[str, typer.Option(
        help=f"Which system restores: {', '.join(SYSTEMS)}. Each takes its own kind of files: "
        "raw stills, brve raw video, pairlie photographs.")] = "redi",
    checkpoint: Annotated[Path | None, typer.Option(
        help="Weights: the authors' .pth or a .safetensors of ours.",
        show_default="the shipped ones")] = None,
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
    skip_existing: Annotated[bool, typer.Option(
        "--skip-existing", help="What is there already is not done again.")] = False,
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

    night.ARW becomes night_redi.png. Clips of raw video become a folder of frames and an mp4,
    before and after, side by side. Photographs (--model pairlie) are split into illumination and
    reflectance, the former is raised.
    """
    from tqdm.auto import tqdm

    from .. import models
    from .. import weights as shipped
    from ..deploy.runtime import resolve_backend
    from ..io.files import PICTURES, write_picture
    from ..restore.photo import check_gamma
    from ..restore.still import open_mosaic
    from ..restore.still import restore as restore_one
    from ..sensor.cameras import find_camera
    from ..training import checkpoint as checkpoints

    factor = opt.number_or_auto(amplification)
    weights = checkpoint or shipped.path(model)
    task = models.SYSTEMS[model].spec.task
    video, photos = task is Task.RAW_VIDEO, task is Task.PHOTO
    if photos and (factor != "auto" or m):
        what = f"{model} takes photographs, which are not amplified"
        raise OptionError(what, todo="leave --amplification and --m out; --gamma says how bright")
    if gamma is not None:
        check_gamma(gamma)
        if not photos:
            raise OptionError(f"--gamma is for photographs; {model} takes raw", todo="use --m")
    if f".{format_}" not in PICTURES:
        raise OptionError(f"unknown format {format_!r}", todo="use png, tiff or jpg")
    if force and skip_existing:
        raise OptionError("--force does again what --skip-existing leaves", todo="give one of them")
    restorer = resolve_backend(checkpoints.load(model, weights), backend, precision)
    turn = Lock()

    def one_at_a_time(x):  # on all cores: two would take twice the memory, and gain nothing
        with turn:
            return restorer(x)

    network = models.with_spec(one_at_a_time, restorer.spec)
    ms = list(dict.fromkeys(m or [5.0 if factor == "auto" and not photos else 1.0]))  # REDI's 5
    camera = None if no_colour_match else trained_on
    if camera not in (None, "auto"):
        find_camera(camera)  # a wrong name is an error of the call, not of every file
    files, errors = _find_files(inputs, task, model)
    names, there, count = _output_names(files, out, model, ms, format_), 0, len(files) + len(errors)
    if skip_existing:
        for source, its in names.items():
            # A movie's name appears last.
            left = [p for p in its if not (p[1].with_suffix(".mp4") if video else p[1]).exists()]
            names[source], there = left, there + len(its) - len(left)
    sources = [source for source in files if names[source]]

    def work(source):
        """What to print of a file when it is done, and what went wrong, or None."""
        said = []
        try:
            if video:
                from ..restore.clip import open_raw_clip, restore_clip

                raw = open_raw_clip(source, black, white, cfa)
            else:
                raw = source if photos else open_mosaic(source, black, white, cfa)
            for value, target in names[source]:
                if video:
                    done = restore_clip(
                        raw, network, target.parent, target.stem, factor, value,
                        suffix=target.suffix, force=force or skip_existing, alone=result_only,
                        **({} if tile is None else {"tile": tile}),
                    )  # fmt: skip
                    what = f"{done.movie}, {done.frames} frames in {done.folder}"
                    seconds = done.seconds
                elif target.exists() and not force:
                    todo = "use --force or --skip-existing, or -o"
                    raise OutputError("exists already", file=target, todo=todo)
                else:
                    done = restore_one(
                        raw, network, amplification=factor, m=value, tile=tile, trained_on=camera,
                        progress=len(sources) == 1,
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

    # Two stills at a time: one is read, shown and written while the network works on the other.
    workers = 1 if video else min(2, len(sources))
    with tqdm(total=len(sources), unit="file", disable=None if len(sources) > 1 else True) as bar:
        for said, error in _at_a_time(workers, work, sources):
            for line in said:
                tqdm.write(line)
            if error:
                errors.append(error)
            bar.update()
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if there:
        print(f"{there} were there")
    if errors:
        if count > 1:
            rest = "" if len(errors) == count else ", the others are done"
            print(f"{len(errors)} of {count} files failed{rest}", file=sys.stderr)
        raise typer.Exit(1)


def _find_files(inputs, task, key):
    """([files], [errors]): of a folder the files that a system of this task takes, but for its own
    results; what is given twice is there once."""
    from ..io.files import PICTURES, files_in
    from ..io.pictures import PHOTOS
    from ..sensor.raw import RAW_FILES

    suffixes = {Task.RAW_STILL: RAW_FILES, Task.RAW_VIDEO: (".npy",), Task.PHOTO: PHOTOS}[task]
    result, files, errors = re.compile(rf"_{re.escape(key)}(_m[\d.]+)?$"), {}, []
    for path in inputs:
        if not os.path.isdir(path):
            files[path] = None
            continue
        try:
            found = [f for f in files_in(path, suffixes)
                     if f.suffix.lower() not in PICTURES or not result.search(f.stem)]  # fmt: skip
            if not found:
                what, todo = f"holds nothing that {key} restores", f"it takes {' '.join(suffixes)}"
                raise DataError(what, file=path, todo=todo)
            files |= dict.fromkeys(found)
        except LowlightError as e:
            errors.append(e)
    return list(files), errors


def _at_a_time(workers, work, sources):
    """The results of `work`, in order, from so many threads."""
    if workers < 2:  # in this thread, where Ctrl-C ends it at once
        yield from map(work, sources)
        return
    with ThreadPoolExecutor(workers) as pool:  # files that are begun are ended, no other begins
        yield from pool.map(work, sources)


def _output_names(files, out, key, ms, suffix):
    """{source: [(m, path)]}, no two the same; files of one stem keep apart by their extension, then
    by a number."""
    names, taken = {}, set()
    places = Counter((out or p.parent, p.stem.casefold()) for p in files)
    for source in files:
        folder, stem = out or source.parent, source.stem
        if places[folder, stem.casefold()] > 1:
            stem += "_" + source.suffix.lstrip(".").lower()
        base, n = stem, 2
        while (folder, stem.casefold()) in taken:  # some systems hold a and A for one name
            stem, n = f"{base}_{n}", n + 1
        taken.add((folder, stem.casefold()))
        ends = {m: f"_m{m:g}" if len(ms) > 1 else "" for m in ms}
        names[source] = [(m, folder / f"{stem}_{key}{end}.{suffix}") for m, end in ends.items()]
    return names
