"""From a dark still or photograph to a picture: read, normalise, amplify, network, picture."""

from __future__ import annotations

import contextlib
import dataclasses
import numbers
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from ..blocks.amplifier import estimate_amplification
from ..blocks.retinex import recompose
from ..errors import OptionError, RawFileError, ShapeError
from ..io.arrays import read_arrays
from ..io.pictures import upright as turn
from ..models import Task, spec_of
from ..sensor import cfa as cfa_module
from ..sensor import colour
from ..sensor.raw import RawImage, read_raw
from ..sensor.remosaic import remosaic
from .photo import PHOTO_TILE, as_photo, check_gamma
from .window import device_of, out_of_memory, tiles

# Where a network does not say: the camera of SID's Bayer part, at night: REDI's authors mirrored
# mosaics without regard to the phase, so their weights take red for blue in its daylight. The gains
# were chosen of 25 on mini photographs, test ones too: so `evaluation.test` leaves colours alone.
DEFAULT_TRAINING_CAMERA = "sony_a7s2"
DEFAULT_TRAINING_WHITE_BALANCE = (2.0, 1.0, 2.2)


@dataclass(frozen=True)
class Restored:
    image: np.ndarray  # float32 (H, W, 3) in [0, 1], display-encoded
    amplification: float  # by which its mosaic was multiplied, 1 for a photograph
    seconds: dict[str, float]  # by stage: read, amplify, network, picture


