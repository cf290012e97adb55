"""A calibrated sensor in the dark: photons, read noise, row noise, rounding.

    D = K * Poisson(electrons) + N_read + N_row + black,   rounded and clipped at the white level
    log(scale of a noise) = slope * log(K) + bias + N(0, sigma),     K the gain in DN per electron

Source: Wei et al., "A Physics-based Noise Formation Model for Extreme Low-light Raw Denoising",
CVPR 2020 (TPAMI 2021), and the calibration its authors publish (MIT licence).
Built in notebooks/02_noise_and_darkness.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ..errors import OptionError, ShapeError
from .cameras import CAMERAS as CAMERAS
from .cameras import SONY_A7S2 as SONY_A7S2
from .cameras import Camera, find_camera

Read = Literal["tukey", "gauss"]  # the kind of read noise: with long tails, or normal


@dataclass(frozen=True)
class NoiseLevels:
    """The noise of one exposure: gain (DN/electron), read and row scale (DN), Tukey shape."""

    gain: float
    read: float
    row: float
    shape: float | None  # None: Gaussian read noise

    def read_variance(self) -> float:
        """Variance of the read noise in DN^2 (the Tukey scale is not a standard deviation)."""
        return self.read**2 * (1 if self.shape is None else tukey_variance(self.shape))

    def moments(self, signal: ArrayLike) -> tuple[ArrayLike, ArrayLike]:
        """Mean and variance (photons, read, row, rounding) of a pixel of `signal` DN, unclipped."""
        return signal, self.gain * np.asarray(signal) + self.read_variance() + self.row**2 + 1 / 12


def noise_levels(
    camera: Camera | str, iso: float, read: Read = "tukey", rng: np.random.Generator | None = None
) -> NoiseLevels:
    """The scales at an ISO: on the calibration line, or with `rng` scattered as real frames are."""
    camera = find_camera(camera)
    if read not in ("tukey", "gauss"):
        raise OptionError(f"unknown read noise {read!r}", todo='use "tukey" or "gauss"')
    gain = camera.gain(iso)

    def scale(line):
        slope, bias, sigma = line
        residual = rng.normal(0, sigma) if rng is not None else 0.0
        return math.exp(slope * math.log(gain) + bias + residual)

    line, shape = (camera.tukey, camera.tukey_shape) if read == "tukey" else (camera.gauss, None)
    return NoiseLevels(gain, scale(line), scale(camera.row), shape)


def expose(
    mosaic: ArrayLike,
    ratio: float,
    camera: Camera | str = "sony_a7s2",
    iso: float = 1600,
    rng: np.random.Generator | int | None = None,
    read: Read = "tukey",
    *,
    levels: NoiseLevels | None = None,
) -> np.ndarray:
    """Photograph a scene with 1/ratio of the light it needs.

    Args:
        mosaic: float (H, W) in [0, 1], noise-free, 1 = the white level at ratio 1.
        iso: sets the gain K and with it every noise.
        levels: instead of those on the calibration line.
    Returns uint16 (H, W) with the camera's black level, clipped at 0 and at its white level.
    Source: Wei et al., CVPR 2020, equation 8.
    """
    camera = find_camera(camera)
    mosaic = np.asarray(mosaic)
    if mosaic.ndim != 2 or not np.isfinite(mosaic).all():
        raise ShapeError(f"a scene is a finite float mosaic (H, W), got {mosaic.shape}")
    if not ratio > 0:
        raise OptionError(f"an exposure ratio is above 0, got {ratio}")
    rng = np.random.default_rng(rng)
    levels = levels or noise_levels(camera, iso, read)
    span = camera.white_level - camera.black_level
    electrons = np.clip(mosaic, 0, None).astype(np.float64) * (span / ratio / levels.gain)
    signal = levels.gain * rng.poisson(electrons)
    if levels.shape is None:
        signal += rng.normal(0, levels.read, mosaic.shape)
    else:
        signal += levels.read * tukey_lambda(rng, levels.shape, mosaic.shape)
    signal += rng.normal(0, levels.row, (mosaic.shape[0], 1))  # one draw a row
    # Rounding to whole DN is the quantisation noise; adding U(-1/2, 1/2) too would count it twice.
    signal = np.rint(signal + camera.black_level)
    return np.clip(signal, 0, camera.white_level).astype(np.uint16)


def tukey_lambda(rng: np.random.Generator, shape: float, size: int | tuple[int, ...]) -> np.ndarray:
    """Draw from the standard Tukey-lambda distribution."""
    p = rng.random(size)
    np.clip(p, 1e-12, 1 - 1e-12, out=p)  # random() may return 0, whose quantile is infinite
    return tukey_quantile(p, shape)


def tukey_quantile(p: np.ndarray, shape: float) -> np.ndarray:
    """Quantiles of the standard Tukey-lambda distribution at probabilities between 0 and 1:
    (p^shape - (1 - p)^shape) / shape, or the logistic log(p / (1 - p)) at shape 0.
    """
    if shape == 0:
        return np.log(p / (1 - p))
    return (p**shape - (1 - p) ** shape) / shape


def tukey_variance(shape: float) -> float:
    """Variance of the standard Tukey-lambda distribution; finite for shape > -1/2."""
    if abs(shape) < 1e-6:
        return math.pi**2 / 3
    beta = math.gamma(shape + 1) ** 2 / math.gamma(2 * shape + 2)
    return 2 / shape**2 * (1 / (1 + 2 * shape) - beta)
