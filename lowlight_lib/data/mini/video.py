"""Mini LLRVD and mini SMOID: short clips, made on the spot, in the layouts that BRVE publishes.

A camera pans and zooms over a photograph, two textured leaves fly across it, and each frame goes
back through an inverse ISP to the light it came from, which a calibrated camera takes in the dark.
Levels, planes, ratios and scene numbers are the published ones.
"""

import dataclasses
import shutil
from typing import Any

import numpy as np

from ...io.files import atomic_write
from ...sensor import cfa, colorimetry, isp, noise
from .. import scenes
from ..llrvd_smoid import GAIN_RATIOS, RATIOS, LlrvdDataset, SmoidDataset
from .base import SPLITS, MiniSet, dead_leaves_of, exposed, note_of
from .stills import ISOS

FRAMES = 10
SMOID_ISO = 200  # at gain 0; 30 dB are a factor of 32
SMOID_PLANES = [2, 0, 1, 3]  # G2, R, G1, B from R, G1, G2, B
SHAPES = {"LLRVD": (128, 160), "SMOID": (120, 160)}  # packed
CAMERAS = {
    "LLRVD": dataclasses.replace(noise.SONY_A7S2, white_level=LlrvdDataset.levels[1]),
    "SMOID": noise.CAMERAS["canon_700d"],
}
# Scene number -> picture; the splits share no photograph.
PICTURES = {
    "LLRVD": {
        1: "chelsea", 2: "motorcycle_left", 3: "flower", 4: "retina", 5: "hubble", 6: "ihc",
        8: "leaves_100", 9: "leaves_101", 10: "leaves_102", 7: "coffee", 14: "rocket",
        35: "astronaut", 42: "grace_hopper", 49: "china", 56: "leaves_104", 63: "leaves_105",
        70: "leaves_106",
    },
    "SMOID": {4: "motorcycle_right", 5: "flower", 9: "leaves_103", 1: "rocket", 6: "china"},
}  # fmt: skip


class MiniVideo(MiniSet):
    """Ten frames a scene, at three ratios or gains."""

    numbers: Any  # of the scenes of each split

    def __init__(self, root, seed=0, photos=None):
        self.camera, self.pictures = CAMERAS[self.name], PICTURES[self.name]
        if photos:
            self.pictures = dict(p for s in SPLITS for p in zip(self.numbers[s], photos[s]))  # noqa: B905
        made = {"scenes": list(self.pictures), "camera": self.camera.model, "complete": True}
        made = {"set": self.name, "seed": seed, **made, **note_of(photos)}
        made["synthetic"] = dead_leaves_of(self.pictures)
        super().__init__(root, self.name, made)

    def _foreign(self, note):
        return "mini" not in note and any(self.folder.rglob("*.npy"))

    def _clear(self, old):
        for n in map(int, old.get("scenes", [])):
            for place in (f"ratio_gt/{n}", f"ratio_noisy_all/{n}", f"ISP_info/{n}", f"_Scene{n}"):
                shutil.rmtree(self.folder / place, ignore_errors=True)

    def _write(self, bar):
        for n, scene in enumerate(bar(self.pictures)):
            where = SHAPES[self.name], FRAMES, [self.note["seed"], scene], self.camera
            picture = scenes.photograph(self.pictures[scene])
            self._write_scene(scene, n, clip(picture, *where))

    def _write_scene(self, scene, n, lights):
        """The files of a scene, the n-th, of its noise-free mosaics (T, 2H, 2W) in [0, 1]."""

    def _dark(self, lights, ratio, iso, scene, which):
        """The clip in DN. Clips scatter around the calibration, their frames do not."""
        rng = np.random.default_rng([self.note["seed"], scene, which])
        how = {"rng": rng, "levels": noise.noise_levels(self.camera, iso, rng=rng)}
        return np.stack([noise.expose(x, ratio, self.camera, iso, **how) for x in lights])

    def _save(self, file, array):
        with atomic_write(self.folder / file) as f:
            np.save(f, array)


class MiniLlrvd(MiniVideo):
    """17 scenes of 4 x 128 x 160, at three ratios each."""

    name, numbers = "LLRVD", LlrvdDataset.splits

    def _write_scene(self, scene, n, lights):
        black, white = self.camera.black_level, self.camera.white_level
        clips = {f"ratio_gt/{scene}/gt.npy": np.rint(black + (white - black) * lights)}
        for ratio in RATIOS[n % 2 :: 2]:
            dark = self._dark(lights, ratio, ISOS[n % len(ISOS)], scene, ratio)
            clips[f"ratio_noisy_all/{scene}/{ratio}/lq.npy"] = dark
        for file, mosaics in clips.items():
            planes = cfa.pack_mosaic(mosaics).transpose(0, 2, 3, 1)
            self._save(file, planes.astype(np.uint16))
        balance = self.camera.white_balance
        ccm = np.linalg.inv(colorimetry.camera_from_srgb(self.camera.color_matrix))
        colours = {"wb": np.array([*balance, balance[1]]), "ccm": ccm}  # R, G, B, G
        for t in range(1, len(lights) + 1):
            self._save(f"ISP_info/{scene}/{t}.npy", np.array(colours, object))


