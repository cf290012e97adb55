"""Mini data sets: made on the spot, in the layouts that the papers publish; see `ensure`."""

from pathlib import Path

from ...errors import OptionError
from ..scenes import split_photographs
from .base import SPLITS
from .stills import CAMERA, ISOS, MiniSid, mini_lol, mini_pairs
from .video import MiniLlrvd, MiniSmoid

__all__ = ["ISOS", "SETS", "ensure", "sets_of"]

_MAKERS = {"LLRVD": MiniLlrvd, "SMOID": MiniSmoid, "LOL": mini_lol, "pairs": mini_pairs}
SETS = ("SID", *_MAKERS)


def ensure(
    root, seed=0, progress=True, *, camera=CAMERA, cfa=None, splits=SPLITS, again=False, sets=None,
    photos=None,
) -> Path:  # fmt: skip
    """Make the mini sets below `root` unless complete ones of this kind are there.

    A set of more splits than asked for will do; one of another camera, seed or filters is replaced.

    Args:
        root: the data root, which is returned; the files are a function of the `seed`.
        camera: that takes SID's pictures, by name or a `sensor.cameras.Camera`.
        cfa: name of other filters on its sensor, such as "grbg" or "xtrans".
        splits: of SID; the test split alone takes seconds.
        again: make them in any case.
        sets: which of SETS; by default all, or SID where a camera, filters or splits are asked for.
        photos: a folder of photographs to make them of, see `scenes.split_photographs`.
    DataError: one is there and is no mini set, or too few photographs; nothing was changed.
    OptionError, ShapeError: no such set, camera, filters or splits. OutputError: it cannot be made.
    """
    pictures = photos and split_photographs(photos)
    wanted = [
        MiniSid(root, seed, camera, cfa, splits, pictures) if name == "SID"
        else _MAKERS[name](root, seed, pictures)
        for name in sets_of(sets, camera, cfa, splits)
    ]  # fmt: skip
    for mini in wanted:
        mini.refuse_foreign()
    for mini in wanted:
        if again or not mini.is_there():
            mini.make(progress)
    return Path(root)


def sets_of(sets=None, camera=CAMERA, cfa=None, splits=SPLITS) -> list[str]:
    """Which sets `ensure` makes, in the order of SETS; arguments as there."""
    if sets is None:
        plain = (camera, cfa, tuple(splits)) == (CAMERA, None, SPLITS)
        sets = SETS if plain else ("SID",)
    sets = [s.casefold() for s in ([sets] if isinstance(sets, str) else sets)]
    if not sets or not set(sets) <= {s.casefold() for s in SETS}:
        raise OptionError(f"no mini sets {sets}", todo=f"use {', '.join(SETS)}")
    return [s for s in SETS if s.casefold() in sets]
