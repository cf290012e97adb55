"""What the makers of mini data share: the note that says what a folder is, and the exposure."""

from __future__ import annotations

import json

import numpy as np

from ...io.files import atomic_write

NOTE = "mini.json"


def write_note(folder, note) -> None:
    """Say in FOLDER/mini.json what is made there; written last, it says that all is."""
    with atomic_write(folder / NOTE, "w") as f:
        json.dump(note, f)


def read_note(folder) -> dict:
    """The note of a mini set; {} where there is none, or a damaged one."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def brightest(light) -> float:
    """What to divide a scene by so that its brightest thousandth just saturates.

    So a photographer would expose; and without a saturated pixel LibRaw would take the brightest
    one for white (see isp.develop).
    """
    return float(max(np.quantile(light, 0.999), 1e-3))
