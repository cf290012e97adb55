"""The one path that every picture takes: read, normalise, amplify, network, picture."""

from __future__ import annotations

import numbers
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .. import models
from ..blocks.amplifier import estimate_amplification
from ..blocks.retinex import recompose
from ..errors import OptionError, RawFileError, ShapeError
from ..io.pictures import read_photo, to_float
from ..io.pictures import upright as turn
from ..models import Task
from ..sensor import cfa as cfa_module
from ..sensor import colour
from ..sensor.cameras import find_camera
from ..sensor.raw import RawImage, read_raw
from ..sensor.remosaic import remosaic
from .window import device_of, out_of_memory, run, tiles  # noqa: F401  (run: also known from here)

# Where a network does not say: the camera of SID's Bayer part, in the light of SID's nights. REDI's
# authors mirrored mosaics without regard to the phase, so the released weights tell red from blue
# by which is brighter: they restore RGGB and GRBG alike, and in this camera's daylight, of gains
# (2.8, 1, 1.4), they take one for the other. These gains suit them best of a grid of 25, tried on
# five validation and test photographs of the mini set: so a score of the released weights on these
# would flatter them. (`evaluate.test` leaves colours alone unless asked.)
TRAINED_ON, TRAINED_AT = "sony_a7s2", (2.0, 1.0, 2.2)
PHOTO_TILE = 1024  # photographs go through in tiles of this side, see restore_photo


@dataclass(frozen=True)
class Restored:
    """A restored picture.

    Attributes:
        image: float32 (H, W, 3) in [0, 1], display-encoded.
        amplification: the factor the mosaic was multiplied by; 1 for a photograph.
        seconds: time by stage: read, amplify, network, picture.
    """

    image: np.ndarray
    amplification: float
    seconds: dict[str, float]


def restore(
    image,
    network,
    key,
    amplification="auto",
    m=1.0,
    gamma=0.2,
    tile=None,
    *,
    upright=True,
    trained_on="auto",
) -> Restored:
    """Restore one dark raw image, or for a system of photographs (PairLIE) one dark photograph.

    Args:
        image: path of a raw file, or a RawImage: any Bayer order, X-Trans, any levels. Or what
            `restore_photo` takes, and there is nothing to choose then but gamma and tile.
        network: a callable, tensor (1, 1, H, W) -> (1, 3, H, W): a module of `models.build`, or
            one made fast. One whose spec has the cfa "X-Trans" is given X-Trans mosaics as
            they are; for all others such a mosaic is turned into RGGB first.
        key: which system it is; its card says how it wants its input.
        amplification: "auto" (estimated from the image, REDI's equation 5), the factor, or a
            `LearnedAmplifier`.
        m: brightness: a parameter of the estimate, or a multiplier of the given factor.
        gamma: of a photograph's light, see `restore_photo`; unused by raw systems.
        tile: side of the tiles in pixels, for pictures that do not fit in memory; None is whole,
            or for photographs 1024.
        upright: turn the picture as the file's orientation asks.
        trained_on: the camera whose colours the network knows, a name or a Camera. A picture of
            another one is brought to it and back (see `sensor.colour`), so that it has no cast.
            "auto" is the network's attribute `trained_on` (and its `white_balance`, the gains of
            its training data, else daylight's), or the A7S II at night; None is no such step.
    Returns:
        Restored.
    Raises:
        RawFileError, UnsupportedRawError, DataError, ShapeError, OptionError: as the names say.
    """
    network = models.with_spec(network, key)
    spec = network.spec
    if spec.task is Task.PHOTO:
        if amplification not in ("auto", 1) or m != 1:
            raise OptionError(
                f"{key} takes photographs, which are not amplified",
                todo="leave amplification and m out; gamma says how bright",
            )
        return restore_photo(image, network, gamma, tile, key)
    clock = _Clock()
    raw = image if isinstance(image, RawImage) else read_raw(image)
    match = _match(raw, network, trained_on)
    clock("read")
    padded, offset = as_taken(raw, network)
    # The estimate looks at the mosaic as recorded; a learned one can read RGGB alone.
    factor = find_amplification(padded if callable(amplification) else raw, amplification, m)
    x = padded.normalized()
    if match:
        match.before(x, padded.cfa)
    if not spec.amplifies_itself:
        x *= np.float32(factor)
    del padded  # of 100 megapixels, these are worth their lines
    clock("amplify")
    parts = tiles(network, torch.from_numpy(x)[None, None], tile)
    del x
    orientation = raw.orientation if upright else 1
    picture = _compose(parts, raw.mosaic.shape, clock, offset, orientation)
    if match:
        match.after(picture)
    clock("picture")
    return Restored(picture, factor, clock.seconds)


