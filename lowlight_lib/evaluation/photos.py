"""Photographs with a well exposed counterpart: how they are fed, scored and shown."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from ..blocks.retinex import recompose
from ..errors import DataError, OptionError
from ..io.arrays import read_arrays
from ..io.files import atomic_write, files_in, write_picture
from ..io.pictures import PHOTOS, read_photo, to_float
from ..restore.photo import check_gamma, decompose_photo, recompose_photo
from .base import Evaluation
from .stills import middle


@dataclass(kw_only=True)
class Photos(Evaluation):
    """Photographs. The baseline is the dark picture itself.

    Pictures are NAME_{input,result,target}.png, and as PairLIE's released script has it NAME.png
    in I/ (the result), L/, R/ and D/ (input minus X, bytes to be read as signed), truncated.
    """

    gamma: float | None = None  # the result is L^gamma R; by default the protocol's
    predictions: Path | None = None  # a folder: for each dark NAME.png a picture or NAME.npz
    by_order: bool = False  # predictions of any names, the first for the first

    def __post_init__(self):
        if self.amplification != "ratio":
            raise OptionError("photographs are not amplified", todo="gamma says how bright")
        self.amplification = None
        if self.by_order and self.predictions is None:
            raise OptionError("by_order is for predictions", todo="give --predictions")
        gamma = self.protocol.gamma if self.gamma is None else self.gamma
        check_gamma(gamma)
        self.gamma, self._made = float(gamma), None  # {name: file} of the predictions

    def begin(self):
        if self.predictions is not None:
            folder, count = Path(self.predictions), len(self.data) if self.by_order else self.count
            names = [self.data.name(i) for i in range(count)]
            self._made, self.predictions = _find(folder, names, self.by_order), folder.name

    def file(self, i):
        return self._made[self.data.name(i)] if self._made else super().file(i)

    def example(self, data, i):
        return middle(data.input(i)), middle(data.target(i))

    def score(self, i):
        name, dark, target = self.data.name(i), self.data.input(i), self.data.target(i)
        began = time.perf_counter()
        if self._made:
            views = {"I": read_prediction(self._made[name], cast(float, self.gamma))}
        else:
            views = decompose_photo(self.network, dark)
            views["I"] = recompose_photo(views, self.gamma)
        seconds = time.perf_counter() - began
        scores = self.scores(views["I"], dark, dark, target)
        if self.folder:
            for view, of in (("input", dark), ("result", views["I"]), ("target", target)):
                write_picture(self.folder / f"{name}_{view}.png", of)
            for view in "ILRD":
                if view in views:
                    _write_as_released(self.folder / view / f"{name}.png", views[view])
        scene = {"name": name, "scene": self.data.pairs[i].scene}
        return scene | scores | {"seconds": seconds}


def read_prediction(path, gamma=0.2) -> np.ndarray:
    """A picture made elsewhere: float32 (H, W, 3) in [0, 1].

    It is a photograph, or a .npz with a picture, or with L and R (or output_0 and output_1):
    (H, W, C) or (C, H, W), perhaps behind an axis of 1; floats in about [0, 1], or unsigned
    integers.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        return read_photo(path)
    arrays = read_arrays(path)
    pair = next((p for p in (("L", "R"), ("output_0", "output_1")) if {*p} <= {*arrays}), None)
    if pair:
        L, R = (pixels_of(arrays[n], c, path) for n, c in zip(pair, (1, 3), strict=True))
        if L.shape[:2] == R.shape[:2]:
            return recompose(L, R, gamma).clip(0, 1)
    elif len(arrays) == 1:
        return pixels_of(*arrays.values(), channels=3, path=path)
    inside = ", ".join(f"{n} {a.shape}" for n, a in arrays.items()) or "nothing"
    raise DataError(f"holds {inside}", file=path, todo="keep one picture, or L and R of one size")


def pixels_of(a, channels, path):
    """An array of an npz as float32 (H, W, channels) in [0, 1], see `read_prediction`."""
    a = a[0] if a.ndim == 4 and len(a) == 1 else a
    a = a[..., None] if a.ndim == 2 and channels == 1 else a
    if a.ndim == 3 and a.shape[-1] != channels and a.shape[0] == channels:
        a = a.transpose(1, 2, 0)
    if a.ndim != 3 or a.shape[-1] != channels or a.dtype.kind not in "uf" or not a.size:
        what = f"holds {a.dtype} {a.shape}, not a picture of {channels} channels"
        raise DataError(what, file=path, todo="save floats in [0, 1], or unsigned integers")
    a = to_float(a)
    if not (np.isfinite(a).all() and a.max() < 2):  # networks overshoot, but not to 255
        what = f"holds values from {a.min():g} to {a.max():g}, not 0 to 1"
        raise DataError(what, file=path, todo="divide by 255, or save unsigned integers")
    return a.clip(0, 1)


def _find(folder, names, by_order):
    """{name: the file of that name in a folder of predictions}; DataError where one lacks."""
    if not folder.is_dir():
        raise DataError("is no folder", file=folder, todo="check --predictions")
    there, files = {}, files_in(folder, (*PHOTOS, ".npz"))
    if by_order and len(files) == len(names):
        return dict(zip(names, files, strict=True))
    if by_order:
        raise DataError(f"holds {len(files)} pictures, not {len(names)}", file=folder)
    for path in sorted(files, key=lambda p: p.suffix.lower() == ".npz"):
        if path.stem in there and path.stem in names:
            raise DataError(f"is there as {there[path.stem].name} too", file=path, todo="keep one")
        there[path.stem] = path
    if lacking := [n for n in names if n not in there]:
        todo = "name each after its dark picture: 1.png or 1.npz for low/1.png"
        raise DataError(f"has no picture called {', '.join(lacking[:3])}", file=folder, todo=todo)
    return {n: there[n] for n in names}


def _write_as_released(path, values):
    """Floats (H, W, 1 or 3) as 8-bit PNG, as its authors' tool does: towards 0, modulo 256."""
    import imageio.v3 as iio

    pixels = (np.trunc(values * np.float32(255)).astype(np.int64) % 256).astype(np.uint8)
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    data = iio.imwrite("<bytes>", pixels, extension=".png")
    with atomic_write(path) as f:
        f.write(data)
