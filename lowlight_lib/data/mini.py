"""Mini data sets: made on the spot, in the layouts that the papers publish.

Photographs go back through an inverse ISP to the light they came from, a calibrated camera takes
them in the dark, and what it recorded is written as real DNG files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..sensor import isp, noise
from ..sensor.files import atomic_write
from ..sensor.raw import RawImage, write_dng
from . import scenes

VERSION = 1  # of what is written; raise it when the content changes
LONG_S = 10
SHORTS_S = (0.1, 0.04, 0.033)  # ratios 100, 250 and 303, which every loader clamps to 300
ISOS = (800, 1600, 3200)
DEAD_LEAVES = 8
_SUBSETS = {"train": 0, "val": 20000, "test": 10000}  # SID's scene numbers start like this


@dataclass(frozen=True)
class Scene:
    """One entry of the mini set: its SID number, its split, and the name of its photograph."""

    number: int
    split: str
    picture: str

    def image(self) -> np.ndarray:
        if self.picture.startswith("leaves_"):
            return scenes.dead_leaves(int(self.picture.removeprefix("leaves_")))
        return scenes.photograph(self.picture)


def sid_scenes() -> list[Scene]:
    """The scenes of mini SID, train then val then test."""
    leaves = tuple(f"leaves_{i}" for i in range(DEAD_LEAVES))
    names = {"train": scenes.TRAIN + leaves, "val": scenes.VAL, "test": scenes.TEST}
    return [
        Scene(first + i, split, name)
        for split, first in _SUBSETS.items()
        for i, name in enumerate(names[split], 1)
    ]


def make_sid(root, camera="sony_a7s2", seed=0, progress=True) -> Path:
    """Write mini SID below ROOT/SID: 20 scenes, exposures 10 s against 0.1, 0.04 and 0.033 s.

    The layout is SID's: `Sony/long`, `Sony/short` and three list files beside them. The test
    scenes have a second frame at 0.1 s, so that bursts exist.

    Args:
        root: the data root; SID/ in it must be absent or a mini set.
        camera: name or `noise.Camera`.
        seed: the files are a function of it.
    Returns:
        ROOT/SID.
    Raises:
        DataError: ROOT/SID holds something else.
        OutputError: it cannot be written.
    """
    from tqdm.auto import tqdm

    camera = noise.find_camera(camera)
    folder = Path(root) / "SID"
    _refuse_foreign(folder)
    note = {"mini": VERSION, "camera": camera.model, "seed": seed}
    _write_note(folder, note | {"complete": False})
    lists = {split: [] for split in _SUBSETS}
    for scene in tqdm(sid_scenes(), desc="mini SID", unit="scene", disable=not progress):
        iso = ISOS[scene.number % len(ISOS)]
        light = _well_exposed(isp.undevelop(scene.image(), camera))
        long = f"Sony/long/{scene.number:05d}_00_{LONG_S}s.dng"
        _shoot(folder / long, light, LONG_S, camera, iso, [seed, scene.number])
        for k, exposure in enumerate(SHORTS_S):
            for burst in range(2 if scene.split == "test" and k == 0 else 1):
                short = f"Sony/short/{scene.number:05d}_{burst:02d}_{exposure:g}s.dng"
                rng = [seed, scene.number, k + 1, burst]
                _shoot(folder / short, light, exposure, camera, iso, rng)
                lists[scene.split].append(f"./{short} ./{long} ISO{iso} F8")
    for split, lines in lists.items():
        with atomic_write(folder / f"Sony_{split}_list.txt", "w") as f:
            f.write("\n".join(lines) + "\n")
    _write_note(folder, note | {"complete": True})
    return folder


def ensure(root, seed=0, progress=True) -> Path:
    """Make the mini sets below `root` unless complete ones of this version and seed are there."""
    note = _read_note(Path(root) / "SID")
    if (note.get("mini"), note.get("seed"), note.get("complete")) != (VERSION, seed, True):
        make_sid(root, seed=seed, progress=progress)
    return Path(root)


def _well_exposed(light):
    """Scale a scene so that its brightest thousandth just saturates, as a photographer would.

    Without a saturated pixel LibRaw would take the brightest one for white (see isp.develop).
    """
    return np.clip(light / max(np.quantile(light, 0.999), 1e-3), 0, 1)


def _shoot(path, light, exposure, camera, iso, seed):
    rng = np.random.default_rng(seed)
    levels = noise.noise_levels(camera, iso, rng=rng)  # frames scatter around the calibration
    mosaic = noise.expose(light, LONG_S / exposure, camera, iso, rng, levels=levels)
    raw = RawImage(
        mosaic=mosaic,
        cfa=camera.cfa,
        black_level=camera.black_level,
        white_level=camera.white_level,
        white_balance=camera.white_balance,
        color_matrix=camera.color_matrix,
        model=camera.model,
        exposure_s=exposure,
        iso=iso,
    )
    write_dng(path, raw)


def _write_note(folder, note):
    with atomic_write(folder / "mini.json", "w") as f:
        json.dump(note, f)


def _read_note(folder):
    try:
        note = json.loads((folder / "mini.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _refuse_foreign(folder):
    """Never write over somebody's real data: a SID folder with photographs that we did not make."""
    listed = list(folder.glob("*_list.txt"))
    raws = [p for p in folder.glob("*/long/*") if p.suffix.lower() != ".dng"]
    if (listed and "mini" not in _read_note(folder)) or raws:
        raise DataError(
            "holds a data set that is not a mini set",
            file=folder,
            todo="give another folder; nothing was changed",
        )
