"""What the checks of all data sets share: an `Issue`, and how it is worded."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import LowlightError

NOTE = "mini.json"
_SAMPLES = 3  # files of a kind that are opened where not all are


@dataclass(frozen=True)
class Issue:
    """One line of a report: an error has to be acted on, an info is only said."""

    text: str
    severity: Literal["error", "info"] = "error"

    def __str__(self):
        return f"{'!' if self.severity == 'error' else ' '} {self.text}"


def info(text) -> Issue:
    """A line that asks for nothing."""
    return Issue(text, "info")


def read_note(folder) -> dict:
    """What mini.json says of a mini set; {} where there is none, or a damaged one."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def to_open(items, deep, label, progress):
    """All items, or the first, the middle and the last of them, behind a bar."""
    from tqdm.auto import tqdm

    some = [items[i * (len(items) - 1) // 2] for i in range(_SAMPLES) if items]
    chosen = dict.fromkeys(items if deep else some)
    return tqdm(chosen, desc=label, disable=not progress, leave=False)


@contextlib.contextmanager
def noted(errors):
    """Keep an error in a list, and go on behind the block."""
    try:
        yield
    except LowlightError as e:
        errors.append(e)


def count(things, noun) -> str:
    """How many of them, in words: 1 file, 2 files."""
    return f"{len(things)} {noun}{'s'[: len(things) != 1]}"


def first(names, most=3) -> str:
    """The first few names, and three dots for the others."""
    return ", ".join(map(str, names[:most])) + (", ..." if len(names) > most else "")


def files(paths, what) -> str:
    """How many files are what, and the names of the first three."""
    return f"{count(paths, 'file')} {what} ({first([Path(p).name for p in paths])})"


def unreadable(label, errors) -> Issue:
    """The files that could not be read, and why the first of them."""
    names = files([e.file for e in errors], "unreadable")
    return Issue(f"{label}: {names}: {errors[0].what}")
