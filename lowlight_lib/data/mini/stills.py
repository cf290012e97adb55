"""Mini SID as real DNG files, mini `pairs/` and mini `LOL/` as 8-bit PNG files.

Photographs go back through an inverse ISP to light, which a calibrated camera takes in the dark.
"""

import dataclasses
import zlib

import numpy as np

from ...errors import OptionError
from ...io.files import atomic_write, write_picture
from ...sensor import cfa as cfa_module
from ...sensor import isp, noise
from ...sensor.raw import RawImage, write_dng
from .. import scenes
from ..base import NOTE, read_note
from ..photos import LOL_SPLITS
from .base import SPLITS, MiniSet, dead_leaves_of, exposed, note_of

LONG_S = 10
SHORTS_S = (0.1, 0.04, 0.033)  # ratios 100, 250 and 303, which every loader clamps to 300
ISOS = (800, 1600, 3200)
CAMERA = "sony_a7s2"
_LEAVES = tuple(f"leaves_{i}" for i in range(17))  # eight to train on, nine to test on
PICTURES = {
    "train": scenes.TRAIN + _LEAVES[:8],
    "val": scenes.VAL,
    "test": scenes.TEST + _LEAVES[8:],
}
_BEFORE = {"train": 0, "val": 20000, "test": 10000}  # SID's scene numbers begin after this
PHOTO_ISO = 800
# How many times too little light. Developed, a scene of mean 0.4 comes out at 0.2 to 0.05.
DARK = (6, 10, 16, 26)


def light_of(name, camera) -> np.ndarray:
    """The light (H, W) of one of `scenes`, as a camera's filters see it, well exposed."""
    return exposed(isp.undevelop(scenes.photograph(name), camera))


def shoot(light, ratio, camera, iso, seed) -> RawImage:
    """A photograph of a scene with 1/ratio of its light; frames scatter around the calibration."""
    rng = np.random.default_rng(seed)
    noisiness = noise.noise_levels(camera, iso, rng=rng)
    mosaic = noise.expose(light, ratio, camera, iso, rng, levels=noisiness)
    levels = camera.black_level, camera.white_level
    return RawImage(mosaic, camera.cfa, *levels, camera.white_balance, camera.color_matrix)


class MiniSid(MiniSet):
    """29 scenes, exposures of 10 s against 0.1, 0.04 and 0.033 s; Sony/, or Fuji/ with X-Trans.
    Test scenes have a second frame at 0.1 s: bursts. `photos` are {split: [Path]} in place of ours;
    other arguments: `mini.ensure`."""

    def __init__(self, root, seed=0, camera=CAMERA, cfa=None, splits=SPLITS, photos=None):
        camera = noise.find_camera(camera)
        kind = cfa_module.name(cfa_module.from_name(cfa or camera.cfa_name))
        kind = kind.replace("-", "").upper()
        self.camera = dataclasses.replace(camera, cfa_name=kind)
        self.pictures = photos or PICTURES
        if not splits or not set(splits) <= set(SPLITS):
            raise OptionError(f"no splits {splits}", todo=f"use {', '.join(SPLITS)}")
        splits = [s for s in SPLITS if s in splits]
        note = {"camera": camera.model, "seed": seed, "cfa": kind, "splits": splits}
        numbered = ((_BEFORE[s] + n, p) for s, pictures in self.pictures.items()
                    for n, p in enumerate(pictures, 1))  # fmt: skip
        note["synthetic"] = dead_leaves_of(dict(numbered))
        if camera not in noise.CAMERAS.values():  # of one model there can be several calibrations
            note["calibration"] = zlib.crc32(repr(camera).encode())
        super().__init__(root, "SID", note | note_of(photos) | {"complete": True})

    def is_there(self):
        """More splits than asked for will do."""
        there = read_note(self.folder)
        splits = there.get("splits", [])
        return {*self.note["splits"]} <= {*splits} and there == self.note | {"splits": splits}

    def _foreign(self, note):
        other = any(p.suffix.lower() != ".dng" for p in self.folder.glob("*/long/*"))
        return other or ("mini" not in note and any(self.folder.glob("*_list.txt")))

    def _clear(self, old):
        for path in self.folder.glob("*_list.txt"):
            for word in path.read_text(encoding="utf-8").split():
                if word.startswith("./") and word.endswith(".dng") and ".." not in word:
                    (self.folder / word).unlink(missing_ok=True)
            path.unlink()

    def _write(self, bar):
        name = "Fuji" if self.note["cfa"] == "XTRANS" else "Sony"
        lists = {split: [] for split in self.note["splits"]}
        wanted = [(s, *scene) for s in lists for scene in enumerate(self.pictures[s], 1)]
        for split, n, picture in bar(wanted):
            number = _BEFORE[split] + n
            iso = min(ISOS[number % len(ISOS)], self.camera.iso_range[1])
            light = light_of(picture, self.camera)
            long = f"{name}/long/{number:05d}_00_{LONG_S}s.dng"
            self._shoot(long, light, LONG_S, iso, number)
            for k, exposure in enumerate(SHORTS_S, 1):
                for burst in range(2 if split == "test" and k == 1 else 1):
                    short = f"{name}/short/{number:05d}_{burst:02d}_{exposure:g}s.dng"
                    self._shoot(short, light, exposure, iso, number, k, burst)
                    lists[split].append(f"./{short} ./{long} ISO{iso} F8")
        for split, lines in lists.items():
            with atomic_write(self.folder / f"{name}_{split}_list.txt", "w") as f:
                f.write("\n".join(lines) + "\n")

    def _shoot(self, file, light, exposure, iso, *which):
        seed = [self.note["seed"], *which]
        raw = shoot(light, LONG_S / exposure, self.camera, iso, seed)
        said = {"model": self.camera.model, "exposure_s": exposure, "iso": iso}
        write_dng(self.folder / file, dataclasses.replace(raw, **said))


