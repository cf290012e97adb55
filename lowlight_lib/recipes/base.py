"""`Recipe`: every number of a training run, with its source, in one frozen object."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError

PROFILES = ("smoke", "course", "paper", "released", "release")
FLIPS_KEEP = ("phase", "planes", "pixels")
LARGEST = 2**63 - 1  # of any number
MOST_PIXELS = 2**28  # of a step: several GB for input and target alone
SCHEDULES = ("constant", "drop", "halve", "one_cycle", "cosine")


@dataclass(frozen=True)
class Recipe:
    """How a system is trained. Lengths are in optimiser steps, never in minutes.

    Attributes:
        key, profile: which system, which length.
        dataset, loss: names in `data.DATASETS` and `training.losses.LOSSES`.
        steps, batch: optimiser steps, crops a step, by however many processes.
        crop: side of a crop, in pixels of the mosaic, or of the packed planes for video.
        lr, schedule: peak learning rate; "constant", "drop" (times 0.1 at `drop_at`), "halve"
            (every `halve_every` steps), "one_cycle" (up over the first tenth, down to 0 by a
            cosine) or "cosine" (from the first step down to `lr_min`).
        options: of the network's constructor, e.g. {"form": "2020"} for LLPackNet.
        flips, transpose, reverse: probabilities of the augmentations; `reverse` is time's.
        repeat: so many crops in a row are of one picture.
        split: what is trained on; "train+val" is both.
        first_of_burst, exposure, exclude_misaligned, levels, flips_keep, camera: options of the
            data set; `camera` is simulated by "photos" in place of all five, by name or profile.
        amp: mixed precision, on GPUs only (see `training.precision`).
        seed: initialisation and batches are functions of it.
        checkpoint_every, log_every, validate_every, keep_every: steps; the latter two, scores of
            the validation split and weights that are kept, may be 0 for none.
        start: sha256 of the weights that a run begins with; "" draws them. `fit` fills it in.
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
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    repeat: int = 1
    dataset: str = "sid"
    split: str = "train"
    first_of_burst: bool = False
    exposure: float | None = None
    exclude_misaligned: bool = False
    levels: tuple[float, float] | None = None
    flips_keep: str = "phase"
    camera: str = ""
    amp: bool = False
    seed: int = 0
    checkpoint_every: int = 100
    log_every: int = 10
    validate_every: int = 0
    keep_every: int = 0
    start: str = ""
    source: str = ""  # where the numbers come from

    def __post_init__(self):
        """Refuse numbers that would only fail, or mislead, hours later."""
        for names, sound, what in _FIELDS:
            for name in names.split():
                if isinstance(value := getattr(self, name), list):  # from JSON
                    value = tuple(value)
                    object.__setattr__(self, name, value)
                if not sound(value):
                    raise OptionError(f"{name} is {what}, not {value!r:.200}")
        if self.lr_min > self.lr:
            raise OptionError(f"lr_min is a number from 0 to lr, not {self.lr_min!r}")
        if self.batch * self.frames * self.crop**2 > MOST_PIXELS:
            todo = "take a smaller batch, crop, or number of frames"
            raise OptionError(f"a step has at most {MOST_PIXELS} pixels", todo=todo)
        if self.schedule == "halve" and not self.halve_every:
            raise OptionError("the schedule 'halve' needs halve_every, in steps")

    def lr_at(self, step: int) -> float:
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

    def replace(self, **changes: Any) -> Recipe:
        """The same recipe with other numbers; OptionError for a name it does not have."""
        names = {f.name for f in dataclasses.fields(self)}
        if unknown := sorted(changes.keys() - names):
            raise OptionError(f"a recipe has no {unknown[0]!r}", todo=f"use {sorted(names)}")
        return dataclasses.replace(self, **changes)


def _real(x, least=-LARGEST, most=LARGEST):
    return isinstance(x, (int, float)) and not isinstance(x, bool) and least <= x <= most


def _pair(x, *ends):
    return isinstance(x, tuple) and len(x) == 2 and all(_real(v, *ends) for v in x)


_FIELDS = (
    ("key profile loss dataset split camera start source", lambda v: isinstance(v, str), "a name"),
    ("amp first_of_burst exclude_misaligned", lambda v: isinstance(v, bool), "true or false"),
    ("options", lambda v: isinstance(v, dict), "a set of names and values"),
    ("steps batch crop frames repeat checkpoint_every log_every",
     lambda v: type(v) is int and _real(v, 1), "a whole number of at least 1 and below 2^63"),
    ("drop_at halve_every seed validate_every keep_every",
     lambda v: type(v) is int and _real(v, 0), "a whole number of at least 0 and below 2^63"),
    ("betas", lambda v: _pair(v, 0, 1 - 1e-9), "two numbers from 0 to below 1"),
    ("flips", lambda v: _pair(v, 0, 1), "two probabilities, from 0 to 1"),
    ("levels", lambda v: v is None or (_pair(v) and v[0] < v[1]), "two numbers, the first lower"),
    ("lr", lambda v: _real(v) and v > 0, "a number above 0"),
    ("exposure", lambda v: v is None or (_real(v) and v > 0), "a number above 0"),
    ("lr_min", lambda v: _real(v, 0), "a number from 0 to lr"),
    ("transpose reverse", lambda v: _real(v, 0, 1), "a probability, from 0 to 1"),
    ("schedule", lambda v: v in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
    ("flips_keep", lambda v: v in FLIPS_KEEP, f"one of {', '.join(FLIPS_KEEP)}"),
)  # fmt: skip
RELEASE = "our own, for weights to be used: photographs, and noise of calibrated cameras"
SHORT = "our own short recipe for mini data on a CPU; not a published one"
SONY_LEVELS = (512, 16383)  # black and white level, hard-coded by every paper on this camera
