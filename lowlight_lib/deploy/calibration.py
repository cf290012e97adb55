"""What an int8 network is calibrated on: inputs as the network sees them, in one npz file. None of
them is from the test set. Built in notebooks/14_export_and_int8, section 3."""

import io
import json
from pathlib import Path
from typing import Any, cast

import numpy as np

from .. import models, recipes
from ..data import open_dataset
from ..errors import DataError, OptionError
from ..evaluation.photos import pixels_of, read_prediction
from ..io.arrays import read_arrays
from ..io.files import files_in
from ..io.pictures import PHOTOS
from ..models import Task
from ..restore.still import find_amplification, to_network_cfa
from ..sensor.raw import read_raw
from .export import write

COUNT = 16


def calibration_set(key, source, count=COUNT, side=None) -> list[np.ndarray]:
    """Inputs of a system, float32 (1, C, h, w), sides multiples of the network's.

    Args:
        source: an npz of `write_calibration`, or with pictures of 8 bits; a data root, of which
            LOL's or SID's training inputs are taken, mosaics times their exposure ratio; a folder
            of photographs (or npz, one in each), or of raw files, amplified by "auto" with m = 5.
        count: this many of them, evenly spread.
        side: of the crop from each one's middle, at most; by default as the card says.
    OptionError: see `check_key`. DataError: nothing there, or damaged."""
    check_key(key)
    source, card = Path(source), models.SYSTEMS[key]
    if source.suffix.lower() == ".npz":
        return read_calibration(source, key)
    if not source.is_dir():
        raise DataError("is no folder and no .npz", file=source, todo="check --calibration")
    if not (found := _pictures(card.spec, source, count)):
        raise DataError("holds no pictures to calibrate on", file=source, todo="give others")
    side = side or cast(Any, card.int8).side
    return [_middle(x, side, card.spec.multiple, file) for x, file in found]


def write_calibration(path, key, arrays) -> Path:
    """Write a calibration set: arrays "0000", "0001", ... float32 (C, H, W), and "about", JSON."""
    named: dict[str, Any] = {f"{i:04d}": np.float32(a[0]) for i, a in enumerate(arrays)}
    buffer, named["about"] = io.BytesIO(), json.dumps({"format": 1, "key": key})
    np.savez_compressed(buffer, **named)
    return write(path, buffer.getvalue())


def read_calibration(path, key) -> list[np.ndarray]:
    """The inputs of a calibration set, (1, C, h, w) each; DataError for another's."""
    spec = models.SYSTEMS[key].spec
    arrays = read_arrays(path)
    try:
        of = json.loads(str(arrays.pop("about", "{}"))).get("key", key)
    except (ValueError, AttributeError, RecursionError) as e:
        raise DataError(f"has a damaged note ({e})", file=path, todo="write it again") from e
    if of != key:
        raise DataError(f"is for {of!r}, not for {key!r}", file=path, todo="write one for it")
    if not arrays:
        raise DataError("holds no inputs", file=path, todo="write it again")
    found, m = [], spec.multiple
    for name, a in sorted(arrays.items()):
        if a.dtype == np.uint8 and spec.task is Task.PHOTO:
            a = pixels_of(a, 3, path).transpose(2, 0, 1)
        good = a.ndim == 3 and a.shape[0] == spec.channels and a.dtype.kind == "f" and min(a.shape)
        if not good or a.shape[1] % m or a.shape[2] % m or not np.isfinite(a).all():
            todo = f"finite floats ({spec.channels}, H, W), H and W multiples of {m}"
            said = f"array {name!r}, {a.dtype} {a.shape}, is no input of {key}"
            raise DataError(said, file=path, todo=todo)
        found.append(a[None].astype(np.float32))
    return found


def check_key(key) -> None:
    """OptionError for a system that is not quantised, with the reason that its card gives."""
    why = models.SYSTEMS[key].int8
    if isinstance(why, str):
        keys = [k for k, card in models.SYSTEMS.items() if not isinstance(card.int8, str)]
        todo = f"use float32, or one of {' and '.join(keys)}"
        raise OptionError(f"{key} is not exported as float16 or int8: {why}", todo=todo)


def _pictures(spec, source, count):
    """[((C, H, W) as the network takes it, amplified, and its file)]."""
    photos = spec.task is Task.PHOTO
    name = "LOL" if photos else "SID"
    found: list[tuple[Any, Any, Any]]
    if (source / name).is_dir():
        data = open_dataset(recipes.usual(spec.key).replace(dataset=name.lower()), source, "train")
        chosen = _spread(range(len(data)), count)
        found = [(data.input(i), data.ratio(i), data.file(i)) for i in chosen]
    elif photos:
        files = _spread(files_in(source, (*PHOTOS, ".npz")), count)
        found = [(read_prediction(file), 1, file) for file in files]
    else:
        files = sorted(p for p in source.iterdir() if p.is_file() and not p.name.startswith("."))
        raws = map(read_raw, _spread(files, count))
        found = [(raw, find_amplification(raw, "auto", 5.0), raw.path) for raw in raws]
    if photos:
        return [(x.transpose(2, 0, 1), file) for x, _, file in found]
    return [(to_network_cfa(raw)[0].normalized()[None] * np.float32(a), f) for raw, a, f in found]


def _spread(items, count):
    """`count` of them, evenly spread; all where there are fewer."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round()
    return [items[int(i)] for i in np.unique(places)]


def _middle(x, side, multiple, file):
    """(C, H, W) -> (1, C, h, w) from its middle; at even lines, which keep a mosaic's phase."""
    step, (height, width) = max(multiple, 2) if x.shape[0] == 1 else 1, x.shape[1:]
    h, w = (min(s, side) // step * step for s in (height, width))
    if 0 in (h, w):
        raise DataError(f"is {width}x{height}, smaller than {step}", file=file)
    top, left = (height - h) // 2 // 2 * 2, (width - w) // 2 // 2 * 2
    return np.ascontiguousarray(x[None, :, top : top + h, left : left + w], np.float32)