def takes_photos(key) -> bool:
    """Whether a system restores photographs, and not what a sensor recorded."""
    return models.SYSTEMS[key].spec.task is Task.PHOTO


def restore_photo(image, network, gamma=0.2, tile=None, key="pairlie") -> Restored:
    """Brighten one dark photograph: split into light and paint, the light raised to a power.

    Args:
        image: path of a photograph (see `io.pictures`; it is turned upright), or an array
            (H, W, 3), integers or floats in [0, 1].
        network: a callable, tensor (1, 3, H, W) -> (L, R, ...), or a brightened picture.
        gamma: the picture is L^gamma R: 1 leaves it as dark as it is, 0 is the paint alone.
        tile: side of the tiles. They see all that the network sees, so that a picture is the same
            whatever the tile, up to rounding; None is PHOTO_TILE.
        key: which system it is.
    Raises:
        DataError: no photograph. ShapeError: an array that is none. OptionError: a gamma below 0.
    """
    check_gamma(gamma)
    network = models.with_spec(network, key)
    clock = _Clock()
    x = as_photo(image)
    clock("read")

    def picture(split):
        return split if torch.is_tensor(split) else recompose(split[0], split[1], gamma)

    shape, x = x.shape[:2], torch.from_numpy(x).permute(2, 0, 1)[None]
    tile = PHOTO_TILE if tile is None else tile
    parts = tiles(network, x, tile, picture)
    return Restored(_compose(parts, shape, clock), 1.0, clock.seconds)


