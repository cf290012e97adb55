"""From a dark raw clip to pictures: piece by piece, tile by tile, blended.

Beside `restore.restore`, which is the same for stills and photographs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..data import DATASETS
from ..data.video import open_clip
from ..errors import DataError, OptionError, OutputError, ShapeError
from ..io.movies import Frames
from ..sensor import cfa as cfa_module
from ..sensor import display
from .still import factor_of
from .window import out_of_memory, run

PIECE, TILE, OVERLAP = 50, 256, 32  # as published
SEAMS = ("blended", "released")
AT_A_TIME = 4  # frames that become pictures together


def enhance(network, read, frames, *, piece=PIECE, tile=TILE, overlap=OVERLAP, seams="blended"):
    """Apply a network to a clip of any length and size, a piece at a time.

    Memory does not grow with the clip: with n = min(piece, frames), two arrays of n H W 16 bytes
    (the caller's last result is a third) and what the network needs for n frames of tile x tile.

    Args:
        network: a callable, tensor (t, 4, h, w) -> the same shape; amplified raw in [0, 1].
        read: function of a slice of frames -> float32 (t, 4, H, W).
        frames: length of the clip.
        piece: frames that the network sees at once; pieces do not overlap.
        tile, overlap: see `window.tiles`, in packed pixels; smaller frames are not cut.
        seams: "blended": no edge shows, see `window.run`. "released": the plain mean, as BRVE's
            code has it, and its square tiles of the frame's smaller side.
    Yields:
        (start, result float32 (t, 4, H, W)), not clipped.
    Raises:
        OptionError: options that do not fit, or too little memory. ShapeError: as `window.tiles`.
    Source: Zhang et al., "Binarized Low-light Raw Video Enhancement", CVPR 2024, released code.
    """
    if seams not in SEAMS:
        raise OptionError(f"unknown seams {seams!r}", todo=f"use {' or '.join(SEAMS)}")
    if piece < 1 or not 0 <= overlap < tile:
        raise OptionError(
            f"pieces of {piece} frames, tiles of {tile} with an overlap of {overlap}",
            todo="a piece has a frame at least, and a tile more pixels than the overlap",
        )
    for start in range(0, frames, piece):
        x = np.ascontiguousarray(read(slice(start, min(start + piece, frames))))
        square = seams == "released" and min(x.shape[2:]) > overlap
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
    """A clip in a .npy file: a memory map, (T, H, W, 4) if `channels_last`, else (T, 4, H, W).

    Its levels `black` and `white` are in DN; `planes` are the colours of its planes, 0 R, 1 G, 2 B.
    """

    array: np.ndarray
    channels_last: bool
    black: float
    white: float
    planes: tuple[int, int, int, int]
    path: Path

    def read(self, frames=slice(None), amplification=1.0) -> np.ndarray:
        """Some frames normalised, amplified, clipped to [0, 1]: float32 (t, 4, H, W)."""
        x = np.asarray(self.array[frames], np.float32)
        if not np.isfinite(x).all():
            raise DataError("holds values that are not finite (NaN or infinity)", file=self.path)
        x = x.transpose(0, 3, 1, 2) if self.channels_last else x
        scale = np.float32(amplification / (self.white - self.black))
        return np.clip((x - np.float32(self.black)) * scale, 0, 1)


def open_raw_clip(path, black=None, white=None, cfa=None) -> RawClip:
    """Open a .npy clip of packed frames by memory map.

    Args:
        path: (T, H, W, 4) or (T, 4, H, W), integers or floats in DN.
        black, white: its levels, which the file does not say.
        cfa: name of the Bayer cell that its planes are the four places of, row by row; None is how
            LLRVD stores (T, H, W, 4), R, G, G, B, and SMOID (T, 4, H, W), G, R, G, B.
    Raises:
        DataError: no such clip. OptionError: levels missing. ShapeError: either layout would fit.
    """
    path = Path(path)
    if path.suffix.lower() != ".npy":
        raise DataError("is no .npy clip", file=path, todo="pack its frames into one (T, H, W, 4)")
    if black is None or white is None:
        todo = "give --black and --white"
        raise OptionError("a .npy clip does not say its levels", file=path, todo=todo)
    if not white > black:
        raise OptionError(f"the white level {white:g} is not above the black level {black:g}")
    try:
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, EOFError):
        shape = ()  # the next line says what is wrong
    last = len(shape) == 4 and shape[3] == 4
    if last and shape[1] == 4:
        raise ShapeError(f"is {shape}: which axis has the planes cannot be told", file=path)
    array = open_clip(path, channels_last=last or len(shape) != 4 or shape[1] != 4)
    if not array.size:
        raise DataError(f"is empty: {array.shape}", file=path)
    planes = DATASETS["llrvd" if last else "smoid"].planes
    if cfa is not None:
        planes = cfa_module.from_name(cfa).ravel()
        if len(planes) != 4:
            raise OptionError(f"packed frames have four planes, which {cfa} has not", file=path)
    return RawClip(array, last, float(black), float(white), tuple(map(int, planes)), path)


@dataclass(frozen=True)
class RestoredClip:
    """What `restore_clip` left: the folder of pictures, the video; and how."""

    folder: Path
    movie: Path
    frames: int
    amplification: float
    seconds: float


def restore_clip(
    clip, network, out, name, amplification="auto", m=1.0, *, suffix=".png", fps=10, force=False,
    **tiles,
) -> RestoredClip:  # fmt: skip
    """Restore a raw clip into OUT/NAME/00000000.png, ... and OUT/NAME.mp4, before and after.

    Both are shown through `sensor.display`, with gains that make the first restored frame grey.

    Args:
        clip: a `RawClip`.
        network, tiles: network and options of `enhance`.
        amplification, m: see `find_clip_amplification`.
        suffix: of the pictures, as in `io.files.write_picture`.
        force: overwrite what is there.
    Raises:
        OutputError: the names exist, or cannot be written. And as `enhance`.
    """
    began, count = time.perf_counter(), len(clip.array)
    factor = find_clip_amplification(clip.array, clip.black, clip.white, amplification, m)
    pictures = Frames(out, name, fps=fps, suffix=suffix)
    for there in () if force else (pictures.movie, pictures.folder):
        if there.exists():
            raise OutputError("exists already", file=there, todo="use --force, or -o")

    def read(frames):
        return clip.read(frames, factor)

    with pictures:
        for start, result in enhance(network, read, count, **tiles):
            if start == 0:
                gains = display.grey_world(result[0].clip(0, 1), clip.planes)
            for t in range(0, len(result), AT_A_TIME):
                after = result[t : t + AT_A_TIME]
                before = read(slice(start + t, start + t + len(after)))
                shown = [display.display(v, gains, planes=clip.planes) for v in (before, after)]
                for views in zip(*shown, strict=True):
                    pictures.add(views[1], views)
    seconds = time.perf_counter() - began
    return RestoredClip(pictures.folder, pictures.movie, count, factor, seconds)


def find_clip_amplification(array, black, white, amplification="auto", m=1.0) -> float:
    """One factor for a clip, so that it does not flicker.

    Args:
        array: the clip as stored, four axes, frames first; black, white: its levels.
        amplification, m: as of `restore.restore`; "auto" estimates from up to eight frames.
    """
    some = np.unique(np.linspace(0, len(array) - 1, 8).astype(int))
    dark = np.concatenate([np.asarray(array[i]).reshape(1, -1) for i in some])
    return factor_of(dark, black, white, amplification, m)