def restore(
    source, network, *, amplification: Any = "auto", m: float = 1.0, gamma: float = 0.2,
    tile: int | None = None, upright=True, trained_on: Any = "auto", progress=False,
) -> Restored:  # fmt: skip
    """Restore one dark raw still, or with a network for photographs (PairLIE) one dark photograph.

    Args:
        source: a raw file or a RawImage of any filter array; or what `photo.as_photo` takes.
        network: any callable with a `spec` (see `models.with_spec`), (1, 1, H, W) -> (1, 3, H, W),
            or for photographs (1, 3, H, W) -> (L, R, ...) or a picture.
        amplification: of raw stills: "auto" (REDI's equation 5), a factor, a `LearnedAmplifier`.
        m: brightness, by which the factor is multiplied (an estimate after its clip to [1, 300]).
        gamma: of photographs: the picture is L^gamma R.
        tile: see `window.tiles`; None is the whole picture, or for photographs 1024.
        upright: turn the picture of a raw still as the file's orientation asks.
        trained_on: of raw stills: the camera whose colours the network knows, see `sensor.colour`.
            "auto" is what the spec says, or the A7S II at night; None is no such step.
    """
    spec = spec_of(network)
    if spec.task is Task.RAW_VIDEO:
        raise OptionError(f"{spec.key} takes clips", todo="use restore.clip.restore_clip")
    if spec.task is Task.PHOTO:
        if amplification not in ("auto", 1) or m != 1:
            what = f"{spec.key} takes photographs, which are not amplified"
            raise OptionError(what, todo="leave amplification and m out; gamma says how bright")
        return _restore_photo(source, network, gamma, tile, progress)
    clock = _Clock()
    raw = source if isinstance(source, RawImage) else read_raw(source)
    match = _match(raw, spec, trained_on)
    clock("read")
    padded, offset = to_network_cfa(raw, spec.cfa)
    # The estimate looks, as REDI's demo does, at multiples of 32 lines of the mosaic as recorded; a
    # learned one can read RGGB alone.
    h, w = (s // 32 * 32 or s for s in raw.mosaic.shape)
    recorded = dataclasses.replace(raw, mosaic=raw.mosaic[:h, :w])
    factor = find_amplification(padded if callable(amplification) else recorded, amplification)
    factor = find_amplification(raw, factor, m)
    x = padded.normalized()
    if match:
        match.before(x, padded.cfa)
    if not spec.amplifies_itself:
        x *= np.float32(factor)
    del padded  # of 100 megapixels, these are worth their lines
    clock("amplify")
    parts = tiles(network, torch.from_numpy(x)[None, None], tile, channels=3, progress=progress)
    del x
    orientation = raw.orientation if upright else 1
    picture = _compose(parts, raw.mosaic.shape, clock, offset, orientation)
    if match:
        match.after(picture)
    clock("picture")
    return Restored(picture, factor, clock.seconds)


def _restore_photo(source, network, gamma, tile, progress):
    check_gamma(gamma)
    clock = _Clock()
    photo = as_photo(source)
    x = torch.from_numpy(photo).permute(2, 0, 1)[None]
    clock("read")

    def picture(output):
        return output if torch.is_tensor(output) else recompose(output[0], output[1], gamma)

    tile = PHOTO_TILE if tile is None else tile
    parts = tiles(network, x, tile, channels=3, finish=picture, progress=progress)
    return Restored(_compose(parts, photo.shape[:2], clock), 1.0, clock.seconds)


def to_network_cfa(raw: RawImage, cfa="Bayer"):
    """(raw, offset): as a network of `spec.cfa` takes it, and the (rows, columns) put before it."""
    if cfa == "X-Trans":
        return cfa_module.to_xtrans(raw)
    bayer = cfa_module.name(raw.cfa) in cfa_module.BAYER
    return cfa_module.to_rggb(raw if bayer else remosaic(raw))


def _match(raw, spec, trained_on):
    if trained_on is None:
        return None
    if trained_on != "auto":
        return colour.match(raw, trained_on)
    if not spec.trained_on:
        return colour.match(raw, DEFAULT_TRAINING_CAMERA, DEFAULT_TRAINING_WHITE_BALANCE)
    with contextlib.suppress(OptionError):  # of a camera that nobody has measured
        return colour.match(raw, spec.trained_on, spec.white_balance)


def find_amplification(raw: RawImage, amplification: Any = "auto", m=1.0) -> float:
    """The factor for a raw still, see `restore`; OptionError for what is no number above 0."""
    if callable(amplification):
        x = torch.from_numpy(to_network_cfa(raw)[0].normalized())[None, None]
        with torch.inference_mode():
            amplification = float(cast(Any, amplification)(x.to(device_of(amplification))))
    return factor_of(raw.mosaic, raw.black_level, raw.white_level, amplification, m)


def factor_of(mosaic, black_level, white_level, amplification, m) -> float:
    """The factor: estimated from a mosaic (H, W) with the parameter m, or the given one times m."""
    if not 0 < m < np.inf:
        raise OptionError(f"m is above 0, got {m}")
    if amplification == "auto":
        return estimate_amplification(mosaic, black_level, white_level, m)
    factor = float(amplification) * m if isinstance(amplification, numbers.Real) else 0
    if not 1e-6 <= factor <= 1e6:  # beyond it nothing is to be seen
        what = f"amplification is 'auto' or a number above 0, not {amplification!r} (m = {m})"
        raise OptionError(what, todo="give auto, or a number such as 100")
    return factor


def _compose(parts, shape, clock, offset=(0, 0), orientation=1):
    """What `tiles` yields as one picture (H, W, 3) in [0, 1], upright, without the offset."""
    with out_of_memory((*shape, 3)):
        picture = np.empty((*(shape if orientation < 5 else shape[::-1]), 3), np.float32)
        stored = turn(picture, {6: 8, 8: 6}.get(orientation, orientation))  # a view, turned back
        for rows, columns, part in parts:
            clock("network")
            top, left = rows.start - offset[0], columns.start - offset[1]
            part = part[0].permute(1, 2, 0).numpy()[max(0, -top) :, max(0, -left) :]
            place = stored[max(0, top) : rows.stop - offset[0], max(0, left) :][:, : part.shape[1]]
            np.clip(part, 0, 1, out=place)
            clock("picture")
    return picture


class _Clock:
    def __init__(self):
        self.seconds, self._last = {}, time.perf_counter()

    def __call__(self, stage):
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


def open_mosaic(path, black=None, white=None, cfa=None) -> RawImage:
    """Open a raw file, or a .npy or .npz mosaic: (H, W), whole numbers that fit 16 bits, whose
    levels in DN, and the name of its filters, are to be given."""
    if Path(path).suffix.lower() not in (".npy", ".npz"):
        return read_raw(path)
    if black is None or white is None or cfa is None:
        what = "a .npy mosaic does not say its levels and filters"
        raise OptionError(what, file=path, todo="give --black, --white and --cfa")
    arrays = read_arrays(path, RawFileError)
    if len(arrays) != 1:
        names = ", ".join(arrays) or "none"
        raise RawFileError(f"holds the arrays {names}, not one mosaic", file=path, todo="save one")
    (a,) = arrays.values()
    if a.ndim != 2 or a.dtype.kind not in "uif" or min(a.shape) < 2:
        raise ShapeError(f"a mosaic is a 2-D array of numbers, got {a.dtype} {a.shape}", file=path)
    need_whole(a, path)
    if a.min() < 0 or a.max() > 65535:
        raise ShapeError(f"holds {a.min():g}..{a.max():g}, not 0..65535", file=path)
    mosaic, cell = np.rint(a).astype(np.uint16), cfa_module.from_name(cfa)
    return RawImage(mosaic, cell, black, white, path=str(path))


def need_whole(a, path) -> None:
    """ShapeError for floats that are not the whole numbers of a sensor: the rest may be scaled."""
    if a.dtype.kind == "f" and not (np.isfinite(a).all() and np.abs(a - np.rint(a)).max() <= 1e-3):
        what = "holds fractions, NaN or infinity, not the whole numbers (DN) of a sensor"
        raise ShapeError(what, file=path, todo="give DN, with their levels by --black and --white")
