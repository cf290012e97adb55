"""Whether a difference is more than luck: paired by scene, with intervals, and how many are enough.

Shots of one scene are no independent evidence, so all numbers here rest on scenes: shots of a scene
are averaged first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import OptionError


class Difference(NamedTuple):
    """A mean difference between two things that were measured on the same scenes."""

    mean: float
    t_interval: tuple[float, float]  # of Student's t over scenes
    bootstrap_interval: tuple[float, float]  # percentiles of means of scenes drawn with replacement
    sd: float  # of the scenes' differences, ddof 1
    scenes: int

    def __str__(self):
        low, high = self.t_interval
        return f"{self.mean:+.2f} [{low:+.2f}, {high:+.2f}], {self.scenes} scenes"


def paired(a, b, scenes, *, level=0.95, resamples=10_000, seed=0) -> Difference:
    """The difference a - b of scores that belong to the same shots.

    Args:
        a, b: (N,) scores, such as PSNR in dB, shot by shot.
        scenes: (N,) what each shot shows; equal names are one scene.
        level: of both intervals.
    Raises:
        OptionError: of different length, not finite, or of fewer than two scenes.
    Source: Student, Biometrika 1908; Efron, "Bootstrap Methods", Annals of Statistics 1979.
    """
    from scipy import stats

    a, b = np.asarray(a, float), np.asarray(b, float)
    names, which = np.unique(np.asarray(scenes).astype(str), return_inverse=True)
    if not a.shape == b.shape == which.shape or not np.isfinite(a - b).all():
        raise OptionError("scores and scenes are as many, and finite")
    n = len(names)
    if n < 2:
        raise OptionError(f"{n} scene says nothing about others", todo="test on more scenes")
    each = np.bincount(which, a - b) / np.bincount(which)
    sd = float(each.std(ddof=1))
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * sd / n**0.5
    mean = float(each.mean())
    drawn = np.random.default_rng(seed).integers(0, n, (resamples, n))
    low, high = np.quantile(each[drawn].mean(1), [(1 - level) / 2, (1 + level) / 2])
    return Difference(mean, (mean - half, mean + half), (float(low), float(high)), sd, n)


def scenes_needed(sd, difference=0.3, *, power=0.8, level=0.95) -> int:
    """How many scenes a paired t test needs to see a `difference`, in the unit of `sd`, the
    standard deviation of the scenes' differences, with this probability (two-sided).

    Source: the non-central t distribution; Cohen, "Statistical Power Analysis", 1988, chapter 2.
    """
    from scipy import stats

    if not (sd >= 0 and difference > 0 and 0 < power < 1 and 0 < level < 1):
        raise OptionError(f"no power for sd {sd}, difference {difference}, power {power}")

    def enough(n):
        limit, shift = stats.t.ppf((1 + level) / 2, n - 1), difference * n**0.5 / max(sd, 1e-12)
        return stats.nct.sf(limit, n - 1, min(shift, 1e3)) >= power

    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