class MiniPhotos(MiniSet):
    """PNG files, by a plan {picture: {file: ratio}}; the note lists all that are ours."""

    holds = "pictures that are not of a mini set"

    def __init__(self, root, name, seed, plan, photos):
        files = sorted(f for shots in plan.values() for f in shots)
        synthetic = dead_leaves_of({next(iter(shots)): p for p, shots in plan.items()})
        note = {"seed": seed, "complete": True, "files": files, "synthetic": synthetic}
        super().__init__(root, name, note | note_of(photos))
        self.plan = plan

    def is_there(self):
        return super().is_there() and all((self.folder / f).is_file() for f in self.note["files"])

    def _foreign(self, note):
        ours = {self.folder / f for f in (NOTE, *note.get("files", []))}
        return any(p not in ours and p.is_file() for p in self.folder.rglob("*"))

    def _clear(self, old):
        for path in [*self.folder.rglob("*")]:  # all of them ours, or `make` would have refused
            if path.is_file() and path.name != NOTE:
                path.unlink()

    def _write(self, bar):
        which = {"pairs": 1, "LOL": 2}[self.name]
        for k, (picture, shots) in enumerate(bar(self.plan.items())):
            light = light_of(picture, noise.SONY_A7S2)
            for j, (file, ratio) in enumerate(shots.items()):
                seed = [self.note["seed"], which, k, j]
                shown = isp.develop(shoot(light, ratio, noise.SONY_A7S2, PHOTO_ISO, seed))
                write_picture(self.folder / file, shown)


def mini_pairs(root, seed=0, photos=None) -> MiniPhotos:
    """15 scenes, or those of photographs, of which each has two or three dark exposures."""
    plan = {}
    for n, picture in enumerate((photos or PICTURES)["train"], 1):
        ratios = DARK[n % 3 : n % 3 + 2 + n % 2]
        plan[picture] = {f"{n}/{k}.png": r for k, r in enumerate(ratios, 1)}
    return MiniPhotos(root, "pairs", seed, plan, photos)


def mini_lol(root, seed=0, photos=None) -> MiniPhotos:
    """15 pairs in our485 and 15 in eval15 (photographs twice), or as there are photographs."""
    plan, n = {}, 0
    for split, folder in LOL_SPLITS.items():
        for picture in (photos or PICTURES)[split]:
            plan[picture] = {}
            for _ in range(1 if split == "train" or picture in _LEAVES else 2):
                n += 1
                plan[picture][f"{folder}/low/{n}.png"] = DARK[1 + n % 3]
                plan[picture][f"{folder}/high/{n}.png"] = 1
    return MiniPhotos(root, "LOL", seed, plan, photos)
