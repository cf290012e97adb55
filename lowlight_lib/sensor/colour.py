"""Another camera's colours, for a network that learned those of one.

A raw network learns the colour processing of its training camera: the white balance W that makes
grey grey, and the matrix C that leads from camera colours to sRGB; its picture is about C W x. Give
it the mosaic of another camera, with W' and C', and the picture has a cast. The cure is linear and
needs no training: hand over x' = W^-1 W' x, so that grey has the proportions the network learned,
and put C' C^-1 after it, so that C W x' becomes C' W' x. Rows of C' C^-1 sum to 1: grey stays grey.
W is of the light that the network learned in as much as of its camera: daylight where nobody says.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .cameras import Camera, find_camera
from .colorimetry import bt709_decode, bt709_encode, camera_from_srgb
from .raw import RawImage

_STRIP = 1 << 16  # pixels of the picture worked on at a time: they fit into a cache


@dataclass(frozen=True)
class ColourMatch:
    """What is done before a network, and after it."""

    gains: tuple[float, float, float]  # (r, 1, b), of the mosaic's colours: W^-1 W'
    matrix: np.ndarray | None  # (3, 3), of the linear picture: C' C^-1; None: the file has none

    def before(self, x: np.ndarray, cell: np.ndarray) -> None:
        """Multiply red and blue of a mosaic (H, W), 0 at black, with these filters, in place."""
        for (i, j), colour in np.ndenumerate(cell):
            if colour != 1:
                x[i :: cell.shape[0], j :: cell.shape[1]] *= np.float32(self.gains[colour])

    def after(self, picture: np.ndarray) -> None:
        """Turn a picture, float32 (H, W, 3), BT.709-encoded, into the file's colours, in place."""
        if self.matrix is None:
            return
        turn = self.matrix.T.astype(np.float32)
        lines = max(1, _STRIP // picture.shape[1])
        for top in range(0, len(picture), lines):
            part = picture[top : top + lines]
            part[...] = bt709_encode(bt709_decode(part) @ turn)


def match(
    raw: RawImage, trained_on: Camera | str, gains: ArrayLike | None = None
) -> ColourMatch | None:
    """What has to be done with a raw image for a network trained on another camera.

    `trained_on` is a Camera or its name (OptionError for another), `gains` (r, g, b) the white
    balance W of the light it was trained in, None being daylight. Returns None where there is
    nothing to do: the same camera, or nothing known of the colours (no matrix, gains of 1).
    """
    camera = find_camera(trained_on)
    if raw.model is not None and camera.answers_to(raw.model):
        return None
    matrix = None if raw.color_matrix is None else _between(raw.color_matrix, camera)
    if matrix is None and tuple(raw.white_balance) == (1.0, 1.0, 1.0):
        return None
    r, g, b = np.asarray(raw.white_balance) / np.asarray(gains or camera.white_balance)
    return ColourMatch((float(r / g), 1.0, float(b / g)), matrix)


def _between(color_matrix, camera):
    """C' C^-1, or None for a matrix that is none (files hold zeros and worse)."""
    with np.errstate(all="ignore"):
        theirs = camera_from_srgb(color_matrix)  # sRGB -> camera, so C' is its inverse
        if not np.isfinite(theirs).all() or np.linalg.cond(theirs) > 100:
            return None
    return np.linalg.solve(theirs, camera_from_srgb(camera.color_matrix))
