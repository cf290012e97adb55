"""`lowlight test`: a system's scores, in one process or, started by torchrun, in several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..errors import OptionError
from . import options as opt


def test(
    key: opt.Key,
    checkpoint: opt.Weights = None,
    run_dir: opt.RunDir = None,
    dataset: Annotated[str | None, typer.Option(
        help="The layout, e.g. smoid for brve; default the one of the course's recipe.")] = None,
    data: opt.DataRoot = opt.DEFAULT_DATA,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    protocol: Annotated[str, typer.Option(
        help="How to score: default, truncate, float, and as their code does redi_released, "
        "llpacknet_released, sid_released; video: default, raw_video_released; photographs: "
        "pairlie_released and pairlie_vendor too.")] = "default",
    amplification: Annotated[str, typer.Option(
        help='"ratio" (the true one), "auto" (estimated), or a number.')] = "ratio",
    m: Annotated[float | None, typer.Option(
        "--brightness", help="Raw: what the estimate of --amplification auto aims at.",
        show_default="5")] = None,
    first_of_burst: Annotated[bool, typer.Option(
        "--first-of-burst/--all-bursts",
        help="Stills: only the first frame of each burst, as in the paper (93 of 598).")] = True,
    exposure: Annotated[float | None, typer.Option(
        help="Stills: only inputs of so many seconds, e.g. 0.1.", show_default="all")] = None,
    exclude_misaligned: Annotated[bool, typer.Option(
        "--exclude-misaligned", help="Stills: without scenes 10034, 10045, 10172.")] = False,
    limit: opt.Limit = None,
    device: opt.Device = "auto",
    out: Annotated[Path | None, typer.Option(
        help="A file that gets the scores too, as JSON; of video {scene, gain, eval_result} for "
        "each clip and the averages, as BRVE's tool writes them.", show_default=False)] = None,
    save_path: Annotated[Path | None, typer.Option(
        help="Where pictures go.", show_default="pictures/ of the run")] = None,
    seed: Annotated[int | None, typer.Option(
        min=0, max=2**63 - 1, help="Video: of torch.", show_default="0")] = None,
    tile: opt.Tile = None,
    seams: Annotated[str | None, typer.Option(
        help='Video: how tiles meet, "blended" or "released" (their plain mean).',
        show_default="blended")] = None,
    result_only: opt.ResultOnly = False,
    gamma: opt.Gamma = None,
    predictions: Annotated[Path | None, typer.Option(
        help="Photographs: score a folder of pictures (PNG or npz) that were made elsewhere.",
        show_default=False)] = None,
    by_order: Annotated[bool, typer.Option(
        "--by-order", help="--predictions have any names, the first for the first.")] = False,
    perceptual: Annotated[bool, typer.Option(
        "--perceptual", help="LPIPS and FID too (extra lowlight-lab[perceptual]).")] = False,
    backend: opt.Backend = "eager",
    precision: opt.Precision = "float32",
):  # fmt: skip
    """Score a system beside the baseline without a network, and write pictures.

    In several processes: torchrun --nproc_per_node=2 -m lowlight_lib.cli test KEY
    """
    from .. import evaluation
    from ..evaluation.perceptual import find_metrics, score_folder
    from ..evaluation.results import add_rows, as_brve_writes
    from ..io.files import atomic_write, make_folder
    from ..models import SYSTEMS, Task
    from ..training import checkpoint as checkpoints
    from ..training import distributed
    from ..training.train import pick_device

    task = SYSTEMS[key].spec.task
    if perceptual and task is Task.RAW_VIDEO:
        raise OptionError("LPIPS and FID are of pictures", todo="leave --perceptual out for video")
    metrics = find_metrics() if perceptual else None  # an error now, and not after the work
    factor = amplification if amplification == "ratio" else opt.number_or_auto(amplification)
    if predictions is None:
        opt.need_weights(checkpoint)
    run = run_dir or (checkpoint.parent if checkpoint else Path("runs") / f"{key}_predictions")
    if out is not None:
        make_folder(out.parent)
    network = None
    if (backend, precision) != ("eager", "float32"):
        if checkpoint is None:
            raise OptionError("--backend and --precision are for weights", todo="leave them out")
        from ..deploy.runtime import resolve_backend

        network = checkpoints.load(key, checkpoint).to(pick_device(device))
        network = resolve_backend(network, backend, precision)
    options = {  # None is not given: it may be another task's
        "seed": seed, "tile": tile, "seams": seams, "gamma": gamma, "m": m, "exposure": exposure,
        "predictions": predictions, "exclude_misaligned": exclude_misaligned or None,
        "first_of_burst": None if first_of_burst else False,
        "result_only": result_only or None, "by_order": by_order or None,
    }  # fmt: skip
    [row] = evaluation.test(
        key, data, run, checkpoint, network, dataset=dataset, split=split, protocol=protocol,
        amplification=factor, limit=limit, device=device, save_path=save_path,
        **{name: value for name, value in options.items() if value is not None},
    )  # fmt: skip
    if not distributed.is_first():
        return
    pictures = save_path or run / "pictures"
    if metrics:
        named = "" if row["amplification"] in (None, "ratio") else f"_{row['amplification']}"
        baseline = "input" if task is Task.PHOTO else f"baseline{named}"
        names = [image["name"] for image in row["per_image"]]
        row |= score_folder(pictures, names, f"result{named}", baseline, metrics)
        add_rows(run / "results.json", [row])
    if out is not None:
        with atomic_write(out, "w") as f:
            json.dump(as_brve_writes(row) if "per_group" in row else [row], f, indent=1)
    what = "clips" if "per_group" in row else "images"
    ours, baseline = _scores(row, ""), _scores(row, "baseline_")
    print(f"{key}, {row['images']} {what}: {ours}; without a network {baseline}")
    print(f"rows in {run / 'results.json'}, pictures in {pictures}")


def _scores(row, of):
    text = f"{row[of + 'psnr']:.2f} dB, SSIM {row[of + 'ssim']:.3f}"
    for name, title in (("strred", "ST-RRED"), ("lpips", "LPIPS"), ("fid", "FID")):
        if row.get(of + name) is not None:
            text += f", {title} {row[of + name]:.4g}"
    return text
