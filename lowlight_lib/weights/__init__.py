"""Weights trained here and shipped: KEY.safetensors, and beside each KEY.json, its card.

A card says by which recipe the weights were trained, on which photographs (names, sha256,
licences), for how long, what they score on photographs that they were never trained on, and where
they fail.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import models
from ..errors import OptionError
from ..training import checkpoint

_HERE = Path(__file__).parent


def shipped() -> list[str]:
    """The keys of the systems that have shipped weights."""
    return [key for key in models.SYSTEMS if (_HERE / f"{key}.safetensors").is_file()]


def path(key: str) -> Path:
    """The file of a system's shipped weights; OptionError where it has none."""
    _ = models.SYSTEMS[key]
    if key not in shipped():
        have = ", ".join(shipped()) or "no system"
        todo = f"give --checkpoint: train some with `lowlight train {key}`, or get the authors' by "
        todo += "data_scripts/get_weights.py and read NOTICE"
        raise OptionError(f"no weights of {key} are shipped ({have} has some)", todo=todo)
    return _HERE / f"{key}.safetensors"


def card(key: str) -> dict[str, Any]:
    """What is known of a system's shipped weights; OptionError where it has none."""
    return json.loads(path(key).with_suffix(".json").read_text(encoding="utf-8"))


def load(key: str) -> models.Network:
    """A system with its shipped weights, in eval mode on the CPU; OptionError where it has none."""
    return checkpoint.load(key, path(key))
