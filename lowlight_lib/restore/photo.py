"""Photographs that are not raw: what may come in, and what a Retinex network splits them into."""

from __future__ import annotations

import numbers
from typing import cast

import numpy as np
import torch

from ..blocks.retinex import recompose
from ..errors import OptionError, ShapeError
from ..io.pictures import read_photo, to_float
from ..sensor.raw import RawImage
from .window import out_of_memory, run

PHOTO_TILE = 1024  # photographs go through in tiles of this side unless another one is asked for


def as_photo(source) -> np.ndarray:
    """A photograph as a network takes it, float32 (H, W, 3) in [0, 1]: of a file, turned upright,
    or an array (H, W, 3), unsigned integers or floats in [0, 1]."""
    if isinstance(source, RawImage):
        todo = "develop it (sensor.isp.develop)"
        raise OptionError("a raw image is no photograph", file=source.path, todo=todo)
    if not isinstance(source, np.ndarray):
        return read_photo(source)
    if source.ndim != 3 or source.shape[2] != 3 or source.dtype.kind not in "uf" or not source.size:
        what = f"{source.dtype} {source.shape}"
        raise ShapeError(f"a photograph is (H, W, 3), floats or unsigned integers, got {what}")
    picture = to_float(source)
    if not (picture.min() >= 0 and picture.max() <= 1):  # NaN too
        raise ShapeError(f"a photograph is in [0, 1], got {picture.min():g} to {picture.max():g}")
    return picture


def check_gamma(gamma) -> None:
    """Raise OptionError unless gamma is a finite number >= 0."""
    if not isinstance(gamma, numbers.Real) or not 0 <= cast(float, gamma) < np.inf:
        raise OptionError(f"gamma is a number from 0 up, got {gamma!r}", todo="give 0.2, say")


def decompose_photo(network, source, tile=PHOTO_TILE) -> dict[str, np.ndarray]:
    """What a network splits a photograph into, in tiles that see all they need; `source` is as of
    `as_photo`, `tile` as of `window.tiles`, the network gives (L, R), (L, R, X) or a picture.

    Returns float32 arrays by name: illumination "L" (H, W, 1), reflectance "R" and projection "X"
    (H, W, 3), and "D" = photograph - X, as far as the network gives them; or the picture "I".
    """
    photo = as_photo(source)

    def joined(output):
        return output if torch.is_tensor(output) else torch.cat(list(output)[:3], 1)

    x = torch.from_numpy(photo).permute(2, 0, 1)[None]
    with out_of_memory(photo.shape):
        y = run(network, x, tile, finish=joined)[0].permute(1, 2, 0).numpy()
    if y.shape[-1] == 3:
        return {"I": y}
    views = {"L": y[..., :1], "R": y[..., 1:4]}
    return views if y.shape[-1] == 4 else views | {"X": y[..., 4:], "D": photo - y[..., 4:]}


def recompose_photo(views, gamma) -> np.ndarray:
    """The brightened picture (H, W, 3) of what `decompose_photo` gives: L^gamma R."""
    picture = views["I"] if "I" in views else recompose(views["L"], views["R"], gamma)
    return cast(np.ndarray, picture).clip(0, 1)
