"""results.json: a list of rows, one a test, each with its scores and what they depend on."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..io.files import atomic_write

# Rows that agree in these are of the same test: the newer one takes the older one's place.
ROW_KEY = (
    "model", "dataset", "split", "profile", "protocol", "amplification", "m", "checkpoint",
    "camera", "match_colour", "weights", "limit", "first_of_burst", "exposure",
    "exclude_misaligned", "levels", "piece", "tile", "overlap", "seams", "gamma", "predictions",
    "backend", "precision",
)  # fmt: skip
_CHECKED = (  # what readers rely on: the words, and the numbers
    ("model", "dataset", "split", "profile", "weights", "name"),
    ("images", "psnr", "ssim", "baseline_psnr", "baseline_ssim"),
)
EAGER = {"backend": "eager", "precision": "float32"}  # what rows without these two mean


def add_rows(path, rows) -> None:
    """Add rows to a results.json; a row of the same test takes the old one's place."""

    def name(row):
        return json.dumps([(EAGER | row).get(k) for k in ROW_KEY])

    new = {name(r) for r in rows}
    kept = [r for r in read_rows(path) if name(r) not in new]
    with atomic_write(path, "w") as f:
        json.dump(kept + rows, f, indent=1)


def read_rows(path) -> list[dict]:
    """The rows of a results.json, [] where there is none; DataError for any other file."""
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as e:
        raise DataError(f"is damaged ({e})", file=path, todo="move it away") from e
    if not isinstance(rows, list) or not all(map(_is_row, rows)):
        raise DataError("is no list of results", file=path, todo="move it away")
    return rows


def _is_row(row):
    """Whether a row, or one of its images, has the types that readers rely on where it has them."""
    if not isinstance(row, dict) or not isinstance(row.get("per_image") or [], list):
        return False
    words, numbers = ([row[k] for k in keys if row.get(k) is not None] for keys in _CHECKED)
    return (
        all(isinstance(word, str) for word in words)
        and all(type(n) is float or (type(n) is int and abs(n) < 2**53) for n in numbers)
        and all(map(_is_row, row.get("per_image") or ()))
    )


def as_brve_writes(row) -> list[dict]:
    """A row of raw video as BRVE's tool writes it: for each clip, ratio or gain, and the whole."""
    names = {"PSNR": "psnr", "SSIM": "ssim", "ST-RRED": "strred"}
    found = [(r["name"].split("/")[0], r["group"], r) for r in row["per_image"]]
    found += [("average", group, scores) for group, scores in row["per_group"].items()]
    found.append(("average", "average", row))
    scored = [(s, g, {name: scores[k] for name, k in names.items()}) for s, g, scores in found]
    return [{"scene": s, "gain": g, "eval_result": e} for s, g, e in scored]


def computed_by(network) -> dict[str, str]:
    """{"backend", "precision"}: what a network made fast says of itself, else PyTorch as it is."""
    try:
        return {"backend": network.backend, "precision": network.precision}
    except AttributeError:
        return dict(EAGER)


def commit() -> str | None:
    """The git commit of the library's checkout, with "+" where files differ; None without one."""
    top = Path(__file__).resolve().parents[2]
    if not (top / ".git").exists():  # installed, perhaps inside somebody else's repository
        return None
    describe = ["describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]
    try:
        done = subprocess.run(["git", "-C", str(top), *describe], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None


def weights_id(checkpoint) -> str | None:
    """The first 16 digits of a file's sha256; None for None."""
    if checkpoint is None:
        return None
    with open(checkpoint, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()[:16]


def mean(values) -> float:
    """The mean as a float that JSON takes."""
    return float(np.mean(list(values)))
