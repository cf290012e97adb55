"""Photographs as a camera sees them in the dark, with noise that is drawn anew for each crop.

    photos/train/a.png  photos/test/b.jpg     of data_scripts/get_photos.py, or any pictures there

A calibrated camera, its ISO, the missing light, the exposure, and the colours of scene and light
are drawn too, so that one network serves many nights, and how much a scene is reduced: photographs
are soft from pixel to pixel, and a network that sees no others blurs. A sixth are dead leaves.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from ..io.pictures import to_float
from ..models import Task
from ..sensor import cfa, colorimetry, noise
from . import scenes
from .base import Dataset, random_lines, turn
from .cache import ArrayCache
from .mini.video import clip
from .photos import Scene

REFERENCE = noise.SONY_A7S2  # whose colours a network for stills learns, see `sensor.colour`
HIGHEST_ISO, HIGHEST_RATIO = 12800, 300
ROOM = 48  # pixels that a clip pans over
MOST_REDUCED = 4  # times, along each side
_COLOURS = np.linalg.inv(colorimetry.camera_from_srgb(REFERENCE.color_matrix)).T


class Shot(NamedTuple):
    """How a scene is photographed."""

    camera: noise.Camera
    levels: noise.NoiseLevels
    ratio: float  # how many times too little light

    def __call__(self, mosaic, rng) -> np.ndarray:
        """The mosaic (H, W) in [0, 1] as recorded, 0 at black and 1 at white."""
        black, white = self.camera.black_level, self.camera.white_level
        dn = noise.expose(mosaic, self.ratio, self.camera, rng=rng, levels=self.levels)
        return (dn.astype(np.float32) - black) / np.float32(white - black)


class SimulatedStills(Dataset):
    """Dark mosaics, and their pictures in the colours of one camera, for raw stills."""

    task = Task.RAW_STILL
    folder_name = "photos"
    recipe_options = ("camera",)
    splits = ("train", "val")
    tested_on = "sid"
    crop_multiple = 2
    camera = REFERENCE.model
    white_balance = REFERENCE.white_balance

    def __init__(self, data_root, split="train", camera=""):
        """`camera` is one to simulate, as in `find_camera`, a profile's path too; "": all five."""
        cameras = [noise.find_camera(camera)] if camera else noise.CAMERAS.values()
        self.cameras = [_for_the_dark(c) for c in cameras]
        self.cache = cache = ArrayCache(data_root)
        super().__init__(data_root, split, lambda path: cache.get(path, "scene", _decode))
        files = scenes.split_photographs(self.folder)[split]
        leaves = len(files) // 5 if split == "train" else 0
        self.pairs = [Scene(f.stem, (f,), f.stem) for f in files]
        drawn = [f"leaves_{n}" for n in range(100, 100 + leaves)]
        self.pairs += [Scene(name, (), name) for name in drawn]

    def prepare(self, progress=True):
        wanted = [(f, "scene", _decode) for scene in self.pairs for f in scene.files]
        self.cache.fill(wanted, f"decode {self.split}", progress)
        return self

    def _scene(self, i):
        scene = self.pairs[i]
        pixels, notes = self._map(scene.input) if scene.files else _leaves(scene.name)
        return pixels, notes["white"]

    def _draw(self, i, rng, crop, frames):
        sizes = self._scene(i)[0].shape[:2]
        by = int(rng.integers(1, max(1, min(MOST_REDUCED, min(sizes) // crop)) + 1))
        return [random_lines(rng, size, by * crop) for size in sizes], int(rng.integers(2**63))

    def _light(self, i, lines, turns, side):
        """The linear light (side, side, 3) of a square of a scene, reduced by area."""
        rows, cols = lines
        light = colorimetry.bt709_decode(to_float(turn(self._scene(i)[0][rows][:, cols], turns)))
        return light.reshape(side, -1, side, light.shape[1] // side, 3).mean((1, 3))

    def _shot(self, rng):
        camera = self.cameras[rng.integers(len(self.cameras))]
        iso = 100 * (HIGHEST_ISO / 100) ** rng.random()
        ratio = HIGHEST_RATIO ** rng.random() ** 0.5  # more of the dark ones
        return Shot(camera, noise.noise_levels(camera, iso, rng=rng), ratio)

    def _cut(self, i, where, turns, crop, amplify):
        lines, seed = where
        rng = np.random.default_rng(seed)
        shot, light = self._shot(rng), self._light(i, lines, turns, crop)
        light = recoloured(light * np.float32(rng.uniform(0.4, 1.1) / self._scene(i)[1]), rng)
        to_camera = colorimetry.camera_from_srgb(shot.camera.color_matrix).T.astype(np.float32)
        light = np.clip(light @ to_camera, 0, 1)
        gains = np.array(shot.camera.white_balance) * np.exp(rng.normal(0, 0.2, 3))
        gains = np.maximum(gains / gains[1], 1).astype(np.float32)
        each = cfa.tile(cfa.RGGB, (crop, crop)).astype(np.intp)
        mosaic = np.take_along_axis(light, each[..., None], 2)[..., 0] / gains[each]
        # As `sensor.colour` brings a file's colours to those that the network knows.
        x = shot(mosaic, rng) * (gains / np.array(REFERENCE.white_balance, np.float32))[each]
        y = colorimetry.bt709_encode(light @ _COLOURS.astype(np.float32))
        return x[None] * np.float32(shot.ratio if amplify else 1), y.transpose(2, 0, 1)


class SimulatedClips(SimulatedStills):
    """Dark clips of packed frames, as a camera pans over a scene, and the same without noise."""

    task = Task.RAW_VIDEO
    tested_on = "llrvd"
    white_balance = None

    def _draw(self, i, rng, crop, frames):
        where, seed = super()._draw(i, rng, 2 * crop + ROOM, frames)
        return where, (seed, crop, frames)

    def _cut(self, i, where, turns, crop, amplify):
        lines, (seed, crop, frames) = where
        rng = np.random.default_rng(seed)
        shot, (backwards, *turns) = self._shot(rng), turns
        light = self._light(i, lines, (False,) * 3, 2 * crop + ROOM)
        scene = colorimetry.bt709_encode(recoloured(light, rng))
        clean = clip(scene, (crop, crop), frames, [seed, 1], shot.camera)
        dark = np.stack([shot(frame, rng) for frame in clean])
        for x, ratio in ((dark, shot.ratio if amplify else 1), (clean, 1)):
            x = np.clip(cfa.pack_mosaic(x) * np.float32(ratio), 0, 1)
            yield turn(x[::-1] if backwards else x, turns, axes=(-2, -1))


def recoloured(light, rng) -> np.ndarray:
    """A linear scene (H, W, 3) in other colours: the three exchanged now and then, and weighted."""
    order = rng.permutation(3) if rng.random() < 0.15 else [0, 1, 2]
    return light[..., order] * np.exp(rng.normal(0, 0.15, 3)).astype(np.float32)


def _for_the_dark(camera):
    """Calibrations end at ISO 6400 or so; their lines in log K are followed up to HIGHEST_ISO."""
    base = camera.gain_range[0]
    return dataclasses.replace(camera, gain_range=(base, base * HIGHEST_ISO / 100))


def _decode(scene):
    """A scene's uint8 pixels, and the light of its brightest thousandth, to expose it by."""
    picture = scenes.photograph(scene)
    white = np.quantile(colorimetry.bt709_decode(picture), 0.999)
    return np.rint(picture * 255).astype(np.uint8), {"white": max(float(white), 1e-3)}


_leaves = functools.lru_cache(64)(_decode)
