"""From a dark raw clip to pictures: piece by piece, tile by tile, blended."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from ..data import DATASETS
from ..data.video import VideoDataset, open_clip
from ..errors import DataError, OptionError, OutputError, ShapeError
from ..io.movies import Frames
from ..sensor import cfa as cfa_module
from ..sensor import display
from ..sensor.raw import check_levels
from .still import factor_of, need_whole
from .window import out_of_memory, run

PIECE, TILE, OVERLAP = 50, 256, 32  # as published
STEP = 8  # from one tile to the next at least: with one pixel a frame would take hours
SEAMS = ("blended", "released")
AT_A_TIME = 4  # frames that become pictures together


def enhance(network, read, frames, *, piece=PIECE, tile: int | None = TILE, overlap=OVERLAP,
            seams="blended"):  # fmt: skip
    """Apply a network to a clip of any length and size, a piece at a time.

    Args:
        network: a callable, tensor (t, 4, h, w) -> the same shape; amplified raw in [0, 1].
        read: function of a slice of frames -> float32 (t, 4, H, W).
        piece: frames, of so many, that the network sees at once; pieces do not overlap.
        tile, overlap: see `window.tiles`, in packed pixels; a tile of None is the whole frame.
        seams: "blended" or, as BRVE's code has it, "released": the plain mean of tiles that are
            squares of the frame's smaller side.
    Yields (start, result float32 (t, 4, H, W)), not clipped.
    Source: Zhang et al., "Binarized Low-light Raw Video Enhancement", CVPR 2024, released code.
    """
    if seams not in SEAMS:
        raise OptionError(f"unknown seams {seams!r}", todo=f"use {' or '.join(SEAMS)}")
    if piece < 1 or overlap < 0 or (tile is not None and tile - overlap < STEP):
        what = f"pieces of {piece} frames, tiles of {tile} with an overlap of {overlap}"
        todo = f"a piece has a frame at least, and a tile {STEP} pixels more than the overlap"
        raise OptionError(what, todo=todo)
    for start in range(0, frames, piece):
        x = np.ascontiguousarray(read(slice(start, min(start + piece, frames))))
        square = tile is not None and seams == "released" and min(x.shape[2:]) > overlap
        side = min(tile, *x.shape[2:]) if square else tile
        how = {"overlap": overlap, "blend": seams == "blended", "channels": 4}
        try:
            with out_of_memory(x.shape, "use smaller tiles (--tile 128) or pieces of fewer frames"):
                y = run(network, torch.from_numpy(x), side, **how).numpy()
        except ShapeError as e:
            what = f"{e.what}, in frames {start} to {start + len(x) - 1}"
            raise ShapeError(what, file=e.file, todo=e.todo) from e
        yield start, y
        del x, y  # or they would wait for the next piece to take their places


@dataclass(frozen=True)
class RawClip:
    """A clip in a .npy file."""

    array: np.ndarray  # a memory map
    like: type[VideoDataset]  # which data set has clips of its layout, LLRVD or SMOID
    black: float  # in DN, as white
    white: float
    planes: tuple[int, int, int, int]  # their colours, 0 R, 1 G, 2 B
    path: Path

    def read(self, frames=slice(None), amplification=1.0) -> np.ndarray:
        """Some frames normalised, amplified, clipped to [0, 1]: float32 (t, 4, H, W)."""
        x = np.asarray(self.array[frames], np.float32)
        if not np.isfinite(x).all():
            raise DataError("holds values that are not finite (NaN or infinity)", file=self.path)
        if self.white > 1:
            need_whole(self.array[frames], self.path)
        x = x.transpose(0, 3, 1, 2) if self.like.channels_last else x
        scale = np.float32(amplification / (self.white - self.black))
        return np.clip((x - np.float32(self.black)) * scale, 0, 1)


def open_raw_clip(path, black=None, white=None, cfa=None) -> RawClip:
    """Open a .npy clip of packed frames, (T, H, W, 4) or (T, 4, H, W) in DN, by memory map.

    The file does not say its levels. `cfa` names the Bayer cell that its planes are the places of;
    by default R, G, G, B, as LLRVD has (T, H, W, 4), or G, R, G, B, as SMOID has (T, 4, H, W).
    """
    path = Path(path)
    if path.suffix.lower() != ".npy":
        raise DataError("is no .npy clip", file=path, todo="pack its frames into one (T, H, W, 4)")
    if black is None or white is None:
        raise OptionError("does not say its levels", file=path, todo="give --black and --white")
    check_levels(black, white, path, OptionError)
    try:
        array, like = open_clip(path, channels_last=True), DATASETS["llrvd"]
    except DataError:
        array, like = open_clip(path, channels_last=False), DATASETS["smoid"]
    like = cast(type[VideoDataset], like)
    if like.channels_last and array.shape[1] == 4:
        raise ShapeError(f"is {array.shape}: which axis has the planes cannot be told", file=path)
    if not array.size:
        raise DataError(f"is empty: {array.shape}", file=path)
    planes = like.planes if cfa is None else cfa_module.from_name(cfa).ravel()
    if len(planes) != 4:
        raise OptionError(f"packed frames have four planes, which {cfa} has not", file=path)
    four = cast(tuple[int, int, int, int], tuple(map(int, planes)))
    return RawClip(array, like, float(black), float(white), four, path)


def published_tile(like: type[VideoDataset], height, width) -> int | None:
    """The tile for frames of this size as published: None is the whole, as SMOID's are seen."""
    return None if max(height, width) <= like.whole else TILE


