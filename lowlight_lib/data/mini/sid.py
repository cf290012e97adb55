"""Mini SID: real DNG files in SID's layout.

Photographs go back through an inverse ISP to the light they came from, a calibrated camera takes
them in the dark, and what it recorded is written as DNG.
"""

from __future__ import annotations

import dataclasses

from ...errors import OptionError
from ...io.files import atomic_write
from ...sensor import noise
from ...sensor.raw import write_dng
from .. import scenes
from ..issues import read_note
from .base import SPLITS, MiniSet, light_of, shoot

LONG_S = 10
SHORTS_S = (0.1, 0.04, 0.033)  # ratios 100, 250 and 303, which every loader clamps to 300
ISOS = (800, 1600, 3200)
CAMERA = "sony_a7s2"
PICTURES = {
    "train": scenes.TRAIN + tuple(f"leaves_{i}" for i in range(8)),
    "val": scenes.VAL,
    "test": scenes.TEST,
}
_BEFORE = {"train": 0, "val": 20000, "test": 10000}  # SID's scene numbers begin after this


class MiniSid(MiniSet):
    """20 scenes, exposures of 10 s against 0.1, 0.04 and 0.033 s; Sony/, or Fuji/ with X-Trans.

    The test scenes have a second frame at 0.1 s, so that bursts exist.

    Args:
        camera: name or `sensor.cameras.Camera`.
        cfa: name of other filters on the camera's sensor, such as "grbg" or "xtrans".
        splits: which of "train", "val" and "test" to make; the test split alone takes seconds.
    Raises:
        OptionError, ShapeError: no such camera or split, or no such filters.
    """

    def __init__(self, root, seed=0, camera=CAMERA, cfa=None, splits=SPLITS):
        camera = noise.find_camera(camera)
        kind = (
            camera.cfa_name if cfa is None else str(cfa).upper().replace("-", "").replace("_", "")
        )
        self.camera = dataclasses.replace(camera, cfa_name=kind)
        self.camera.cfa  # noqa: B018  (raises for a name that is none, before anything is written)
        splits = [splits] if isinstance(splits, str) else list(splits)
        if not splits or not set(splits) <= set(SPLITS):
            raise OptionError(f"no splits {splits}", todo=f"use {', '.join(SPLITS)}")
        splits = [s for s in SPLITS if s in splits]
        note = {"camera": camera.model, "seed": seed, "cfa": kind, "splits": splits}
        super().__init__(root, "SID", note | {"complete": True})

    def is_there(self):
        """More splits than asked for will do, and a note of before, without filters and splits."""
        there = {"cfa": "RGGB", "splits": list(SPLITS)} | read_note(self.folder)
        enough = set(self.note["splits"]) <= set(there["splits"])
        return enough and there == self.note | {"splits": there["splits"]}

    def _foreign(self, note):
        listed = any(self.folder.glob("*_list.txt"))
        return (listed and "mini" not in note) or any(
            p.suffix.lower() != ".dng" for p in self.folder.glob("*/long/*")
        )

    def _clear(self, old):
        for path in self.folder.glob("*_list.txt"):
            for word in path.read_text(encoding="utf-8").split():
                if word.startswith("./") and word.endswith(".dng") and ".." not in word:
                    (self.folder / word).unlink(missing_ok=True)
            path.unlink()

    def _write(self, progress):
        from tqdm.auto import tqdm

        name = "Fuji" if self.note["cfa"] == "XTRANS" else "Sony"
        lists = {split: [] for split in self.note["splits"]}
        wanted = [(split, *scene) for split in lists for scene in enumerate(PICTURES[split], 1)]
        for split, n, picture in tqdm(wanted, desc="mini SID", unit="scene", disable=not progress):
            number = _BEFORE[split] + n
            iso = ISOS[number % len(ISOS)]
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
