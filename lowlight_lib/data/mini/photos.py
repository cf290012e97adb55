"""Mini `pairs/` and mini `LOL/`: photographs taken in the dark, kept as 8-bit PNG files.

Light, sensor and noise are those of mini SID; what the sensor recorded is developed by the same
LibRaw call and only then rounded to 8 bits, as in a camera that writes pictures. Training and
testing share no photograph.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import DataError
from ...io.files import atomic_write, to_integers
from ...sensor import isp, noise
from ...sensor.raw import RawImage
from .. import scenes
from ..photos import LOL_SPLITS
from .note import NOTE, brightest, read_note, write_note

VERSION = 1  # of what is written; raise it when the content changes
ISO = 800
# How many times too little light. Developed, a scene of mean 0.4 comes out at 0.2 to 0.05.
DARK = (6, 10, 16, 26)
LEAVES = tuple(f"leaves_{i}" for i in range(8))
PICTURES = {"train": scenes.TRAIN + LEAVES, "test": scenes.TEST}


def make(root, name, seed=0, progress=True) -> Path:
    """Write mini LOL or mini pairs below ROOT/NAME; see `make_lol` and `make_pairs`."""
    return {"LOL": make_lol, "pairs": make_pairs}[name](root, seed, progress)


def make_pairs(root, seed=0, progress=True) -> Path:
    """Write mini pairs below ROOT/pairs: 15 scenes, of which each has two or three dark exposures.

    Args:
        root: the data root; pairs/ in it must be absent, empty or a mini set, which is replaced.
        seed: the files are a function of it.
    Returns:
        ROOT/pairs.
    Raises:
        DataError: ROOT/pairs holds something else.
        OutputError: it cannot be written.
    """
    plan = {}
    for n, name in enumerate(PICTURES["train"], 1):
        first = n % 3
        ratios = DARK[first : first + 2 + n % 2]
        plan[name] = {f"{n}/{k}.png": r for k, r in enumerate(ratios, 1)}
    return _make(Path(root) / "pairs", plan, [seed, 1], progress)


def make_lol(root, seed=0, progress=True) -> Path:
    """Write mini LOL below ROOT/LOL: 15 pairs in our485 and 6 in eval15, whatever their names say.

    Each photograph for testing is there twice, at two degrees of darkness.

    Args, Returns, Raises: as of `make_pairs`, with LOL instead of pairs.
    """
    plan, n = {}, 0
    for split, folder in LOL_SPLITS.items():
        for name in PICTURES[split]:
            plan[name] = {}
            for _ in range(1 if split == "train" else 2):
                n += 1
                plan[name][f"{folder}/low/{n}.png"] = DARK[1 + n % 3]
                plan[name][f"{folder}/high/{n}.png"] = 1
    return _make(Path(root) / "LOL", plan, [seed, 2], progress)


def refuse_foreign(folder) -> list[Path]:
    """Never write over somebody's pictures: the files that are there, or DataError if not ours."""
    ours = set(read_note(folder).get("files", []))
    there = [p for p in folder.rglob("*") if p.is_file() and p.name != NOTE]
    if any(p.relative_to(folder).as_posix() not in ours for p in there):
        raise DataError(
            "holds pictures that are not of a mini set",
            file=folder,
            todo="give another folder; nothing was changed",
        )
    return there


def is_there(root, name, seed) -> bool:
    """Is a complete mini set of this seed in ROOT/NAME?"""
    folder = Path(root) / name
    note = read_note(folder)
    whole = note == _note(seed) | {"complete": True, "files": note.get("files")}
    return whole and all((folder / f).is_file() for f in note["files"])


def _note(seed):
    return {"mini": VERSION, "seed": seed}


def _make(folder, plan, seed, progress):
    """Photograph {picture: {file: ratio}}; the note in the folder lists what is ours."""
    from tqdm.auto import tqdm

    files = [f for shots in plan.values() for f in shots]
    ours = set(read_note(folder).get("files", []))
    there = refuse_foreign(folder)
    note = _note(seed[0])
    write_note(folder, note | {"complete": False, "files": sorted(ours | set(files))})
    for p in there:
        p.unlink()
    camera = noise.SONY_A7S2
    for k, (name, shots) in enumerate(tqdm(plan.items(), desc=f"mini {folder.name}",
                                           unit="scene", disable=not progress)):  # fmt: skip
        light = isp.undevelop(_photograph(name), camera)
        light = np.clip(light / brightest(light), 0, 1)
        for j, (file, ratio) in enumerate(shots.items()):
            rng = np.random.default_rng([*seed, k, j])
            levels = noise.noise_levels(camera, ISO, rng=rng)  # frames scatter around the line
            mosaic = noise.expose(light, ratio, camera, ISO, rng, levels=levels)
            raw = RawImage(
                mosaic,
                camera.cfa,
                black_level=camera.black_level,
                white_level=camera.white_level,
                white_balance=camera.white_balance,
                color_matrix=camera.color_matrix,
            )
            _write(folder / file, isp.develop(raw))
    write_note(folder, note | {"complete": True, "files": sorted(files)})
    return folder


def _write(path, picture):
    """8-bit PNG at level 4: a third of the time of Pillow's 6, and no larger for photographs."""
    import imageio.v3 as iio

    data = iio.imwrite("<bytes>", to_integers(picture, 8), extension=".png", compress_level=4)
    with atomic_write(path) as f:
        f.write(data)


def _photograph(name):
    if name.startswith("leaves_"):
        return scenes.dead_leaves(int(name.removeprefix("leaves_")))
    return scenes.photograph(name)
