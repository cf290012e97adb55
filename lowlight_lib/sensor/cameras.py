"""The calibrated cameras: levels, colour and noise of five sensors.

Noise: Wei et al., "A Physics-based Noise Formation Model for Extreme Low-light Raw Denoising", CVPR
2020 (TPAMI 2021), and the calibration its authors publish (MIT licence). Colour matrices and levels
are those that raw converters work with; a camera's own files say their levels themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import OptionError
from . import cfa as cfa_module
from .colorimetry import daylight_gains


@dataclass(frozen=True)
class Camera:
    """A sensor with its calibration. Scales in 14-bit DN; lines are (slope, bias, sigma) in ln K.

    Attributes:
        model: the maker's name, written into DNG files.
        color_matrix: XYZ (D65) -> camera.
        gain_range: K at the lowest calibrated ISO (100) and at the highest (6400), DN per electron.
        gauss, tukey, row: lines for the Gaussian read noise, the Tukey-lambda one, the row noise.
        tukey_shape: shape lambda of the Tukey-lambda distribution (0 is the logistic one; below 0
            the tails grow heavier): the middle of the range that was measured.
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
        return cfa_module.from_name(self.cfa_name)

    def answers_to(self, name: str) -> bool:
        """Is this one of its names? Capitals, spaces and punctuation do not matter."""
        return _plain(name) in {_plain(n) for n in (self.model, *self.aliases)}

    @property
    def white_balance(self) -> tuple[float, float, float]:
        """Daylight gains (r, 1, b)."""
        return daylight_gains(self.color_matrix)

    @property
    def iso_range(self) -> tuple[int, int]:
        """Lowest and highest ISO the calibration covers; K is proportional to ISO."""
        return 100, round(100 * self.gain_range[1] / self.gain_range[0])

    def gain(self, iso: float) -> float:
        """System gain K in DN per electron; OptionError for an ISO outside the range."""
        low, high = self.iso_range
        if not low <= iso <= high:
            what = f"ISO {iso:g} is outside the calibration of the {self.model}"
            raise OptionError(what, todo=f"use ISO {low} to {high}")
        return self.gain_range[0] * iso / 100


SONY_A7S2 = Camera(
    model="Sony ILCE-7SM2",
    black_level=512,
    white_level=16383,
    color_matrix=((0.5838, -0.1430, -0.0246), (-0.3497, 1.1477, 0.2297), (-0.0748, 0.1885, 0.5778)),
    gain_range=(0.0939, 6.011),
    gauss=(0.5407, 1.2182, 0.2675),
    tukey=(0.4621, 0.5657, 0.2634),
    row=(0.5275, -0.5917, 0.2943),
    tukey_shape=-0.07,
    aliases=("Sony A7S II", "A7S II", "A7S2", "ILCE-7SM2"),
)
NIKON_D850 = Camera(
    model="Nikon D850",
    black_level=400,
    white_level=15520,  # 14 bit; dnglab's camera table
    color_matrix=((1.0405, -0.3755, -0.1270), (-0.5461, 1.3787, 0.1793), (-0.1040, 0.2015, 0.6785)),
    gain_range=(0.4150, 26.56),
    gauss=(0.5635, 0.7994, 0.2141),
    tukey=(0.4774, -0.0904, 0.2392),
    row=(0.4483, -1.7977, 0.2322),
    tukey_shape=-0.17,
    aliases=("D850",),
)
# Canon's 14-bit files have a nominal black level of 2048 (512 below ISO 320 on the 5D Mark IV); the
# white levels change with the ISO, and those here are RawSpeed's for the full stops above 100.
CANON_5D4 = Camera(
    model="Canon EOS 5D Mark IV",
    black_level=2048,
    white_level=14448,
    color_matrix=((0.6446, -0.0366, -0.0864), (-0.4436, 1.2204, 0.2513), (-0.0952, 0.2496, 0.6348)),
    gain_range=(0.2182, 13.96),
    gauss=(0.6771, 1.5122, 0.2464),
    tukey=(0.6559, 1.0927, 0.2860),
    row=(0.4713, -0.8079, 0.2436),
    tukey_shape=-0.015,  # nobody gives one for this sensor: the 700D's, all but logistic
    aliases=("EOS 5D Mark IV", "Canon 5D Mark IV", "Canon EOS 5D4", "EOS 5D4", "5D4"),
)
CANON_70D = Camera(
    model="Canon EOS 70D",
    black_level=2048,
    white_level=15387,
    color_matrix=((0.7034, -0.0804, -0.1014), (-0.4420, 1.2564, 0.2058), (-0.0851, 0.1994, 0.5758)),
    gain_range=(0.4075, 26.08),
    gauss=(0.5681, 1.9983, 0.2487),
    tukey=(0.4868, 1.4643, 0.3820),
    row=(0.7292, -0.9371, 0.2502),
    tukey_shape=-0.015,  # the 700D's, as above
    aliases=("EOS 70D", "70D"),
)
CANON_700D = Camera(
    model="Canon EOS 700D",
    black_level=2048,
    white_level=15000,
    color_matrix=((0.6602, -0.0841, -0.0939), (-0.4472, 1.2458, 0.2247), (-0.0975, 0.2039, 0.6148)),
    gain_range=(0.4476, 28.65),
    gauss=(0.6525, 2.0799, 0.2578),
    tukey=(0.5982, 1.5370, 0.3888),
    row=(0.6221, -0.7756, 0.2485),
    tukey_shape=-0.015,
    aliases=("EOS 700D", "700D", "Canon EOS Rebel T5i", "EOS Rebel T5i", "EOS Kiss X7i",
             "Canon EOS Kiss X7i"),
)  # fmt: skip
CAMERAS = {
    "sony_a7s2": SONY_A7S2,
    "nikon_d850": NIKON_D850,
    "canon_5d4": CANON_5D4,
    "canon_70d": CANON_70D,
    "canon_700d": CANON_700D,
}


def find_camera(camera: Camera | str) -> Camera:
    """A Camera, or the one of that name: "sony_a7s2", "Sony A7S II", "ILCE-7SM2" are the same."""
    if isinstance(camera, Camera):
        return camera
    for key, known in CAMERAS.items():
        if _plain(camera) == _plain(key) or known.answers_to(camera):
            return known
    raise OptionError(f"unknown camera {camera!r}", todo=f"use one of {', '.join(CAMERAS)}")


def _plain(name):
    return "".join(c for c in str(name).lower() if c.isalnum())