@dataclass(frozen=True)
class RestoredClip:
    folder: Path
    movie: Path
    frames: int
    amplification: float
    seconds: float


def restore_clip(
    clip, network, out, name, amplification: Any = "auto", m=1.0, *,
    suffix=".png", force=False, alone=False, **options,
) -> RestoredClip:  # fmt: skip
    """Restore a raw clip into OUT/NAME/00000000.png, ... and OUT/NAME.mp4, before and after.

    Both (with `alone` the latter only) are shown through `sensor.display`, with gains that make the
    first restored frame grey. `options` are those of `enhance`; `force` overwrites what is there.
    """
    began, count = time.perf_counter(), len(clip.array)
    levels = clip.array, clip.black, clip.white
    factor = find_clip_amplification(*levels, amplification)
    factor = factor_of(*levels, factor, m)  # m comes after the clip, as in `still.restore`
    sides = clip.array.shape[1:3] if clip.like.channels_last else clip.array.shape[2:]
    options.setdefault("tile", published_tile(clip.like, *sides))
    pictures = Frames(out, name, fps=clip.like.fps, suffix=suffix)
    for there in (pictures.movie, pictures.folder):
        if there.exists() and not force:
            raise OutputError("exists already", file=there, todo="use --force, or -o")
    read = functools.partial(clip.read, amplification=factor)
    with pictures:
        for start, result in enhance(network, read, count, **options):
            if start == 0:
                gains = display.grey_world(result[0].clip(0, 1), clip.planes)
            for t in range(0, len(result), AT_A_TIME):
                after = result[t : t + AT_A_TIME]
                before = read(slice(start + t, start + t + len(after)))
                shown = [display.display(v, gains, planes=clip.planes) for v in (before, after)]
                for views in zip(*shown, strict=True):
                    pictures.add(views[1], views[1:] if alone else views)
    seconds = time.perf_counter() - began
    return RestoredClip(pictures.folder, pictures.movie, count, factor, seconds)


def find_clip_amplification(array, black, white, amplification: Any = "auto", m=1.0) -> float:
    """One factor for a clip as stored, so that it does not flicker; of up to eight frames."""
    some = np.unique(np.linspace(0, len(array) - 1, 8).astype(int))
    dark = np.concatenate([np.asarray(array[i]).reshape(1, -1) for i in some])
    return factor_of(dark, black, white, amplification, m)
