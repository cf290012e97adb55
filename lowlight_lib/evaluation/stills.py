"""Test a system, and beside it what a reader has without any network.

python -m lowlight_lib.evaluation.stills redi --checkpoint W          the same as lowlight test
torchrun --nproc_per_node=2 -m lowlight_lib.evaluation.stills redi --checkpoint W
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import torch

from .. import models, recipes
from ..data import find, open_dataset
from ..errors import DataError, OptionError
from ..io.files import atomic_write, write_picture
from ..io.pictures import upright
from ..models import Task
from ..restore.still import find_amplification, restore
from ..sensor import isp
from ..sensor.cfa import tile
from ..sensor.raw import RawImage
from ..training import checkpoint as checkpoints
from ..training import distributed
from ..training.state import CONFIG, read_metrics
from ..training.train import pick_device
from .metrics import find_protocol, score

# What makes two rows rows of the same test; the newer one takes the older one's place.
_SAME = ("model", "dataset", "split", "profile", "protocol", "amplification", "m", "checkpoint")
_SAME += ("camera", "match_colour", "weights", "limit")
_SAME += ("first_of_burst", "exclude_misaligned", "levels")
_SAME += ("piece", "tile", "overlap", "seams")
_SAME += ("gamma", "predictions", "backend", "precision")
SCORES = ("psnr", "ssim", "baseline_psnr", "baseline_ssim")
EAGER = {"backend": "eager", "precision": "float32"}  # unless the network says something else


def test(
    key,
    data_root,
    run_dir,
    checkpoint=None,
    network=None,
    dataset=None,
    split="test",
    protocol="default",
    amplification="ratio",
    *,
    m=5.0,
    profile=None,
    seconds_train=None,
    limit=None,
    pictures=True,
    progress=True,
    first_of_burst=False,
    exclude_misaligned=False,
    levels=None,
    device="auto",
    match_colour=False,
    **others,
) -> list[dict]:
    """Score a system on a data set; write pictures and results.json into `run_dir`.

    Raw video is `evaluate_video.test_video`'s, photographs `evaluate_pairs.test_photos`', which say
    how; the rest here is about raw stills.
    Beside each restoration the baseline is scored: the same amplified mosaic (as recorded, X-Trans
    too) as a DNG, developed by the very LibRaw call that made the target. Several processes share
    the images (see `training.distributed`); each gets all rows, the first writes them.

    Args:
        key: system.
        data_root: the folder that holds SID/ and its like.
        run_dir: results.json is added to (rows of the same test are replaced); `pictures/` gets
            NAME_{input,baseline,result,target}.png.
        checkpoint: file of weights; None with a `network`.
        network: any callable (1, 1, H, W) -> (1, 3, H, W), instead of a checkpoint.
        dataset: layout; default the one of the system's recipe, for pairlie "lol".
        split: "train", "val" or "test".
        protocol: a name in `evaluation.metrics.PROTOCOLS`.
        amplification: "ratio" (the true exposure ratio), "auto" (estimated), a number, or a
            callable such as a `LearnedAmplifier`. A network that amplifies itself is given the
            mosaic as it is; the factor then goes into the baseline only.
        m: brightness of the estimate; 5 is the default of REDI's released training code.
        profile, seconds_train: of the training, for the row; by default what the run directory
            of the checkpoint says.
        limit: only the first so many images.
        pictures: write them.
        first_of_burst, exclude_misaligned: of the data set.
        levels: (black, white) instead of the files' own; by default those of the training.
        device: for a checkpoint; "auto" is the GPU where there is one.
        match_colour: bring a foreign camera's colour to the training camera's (see `restore`).
        others: more options of `test_video` or `test_photos`.
    Returns:
        The rows, one a test: model, dataset, split, profile, checkpoint, images, psnr, ssim,
        baseline_psnr, baseline_ssim, amplification, protocol, seconds_train, seconds_per_image,
        backend, precision, torch, commit, and per-image figures under "per_image".
    Raises:
        OptionError, DataError, CheckpointError, OutputError: as the names say.
    """
    from tqdm.auto import tqdm

    distributed.join()
    trained_with = recipes.find(key, "course").dataset
    dataset = dataset or find(key, trained_with).tested_on or trained_with
    task, other_test = find(key, dataset).task, None
    if task is Task.RAW_VIDEO:
        from .video import test_video as other_test
    elif task is Task.PHOTO:
        from .photos import test_photos as other_test
    known = inspect.signature(other_test).parameters if other_test else {}
    if unknown := sorted(others.keys() - known.keys()):
        raise OptionError(f"{', '.join(unknown)}: not for {dataset}", todo="leave it out")
    if other_test:
        raw = {"m": m, "levels": levels} if task is Task.RAW_VIDEO else {}
        return other_test(
            key, data_root, run_dir, checkpoint, network, dataset, split, protocol, amplification,
            profile=profile, seconds_train=seconds_train, limit=limit, pictures=pictures,
            progress=progress, device=device, **raw, **others,
        )  # fmt: skip
    find_protocol(protocol)
    results = Path(run_dir) / "results.json"
    network, trained = prepare(key, results, checkpoint, network, limit, device)
    profile = profile or trained.get("profile")
    seconds_train = seconds_train or trained.get("seconds_train")
    levels = levels or trained.get("levels")
    named = getattr(amplification, "kind", "learned") if callable(amplification) else amplification
    colour = {} if match_colour else {"trained_on": None}
    options = {"first_of_burst": first_of_burst, "exclude_misaligned": exclude_misaligned}
    options["levels"] = None if levels is None else tuple(levels)
    recipe = recipes.find(key, "course").replace(dataset=dataset)
    data = open_dataset(recipe, data_root, split, native=network.spec.cfa == "X-Trans", **options)
    if not len(data):
        raise DataError(f"the {split} split holds no image with these options", file=data_root)
    per_image, folder = [], Path(run_dir) / "pictures"
    # Where two processes need the same file at once, both decode it; the cache keeps one, whole.
    indices = distributed.share(len(data) if limit is None else min(limit, len(data)))
    silent = not (progress and distributed.is_first())
    for i in tqdm(indices, desc=f"test {key} ({named})", disable=silent):
        raw, target = data.input(i), data.target(i)
        if raw.mosaic.shape != target.shape[:2]:
            raise DataError(
                f"is {raw.mosaic.shape}, its target {target.shape[:2]}", file=data.file(i)
            )
        target = target / np.float32(65535)
        wanted = data.ratio(i) if amplification == "ratio" else amplification
        factor = find_amplification(raw, wanted, m if wanted == "auto" else 1.0)
        began = time.perf_counter()
        result = restore(raw, network, key, factor, upright=False, **colour)
        seconds = time.perf_counter() - began
        recorded = data.recorded(i)
        baseline = isp.develop(amplified(recorded, factor))
        scores = (*score(result.image, target, protocol), *score(baseline, target, protocol))
        row = {"name": data.name(i), "ratio": data.ratio(i), "amplification": factor}
        row |= dict(zip(SCORES, scores, strict=True)) | {"seconds": seconds}
        per_image.append(row)
        if pictures:
            views = {"baseline": baseline, "result": result.image, "target": target}
            if amplification != "ratio":  # input and target are the same whatever the factor
                views = {f"{k}_{named}": views[k] for k in ("baseline", "result")}
            else:
                views["input"] = isp.develop(recorded)
            _write_pictures(folder, data.name(i), views, raw.orientation)
    per_image = distributed.gather(per_image)
    row = {
        "model": key,
        "dataset": recipe.dataset,
        "split": split,
        "camera": data.camera,
        "profile": profile,
        "checkpoint": None if checkpoint is None else Path(checkpoint).name,
        "weights": weights_id(checkpoint),
        "limit": limit,
        **options,
        "images": len(per_image),
        **{k: mean(r[k] for r in per_image) for k in SCORES},
        "amplification": named,
        "match_colour": match_colour,
        "m": m if amplification == "auto" else None,
        "protocol": protocol,
        "seconds_train": seconds_train,
        "seconds_per_image": mean(r["seconds"] for r in per_image),
        **computed_by(network),
    }
    return publish(results, row, per_image)


test.__test__ = False  # pytest collects what is called test, wherever it finds it


def prepare(key, results, checkpoint, network, limit, device):
    """What every test starts with, so that an error is found before the work and not after.

    Args:
        results: path of the results.json that the test will add to.
    Returns:
        (network ready to be called, {} or what the run directory of the checkpoint says:
        profile, levels, seconds_train).
    """
    if limit is not None and limit < 1:
        raise OptionError(f"limit is at least 1, got {limit}")
    read_rows(results)
    trained = {} if checkpoint is None else _about(checkpoint, key)
    if network is None:
        if checkpoint is None:
            raise OptionError("a test needs a checkpoint or a network", todo="train one first")
        network = checkpoints.load(key, checkpoint).to(pick_device(device))
    if isinstance(network, torch.nn.Module):
        network.eval()
    return models.with_spec(network, key), trained


def publish(results, row, per_image) -> list[dict]:
    """What every test ends with: the row gets its versions and images, and is there for everybody.

    Args:
        results: path of the results.json that it is added to, by the first process.
        row: what was tested, and the scores.
        per_image: one dict an image or clip.
    Returns:
        The row, in a list, once the file is written.
    """
    row |= {"torch": torch.__version__, "commit": commit(), "per_image": per_image}
    if distributed.is_first():
        add_rows(results, [row])
    distributed.wait()
    return [row]


def computed_by(network) -> dict[str, str]:
    """{"backend", "precision"}: what a network made fast says of itself, else PyTorch as it is."""
    return {name: getattr(network, name, usual) for name, usual in EAGER.items()}


def amplified(raw: RawImage, factor) -> RawImage:
    """The mosaic multiplied above its black level, as uint16 between 0 and the white level.

    This is all that a raw converter gets without a network.
    """
    black = tile(raw.black_level, raw.mosaic.shape)
    signal = (raw.mosaic - black) * np.float32(factor) + black
    return dataclasses.replace(
        raw, mosaic=np.clip(np.rint(signal), 0, raw.white_level).astype(np.uint16)
    )


def add_rows(path, rows) -> None:
    """Add rows to a results.json; a row of the same test takes the old one's place."""

    def name(row):
        return json.dumps([(EAGER | row).get(k) for k in _SAME])

    new = {name(r) for r in rows}
    kept = [r for r in read_rows(path) if name(r) not in new]
    with atomic_write(path, "w") as f:
        json.dump(kept + rows, f, indent=1)


