"""Mini data sets: made on the spot, in the layouts that the papers publish.

Photographs go back through an inverse ISP to the light they came from, a calibrated camera takes
them in the dark, and what it recorded is written as real DNG files. Clips are made in `mini_video`,
8-bit photographs in `mini_pairs`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import DataError, OptionError
from ...io.files import atomic_write
from ...sensor import isp, noise
from ...sensor.raw import RawImage, write_dng
from .. import scenes
from . import photos as mini_pairs
from . import video as mini_video
from .note import brightest
from .note import read_note as _read_note
from .note import write_note as _write_note

VERSION = 1  # of what is written; raise it when the content changes
LONG_S = 10
SHORTS_S = (0.1, 0.04, 0.033)  # ratios 100, 250 and 303, which every loader clamps to 300
ISOS = (800, 1600, 3200)
DEAD_LEAVES = 8
# Who makes them: SID is made here.
_MAKERS = {"LLRVD": mini_video, "SMOID": mini_video, "LOL": mini_pairs, "pairs": mini_pairs}
SETS = ("SID", *_MAKERS)
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


def make_sid(
    root, camera="sony_a7s2", seed=0, progress=True, *, cfa=None, splits=tuple(_SUBSETS)
) -> Path:
    """Write mini SID below ROOT/SID: 20 scenes, exposures 10 s against 0.1, 0.04 and 0.033 s.

    The layout is SID's: `Sony/long`, `Sony/short` and three list files beside them; an X-Trans set
    is named Fuji, as SID's is. The test scenes have a second frame at 0.1 s, so that bursts exist.

    Args:
        root: the data root; SID/ in it must be absent or a mini set, which is replaced.
        camera: name or `sensor.cameras.Camera`.
        seed: the files are a function of it.
        cfa: name of other filters on the camera's sensor, such as "grbg" or "xtrans".
        splits: which of "train", "val" and "test" to make; the test split alone takes seconds.
    Returns:
        ROOT/SID.
    Raises:
        DataError: ROOT/SID holds something else.
        OptionError, ShapeError: no such camera or split, or no such filters.
        OutputError: it cannot be written.
    """
    from tqdm.auto import tqdm

    camera, note = _order(camera, seed, cfa, splits)
    folder = Path(root) / "SID"
    _refuse_foreign(folder)
    _write_note(folder, note | {"complete": False})
    _clear(folder)
    name = "Fuji" if note["cfa"] == "XTRANS" else "Sony"
    lists = {split: [] for split in note["splits"]}
    wanted = [s for s in sid_scenes() if s.split in lists]
    for scene in tqdm(wanted, desc="mini SID", unit="scene", disable=not progress):
        iso = ISOS[scene.number % len(ISOS)]
        light = isp.undevelop(scene.image(), camera)
        light = np.clip(light / brightest(light), 0, 1)
        long = f"{name}/long/{scene.number:05d}_00_{LONG_S}s.dng"
        _shoot(folder / long, light, LONG_S, camera, iso, [seed, scene.number])
        for k, exposure in enumerate(SHORTS_S):
            for burst in range(2 if scene.split == "test" and k == 0 else 1):
                short = f"{name}/short/{scene.number:05d}_{burst:02d}_{exposure:g}s.dng"
                rng = [seed, scene.number, k + 1, burst]
                _shoot(folder / short, light, exposure, camera, iso, rng)
                lists[scene.split].append(f"./{short} ./{long} ISO{iso} F8")
    for split, lines in lists.items():
        with atomic_write(folder / f"{name}_{split}_list.txt", "w") as f:
            f.write("\n".join(lines) + "\n")
    _write_note(folder, note | {"complete": True})
    return folder


def ensure(
    root,
    seed=0,
    progress=True,
    *,
    camera="sony_a7s2",
    cfa=None,
    splits=tuple(_SUBSETS),
    again=False,
    sets=None,
) -> Path:
    """Make the mini sets below `root` unless complete ones of this kind are there.

    A set of more splits than asked for will do; one of another camera, seed or filters is replaced.

    Args: as of `make_sid`, and
        again: make them in any case.
        sets: which of "SID", "LLRVD", "SMOID", "LOL" and "pairs". None: all of them; but SID alone
            where a camera, filters or splits are asked for, which the others do not have.
    Returns:
        `root`.
    Raises:
        DataError: one of them is there and is no mini set; nothing was changed.
    """
    sets = sets_of(sets, camera, cfa, splits)
    for name in sets:
        refuse = _refuse_foreign if name == "SID" else _MAKERS[name].refuse_foreign
        refuse(Path(root) / name)
    for name in sets:
        if name == "SID":
            _ensure_sid(root, seed, progress, camera, cfa, splits, again)
        elif again or not _MAKERS[name].is_there(root, name, seed):
            _MAKERS[name].make(root, name, seed, progress)
    return Path(root)


def sets_of(sets=None, camera="sony_a7s2", cfa=None, splits=tuple(_SUBSETS)) -> list[str]:
    """Which sets `ensure` makes, in the order of SETS; arguments as there."""
    if sets is None:
        plain = (camera, cfa, tuple(splits)) == ("sony_a7s2", None, tuple(_SUBSETS))
        sets = SETS if plain else ("SID",)
    sets = [s.casefold() for s in ([sets] if isinstance(sets, str) else sets)]
    if not sets or not set(sets) <= {s.casefold() for s in SETS}:
        raise OptionError(f"no mini sets {sets}", todo=f"use {', '.join(SETS)}")
    return [s for s in SETS if s.casefold() in sets]


def _ensure_sid(root, seed, progress, camera, cfa, splits, again):
    _, wanted = _order(camera, seed, cfa, splits)
    there = {"cfa": "RGGB", "splits": list(_SUBSETS)} | _read_note(Path(root) / "SID")
    enough = set(wanted["splits"]) <= set(there["splits"])
    if again or not enough or there != wanted | {"complete": True, "splits": there["splits"]}:
        make_sid(root, camera, seed, progress, cfa=cfa, splits=splits)


def _order(camera, seed, cfa, splits):
    """The camera with these filters, and the note that says what is made."""
    camera = noise.find_camera(camera)
    kind = camera.cfa_name if cfa is None else str(cfa).upper().replace("-", "").replace("_", "")
    camera = dataclasses.replace(camera, cfa_name=kind)
    camera.cfa  # noqa: B018  (raises for a name that is none, before anything is written)
    splits = [splits] if isinstance(splits, str) else list(splits)
    if not splits or not set(splits) <= set(_SUBSETS):
        raise OptionError(f"no splits {splits}", todo=f"use {', '.join(_SUBSETS)}")
    splits = [s for s in _SUBSETS if s in splits]
    return camera, {
        "mini": VERSION, "camera": camera.model, "seed": seed, "cfa": kind, "splits": splits,
    }  # fmt: skip


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


def _clear(folder):
    """Remove the lists of an older mini set and what they list: another set shares no file."""
    for path in folder.glob("*_list.txt"):
        for word in path.read_text(encoding="utf-8").split():
            if word.startswith("./") and word.endswith(".dng") and ".." not in word:
                (folder / word).unlink(missing_ok=True)
        path.unlink()


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