class MiniSmoid(MiniVideo):
    """5 scenes of 4 x 120 x 160, at three gains each."""

    name, numbers = "SMOID", SmoidDataset.splits

    def _write_scene(self, scene, n, lights):
        black, span = self.camera.black_level, self.camera.white_level - self.camera.black_level
        for gain, ratio in GAIN_RATIOS.items():
            iso = SMOID_ISO * GAIN_RATIOS["0"] / ratio
            dark = self._dark(lights, ratio, iso, scene, int(gain)).astype(np.float32)
            dark = np.clip((dark - black) / span, 0, 1)  # stored without a black level
            inner = f"_Scene{scene}/Gain{gain}Gain0"
            files = {"Dark/RAW/raw_input.npy": dark, "Bright/RAW/raw_target.npy": lights}
            for file, x in files.items():
                planes = cfa.pack_mosaic(np.rint(65535 * x))[:, SMOID_PLANES]
                self._save(f"{inner}/{file}", planes.astype(np.uint16))


def clip(picture, shape, frames, seed, camera) -> np.ndarray:
    """The noise-free mosaics of a clip over a photograph, float32 (h, w, 3), display-encoded:
    float32 (frames, 2H, 2W) in [0, 1], for packed planes of `shape` (H, W)."""
    rng = np.random.default_rng(seed)
    out = tuple(2 * s for s in shape)
    zooms = 1 + rng.uniform(-0.05, 0.05) * np.linspace(0, 1, frames)  # source pixels a pixel
    room = np.subtract(picture.shape[:2], zooms.max() * np.array(out))
    tops, lefts = (_path(rng, frames, more) for more in room)
    leaves = [_leaf(rng, out, frames) for _ in range(2)]
    lights = []
    for t in range(frames):
        frame = resample(picture, (tops[t], lefts[t]), zooms[t], out)
        for texture, radius, centres in leaves:
            _draw(frame, texture, radius, centres[t])
        lights.append(isp.undevelop(frame, camera))
    return exposed(np.stack(lights), by=lights[0])


def _path(rng, frames, room):
    """Smooth positions within [0, room]: one way, at most three pixels a frame, and a shake."""
    room = max(room, 0)
    travel = rng.uniform(0.4, 1) * min(room, 3.0 * (frames - 1))
    start = rng.uniform(0, room - travel)
    t = np.linspace(0, 1, frames)
    shake = 0.7 * np.sin(2 * np.pi * (rng.uniform(1, 2) * t + rng.random()))
    there = start + travel * (t if rng.random() < 0.5 else 1 - t) + shake
    return np.clip(there, 0, room)


def _leaf(rng, shape, frames):
    """A disc that crosses the frame: texture, radius, centres (T, 2) in pixels of the mosaic."""
    radius = rng.uniform(16, 36)
    angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(3, 8)
    middle = np.array(shape) * rng.uniform(0.3, 0.7, 2)
    t = np.arange(frames) - (frames - 1) / 2
    way = np.stack([np.sin(angle) * t, np.cos(angle) * t], 1) * speed
    bow = np.stack([np.cos(angle) * t**2, -np.sin(angle) * t**2], 1) * rng.uniform(-0.2, 0.2)
    side = 2 * int(np.ceil(radius)) + 4
    texture = scenes.dead_leaves(int(rng.integers(1000, 10**6)), (side, side), 60)
    return texture, radius, middle + way + bow


def _draw(frame, texture, radius, centre):
    """Draw a leaf over a frame, in place, its edge as soft as a pixel."""
    half = len(texture) / 2
    (y0, y1), (x0, x1) = (
        (int(max(0, np.floor(c - half))), int(min(size, np.ceil(c + half))))
        for c, size in zip(centre, frame.shape, strict=False)
    )
    if y0 >= y1 or x0 >= x1:
        return
    y, x = np.mgrid[y0:y1, x0:x1] - np.reshape(centre, (2, 1, 1))
    cover = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1)[..., None].astype(np.float32)
    corner = y0 - centre[0] + half, x0 - centre[1] + half
    skin = resample(texture, corner, 1, (y1 - y0, x1 - x0))
    frame[y0:y1, x0:x1] += cover * (skin - frame[y0:y1, x0:x1])


def resample(picture, corner, step, shape) -> np.ndarray:
    """A window (h, w) of a picture, float32 (H, W, 3) in [0, 1], whose edge goes on beyond it, by
    cubic interpolation (Catmull-Rom). `corner` and `step` are the place of its first pixel and the
    distance of neighbours, in pixels of the picture."""
    for axis, product in enumerate(("nk,nkwc->nwc", "nk,hnkc->hnc")):
        where, four = corner[axis] + step * np.arange(shape[axis]), np.arange(-1, 3)
        first = np.floor(where)
        a = np.abs((where - first)[:, None] - four)  # distances from the four pixels around
        weights = np.where(a <= 1, (1.5 * a - 2.5) * a**2 + 1, ((-0.5 * a + 2.5) * a - 4) * a + 2)
        places = np.clip(first[:, None].astype(int) + four, 0, picture.shape[axis] - 1)
        picture = np.einsum(product, weights.astype(np.float32), picture.take(places, axis))
    return np.clip(picture, 0, 1, out=picture)
