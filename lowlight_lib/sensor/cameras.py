"""The calibrated cameras: levels, colour and noise of five sensors, as profiles/ has them.

Noise model: Wei et al., "A Physics-based Noise Formation Model for Extreme Low-light Raw
Denoising", CVPR 2020 (TPAMI 2021). Colour matrices and levels are those that raw converters work
with; a camera's own files say their levels themselves.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import LowlightError, OptionError
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
        tukey_shape: its lambda, the middle measured (0 is logistic, below 0 the tails are heavier).
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
        """Is this one of its names? Letters and digits alone matter, not capitals."""
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


def read_profile(path: Path | str) -> Camera:
    """A camera of a TOML file with the names and shapes of `Camera`, such as those in profiles/.

    Tables, such as those of `lowlight calibrate`, are passed by. OptionError that names the file,
    and what is missing, unknown or wrong in it.
    """
    wrong, todo = "is no camera's profile", "see lowlight_lib/sensor/profiles for examples"
    try:
        read = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        found = {k: v for k, v in read.items() if not isinstance(v, dict)}
        for name, shape in _SHAPES.items():
            values = np.array(found[name], dtype=float)
            if values.shape != shape or not np.isfinite(values).all():
                raise ValueError(f"{name} is not {shape or 'one'} finite numbers")
            found[name] = _tuples(found[name])
        found["aliases"] = tuple(map(str, found.get("aliases", ())))
        camera = Camera(**found)
        cfa_module.from_name(camera.cfa_name)
        if not (0 <= camera.black_level < camera.white_level <= 65535 and camera.model + ""):
            raise ValueError("the levels are not 0 <= black < white <= 65535, or it has no name")
        if not 0 < camera.gain_range[0] <= camera.gain_range[1]:
            raise ValueError("gain_range is not 0 < K of the lowest ISO <= K of the highest")
    except OSError as e:
        raise OptionError("cannot be read", file=path, todo="check the name") from e
    except KeyError as e:
        raise OptionError(f"{wrong}: {e.args[0]} is missing", file=path, todo=todo) from e
    except (ValueError, TypeError, OverflowError, RecursionError, LowlightError) as e:
        raise OptionError(f"{wrong}: {str(e).splitlines()[0]}", file=path, todo=todo) from e
    return camera


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


_SHAPES = {
    "black_level": (), "white_level": (), "color_matrix": (3, 3), "gain_range": (2,),
    "gauss": (3,), "tukey": (3,), "row": (3,), "tukey_shape": (),
}  # fmt: skip
_NAMES = ("sony_a7s2", "nikon_d850", "canon_5d4", "canon_70d", "canon_700d")
_PROFILES = Path(__file__).with_name("profiles")
CAMERAS = {name: read_profile(_PROFILES / f"{name}.toml") for name in _NAMES}
SONY_A7S2, NIKON_D850, CANON_5D4, CANON_70D, CANON_700D = CAMERAS.values()


def find_camera(camera: Camera | Path | str) -> Camera:
    """A Camera, the one of a profile (a path that ends in .toml), or of that name: "sony_a7s2",
    "Sony A7S II", "ILCE-7SM2" are the same."""
    if isinstance(camera, Camera):
        return camera
    if Path(camera).suffix == ".toml":
        return read_profile(camera)
    for key, known in CAMERAS.items():
        if _plain(camera) == _plain(key) or known.answers_to(str(camera)):
            return known
    raise OptionError(f"unknown camera {camera!r}", todo=f"use {', '.join(CAMERAS)}, or X.toml")


def _plain(name):
    return "".join(c for c in str(name).lower() if c.isalnum())
