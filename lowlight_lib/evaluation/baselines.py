"""The best that a reader has without a network: amplified, brightened, and then denoised.

A gain that a blur gives too is no gain, so each test has a rival beside it: of a few well-known
denoisers the one, with its strength, that scores best on the training split. Its strength is in
units of the noise that is found in the picture, so that one strength suits all exposures.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.cache import ArrayCache
from ..errors import DataError, OptionError
from ..io.files import atomic_write
from ..models import Task
from ..training import distributed
from .metrics import psnr

METHODS = ("none", "gaussian", "bilateral", "tv", "nl means")
STRENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
WINDOWS = (1, 3, 5)  # frames of the temporal mean, for video
BRIGHTNESS = ("gain", "equalise")  # for photographs
EXAMPLES, SIDE, FRAMES = 6, 192, 3  # of the training split that the rival is fitted on


@dataclass(frozen=True)
class Rival:
    """A denoiser with its strength, and what comes before it.

    Attributes:
        method: in `METHODS`; strength: in units of the noise, of "gaussian" in pixels.
        frames: of the mean over time before it, for video.
        brightness: in `BRIGHTNESS`, for photographs; level: the mean that a gain leads to.
    """

    method: str = "none"
    strength: float = 0.0
    frames: int = 1
    brightness: str | None = None
    level: float = 0.5

    def __str__(self):
        first = [f"mean of {self.frames} frames"] if self.frames > 1 else []
        first += [self.brightness] if self.brightness else []
        return ", ".join([*first, f"{self.method} {self.strength:g}" if self.strength else "plain"])

    def picture(self, x) -> np.ndarray:
        """A picture, float32 (H, W, 3) in [0, 1] -> the same, denoised."""
        return np.clip(denoise(brighten(x, self.brightness, self.level), self), 0, 1)

    def clip(self, read, start, stop, length) -> np.ndarray:
        """Frames of a clip of packed planes: `read` of a slice gives (t, 4, H, W), and so does this
        of [start, stop) of its `length` frames, each the denoised mean of those around it."""
        reach = self.frames // 2
        first, last = max(0, start - reach), min(length, stop + reach)
        x = np.asarray(read(slice(first, last)), np.float32)
        around = [
            x[max(0, t - reach - first) : t + reach + 1 - first].mean(0) for t in range(start, stop)
        ]
        return np.stack([[denoise(plane, self) for plane in frame] for frame in around])


def noise_of(x) -> float:
    """The standard deviation of the noise in a picture (H, W) or (H, W, C), the mean of channels.

    Source: Immerkaer, "Fast Noise Variance Estimation", CVIU 1996: the mean size of what a mask
    leaves that is blind to planes and edges.
    """
    import cv2

    mask = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)
    return float(np.abs(cv2.filter2D(x, -1, mask)).mean()) * math.sqrt(math.pi / 2) / 6


def denoise(x, rival) -> np.ndarray:
    """A picture (H, W, 3), or one plane (H, W), float32 in [0, 1], by the rival's method."""
    import cv2
    from skimage.restoration import denoise_tv_chambolle

    x = np.ascontiguousarray(x, np.float32)
    s, size = rival.strength, rival.strength * noise_of(x)
    if rival.method == "none" or size == 0:
        return x
    if rival.method == "gaussian":
        return cv2.GaussianBlur(x, (0, 0), s)
    if rival.method == "bilateral":
        return cv2.bilateralFilter(x, 9, size, 2.0)
    if rival.method == "tv":
        channels = -1 if x.ndim == 3 else None
        return denoise_tv_chambolle(x, size, max_num_iter=40, channel_axis=channels)
    pixels = np.rint(x.clip(0, 1) * 255).astype(np.uint8)
    done = cv2.fastNlMeansDenoisingColored(pixels, None, size * 255, size * 255)
    return done.astype(np.float32) / np.float32(255)


def brighten(x, how, level) -> np.ndarray:
    """A dark photograph (H, W, 3) in [0, 1], brighter: by the "gain" that makes `level` its mean,
    or by what "equalise"s the histogram of its mean channel; None leaves it."""
    from skimage.exposure import equalize_hist

    if how is None:
        return x
    grey = np.maximum(x.mean(-1), 1 / 255)
    gain = np.full_like(grey, level / grey.mean()) if how == "gain" else equalize_hist(grey) / grey
    return np.clip(x * gain[..., None], 0, 1).astype(np.float32)


def find_rival(job, data_root, recipe) -> Rival | None:
    """The rival of a test, fitted once on the training split and kept in the cache of the data.

    `job` says by `example(data, i)` what of an item is denoised, and its target. None where the
    data set has no training split with targets.
    """
    from ..data import open_dataset

    if "train" not in job.data.splits or not hasattr(type(job.data), "target"):
        return None
    options = job.data_options()
    try:
        data = open_dataset(recipe, data_root, "train", **options)
    except (DataError, OptionError):
        return None
    chosen = sorted({i * len(data) // EXAMPLES for i in range(EXAMPLES)})
    made_from = [[data.name(i), data.file(i).stat().st_mtime_ns] for i in chosen]
    key = json.dumps([recipe.dataset, options, made_from, METHODS, STRENGTHS], default=str)
    name = f"rival-{recipe.dataset}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"
    file = ArrayCache(data_root).folder / name
    with distributed.first_alone():
        found = _read(file)
        if found is None:
            found = fit([job.example(data, i) for i in chosen], job.data.task)
            with atomic_write(file, "w") as f:
                json.dump(dataclasses.asdict(found), f)
    return found


def fit(examples, task) -> Rival:
    """The rival of the best mean PSNR over examples, (input, target) pairs: pictures (H, W, 3), or
    of raw video frames (T, 4, H, W). What comes before is chosen with a blur, then the method."""
    video, photos = task is Task.RAW_VIDEO, task is Task.PHOTO
    level = float(np.mean([target.mean() for _, target in examples]))
    windows, brightness = WINDOWS if video else (1,), BRIGHTNESS if photos else (None,)
    methods = [m for m in METHODS[1:] if not (video and m == "nl means")]  # it takes 8 bits

    def denoised(rival, x):
        return rival.clip(x.__getitem__, 0, len(x), len(x)) if video else rival.picture(x)

    def quality(rival):
        return np.mean([psnr(denoised(rival, x).clip(0, 1), y) for x, y in examples])

    blurs = itertools.product(STRENGTHS, windows, brightness)
    first = max((Rival("gaussian", *how, level) for how in blurs), key=quality)
    others = itertools.product(methods, STRENGTHS)
    rivals = [dataclasses.replace(first, method=m, strength=s) for m, s in others]
    plain = dataclasses.replace(first, method="none", strength=0.0)
    return max([plain, *rivals], key=quality)


def _read(file: Path) -> Rival | None:
    try:
        found = Rival(**json.loads(file.read_text(encoding="utf-8")))
        return found if found.method in METHODS and 0 <= found.strength < 1e3 else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None
