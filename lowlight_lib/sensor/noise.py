"""A calibrated sensor in the dark: photons, read noise, row noise, rounding.

    D = K * Poisson(electrons) + N_read + N_row + black,   rounded and clipped at the white level

K is the system gain in DN per electron. The scales of the noises follow a line in log K:
log(scale) = slope * log(K) + bias, with a residual of standard deviation sigma.

Source: Wei et al., "A Physics-based Noise Formation Model for Extreme Low-light Raw Denoising",
CVPR 2020 (TPAMI 2021), and the calibration its authors publish (MIT licence).
Built in notebooks/02_noise_and_darkness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import OptionError, ShapeError
from . import cfa as cfa_module
from .isp import daylight_gains


@dataclass(frozen=True)
class Camera:
    """A sensor with its calibration. Scales in 14-bit DN; lines are (slope, bias, sigma) in ln K.

    Attributes:
        model: the maker's name, written into DNG files.
        black_level, white_level: DN.
        color_matrix: XYZ (D65) -> camera, as raw converters know it.
        gain_range: K at the lowest calibrated ISO (100) and at the highest (6400), DN per electron.
        gauss, tukey, row: lines for the Gaussian read noise, the Tukey-lambda one, the row noise.
        tukey_shape: shape lambda of the Tukey-lambda distribution (0 is the logistic one; below 0
            the tails grow heavier).
        cfa_name: "RGGB" or another order, or "XTRANS".
        aliases: other names that people use.
    """

    model: str
    black_level: int
    white_level: int
    color_matrix: tuple[tuple[float, float, float], ...]
    gain_range: tuple[float, float]
    gauss: tuple[float, float, float]
    tukey: tuple[float, float, float]
    row: tuple[float, float, float]
    tukey_shape: float
    cfa_name: str = "RGGB"
    aliases: tuple[str, ...] = ()

    @property
    def cfa(self) -> np.ndarray:
        """uint8 (2, 2) or (6, 6)."""
        return cfa_module.from_name(self.cfa_name)

    @property
    def white_balance(self) -> tuple[float, float, float]:
        """Daylight gains (r, 1, b)."""
        return daylight_gains(self.color_matrix)

    @property
    def iso_range(self) -> tuple[int, int]:
        """Lowest and highest ISO the calibration covers; K is proportional to ISO."""
        return 100, round(100 * self.gain_range[1] / self.gain_range[0])

    def gain(self, iso) -> float:
        """System gain K in DN per electron.

        Raises:
            OptionError: an ISO outside the calibrated range.
        """
        low, high = self.iso_range
        if not low <= iso <= high:
            raise OptionError(
                f"ISO {iso:g} is outside the calibration of the {self.model}",
                todo=f"use ISO {low} to {high}",
            )
        return self.gain_range[0] * iso / 100


SONY_A7S2 = Camera(
    model="Sony ILCE-7SM2",
    black_level=512,
    white_level=16383,
    color_matrix=(
        (0.5838, -0.1430, -0.0246),
        (-0.3497, 1.1477, 0.2297),
        (-0.0748, 0.1885, 0.5778),
    ),
    gain_range=(0.0939, 6.011),
    gauss=(0.5407, 1.2182, 0.2675),
    tukey=(0.4621, 0.5657, 0.2634),
    row=(0.5275, -0.5917, 0.2943),
    tukey_shape=-0.07,
    aliases=("Sony A7S II", "A7S II", "A7S2", "ILCE-7SM2"),
)
CAMERAS = {"sony_a7s2": SONY_A7S2}


@dataclass(frozen=True)
class NoiseLevels:
    """The noise of one exposure: gain (DN/electron), read and row scale (DN), Tukey shape."""

    gain: float
    read: float
    row: float
    shape: float | None  # None: Gaussian read noise

    def read_variance(self) -> float:
        """Variance of the read noise in DN^2 (the Tukey scale is not a standard deviation)."""
        if self.shape is None:
            return self.read**2
        return self.read**2 * tukey_variance(self.shape)

    def moments(self, signal) -> tuple:
        """Mean and variance in DN above black of a pixel whose noise-free value is `signal` DN.

        var = K * signal (photons) + read + row + 1/12 (rounding). Clipping is not in it.
        """
        return signal, self.gain * signal + self.read_variance() + self.row**2 + 1 / 12


def find_camera(camera) -> Camera:
    """A Camera, or the one of that name: "sony_a7s2", "Sony A7S II", "ILCE-7SM2" are the same.

    Raises:
        OptionError: no such name.
    """
    if isinstance(camera, Camera):
        return camera
    wanted = _plain(camera)
    for key, known in CAMERAS.items():
        names = {_plain(n) for n in (key, known.model, *known.aliases)}
        if wanted in names:
            return known
    raise OptionError(f"unknown camera {camera!r}", todo=f"use one of {', '.join(CAMERAS)}")


def _plain(name):
    return "".join(c for c in str(name).lower() if c.isalnum())


def noise_levels(camera, iso, read="tukey", rng=None) -> NoiseLevels:
    """The scales at an ISO: on the calibration line, or scattered around it as real frames are.

    Args:
        camera: name or Camera.
        iso: within the calibrated range.
        read: "tukey" (long tails) or "gauss".
        rng: a numpy Generator draws the residuals sigma; None gives the line itself.
    """
    camera = find_camera(camera)
    if read not in ("tukey", "gauss"):
        raise OptionError(f"unknown read noise {read!r}", todo='use "tukey" or "gauss"')
    gain = camera.gain(iso)

    def scale(line):
        slope, bias, sigma = line
        residual = rng.normal(0, sigma) if rng is not None else 0.0
        return math.exp(slope * math.log(gain) + bias + residual)

    tukey = read == "tukey"
    return NoiseLevels(
        gain=gain,
        read=scale(camera.tukey if tukey else camera.gauss),
        row=scale(camera.row),
        shape=camera.tukey_shape if tukey else None,
    )


def expose(mosaic, ratio, camera="sony_a7s2", iso=1600, rng=None, read="tukey", *, levels=None):
    """Photograph a scene with 1/ratio of the light it needs.

    Args:
        mosaic: float (H, W) in [0, 1], noise-free, 1 = the white level at ratio 1.
        ratio: how many times too short the exposure is (1 or more; a fraction brightens).
        camera: name or Camera.
        iso: sensitivity; sets the gain K and with it every noise.
        rng: numpy Generator or a seed; None draws a fresh one.
        read: "tukey" or "gauss".
        levels: `NoiseLevels` to use instead of those on the calibration line.
    Returns:
        uint16 (H, W) with the camera's black level, clipped at 0 and at its white level.
    Raises:
        OptionError, ShapeError: as the names say.
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


def tukey_lambda(rng, shape, size):
    """Draw from the standard Tukey-lambda distribution by its quantile function.

    Q(p) = (p^shape - (1 - p)^shape) / shape, and the logistic log(p / (1 - p)) at shape 0.
    """
    p = rng.random(size)
    np.clip(p, 1e-12, 1 - 1e-12, out=p)  # random() may return 0, whose quantile is infinite
    if shape == 0:
        return np.log(p / (1 - p))
    return (p**shape - (1 - p) ** shape) / shape


def tukey_variance(shape) -> float:
    """Variance of the standard Tukey-lambda distribution; finite for shape > -1/2."""
    if abs(shape) < 1e-6:
        return math.pi**2 / 3
    beta = math.gamma(shape + 1) ** 2 / math.gamma(2 * shape + 2)
    return 2 / shape**2 * (1 / (1 + 2 * shape) - beta)
