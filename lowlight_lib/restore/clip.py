"""The path that every raw clip takes: piece by piece, tile by tile, blended, and as pictures.

Beside `restore`, which is the same for stills.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from ..data import DATASETS
from ..data.video import open_clip
from ..errors import DataError, OptionError, OutputError, ShapeError
from ..io.movies import Frames
from ..sensor import cfa as cfa_module
from ..sensor import display
from .still import find_amplification
from .window import device_of, out_of_memory

PIECE, TILE, OVERLAP = 50, 256, 32  # as published
SEAMS = ("blended", "released")
AT_A_TIME = 4  # frames that become pictures together


def enhance(
    network, read, frames, *, piece=PIECE, tile=TILE, overlap=OVERLAP, seams="blended"
):  # fmt: skip
    """Apply a network to a clip of any length and size, a piece at a time.

    Memory, whatever the clip's length: with n = min(piece, frames), two arrays of n H W 16 bytes
    (a piece and its result; the caller's last result is a third) and what the network needs for
    n frames of tile x tile.

    Args:
        network: a callable, tensor (t, 4, h, w) -> the same shape; amplified raw in [0, 1].
        read: function of a slice of frames -> float32 (t, 4, H, W).
        frames: length of the clip.
        piece: frames that the network sees at once; pieces do not overlap.
        tile: side of the tiles in packed pixels; smaller frames are not cut.
        overlap: pixels that neighbouring tiles share.
        seams: "blended": where tiles overlap, their weights fall linearly to the tile's border, so
            that no edge shows. "released": the plain mean, as BRVE's code has it, and its square
            tiles of the frame's smaller side.
    Yields:
        (start, result float32 (t, 4, H, W)), not clipped.
    Raises:
        OptionError: options that do not fit, or too little memory.
        ShapeError: the network's output has another shape, or is not finite.
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
        x = read(slice(start, min(start + piece, frames)))
        with out_of_memory(x.shape, "use smaller tiles (--tile 128), or pieces of fewer frames"):
            y = _by_tiles(network, x, tile, overlap, seams)
        if not np.isfinite(y).all():
            raise ShapeError(
                f"the network made values that are not finite, in frames {start} to "
                f"{start + len(x) - 1}",
                todo="are these weights of this network, and was its training sound?",
            )
        yield start, y
        del x, y  # or they would wait for the next piece to take their places


def _by_tiles(network, x, tile, overlap, seams):
    h, w = x.shape[2:]
    if seams == "released" and min(h, w) > overlap:
        tile = min(tile, h, w)
    rows, columns = _starts(h, tile, overlap), _starts(w, tile, overlap)
    if len(rows) * len(columns) == 1:
        return _apply(network, x)
    out, total = np.zeros(x.shape, np.float32), np.zeros((h, w), np.float32)
    for top in rows:
        for left in columns:
            place = (..., slice(top, top + tile), slice(left, left + tile))
            weight = np.float32(1)
            if seams == "blended":
                weight = np.outer(
                    _ramp(min(tile, h), overlap, top > 0, top < rows[-1]),
                    _ramp(min(tile, w), overlap, left > 0, left < columns[-1]),
                )
            out[place] += _apply(network, x[place]) * weight
            total[place] += weight
    out /= total
    return out


def _apply(network, x):
    with torch.inference_mode():
        y = network(torch.from_numpy(np.ascontiguousarray(x)).to(device_of(network)))
        y = torch.as_tensor(y).float().cpu().numpy()
    if y.shape != x.shape:
        raise ShapeError(
            f"the network made {y.shape} of {x.shape}",
            todo="a network for raw video keeps the shape (T, 4, H, W)",
        )
    return y


def _starts(side, tile, overlap):
    """Where tiles begin; the last one ends with the frame."""
    last = max(side - tile, 0)
    return [*range(0, last, tile - overlap), last]


def _ramp(length, overlap, before, after):
    """Weights of a tile's lines; they fall where it has a neighbour before or after it."""
    n = np.arange(1, length + 1, dtype=np.float32) / (overlap + 1)
    weight = np.minimum(n, 1) if before else np.ones_like(n)
    return np.minimum(weight, n[::-1]) if after else weight


@dataclass(frozen=True)
class RawClip:
    """A clip in a .npy file.

    Attributes:
        array: memory map, (T, H, W, 4) as LLRVD stores it or (T, 4, H, W) as SMOID does.
        channels_last: which of the two.
        black, white: levels in DN.
        planes: the colours of the four planes, 0 R, 1 G, 2 B.
        path: where it is.
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
        raise OptionError(
            "a .npy clip does not say its levels", file=path, todo="give --black and --white"
        )
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
    """What `restore_clip` left: the folder of pictures, the video, frames, factor, seconds."""

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
        network: as in `enhance`.
        amplification, m: see `find_clip_amplification`.
        suffix: of the pictures, as in `io.files.write_picture`.
        force: overwrite what is there.
        tiles: options of `enhance`.
    Raises:
        OutputError: the names exist, or cannot be written.
        DataError, OptionError, ShapeError: as `enhance` and `open_raw_clip`.
    """
    began, count = time.perf_counter(), len(clip.array)
    factor = find_clip_amplification(clip.array, clip.black, clip.white, amplification, m)
    pictures = Frames(out, name, fps=fps, suffix=suffix)
    for there in () if force else (pictures.movie.path, pictures.folder):
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
    return RestoredClip(pictures.folder, pictures.movie.path, count, factor, seconds)


def find_clip_amplification(array, black, white, amplification="auto", m=1.0) -> float:
    """One factor for a clip, so that it does not flicker.

    Args:
        array: the clip as stored, four axes, frames first.
        black, white: its levels.
        amplification: the factor, or "auto": estimated from up to eight frames,
            REDI's equation 5.
        m: brightness: a parameter of the estimate, or a multiplier of the given factor.
    """
    some = np.unique(np.linspace(0, len(array) - 1, 8).astype(int))
    dark = np.concatenate([np.asarray(array[i]).reshape(1, -1) for i in some])
    seen = SimpleNamespace(mosaic=dark, black_level=black, white_level=white)
    return find_amplification(seen, amplification, m)
