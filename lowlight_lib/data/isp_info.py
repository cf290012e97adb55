"""What LLRVD's ISP_info says of a frame: white-balance gains and a colour matrix.

Each `ISP_info/SCENE/FRAME.npy` holds a pickled dict, which `safe_pickle` reads. The published keys
are `wb`, four gains for R, G, B and the second G, and `ccm`, camera RGB -> sRGB (3, 3); other names
that people use are understood too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..io import pickles

# The published name first, then others that people use.
_BALANCE = ("wb", "white_balance", "whitebalance", "wb_gains", "awb", "awb_gains", "gains")
_RED = ("red_gain", "r_gain", "rgain", "gain_r")
_BLUE = ("blue_gain", "b_gain", "bgain", "gain_b")
_MATRIX = ("ccm", "cam2rgb", "color_matrix", "colour_matrix", "color_correction_matrix")


@dataclass(frozen=True)
class Isp:
    """Display parameters: white_balance float32 (T, 3), gains for r, g, b; ccm float32 (T, 3, 3)"""

    white_balance: np.ndarray
    ccm: np.ndarray


def read_frames(folder, frames) -> Isp:
    """The parameters of frames 1..T.

    Raises:
        DataError: a frame is missing, damaged, or not understood.
    """
    both = [read_frame(Path(folder) / f"{k}.npy") for k in range(1, frames + 1)]
    return Isp(np.stack([w for w, _ in both]), np.stack([c for _, c in both]))


def read_frame(path) -> tuple[np.ndarray, np.ndarray]:
    """Gains (3,) for r, g, b and the matrix (3, 3) of one frame; the identity where it has none."""
    found = pickles.load_npy(path)
    if not isinstance(found, dict):
        raise DataError(f"holds {type(found).__name__}, not a dict", file=path)
    by_name = {str(k).strip().lower(): v for k, v in found.items()}
    balance, red, blue, matrix = (
        next((by_name[n] for n in names if n in by_name), None)
        for names in (_BALANCE, _RED, _BLUE, _MATRIX)
    )
    if balance is None and red is not None and blue is not None:
        balance = [red, 1.0, blue]
    if balance is None:
        keys = ", ".join(map(repr, found))[:200] or "none"
        todo = "name the gains wb (R, G, B, G) and the matrix ccm (3, 3)"
        what = f"has no white balance that we know; its keys are {keys}"
        raise DataError(what, file=path, todo=todo)
    gains = _numbers(balance, path, "white balance", ((3,), (4,)))
    if len(gains) == 4:  # 0 says that the second green is as the first, in LibRaw's way
        gains[1] = (gains[1] + gains[3]) / 2 if gains[3] else gains[1]
    if not (gains[:3] > 0).all():
        raise DataError(f"has gains {gains[:3]}, which are not above 0", file=path)
    ccm = np.eye(3) if matrix is None else _numbers(matrix, path, "colour matrix", ((3, 3), (9,)))
    return gains[:3].astype(np.float32), ccm.reshape(3, 3).astype(np.float32)


def _numbers(value, path, what, shapes):
    """A float array of one of these shapes, axes of length 1 apart."""
    try:
        numbers = np.array(value, np.float64).squeeze()
    except (TypeError, ValueError) as e:
        raise DataError(f"has a {what} that is no array of numbers ({e})", file=path) from e
    if numbers.shape not in shapes or not np.isfinite(numbers).all():
        needed = f"{' or '.join(map(str, shapes))} finite numbers are needed"
        got = f"has a {what} of shape {numbers.shape} or with values that are not finite"
        raise DataError(f"{got}; {needed}", file=path)
    return numbers
