"""ST-RRED: how far a video's details, and their changes from frame to frame, are from a reference.

ST-RRED takes the entropy of each 3x3 block of one oriented wavelet band, of a frame and of the
difference to the next, weights it with the block's scale, and compares the two videos' figures.

Source: Soundararajan and Bovik, "Video quality assessment by reduced reference spatio-temporal
entropic differencing", IEEE TCSVT 23(4), 2013; the pyramid is Simoncelli and Freeman's, ICIP 1995.
As published, the entropy has no factor 1/2, and ln(2 pi e) is added to logarithms of base 2.
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError

LEVEL = 4  # of the pyramid: the band has an eighth of the frame's sides
BLOCK = 3
NOISE = 0.1  # variance of the neural noise, which bounds the entropy of what is too faint to see
SMALLEST = 41  # side of a frame: its band has two blocks a side, the fewest for a covariance


def _mirrored(corner, sign=1):
    """A filter from its top left corner; `sign` -1 changes the lower half's."""
    half = np.hstack([corner, np.asarray(corner)[:, -2::-1]])
    return np.vstack([half, sign * half[-2::-1]])


# The low-pass filters, the first and the one before each halving, and the band that sees horizontal
# edges (Simoncelli's sp5Filters, matlabPyrTools, MIT).
_FIRST = _mirrored(
    [[0.00341614, -0.01551246, -0.03848215],
     [-0.01551246, 0.05586982, 0.15925570],
     [-0.03848215, 0.15925570, 0.40304148]]
)  # fmt: skip
_HALVE = _mirrored(
    [[0.00170808, -0.00489834, -0.00775624, -0.01888864, -0.01924108],
     [-0.00489834, -0.01046562, -0.01322234, 0.00821200, 0.02005976],
     [-0.00775624, -0.01322234, 0.02793492, 0.06554076, 0.07962786],
     [-0.01888864, 0.00821200, 0.06554076, 0.12852666, 0.16339236],
     [-0.01924108, 0.02005976, 0.07962786, 0.16339236, 0.20193080]]
)  # fmt: skip
_BAND = _mirrored(
    [[-0.00277643, -0.00496194, -0.01026699, -0.01455399],
     [0.00986904, 0.00893064, -0.01189859, -0.02755155],
     [0.01021852, 0.03075356, 0.08226445, 0.11732297],
     [0.0, 0.0, 0.0, 0.0]],
    sign=-1,
)  # fmt: skip


def strred(reference, distorted) -> tuple[np.ndarray, float, float]:
    """Compare two videos of one channel, (T, H, W) with T >= 2 and sides >= 41. Symmetric: 0 where
    they are equal, more is worse. Raw in [0, 1] gives far smaller figures than 0..255.

    Returns:
        (per_pair, strred, strredssn). `per_pair` float64 (T // 2, 4), of frames 0 and 1, 2 and 3,
        ...: spatial and temporal distance of the blocks, then of their means. `strred` is the
        product of the first two columns' means, `strredssn` of the other two's.
    """
    total = Strred()
    total.add(reference, distorted)
    return total.result()


class Strred:
    """`strred` of a video in pieces: `add` each, then `result()`. Keeps one frame at most."""

    def __init__(self):
        self.pairs, self._left = [], None

    def add(self, reference, distorted) -> None:
        if (shape := np.shape(reference)) != (other := np.shape(distorted)) or len(shape) != 3:
            raise ShapeError(f"two videos (T, H, W) of one shape, got {shape} and {other}")
        if min(shape[1:]) < SMALLEST:
            raise ShapeError(f"ST-RRED needs sides of {SMALLEST} pixels, got {shape[1:]}")
        both = np.stack([reference, distorted])
        if not np.isfinite(both).all():
            raise ShapeError("a video holds NaN or infinity")
        if self._left is not None:
            if self._left.shape[2:] != both.shape[2:]:
                raise ShapeError(f"frames of {self._left.shape[2:]}, then of {both.shape[2:]}")
            both = np.concatenate([self._left, both], axis=1)
        even = both.shape[1] // 2 * 2
        self._left = both[:, even:] if both.shape[1] > even else None
        for t in range(0, even, 2):
            (space_a, time_a), (space_b, time_b) = map(_entropies, both[:, t : t + 2])
            space, time = space_a - space_b, time_a - time_b
            one_by_one = np.abs(space).mean(), np.abs(time).mean()
            self.pairs.append([*one_by_one, abs(space.mean()), abs(time.mean())])

    def result(self) -> tuple[np.ndarray, float, float]:
        if not self.pairs:
            raise ShapeError("a video has at least 2 frames", todo="ST-RRED needs their change")
        per_pair = np.array(self.pairs)
        space, time, space_mean, time_mean = per_pair.mean(0)
        return per_pair, float(space * time), float(space_mean * time_mean)


def _correlate(x, kernel, step=1):
    """Every `step`-th value of a correlation, the border mirrored, as sums of shifted frames."""
    h, w = x.shape[1:]
    side = len(kernel) // 2
    padded = np.pad(x, ((0, 0), (side, side), (side, side)), mode="reflect")
    total = np.zeros(x[:, ::step, ::step].shape)
    for i, j in np.argwhere(kernel):
        total += kernel[i, j] * padded[:, i : i + h : step, j : j + w : step]
    return total


def _entropies(frames):
    """Spatial and temporal weighted entropies of two frames (2, H, W), one a block each."""
    x = _correlate(np.asarray(frames, np.float64), _FIRST)
    for _ in range(LEVEL - 1):
        x = _correlate(x, _HALVE, step=2)
    first, second = _correlate(x, _BAND)
    scale, entropy = _mixture(first)
    change_scale, change_entropy = _mixture(first - second)
    seen = np.log2(1 + scale)
    return entropy * seen, change_entropy * seen * np.log2(1 + change_scale)


def _mixture(coefficients):
    """(squared scale s^2, entropy) of each 3x3 block, as a Gaussian scale mixture.

    With C the covariance of all blocks, also overlapping ones, and l_i its eigenvalues: s^2 of a
    block y is y' C^-1 y / 9, its entropy the sum of log2(s^2 l_i + 0.1) + ln(2 pi e)."""
    h, w = (side // BLOCK * BLOCK for side in coefficients.shape)
    windows = np.lib.stride_tricks.sliding_window_view(coefficients[:h, :w], (BLOCK, BLOCK))
    every = windows.reshape(-1, BLOCK**2)
    blocks = windows[::BLOCK, ::BLOCK].reshape(-1, BLOCK**2)
    values, vectors = np.linalg.eigh(np.cov(every, rowvar=False, bias=True))
    kept = values > max(values.max() * 1e-12, 1e-20)  # of a flat band nothing but rounding
    values, along = values[kept], blocks @ vectors[:, kept]
    scale = (along**2 / values).sum(1) / BLOCK**2
    entropy = np.log2(scale[:, None] * values + NOISE) + np.log(2 * np.pi * np.e)
    return scale, entropy.sum(1)
