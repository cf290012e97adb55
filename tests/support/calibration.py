"""Frames that a camera would take for its calibration: lens cap on, and of a white wall."""

import dataclasses
from pathlib import Path

import numpy as np

from lowlight_lib.sensor import noise
from lowlight_lib.sensor.cameras import CAMERAS, Camera
from lowlight_lib.sensor.raw import RawImage, write_dng

LEVELS = (0.1, 0.3, 0.6)  # of the scale, in the middle of a flat


def random_camera(rng) -> Camera:
    """A camera that nobody has built: drawn wider than the calibrated five lie."""
    bits = rng.integers(12, 17)
    unit = 2.0 ** (bits - 14)
    base = unit * np.exp(rng.uniform(np.log(0.07), np.log(0.6)))
    white = 2**bits - 1 - int(rng.integers(0, 2**bits // 10))

    def line(low, high, slope):
        """At K of ISO 100 a scale between two, in DN of 14 bits."""
        slope = rng.uniform(*slope)
        return slope, float(np.log(unit * rng.uniform(low, high)) - slope * np.log(base)), 0.25

    camera = dataclasses.replace(
        CAMERAS["sony_a7s2"],
        model=f"Camera {rng.integers(10**6)}",
        white_level=white,
        gain_range=(base, 64 * base),
        tukey=line(0.6 * max(1, 1 / unit), 3.5 * max(1, 1 / unit), (0.4, 0.75)),
        row=line(0.1, 0.5, (0.4, 0.8)),
        tukey_shape=float(rng.uniform(-0.25, 0.14)),
    )
    # Makers leave room for the noise below black at the highest ISO.
    loudest = noise.noise_levels(camera, 6300).moments(0)[1] ** 0.5
    return dataclasses.replace(camera, black_level=int(rng.uniform(8, 12) * loudest) + 20)


def wall(shape, falloff=0.35):
    """A white wall through a lens, brightest in the middle: (H, W), at most 1."""
    y, x = (np.linspace(-1, 1, n) for n in shape)
    return 1 - falloff * (y[:, None] ** 2 + x**2) / 2


def arrays(camera, iso, rng, darks=8, shape=(1000, 1500), levels=LEVELS):
    """(dark frames, pairs of flats), uint16."""

    def expose(scene):
        return noise.expose(scene, 1, camera, iso, rng)

    scene = wall(shape)
    black = [expose(np.zeros(shape)) for _ in range(darks)]
    return black, [(expose(scene * level), expose(scene * level)) for level in levels]


def truth(camera, iso) -> dict[str, float]:
    """What a calibration shall find, by the names of `measure`."""
    levels = noise.noise_levels(camera, iso)
    return {
        "gain": levels.gain, "tukey": levels.read, "tukey_shape": levels.shape, "row": levels.row,
        "gauss": levels.read_variance() ** 0.5, "black_mean": camera.black_level,
    }  # fmt: skip


def write(path: Path, mosaic, camera, iso=800, **says):
    """A frame as the camera's DNG; `says` are other fields of a RawImage."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {"color_matrix": camera.color_matrix, "model": camera.model, "exposure_s": 0.1}
    levels = {"black_level": camera.black_level, "white_level": camera.white_level}
    fields = {"cfa": camera.cfa, "iso": iso} | levels | known | says
    write_dng(path, RawImage(np.asarray(mosaic, np.uint16), **fields))


def folder_of(root: Path, camera, isos=(800,), seed=0, named=True, **shapes) -> Path:
    """A folder of frames as a reader takes them; `named`: in dark/ and flat/."""
    rng = np.random.default_rng(seed)
    for iso in isos:
        darks, pairs = arrays(camera, iso, rng, **shapes)
        for k, x in enumerate(darks):
            write(root / ("dark" if named else "") / f"{iso}_{k}.dng", x, camera, iso)
        for k, x in enumerate(f for pair in pairs for f in pair):
            write(root / ("flat" if named else "") / f"{iso}_9{k}.dng", x, camera, iso)
    return root
