"""Test raw video: scores on raw, per clip, per ratio and over all, and before-and-after videos."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import torch

from ..data import find
from ..errors import DataError, ShapeError
from ..io.movies import Frames, make_folder, need_ffmpeg
from ..restore.clip import AT_A_TIME, OVERLAP, PIECE, TILE, enhance, find_clip_amplification
from ..training import distributed
from .metrics import find_protocol, score_raw
from .stills import computed_by, mean, prepare, publish, weights_id
from .strred import SMALLEST, Strred

SCORES = ("psnr", "ssim", "strred", "baseline_psnr", "baseline_ssim", "baseline_strred")


def test_video(
    key,
    data_root,
    run_dir,
    checkpoint=None,
    network=None,
    dataset="llrvd",
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
    levels=None,
    device="auto",
    save_path=None,
    seed=0,
    fps=10,
    piece=PIECE,
    tile=TILE,
    overlap=OVERLAP,
    seams="blended",
) -> list[dict]:
    """Score a system on clips of raw video; write pictures, videos and results.json.

    Beside each result the baseline is scored: the amplified input. Of several processes (see
    `distributed`) each takes its share of the clips, and the first writes results.json.

    Memory, whatever a clip's length: five arrays of min(piece, frames) H W 16 bytes, a few single
    frames, and what the network needs for a piece of one tile.

    Args:
        key, data_root, run_dir, checkpoint, split, m, profile, seconds_train, levels, device: as in
            `evaluate.test`.
        network: a callable (t, 4, h, w) -> the same shape, instead of a checkpoint.
        dataset: "llrvd" or "smoid".
        protocol: "raw_video", which is the "default", or "raw_video_released".
        amplification: "ratio" (the true one), "auto" (one for each clip, estimated) or a number.
        limit: only the first so many clips.
        pictures: write CLIP/00000000.png, ... (the result) and CLIP.mp4 (amplified input, result
            and target side by side), by the data set's display ISP.
        save_path: where those go; default `run_dir/pictures`.
        seed: of torch, for a network that draws numbers.
        fps: frames a second of the videos.
        piece, tile, overlap, seams: see `clip.enhance`; as published by default, but blended.
    Returns:
        The row, in a list: as of stills, with "strred" and "baseline_strred" (None where clips are
        too short or small for it), "frames", "per_group" {ratio or gain: scores}, of which the
        row's scores are the mean, and a clip's scores each under "per_image". "seconds_per_image"
        is a frame's, reading included.
    Raises:
        OptionError, DataError, ShapeError, CheckpointError, OutputError: as the names say; then
            results.json is as it was.
    Source: Zhang et al., "Binarized Low-light Raw Video Enhancement", CVPR 2024, released code.
    """
    from tqdm.auto import tqdm

    distributed.join()
    protocol = find_protocol(protocol, "raw video").name
    results = Path(run_dir) / "results.json"
    network, trained = prepare(key, results, checkpoint, network, limit, device)
    levels = levels or trained.get("levels")
    data = find(key, dataset)(data_root, split, levels=levels)
    make_folder(run_dir)
    folder = Path(save_path or Path(run_dir) / "pictures")
    if pictures:
        need_ffmpeg()
        make_folder(folder)
    torch.manual_seed(seed)
    tiles = {"piece": piece, "tile": tile, "overlap": overlap, "seams": seams}
    count = len(data) if limit is None else min(limit, len(data))
    per_image = []
    for i in tqdm(
        distributed.share(count),
        desc=f"test {key} ({amplification})",
        disable=not (progress and distributed.is_first()),
    ):
        clip = data.pairs[i]
        factor = clip.ratio
        if amplification != "ratio":
            brightness = m if amplification == "auto" else 1.0
            stored = data.stored_input(i)
            factor = find_clip_amplification(stored, *data.levels, amplification, brightness)
        name = data.name(i)
        album = Frames(folder, name, fps=fps) if pictures else contextlib.nullcontext()
        scores, seconds = _test_clip(network, data, i, factor, protocol, album, tiles)
        per_image.append(
            {"name": clip.name, "group": clip.group, "ratio": clip.ratio, "amplification": factor}
            | {"frames": clip.frames, **scores, "seconds": seconds}
        )
    per_image = distributed.gather(per_image)
    groups = {}
    for row in per_image:
        groups.setdefault(row["group"], []).append(row)
    per_group = {
        g: _means(rows) | {"clips": len(rows)}
        for g, rows in sorted(groups.items(), key=lambda item: float(item[0]))
    }
    frames = sum(r["frames"] for r in per_image)
    row = {
        "model": key,
        "dataset": dataset,
        "split": split,
        "camera": data.camera,
        "profile": profile or trained.get("profile"),
        "checkpoint": None if checkpoint is None else Path(checkpoint).name,
        "weights": weights_id(checkpoint),
        "limit": limit,
        "levels": None if levels is None else tuple(levels),
        "images": len(per_image),
        "frames": frames,
        **_means(per_group.values()),
        "per_group": per_group,
        "amplification": amplification,
        "m": m if amplification == "auto" else None,
        "protocol": protocol,
        **tiles,
        "seed": seed,
        "seconds_train": seconds_train or trained.get("seconds_train"),
        "seconds_per_image": sum(r["seconds"] * r["frames"] for r in per_image) / frames,
        **computed_by(network),
    }
    return publish(results, row, per_image)


test_video.__test__ = False  # pytest collects what is called test, wherever it finds it


def _test_clip(network, data, i, factor, protocol, album, tiles):
    """(scores by name, seconds a frame) of one clip; writes its pictures into the album."""
    clip = data.pairs[i]
    ours, baseline = _Scores(protocol), _Scores(protocol)
    seconds, began = 0.0, time.perf_counter()
    pieces = enhance(network, lambda some: data.input(i, some, factor), clip.frames, **tiles)
    try:
        with album as pictures:
            colours = data.isp(i) if pictures else None
            for start, result in pieces:
                seconds += time.perf_counter() - began
                where = slice(start, start + len(result))
                dark, target = data.input(i, where, factor), data.target(i, where)
                ours.add(result, target)
                baseline.add(dark, target)
                for t in range(0, len(result) if pictures else 0, AT_A_TIME):
                    part = slice(t, min(t + AT_A_TIME, len(result)))
                    numbers = slice(start + part.start, start + part.stop)
                    views = [
                        data.pictures(i, packed[part].clip(0, 1), numbers, colours)
                        for packed in (dark, result, target)
                    ]
                    for shown in zip(*views, strict=True):
                        pictures.add(shown[1], shown)
                del result, dark, target  # the next piece needs their place
                began = time.perf_counter()
    except (DataError, ShapeError) as e:
        if e.file:
            raise
        raise type(e)(e.what, file=clip.input, todo=e.todo) from e
    scores = ours.result() | {f"baseline_{k}": v for k, v in baseline.result().items()}
    return {k: scores[k] for k in SCORES}, seconds / clip.frames


class _Scores:
    """Scores of a clip that comes in pieces."""

    def __init__(self, protocol):
        self.protocol, self.psnr, self.ssim = find_protocol(protocol, "raw video"), [], []
        self.planes = [Strred() for _ in range(4)]

    def add(self, frames, target):
        psnr, ssim = score_raw(frames, target, self.protocol.name)
        self.psnr += psnr.tolist()
        self.ssim += ssim.tolist()
        if min(target.shape[2:]) < SMALLEST:
            self.planes = []
        for c, plane in enumerate(self.planes):
            seen = frames[:, c] if self.protocol.joint else frames[:, c].clip(0, 1)
            plane.add(target[:, c], seen)

    def result(self):
        found = [p.result()[1] for p in self.planes] if len(self.psnr) > 1 else []
        strred = mean(found) if found else None
        return {"psnr": mean(self.psnr), "ssim": mean(self.ssim), "strred": strred}


def _means(rows):
    """The mean of each score over rows; None where no row has it."""
    found = {k: [r[k] for r in rows if r[k] is not None] for k in SCORES}
    return {k: mean(v) if v else None for k, v in found.items()}