def as_photo(image) -> np.ndarray:
    """float32 (H, W, 3) in [0, 1] of a path or an array; errors as of `restore_photo`."""
    if isinstance(image, RawImage):
        raise OptionError(
            "a raw image is no photograph", file=image.path, todo="develop it (sensor.isp.develop)"
        )
    if not isinstance(image, np.ndarray):
        return read_photo(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype.kind not in "uf" or not image.size:
        what = f"{image.dtype} {image.shape}"
        raise ShapeError(f"a photograph is (H, W, 3), floats or unsigned integers, got {what}")
    picture = to_float(image)
    if not (picture.min() >= 0 and picture.max() <= 1):  # NaN too
        raise ShapeError(f"a photograph is in [0, 1], got {picture.min():g} to {picture.max():g}")
    return picture


def check_gamma(gamma) -> None:
    """OptionError for what is no number from 0 up."""
    if not isinstance(gamma, numbers.Real) or not 0 <= gamma < np.inf:
        raise OptionError(
            f"gamma is a number from 0 up, got {gamma!r}", todo="give one such as 0.2"
        )


def as_taken(raw: RawImage, network=None):
    """The mosaic in the filter array and phase that a network takes.

    Returns:
        (raw, offset): RGGB, or X-Trans for a network that says so, and how many (rows, columns)
        more it has at top and left than before.
    Raises:
        UnsupportedRawError: a Bayer mosaic for a network of X-Trans, or a colour is missing.
    """
    if network is not None and network.spec.cfa == "X-Trans":
        return cfa_module.to_xtrans(raw)
    bayer = cfa_module.name(raw.cfa) in cfa_module.BAYER
    return cfa_module.to_rggb(raw if bayer else remosaic(raw))


def _match(raw, network, trained_on):
    gains = None
    if trained_on == "auto":
        trained_on, gains = network.spec.trained_on, network.spec.white_balance
        if not trained_on:
            trained_on, gains = TRAINED_ON, TRAINED_AT
        try:
            find_camera(trained_on)
        except OptionError:  # a camera that nobody has measured: nothing to bring colours to
            return None
    return None if trained_on is None else colour.match(raw, trained_on, gains)


def find_amplification(raw: RawImage, amplification="auto", m=1.0) -> float:
    """The factor: estimated with brightness m, or the given (or a learned) number times m."""
    if not m > 0:
        raise OptionError(f"m is above 0, got {m}")
    if callable(amplification):
        x = torch.from_numpy(as_taken(raw)[0].normalized())[None, None]
        with torch.inference_mode():
            amplification = float(amplification(x.to(device_of(amplification))))
    if amplification == "auto":
        return estimate_amplification(raw.mosaic, raw.black_level, raw.white_level, m)
    try:
        factor = float(amplification) * m
    except (TypeError, ValueError) as e:
        raise OptionError(
            f"amplification is 'auto' or a number, not {amplification!r}",
            todo="give auto, or a number such as 100",
        ) from e
    if not (factor > 0 and np.isfinite(factor)):
        raise OptionError(
            f"amplification is above 0, got {factor:g}", todo="give auto, or a number such as 100"
        )
    return factor


def _compose(parts, shape, clock, offset=(0, 0), orientation=1):
    """What `tiles` yields as one picture, float32 (H, W, 3) in [0, 1], upright.

    Each part goes to its place at once, so that there never is a second picture in memory.

    Args:
        shape: (H, W) as stored; `offset` lines and columns before them are cut off.
    """
    with out_of_memory((*shape, 3)):
        picture = np.empty((*(shape if orientation < 5 else shape[::-1]), 3), np.float32)
        stored = turn(picture, {6: 8, 8: 6}.get(orientation, orientation))  # a view, turned back
        for top, left, part in parts:
            clock("network")
            top, left = top - offset[0], left - offset[1]
            part = part[0].permute(1, 2, 0).numpy()[max(0, -top) :, max(0, -left) :]
            top, left = max(0, top), max(0, left)
            place = stored[top : top + part.shape[0], left : left + part.shape[1]]
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
    """Open a raw file, or a .npy mosaic with what it does not say.

    Args:
        path: a camera's raw file, or .npy.
        black, white: levels of a .npy mosaic in DN.
        cfa: name of its filters: RGGB, GRBG, GBRG, BGGR or XTRANS.
    Raises:
        RawFileError, UnsupportedRawError: it cannot be read.
        OptionError: a .npy without levels or filters.
        ShapeError: not a mosaic.
    """
    if Path(path).suffix.lower() != ".npy":
        return read_raw(path)
    if black is None or white is None or cfa is None:
        raise OptionError(
            "a .npy mosaic does not say its levels and filters",
            file=path,
            todo="give --black, --white and --cfa",
        )
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as e:
        raise RawFileError("does not exist", file=path, todo="check the name") from e
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as e:
        raise RawFileError(f"is not a .npy array ({e})", file=path) from e
    if not isinstance(array, np.ndarray):
        raise RawFileError("holds several arrays", file=path, todo="save one mosaic as .npy")
    return mosaic_from_array(array, black, white, cfa_module.from_name(cfa), path=str(path))


def mosaic_from_array(array, black, white, cfa, path=None) -> RawImage:
    """A RawImage from a bare mosaic (a .npy, say), whose levels and filters nobody wrote down.

    Args:
        array: (H, W), integers or whole numbers that fit 16 bits.
        black, white: levels in DN.
        cfa: (2, 2) or (6, 6) cell of 0, 1, 2.
    Raises:
        ShapeError: not a finite 2-D array within 0..65535.
    """
    a = np.asarray(array)
    if a.ndim != 2 or a.dtype.kind not in "uif" or min(a.shape) < 2:
        raise ShapeError(f"a mosaic is a 2-D array of numbers, got {a.dtype} {a.shape}", file=path)
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        raise ShapeError("holds NaN or infinity", file=path)
    if a.dtype.kind == "f" and np.abs(a - np.rint(a)).max() > 1e-3:
        raise ShapeError(
            "holds fractions, not the whole numbers (DN) of a sensor",
            file=path,
            todo="multiply a normalised mosaic up to DN, and say so with --black and --white",
        )
    if a.min() < 0 or a.max() > 65535:
        raise ShapeError(f"holds {a.min():g}..{a.max():g}, not 0..65535", file=path)
    return RawImage(
        np.rint(a).astype(np.uint16), cfa, black_level=black, white_level=white, path=path
    )


def output_names(inputs, out, key, ms, suffix="png"):
    """Where `lowlight restore` writes: {source: [(m, path)]}, no two the same.

    Files of one stem keep apart by their extension, then by a number.
    """
    names, taken = {}, set()
    stems = [p.stem.casefold() for p in inputs]
    for source in inputs:
        stem = source.stem
        if stems.count(stem.casefold()) > 1:
            stem += "_" + source.suffix.lstrip(".").lower()
        base, n = stem, 2
        while stem.casefold() in taken:  # some systems hold a and A for one name
            stem, n = f"{base}_{n}", n + 1
        taken.add(stem.casefold())
        names[source] = [
            (m, out / f"{stem}_{key}{f'_m{m:g}' if len(ms) > 1 else ''}.{suffix}") for m in ms
        ]
    return names