def read_rows(path) -> list[dict]:
    """The rows of a results.json, [] where there is none; DataError for any other file."""
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as e:
        raise DataError(f"is damaged ({e})", file=path, todo="move it away") from e
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        raise DataError("is no list of results", file=path, todo="move it away")
    return rows


def commit() -> str | None:
    """The git commit of the library's checkout, with "+" where files differ; None without one."""
    top = Path(__file__).resolve().parents[2]
    if not (top / ".git").exists():  # installed, perhaps inside somebody else's repository
        return None
    try:
        git = ["git", "-C", str(top)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        if head.returncode:
            return None
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True)
        return head.stdout.strip()[:12] + ("+" if changed.stdout.strip() else "")
    except OSError:
        return None


def _about(checkpoint, key):
    """What the run directory of a checkpoint says of its training; {} for any other file."""
    folder = Path(checkpoint).parent
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config["key"] != key:
            return {}
        about = {"profile": config["profile"], "levels": config["levels"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    history = read_metrics(folder)
    return about | {"seconds_train": history[-1].get("seconds") if history else None}


def weights_id(checkpoint) -> str | None:
    """The first 16 digits of a file's sha256; None for None."""
    if checkpoint is None:
        return None
    with open(checkpoint, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()[:16]


def mean(values) -> float:
    """The mean as a float that JSON takes."""
    return float(np.mean(list(values)))


def _write_pictures(folder, name, views, orientation):
    for view, picture in views.items():
        write_picture(folder / f"{name}_{view}.png", upright(picture, orientation))
