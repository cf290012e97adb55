"""Mini `pairs/` and mini `LOL/`: photographs taken in the dark, kept as 8-bit PNG files.

Light, sensor and noise are those of mini SID; what the sensor recorded is developed by the same
LibRaw call and only then rounded to 8 bits, as in a camera that writes pictures.
"""

from __future__ import annotations

from ...io.files import atomic_write, to_integers
from ...sensor import isp, noise
from ..issues import NOTE
from ..photos import LOL_SPLITS
from .base import MiniSet, light_of, shoot
from .sid import PICTURES

ISO = 800
# How many times too little light. Developed, a scene of mean 0.4 comes out at 0.2 to 0.05.
DARK = (6, 10, 16, 26)


class MiniPhotos(MiniSet):
    """PNG files, by a plan {picture: {file: ratio}}; the note lists all that are ours."""

    holds = "pictures that are not of a mini set"

    def __init__(self, root, name, seed, plan):
        files = sorted(f for shots in plan.values() for f in shots)
        super().__init__(root, name, {"seed": seed, "complete": True, "files": files})
        self.plan = plan

    def is_there(self):
        return super().is_there() and all((self.folder / f).is_file() for f in self.note["files"])

    def _foreign(self, note):
        ours = {self.folder / f for f in (NOTE, *note.get("files", []))}
        return any(p not in ours and p.is_file() for p in self.folder.rglob("*"))

    def _clear(self, old):
        for file in old.get("files", []):
            (self.folder / file).unlink(missing_ok=True)

    def _write(self, progress):
        import imageio.v3 as iio
        from tqdm.auto import tqdm

        bar = tqdm(self.plan.items(), desc=f"mini {self.name}", unit="scene", disable=not progress)
        which = {"pairs": 1, "LOL": 2}[self.name]
        for k, (picture, shots) in enumerate(bar):
            light = light_of(picture, noise.SONY_A7S2)
            for j, (file, ratio) in enumerate(shots.items()):
                seed = [self.note["seed"], which, k, j]
                shown = isp.develop(shoot(light, ratio, noise.SONY_A7S2, ISO, seed))
                # A third of the time of Pillow's level 6, and no larger for photographs.
                data = iio.imwrite(
                    "<bytes>", to_integers(shown, 8), extension=".png", compress_level=4
                )
                with atomic_write(self.folder / file) as f:
                    f.write(data)


def mini_pairs(root, seed=0) -> MiniPhotos:
    """15 scenes, of which each has two or three dark exposures."""
    plan = {}
    for n, picture in enumerate(PICTURES["train"], 1):
        ratios = DARK[n % 3 : n % 3 + 2 + n % 2]
        plan[picture] = {f"{n}/{k}.png": r for k, r in enumerate(ratios, 1)}
    return MiniPhotos(root, "pairs", seed, plan)


def mini_lol(root, seed=0) -> MiniPhotos:
    """15 pairs in our485 and 6 in eval15, where each photograph is twice, darker and less dark."""
    plan, n = {}, 0
    for split, folder in LOL_SPLITS.items():
        for picture in PICTURES[split]:
            plan[picture] = {}
            for _ in range(1 if split == "train" else 2):
                n += 1
                plan[picture][f"{folder}/low/{n}.png"] = DARK[1 + n % 3]
                plan[picture][f"{folder}/high/{n}.png"] = 1
    return MiniPhotos(root, "LOL", seed, plan)
