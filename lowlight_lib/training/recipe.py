"""Recipes: every number of a training run, with its source, in one frozen object."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from ..errors import OptionError

PROFILES = ("smoke", "course", "paper")
SCHEDULES = ("constant", "drop", "halve", "one_cycle", "cosine")


@dataclass(frozen=True)
class Recipe:
    """How a system is trained. Lengths are in optimiser steps, never in minutes.

    Attributes:
        key, profile: which system, which length.
        dataset: name of the layout, in `training.train.DATASETS`: "sid"; "llrvd" or "smoid";
            "pairs" or "lol".
        loss: a name in `training.losses.LOSSES`.
        steps, batch: optimiser steps, crops a step, by however many processes.
        crop: side of a crop, in pixels of the mosaic, or of the packed planes for video.
        frames: of a clip of video.
        lr, schedule: peak learning rate; "constant", "drop" (times 0.1 at `drop_at`), "halve"
            (every `halve_every` steps), "one_cycle" (up over the first tenth, down to 0 by a
            cosine) or "cosine" (from the first step down to `lr_min`).
        betas: of Adam.
        options: of the network's constructor, e.g. {"form": "2020"} for LLPackNet.
        flips, transpose, reverse: probabilities of the augmentations; `reverse` is time's.
        first_of_burst, exclude_misaligned, levels: options of the data set.
        amp: mixed precision, on GPUs only (see `training.precision`).
        seed: initialisation and batches are functions of it.
        checkpoint_every, log_every: steps.
        source: where the numbers come from.
    """

    key: str
    profile: str
    loss: str
    steps: int
    batch: int
    crop: int
    lr: float
    schedule: str = "constant"
    drop_at: int = 0
    halve_every: int = 0
    lr_min: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    flips: tuple[float, float] = (0.5, 0.5)
    transpose: float = 0.0
    frames: int = 1
    reverse: float = 0.0
    options: dict = dataclasses.field(default_factory=dict)
    dataset: str = "sid"
    first_of_burst: bool = False
    exclude_misaligned: bool = False
    levels: tuple[float, float] | None = None
    amp: bool = False
    seed: int = 0
    checkpoint_every: int = 100
    log_every: int = 10
    source: str = ""

    def __post_init__(self):
        """Refuse numbers that would only fail, or mislead, hours later."""
        whole = ("steps", "batch", "crop", "frames", "drop_at", "halve_every", "seed")
        for name in (*whole, "checkpoint_every", "log_every"):
            value, least = getattr(self, name), int(name not in ("drop_at", "halve_every", "seed"))
            if type(value) is not int or value < least:
                raise OptionError(f"{name} is a whole number of at least {least}, not {value!r}")
        if not isinstance(self.options, dict):
            raise OptionError(f"options are names and values, not {self.options!r}")
        if self.dataset == "sid" and self.crop % 2:
            raise OptionError(f"crop is even, or the Bayer phase is lost; not {self.crop}")
        pairs = {"betas": self.betas, "flips": self.flips, "levels": self.levels}
        for name, pair in pairs.items():
            if name == "levels" and pair is None:
                continue
            if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and all(map(_real, pair))):
                raise OptionError(f"{name} is two numbers, not {pair!r}")
            object.__setattr__(self, name, tuple(pair))  # a list comes from JSON
        if not (_real(self.lr) and self.lr > 0):
            raise OptionError(f"lr is a number above 0, not {self.lr!r}")
        if not (_real(self.lr_min) and 0 <= self.lr_min <= self.lr):
            raise OptionError(f"lr_min is a number from 0 to lr, not {self.lr_min!r}")
        for p in (*self.flips, self.transpose, self.reverse):
            if not (_real(p) and 0 <= p <= 1):
                raise OptionError(f"flips, transpose and reverse are probabilities, not {p!r}")
        if type(self.amp) is not bool:
            raise OptionError(f"amp is true or false, not {self.amp!r}")
        if self.schedule not in SCHEDULES:
            raise OptionError(
                f"unknown schedule {self.schedule!r}", todo=f"use {', '.join(SCHEDULES)}"
            )
        if self.schedule == "halve" and not self.halve_every:
            raise OptionError("the schedule 'halve' needs halve_every, in steps")

    def lr_at(self, step) -> float:
        """Learning rate of a step (0 is the first)."""
        if self.schedule == "drop":
            return self.lr * (0.1 if step >= self.drop_at else 1.0)
        if self.schedule == "halve":
            return self.lr * 0.5 ** (step // self.halve_every)
        if self.schedule == "one_cycle":
            rise = max(1, self.steps // 10)
            if step < rise:
                return self.lr * (step + 1) / rise
            return self.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / (self.steps - rise)))
        if self.schedule == "cosine":
            fall = 0.5 * (1 + math.cos(math.pi * step / self.steps))
            return self.lr_min + (self.lr - self.lr_min) * fall
        return self.lr

    def replace(self, **changes) -> Recipe:
        """The same recipe with other numbers; OptionError for a name it does not have."""
        names = {f.name for f in dataclasses.fields(self)}
        if unknown := sorted(changes.keys() - names):
            raise OptionError(f"a recipe has no {unknown[0]!r}", todo=f"use {sorted(names)}")
        return dataclasses.replace(self, **changes)


def _real(x):
    return isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x)


_SHORT = "our own short recipe for mini data on a CPU; not a published one"
_SONY = (512, 16383)  # black and white level, hard-coded by every paper on this camera

RECIPES: dict[str, dict[str, Recipe]] = {
    "sid": {
        "smoke": Recipe(
            "sid", "smoke", "l1", steps=12, batch=2, crop=64, lr=5e-4, schedule="one_cycle",
            checkpoint_every=5, log_every=2, source=_SHORT,
        ),
        "course": Recipe(
            "sid", "course", "l1", steps=700, batch=4, crop=128, lr=5e-4, schedule="one_cycle",
            transpose=0.5, source=_SHORT,
        ),
        "paper": Recipe(
            "sid", "paper", "l1", steps=644_000, batch=1, crop=1024, lr=1e-4, schedule="drop",
            drop_at=322_000, transpose=0.5, levels=_SONY, checkpoint_every=1000, log_every=100,
            source="Chen et al., CVPR 2018, section 4.1 and released code: 4000 epochs of 161 "
            "scenes, packed crop 512, 1e-4, then 1e-5 after epoch 2000",
        ),
    },
    "llpacknet": {
        "smoke": Recipe(
            "llpacknet", "smoke", "l1_ssim", steps=12, batch=2, crop=64, lr=1e-3,
            schedule="one_cycle", checkpoint_every=5, log_every=2, source=_SHORT,
        ),
        "course": Recipe(
            "llpacknet", "course", "l1_ssim", steps=900, batch=8, crop=128, lr=1e-3,
            schedule="one_cycle", transpose=0.5, source=_SHORT,
        ),
        "paper": Recipe(
            "llpacknet", "paper", "llpacknet", steps=400_000, batch=4, crop=512, lr=1e-4,
            flips=(0.5, 0.2), levels=_SONY, checkpoint_every=1000, log_every=100,
            source="Lamba et al., BMVC 2020, released train.py; the four crops of a step come from "
            "four images here, from one there",
        ),
    },
    "redi": {
        "smoke": Recipe(
            "redi", "smoke", "l1_ssim", steps=12, batch=2, crop=64, lr=1e-3, schedule="one_cycle",
            checkpoint_every=5, log_every=2, source=_SHORT,
        ),
        "course": Recipe(
            "redi", "course", "l1_ssim", steps=1200, batch=8, crop=128, lr=1e-3,
            schedule="one_cycle", transpose=0.5, source=_SHORT,
        ),
        "paper": Recipe(
            "redi", "paper", "redi_paper", steps=1_000_000, batch=8, crop=512, lr=1e-4,
            schedule="drop", drop_at=500_000, flips=(0.5, 0.2), levels=_SONY,
            checkpoint_every=1000, log_every=100,
            source="Lamba & Mitra, CVPR 2021, section 4 (loss 'redi_code' is the released one)",
        ),
    },
    "brve": {
        "smoke": Recipe(
            "brve", "smoke", "charbonnier", steps=12, batch=2, crop=32, frames=3, lr=1e-3,
            schedule="cosine", dataset="llrvd", options={"channels": 8}, checkpoint_every=5,
            log_every=2, source=_SHORT,
        ),
        "course": Recipe(
            "brve", "course", "charbonnier", steps=330, batch=2, crop=40, frames=5, lr=2e-3,
            schedule="one_cycle", transpose=0.5, reverse=0.5, dataset="llrvd",
            options={"channels": 16}, source=_SHORT,
        ),
        "paper": Recipe(
            "brve", "paper", "charbonnier", steps=100_000, batch=1, crop=128, frames=10, lr=2e-4,
            schedule="cosine", lr_min=1e-7, betas=(0.9, 0.99), transpose=0.5, reverse=0.5,
            dataset="llrvd", checkpoint_every=1000, log_every=100,
            source="Zhang et al., CVPR 2024, released configurations; for SMOID batch=2, which "
            "were two GPUs",
        ),
    },
    "pairlie": {
        "smoke": Recipe(
            "pairlie", "smoke", "pairlie", steps=12, batch=2, crop=32, lr=1e-3,
            schedule="one_cycle", flips=(0, 0), dataset="pairs", options={"width": 16},
            checkpoint_every=5, log_every=2, source=_SHORT,
        ),
        "course": Recipe(
            "pairlie", "course", "pairlie_short", steps=1500, batch=2, crop=32, lr=1e-3,
            schedule="one_cycle", flips=(0, 0), dataset="pairs", source=_SHORT,
        ),
        "paper": Recipe(
            "pairlie", "paper", "pairlie", steps=129_600, batch=1, crop=128, lr=1e-4,
            schedule="halve", halve_every=32_400, flips=(0, 0), dataset="pairs", seed=123456789,
            checkpoint_every=1000, log_every=100,
            source="Fu et al., CVPR 2023, released code: 400 epochs of 324 scenes, the rate halved "
            "after each hundred",
        ),
    },
}  # fmt: skip


def find_recipe(key, profile) -> Recipe:
    """The recipe of a system and profile; OptionError lists what there is."""
    if key not in RECIPES:
        raise OptionError(f"no recipe for {key!r}", todo=f"use one of {', '.join(RECIPES)}")
    if profile not in RECIPES[key]:
        raise OptionError(f"unknown profile {profile!r}", todo=f"use {', '.join(RECIPES[key])}")
    return RECIPES[key][profile]
