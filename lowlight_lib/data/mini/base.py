"""`MiniSet`: how a mini data set is made and known again."""

import functools
import json
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...io.files import atomic_write
from ..base import NOTE, read_note

VERSION = 2  # of what is written; raise it when the content of a set changes
SPLITS = ("train", "val", "test")


class MiniSet:
    """A mini data set below a data root, a function of the note in its folder: mini.json says what
    is made there, and "complete" once all of it is."""

    holds = "a data set that is not a mini set"  # what a folder that is refused holds

    def __init__(self, root, name, note):
        self.name, self.folder = name, Path(root) / name
        self.note = {"mini": VERSION, **note}

    def is_there(self) -> bool:
        return read_note(self.folder) == self.note

    def refuse_foreign(self) -> None:
        """Never write over somebody's data: DataError where there is what no mini set has."""
        if self._foreign(read_note(self.folder)):
            todo = "give another folder; nothing was changed"
            raise DataError(f"holds {self.holds}", file=self.folder, todo=todo)

    def make(self, progress=True) -> Path:
        """Make it, in place of another mini set that is there; returns its folder."""
        from tqdm.auto import tqdm

        self.refuse_foreign()
        old = read_note(self.folder)
        if old:
            self._say(old | {"complete": False})  # it is not, from the first file on that goes
            self._clear(old)
        self._say(self.note | {"complete": False})
        bar = {"desc": f"mini {self.name}", "unit": "scene", "disable": not progress}
        self._write(functools.partial(tqdm, **bar))
        self._say(self.note)
        return self.folder

    def _say(self, note):
        with atomic_write(self.folder / NOTE, "w") as f:
            json.dump(note, f)

    def _foreign(self, note) -> bool | None:
        """Is there what is not ours, by the note that is there?"""

    def _clear(self, old):
        """Remove the files of the mini set of which `old` is the note, and nothing else."""

    def _write(self, bar):
        """Write all files but the note; `bar` is put around the scenes."""


def dead_leaves_of(scenes) -> list:
    """Which of {scene: picture} are dead leaves: the note marks what is no photograph."""
    return [n for n, picture in scenes.items() if str(picture).startswith("leaves_")]


def note_of(photos) -> dict:
    """What a note says of the photographs that a set is made of, {split: [Path]} or None."""
    files = [f for split in SPLITS for f in photos[split]] if photos else []
    return {"photos": [f"{f.name} {f.stat().st_size}" for f in files]} if photos else {}


def exposed(light, by=None) -> np.ndarray:
    """A scene, exposed so that the brightest thousandth of `by`, or of itself, just saturates: else
    LibRaw would take the brightest pixel for white (see `isp.develop`)."""
    brightest = max(np.quantile(light if by is None else by, 0.999), 1e-3)
    return np.clip(light / np.float32(brightest), 0, 1)
