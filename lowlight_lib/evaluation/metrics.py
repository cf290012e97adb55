"""Scores, with the protocol that they were taken by.

What papers leave unsaid and what moves the last digits is a named `Protocol`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import DataError, OptionError, ShapeError
from ..models import Task

SCORES = ("psnr", "ssim", "baseline_psnr", "baseline_ssim", "rival_psnr", "rival_ssim")
MOST_DB = 100.0  # what equal raw planes score: one such plane must not decide a clip's mean


@dataclass(frozen=True)
class Protocol:
    """How a picture is scored; protocols.toml has them all, and what the fields mean."""

    name: str  # goes into results.json
    text: str
    rounding: str
    task: Task
    joint: bool = False
    gamma: float = 0.2
    window: int = 11


_TEXT = Path(__file__).with_name("protocols.toml").read_text(encoding="utf-8")
PROTOCOLS = {
    name: Protocol(name, **p | {"task": Task[p.get("task", "RAW_STILL")]})
    for name, p in tomllib.loads(_TEXT).items()
}


def find_protocol(name, task=Task.RAW_STILL) -> Protocol:
    """The protocol of that name; OptionError lists those of the task. Each has a "default"."""
    if name == "default" and task is Task.RAW_VIDEO:
        name = "raw_video"
    tasks = (Task.RAW_STILL, task) if task is Task.PHOTO else (task,)
    names = [p.name for p in PROTOCOLS.values() if p.task in tasks]
    if name not in names:
        words = task.value.partition(":")[0]
        raise OptionError(f"no protocol {name!r} for {words}", todo=f"use {', '.join(names)}")
    return PROTOCOLS[name]


def score(picture, target, protocol="default") -> tuple[float, float]:
    """(PSNR in dB, SSIM) of one picture and its target, float (H, W, 3) in [0, 1], numpy or tensor;
    infinity dB for equal ones. ShapeError where a side is shorter than SSIM's window; DataError for
    what is not finite."""
    from skimage.metrics import structural_similarity
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    how = find_protocol(protocol, Task.PHOTO)
    a, b = (_prepare(v, how.rounding) for v in (picture, target))
    if a.shape != b.shape:
        raise ShapeError(f"a picture of {tuple(a.shape)} against a target of {tuple(b.shape)}")
    if min(a.shape[-2:]) < how.window:
        raise ShapeError(f"SSIM needs sides of {how.window} pixels, got {tuple(a.shape[-2:])}")
    if how.window == 7:
        x, y = ((v[0].numpy() * 255).round().astype(np.uint8) for v in (a, b))
        similar: Any = structural_similarity(x, y, channel_axis=0)
        return psnr(a, b), float(similar)
    # torchmetrics pads the border; SSIM's authors, MATLAB and scikit-image leave it out.
    full = ssim(a, b, data_range=1.0, sigma=1.5, kernel_size=11, return_full_image=True)[1]
    return psnr(a, b), float(full[..., 5:-5, 5:-5].mean())


def score_beside(picture, baseline, rival, target, protocol="default") -> dict[str, float | None]:
    """{name in SCORES: score} of a picture, of what a reader has without a network, and of that
    denoised, or None."""
    pictures = (picture, baseline, rival)
    scores = [(None, None) if p is None else score(p, target, protocol) for p in pictures]
    return dict(zip(SCORES, sum(scores, ()), strict=True))


def score_raw(frames, target, protocol="raw_video") -> tuple[np.ndarray, np.ndarray]:
    """(PSNR in dB, SSIM) of every frame of a raw clip (T, 4, H, W) in [0, 1], float64 (T,) each;
    DataError for frames that are not finite."""
    from skimage.metrics import structural_similarity

    how = find_protocol(protocol, Task.RAW_VIDEO)
    a, b = np.asarray(frames), np.asarray(target)
    if a.shape != b.shape or a.ndim != 4 or a.shape[1] != 4 or min(a.shape[2:]) < 7:
        raise ShapeError(f"packed frames (T, 4, >= 7, >= 7), got {a.shape} against {b.shape}")
    scores = np.empty((2, len(a)))
    for t, (x, y) in enumerate(zip(a, b, strict=True)):  # one by one: a clip is large
        x, y = _finite(np.float32(x)), _finite(np.float32(y))
        if not how.joint:
            x, y = x.clip(0, 1), y.clip(0, 1)
        error = np.square(x - y, dtype=np.float64).mean((1, 2))
        error = error.mean(keepdims=True) if how.joint else error
        scores[0, t] = (-10 * np.log10(np.maximum(error, 10 ** (-MOST_DB / 10)))).mean()
        scores[1, t] = structural_similarity(x, y, data_range=1.0, channel_axis=0)
    return scores[0], scores[1]


def psnr(a, b) -> float:
    """Peak signal-to-noise ratio in dB for a range of 1, over all elements; inf where equal."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(torch.as_tensor(a), torch.as_tensor(b), data_range=1.0))


def _prepare(v, rounding):
    """(H, W, 3) -> (1, 3, H, W) as the protocol compares it."""
    v = torch.as_tensor(_finite(np.ascontiguousarray(v)), dtype=torch.float32).clamp(0, 1)
    if rounding != "none":
        v = {"round": torch.round, "truncate": torch.floor}[rounding](v * 255) / 255
    return v.permute(2, 0, 1)[None]


def _finite(picture):
    if not np.isfinite(picture).all():
        todo = "check the weights, and the data for values that no camera gives"
        raise DataError("cannot be scored: a picture of it holds NaN or infinity", todo=todo)
    return picture
