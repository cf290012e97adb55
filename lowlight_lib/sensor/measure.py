"""Measure a sensor: from dark frames and pairs of flats to the numbers of `sensor.noise`.

Scales are standard deviations in DN, but Tukey's, which is that of `noise.tukey_quantile`.
Sources: Janesick, "Photon Transfer", SPIE 2007; Wei et al., CVPR 2020 (the model, its lines in
ln K); Filliben, Technometrics 17, 1975 (PPCC). Built in notebooks/02_noise_and_darkness.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from ..errors import OptionError, ShapeError
from .cfa import tile
from .noise import tukey_lambda, tukey_quantile, tukey_variance

DRAWS, BANDS = 200, 100  # of the bootstrap; what it draws the plot from: every hundredth line
BLOCK, SMOOTH = 16, 32  # side of a block in pixels of one filter; sigma of dark shading
_BINS, _REACH = 480, 12  # of the probability plot; standard deviations to each side
_STUDENT = 1.98  # standard errors of a 95 % interval, of a hundred bands


class Measured(NamedTuple):
    """A number, and what the bootstrap drew of it, (DRAWS,)."""

    value: float
    draws: np.ndarray
    interval = property(lambda m: tuple(m.value + s * m.draws.std() for s in (-_STUDENT, _STUDENT)))


class ProbabilityPlot(NamedTuple):
    """The distribution of the read noise: values in DN, shares of pixels below them, weights."""

    values: np.ndarray
    shares: np.ndarray
    weights: np.ndarray
    blur: float  # share of the variance that is small normal noise besides

    def correlation(self, quantiles: np.ndarray) -> tuple[float, float]:
        """(PPCC, scale) for a distribution's quantiles at `shares`: how straight, how steep."""
        (xx, xy), (_, yy) = np.cov(quantiles, self.values, aweights=self.weights)
        return float(xy / np.sqrt(xx * yy)), float(xy / xx)


class DarkNoise(NamedTuple):
    """What the dark frames of one ISO say, in DN."""

    black: np.ndarray  # level of each position of the filter cell
    black_mean: Measured
    variance: Measured  # of a pixel from frame to frame, without lines and columns, with rounding
    gauss: Measured  # its root, without rounding: the standard deviation of the read noise
    tukey: Measured  # scale of the read noise, by the straightest probability plot
    tukey_shape: Measured
    row: Measured  # of the offset that a line has in each frame
    column: Measured
    fixed: float  # of the pattern of pixels that all frames share
    hot: float  # share of pixels far off in every frame; their neighbours stand in for them
    step: int  # between the values that occur
    correlation: float  # of neighbours of one colour; 0 in a true raw
    ppcc: dict[str, float]  # of the plot with "tukey" and "gauss"
    distance: dict[str, float]  # of a frame's histogram from drawn ones and another "real" frame's
    plot: ProbabilityPlot
    rows: np.ndarray  # (n, H), offsets of the lines
    shading: np.ndarray  # (H, W), the mean frame above black, smoothed


def dark_noise(frames, cell=(2, 2), seed=0) -> DarkNoise:
    """Take the noise of dark frames apart: two or more of one ISO, uint16 (H, W), lens cap on.

    `cell` is the shape of the filter cell, (2, 2) or (6, 6); `seed` that of the bootstrap.
    ShapeError for fewer frames, frames of several sizes, or too small for a block.
    """
    from scipy import ndimage, stats

    frames, (ch, cw), rng = _stack(frames, cell).astype(np.int32), cell, np.random.default_rng(seed)
    n, h, w = frames.shape
    low, middle, high = np.quantile(frames[0], (0.16, 0.5, 0.84))
    far = 5 * max(1, (high - low) / 2)
    y, x = np.nonzero((frames.min(0) > middle + far) | (frames.max(0) < middle - far))
    for _ in range(2):  # twice, for neighbours that are hot as well
        frames[:, y, x] = frames[:, y, np.where(x < cw, x + cw, x - cw)]
    step = max(1, int(np.gcd.reduce(np.unique(frames[0] - frames[0].min()))))

    changes = [_blocks(b - a, cell) for a, b in itertools.pairwise(frames)]
    variance = _mean(np.mean([v for _, v, _ in changes], 0) / 2, rng)
    gauss, mean = _root(variance, step**2 / 12, step), frames.mean(0)
    still = max(0.0, float(_blocks(mean, cell)[1].mean()) - variance.value / n)
    cells = mean.reshape(-1, ch, w // cw, cw).mean(2)
    black = cells.mean(0)
    level = tile(black, (h, w))
    shading = ndimage.gaussian_filter(mean - level, SMOOTH)
    frames -= step * np.rint(shading / step).astype(np.int32)  # values stay on their grid
    offsets = [np.array([(f - level).mean(axis) for f in frames]) for axis in (1, 0)]
    changing = [_mean((x - x.mean(1, keepdims=True)).var(0, ddof=1), rng) for x in offsets]
    row, column = (
        _root(v, variance.value / m, step) for v, m in zip(changing, (w, h), strict=True)
    )

    spread = max(0.3 * step, variance.value**0.5)
    lines = zip(frames, offsets[0], strict=True)
    points = np.sum([_points(frame, o, black, step, spread) for frame, o in lines], 0)
    blur = 1 / w + still / variance.value  # of the lines' means, and of what is fixed
    drawn = [points[rng.integers(BANDS, size=BANDS)].sum(0) for _ in range(DRAWS)]
    plot, *plots = (_plot(p, blur) for p in (points.sum(0), *drawn))
    shape, scale, straight = fit_tukey(plot)
    shapes, scales, _ = np.transpose([fit_tukey(p) for p in plots])
    rows = row.value * rng.standard_normal((h, 1)) + level
    others = {"tukey": scale * tukey_lambda(rng, shape, (h, w)) + rows,
              "gauss": gauss.value * rng.standard_normal((h, w)) + rows,
              "real": frames[1]}  # fmt: skip
    return DarkNoise(
        black, _mean(cells.mean((1, 2)), rng), variance, gauss, Measured(scale, scales),
        Measured(shape, shapes), row, column, still**0.5, len(y) / (h * w), step,
        float(np.mean([alike for _, _, alike in changes])),
        {"tukey": straight, "gauss": plot.correlation(stats.norm.ppf(plot.shares))[0]},
        {name: _distance(frames[0], x, step, spread) for name, x in others.items()},
        plot, offsets[0], shading,
    )  # fmt: skip


def _points(frame, offsets, black, step, spread):
    """Of the probability plot: pixels below, pixels, sum of values, (BANDS, 3, _BINS).

    A pixel of value k was anything up to k + 1/2 before it was rounded. So the share of a line's
    pixels up to k is exact at k + 1/2, less the line's offset and its black level, and lines of
    different offsets give different points: rounding does not blur the plot.
    """
    (h, w), cw, reach = frame.shape, black.shape[1], _REACH * spread
    lines = np.sort(frame.reshape(h, -1, cw).swapaxes(1, 2).reshape(h * cw, -1), 1)
    level = (tile(black, (h, cw)) + offsets[:, None]).reshape(-1, 1)
    least = frame.min() + max(0, int((level.min() - reach - frame.min()) // step)) * step
    edges = np.arange(least, level.max() + reach, step * max(1, round(spread / 8 / step)))
    below = np.array([np.searchsorted(line, edges, "right") for line in lines])
    # A line's mean has a share of each of its pixels; the pixel itself is larger by that.
    values, pixels = (edges + step / 2 - level) / (1 - 1 / w), np.full(below.shape, w // cw)
    inside = abs(values) < reach
    bins = ((values / reach + 1) * _BINS / 2).astype(int)
    bins = (bins + np.repeat(np.arange(h) % BANDS, cw)[:, None] * _BINS)[inside]
    sums = [np.bincount(bins, x[inside], BANDS * _BINS) for x in (below, pixels, pixels * values)]
    return np.reshape(sums, (3, BANDS, _BINS)).swapaxes(0, 1)


def _plot(points, blur):
    below, pixels, values = points[:, (points[0] >= 20) & (points[1] - points[0] >= 20)]
    shares = below / pixels
    return ProbabilityPlot(values / pixels, shares, pixels * shares * (1 - shares), blur)


def fit_tukey(plot: ProbabilityPlot) -> tuple[float, float, float]:
    """(lambda, scale, PPCC) of the Tukey-lambda distribution whose probability plot is straightest,
    as in Filliben 1975 and Wei et al., CVPR 2020. Its quantiles Q(p) are moved by s^2 Q'' / 2 Q'^2,
    which is what normal noise of a small variance s^2 does to them."""
    from scipy import optimize

    p, q = plot.shares, 1 - plot.shares

    def fit(shape):
        slope, bend = (p ** (shape - k) + (-1) ** (k - 1) * q ** (shape - k) for k in (1, 2))
        moved = plot.blur * tukey_variance(shape) * (shape - 1) * bend / 2 / slope**2
        return plot.correlation(tukey_quantile(p, shape) + moved)

    shape: Any = optimize.fminbound(lambda x: -fit(x)[0], -0.49, 0.9)
    return float(shape), fit(shape)[1], fit(shape)[0]


def _mean(x, rng):
    """The mean of independent numbers, and of as many drawn from them."""
    draws = [x[rng.integers(len(x), size=len(x))].mean() for _ in range(DRAWS)]
    return Measured(float(x.mean()), np.array(draws))


def _root(variance, less, step):
    """The root of a variance less a part of it, and never quite 0: its logarithm will be taken."""
    value, draws = (np.sqrt(np.maximum(v - less, (0.02 * step) ** 2)) for v in variance)
    return Measured(float(value), draws)


def _distance(frame, other, step, spread):
    """Half the sum of the absolute differences of two histograms: 0 is alike, 1 apart."""
    a, b = ((np.rint(x / step) - frame.min() // step).ravel() for x in (frame, other))
    width = max(1, round(spread / 8 / step))
    ends = np.arange(min(a.min(), b.min()) - 0.5, max(a.max(), b.max()) + 1 + width, width)
    return float(np.abs(np.histogram(a, ends)[0] - np.histogram(b, ends)[0]).sum() / 2 / a.size)


def _stack(frames, cell):
    """Frames as one array, cut to whole cells."""
    shapes = {np.shape(f) for f in frames}
    if len(frames) < 2 or len(shapes) > 1 or len(shape := shapes.pop()) != 2:
        raise ShapeError("frames are two or more mosaics (H, W) of one size")
    h, w = (size // side * side for size, side in zip(shape, cell, strict=True))
    return np.array([np.asarray(f)[:h, :w] for f in frames])


def _blocks(x, cell):
    """Of blocks of 16x16 pixels of one filter position: (means, variances, correlation).

    The variance is less the means of a block's lines and columns, so that gradients and row noise
    are none of it; the correlation is that of neighbours, of all blocks.
    """
    (h, w), (ch, cw), n = x.shape, cell, BLOCK
    down, across = h // (n * ch), w // (n * cw)
    if not down * across:
        raise ShapeError(f"frames of {h}x{w} do not hold a block of {n * ch}x{n * cw}")
    x = x[: down * n * ch, : across * n * cw].reshape(down, n, ch, across, n, cw)
    x = x.transpose(0, 3, 2, 5, 1, 4).reshape(-1, n, n)
    rest = x - x.mean(1, keepdims=True)
    rest -= rest.mean(2, keepdims=True)
    # Taking 16 pixels' mean away made neighbours differ by a fifteenth.
    alike = (rest[..., 1:] * rest[..., :-1]).mean() / max((rest**2).mean(), 1e-9) + 1 / (n - 1)
    return x.mean((1, 2)), (rest**2).sum((1, 2)) / (n - 1) ** 2, float(alike)


class PhotonTransfer(NamedTuple):
    """What pairs of flats of one ISO say."""

    gain: Measured  # K, DN per electron
    prnu: float  # how much the pixels differ in sensitivity; 1 % is 0.01
    bend: float  # how much K changes, as a share, from the darkest to the brightest; 0 if by chance
    correlation: float  # of neighbours of one colour; 0 in a true raw
    saturation: int | None  # the value at which pixels pile up, where some do
    mean: np.ndarray  # (blocks,), DN above black
    variance: np.ndarray  # (blocks,), DN^2
    left_out: float  # share of blocks that were clipped or did not fit, as where something moved


def photon_transfer(
    pairs, black, white, floor: Measured | float = 0.0, fixed=0.0, seed=0
) -> PhotonTransfer:
    """The system gain K, by photon transfer: variance = K * mean + floor.

    Half the variance of the difference of two equal flats is free of all that both share: dust,
    gradients, the pixels' own sensitivities. It is taken in blocks, so vignetting gives many
    levels. A flat of another level is brought to that of its partner.

    `pairs` are [(a, b), ...] of one ISO, uint16 (H, W); `black` is the level of each position of
    the filter cell; `floor` and `fixed` are `DarkNoise.variance` and `fixed`. ShapeError: sizes
    that differ or hold no block. OptionError: all is clipped, or too dark.
    """
    black, rng = np.asarray(black), np.random.default_rng(seed)
    flats = _stack([f for pair in pairs for f in pair], black.shape)
    level, top = tile(black, flats.shape[1:]), int(flats.max())
    floor = floor if isinstance(floor, Measured) else Measured(floor, np.full(DRAWS, floor))
    piled = top >= white or max((f == top).mean() for f in flats) > 1e-3
    room = (min(white, top) if piled else white) - black.max()
    blocks = []
    for a, b in zip(flats[::2] - level, flats[1::2] - level, strict=True):
        ratio = np.median(a) / max(np.median(b), 1e-9)
        mean, shared, _ = _blocks(a + ratio * b, black.shape)
        _, v, alike = _blocks(a - ratio * b, black.shape)
        # v is K * mean * (1 + ratio) + floor * (1 + ratio^2); shared has four times what is still.
        noise = (v - floor.value * (1 + ratio**2)) / (1 + ratio)
        blocks.append((mean / 2, noise, (shared - v) / 4 - fixed**2, v * 0 + alike))
    mean, v, still, alike = np.concatenate(blocks, 1)

    keep = (mean > 0) & (mean < 0.8 * room)
    for again in (True, True, True, False):
        if keep.sum() < 3 or not np.median(v[keep]) > 0.1 * floor.value:
            what = "no part of the flats is both above the noise and below white"
            raise OptionError(what, todo="expose them to 5 to 60 % of the scale")
        if again:  # chosen by what the model says of a block, not by its own noise
            model = np.median(v[keep] / mean[keep]) * mean.clip(0) + floor.value
            off = np.abs(v + floor.value - model) / model
            fits = off <= 9 * np.median(off[keep])  # six standard deviations
            keep = (mean > 0) & (mean + 6 * np.sqrt(model) < room) & fits
    mean, v, still, model = (x[keep] for x in (mean, v, still, model))

    def slope(v, i):
        return float((mean * v / model**2)[i].sum() / (mean**2 / model**2)[i].sum())

    draws = [slope(v + floor.value - f, rng.integers(len(v), size=len(v))) for f in floor.draws]
    gain = Measured(slope(v, slice(None)), np.array(draws))
    error = model / mean * 2**0.5 / (BLOCK - 1)  # of a block's K
    (bend, _), covariance = np.polyfit(mean, v / mean, 1, w=1 / error, cov="unscaled")
    by_chance = bend**2 < 16 * covariance[0, 0]
    prnu = max(0.0, float(np.median((still / mean**2)[mean >= np.median(mean)]))) ** 0.5
    return PhotonTransfer(
        gain, prnu, 0.0 if by_chance else float(bend * np.ptp(mean) / gain.value),
        float(alike.mean()), top if piled else None, mean, v + floor.value, float(1 - keep.mean()),
    )  # fmt: skip


def fit_line(gains, scales, typical) -> tuple[Measured, ...]:
    """ln(scale) = slope * ln(K) + bias over ISOs, from as many `Measured` of each: (slope, bias,
    sigma), the last the standard deviation of what is left. One ISO has the slope of `typical`,
    another such line, and two have its sigma."""
    x, y = np.log([g.value for g in gains]), np.log([[s.value, *s.draws] for s in scales])
    slope = np.polyfit(x, y, 1)[0] if len(x) > 1 else np.full(1 + DRAWS, typical[0])
    left = y - slope * x[:, None]
    sigma = left.std(0, ddof=2) if len(x) > 2 else np.full(1 + DRAWS, typical[2])
    return tuple(Measured(float(v[0]), v[1:]) for v in (slope, left.mean(0), sigma))
