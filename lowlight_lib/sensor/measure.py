"""Measure a sensor: from dark frames and pairs of flats to the numbers of `sensor.noise`.

Scales are standard deviations in DN, but Tukey's, which is that of `noise.tukey_quantile`.
Sources: Janesick, "Photon Transfer", SPIE 2007; Wei et al., CVPR 2020 (the model, its lines in
ln K); Filliben, "The Probability Plot Correlation Coefficient Test for Normality", Technometrics
17, 1975.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import OptionError, ShapeError
from .cfa import tile
from .noise import tukey_lambda, tukey_quantile

DRAWS, BANDS = 200, 100  # of the bootstrap; what it draws from: every hundredth line, or block
BLOCK, SMOOTH = 16, 32  # side of a flat's block in pixels of one filter; sigma of dark shading
_BINS, _REACH = 480, 12  # of the probability plot; standard deviations to each side


class Measured(NamedTuple):
    """A number, and what the bootstrap drew of it, (DRAWS,)."""

    value: float
    draws: np.ndarray
    interval = property(lambda m: tuple(m.value + s * m.draws.std() for s in (-1.96, 1.96)))  # 95 %


class ProbabilityPlot(NamedTuple):
    """The distribution of the read noise: values in DN, shares of pixels below them, weights."""

    values: np.ndarray
    shares: np.ndarray
    weights: np.ndarray

    def correlation(self, quantiles: np.ndarray) -> tuple[float, float]:
        """(PPCC, scale) for a distribution's quantiles at `shares`: how straight, how steep."""
        w = self.weights / self.weights.sum()
        x, y = quantiles - w @ quantiles, self.values - w @ self.values
        slope = (w * x) @ y / ((w * x) @ x)
        return float(slope * np.sqrt((w * x) @ x / ((w * y) @ y))), float(slope)


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
    at_zero: float  # share of pixels at 0, below which nothing is recorded
    ppcc: dict[str, float]  # of the plot with "tukey" and "gauss"
    distance: dict[str, float]  # of a frame's histogram from drawn ones and another "real" frame's
    plot: ProbabilityPlot
    rows: np.ndarray  # (n, H), offsets of the lines
    shading: np.ndarray  # (H, W), the mean frame above black, smoothed


def dark_noise(frames, cell=(2, 2), seed=0) -> DarkNoise:
    """Take the noise of dark frames apart: two or more of one ISO, uint16 (H, W), lens cap on.

    `cell` is the shape of the filter cell, (2, 2) or (6, 6); `seed` that of the bootstrap.
    ShapeError for fewer frames, frames of several sizes, or sides below 32.
    """
    from scipy import ndimage, stats

    n, (h, w), (ch, cw), rng = len(frames), _common(frames, cell), cell, np.random.default_rng(seed)
    frames = [np.asarray(f)[:h, :w].astype(np.int32) for f in frames]
    at_zero = float(np.mean([(f == 0).mean() for f in frames]))
    low, middle, high = np.quantile(frames[0], (0.16, 0.5, 0.84))
    far = 5 * max(1, (high - low) / 2)
    bright, dark = np.minimum.reduce(frames) - middle, np.maximum.reduce(frames) - middle
    y, x = np.nonzero((bright > far) | (dark < -far))
    for f in frames * 2:  # twice, for neighbours that are hot as well
        f[y, x] = f[y, np.where(x < cw, x + cw, x - cw)]
    step = max(1, int(np.gcd.reduce(np.unique(frames[0] - frames[0].min()))))
    low, high = np.quantile(frames[0] - frames[1], (0.16, 0.84))  # a few far values do not count
    spread = max(0.3 * step, (high - low) / 2 / np.sqrt(2))

    bands = np.arange(h) // ch % min(BANDS, h // ch)
    draws, sizes = _draws(rng, bands.max() + 1), np.bincount(bands)

    def mean_of(lines):  # of one number a line
        return Measured(lines.mean(), draws @ np.bincount(bands, lines) / (draws @ sizes))

    lines = np.mean([f.reshape(h, w // cw, cw).mean(1) for f in frames], 0)
    black = lines.reshape(h // ch, ch, cw).mean(0)
    level = tile(black, (h, w)).astype(np.float32)
    shading = ndimage.gaussian_filter(np.mean(frames, 0, np.float32) - level, SMOOTH)
    rows, columns, residuals = [], [], []
    square, fixed = np.zeros(h), np.zeros((h, w), np.float32)
    points = np.zeros((3, len(sizes), _BINS))
    for f in frames:
        f -= step * np.rint(shading / step).astype(np.int32)  # values stay on their grid
        x = f - level
        rows.append(x.mean(1, dtype=np.float64))
        columns.append(x.mean(0, dtype=np.float64))
        points += _points(f, black, rows[-1], bands, step, spread)
        x -= (rows[-1][:, None] + columns[-1] - rows[-1].mean()).astype(np.float32)
        square += (x**2).sum(1, dtype=np.float64)
        fixed += x / n
        residuals = [*residuals, x][:2]
    square -= n * (fixed**2).sum(1, dtype=np.float64)
    variance = mean_of(square / ((n - 1) * (h - 1) / h * (w - 1)))
    gauss = _root(variance, step**2 / 12, step)
    row = _root(mean_of(_squared_offsets(rows)), variance.value / w, step)
    squares = _squared_offsets(columns)
    column = Measured(squares.mean(), _draws(rng, w) @ squares / w)
    still = max(0.0, float((fixed**2).sum() / (h - 1) / (w - 1)) - variance.value / n)

    # A line's own mean was taken from its pixels, and what is fixed is in single frames too.
    shrink = np.sqrt((1 - 1 / w) * (1 + still / variance.value))
    plot = _plot(points.sum(1), shrink)
    shape, scale, straight = fit_tukey(plot)
    drawn = [fit_tukey(_plot(np.tensordot(draw, points, (0, 1)), shrink)) for draw in draws]
    shapes, scales, _ = np.transpose(drawn)
    offsets = row.value * rng.standard_normal((h, 1)) + level
    others = {"tukey": scale * tukey_lambda(rng, shape, (h, w)) + offsets,
              "gauss": gauss.value * rng.standard_normal((h, w)) + offsets,
              "real": frames[1]}  # fmt: skip
    noise = residuals[1] - residuals[0]
    alike = [noise[ch:] * noise[:-ch], noise[:, cw:] * noise[:, :-cw]]
    return DarkNoise(
        black, mean_of(lines.mean(1)), variance, gauss, Measured(scale, scales),
        Measured(shape, shapes), row, _root(column, variance.value / h, step), still**0.5,
        (bright > far).mean() + (dark < -far).mean(), step,
        float(np.mean([a.mean() for a in alike]) / (noise**2).mean()), at_zero,
        {"tukey": straight, "gauss": plot.correlation(stats.norm.ppf(plot.shares))[0]},
        {k: _distance(frames[0], x, step, spread) for k, x in others.items()},
        plot, np.array(rows), shading,
    )  # fmt: skip


def _points(frame, black, offsets, bands, step, spread):
    """Of the probability plot: pixels below, pixels, sum of values, (3, bands, _BINS).

    A pixel of value k was anything up to k + 1/2 before it was rounded. So the share of a line's
    pixels up to k is exact at k + 1/2, less the line's offset and its black level, and lines of
    different offsets give different points: rounding does not blur the plot.
    """
    (h, w), (ch, cw), reach = frame.shape, black.shape, (_REACH + 1) * spread
    low, high = int(black.min() + offsets.min() - reach), int(black.max() + offsets.max() + reach)
    low = int(frame.min()) + max(0, low - int(frame.min())) // step * step
    edges = np.arange(low, high, step * max(1, round(spread / 8 / step)))
    index = np.searchsorted(edges, np.arange(low, high + 1))[np.clip(frame, low, high) - low]
    index += (np.arange(h)[:, None] * cw + np.arange(w) % cw) * (len(edges) + 1)
    counts = np.bincount(index.ravel(), minlength=h * cw * (len(edges) + 1))
    below = counts.reshape(h, cw, -1).cumsum(2)[..., :-1]
    values = edges + step / 2 - (black[np.arange(h) % ch] + offsets[:, None])[..., None]
    bins = np.floor(values * (_BINS / 2 / _REACH / spread)).astype(int) + _BINS // 2
    inside = (bins >= 0) & (bins < _BINS)
    bins = (bins + bands[:, None, None] * _BINS)[inside]
    size, n = (bands.max() + 1) * _BINS, w // cw
    totals = below[inside], np.full(len(bins), n), n * values[inside]
    return np.stack([np.bincount(bins, t, size) for t in totals]).reshape(3, -1, _BINS)


def _plot(points, shrink):
    below, pixels, values = points[:, (points[0] >= 20) & (points[1] - points[0] >= 20)]
    shares = below / pixels
    return ProbabilityPlot(values / pixels / shrink, shares, pixels * shares * (1 - shares))


def fit_tukey(plot: ProbabilityPlot) -> tuple[float, float, float]:
    """(lambda, scale, PPCC) of the Tukey-lambda distribution whose probability plot is straightest,
    as in Filliben 1975 and Wei et al., CVPR 2020."""
    from scipy import optimize

    def fit(shape):
        return plot.correlation(tukey_quantile(plot.shares, shape))

    shape: Any = optimize.fminbound(lambda x: -fit(x)[0], -0.49, 0.9)
    return float(shape), fit(shape)[1], fit(shape)[0]


def _draws(rng, n):
    """How often each of n things is drawn: (DRAWS, n)."""
    return rng.multinomial(n, np.full(n, 1 / n), DRAWS)


def _squared_offsets(lines):
    """(n frames, size) -> (size,), of which the mean is the variance from frame to frame."""
    x = np.array(lines) - np.mean(lines, 1, keepdims=True)
    return ((x - x.mean(0)) ** 2).sum(0) / ((len(x) - 1) * (1 - 1 / x.shape[1]))


def _root(variance, less, step):
    """The root of a variance less a part of it, and never quite 0: its logarithm will be taken."""
    value, draws = (np.sqrt(np.maximum(v - less, (0.02 * step) ** 2)) for v in variance)
    return Measured(float(value), draws)


def _distance(frame, other, step, spread):
    """Half the sum of the absolute differences of two histograms: 0 is alike, 1 apart."""
    width = max(1, round(spread / 8 / step))
    bins = [np.rint((x - frame.min()) / step).astype(int) // width for x in (frame, other)]
    least, most = min(b.min() for b in bins), max(b.max() for b in bins)
    a, b = (np.bincount((b - least).ravel(), minlength=most - least + 1) / b.size for b in bins)
    return float(np.abs(a - b).sum() / 2)


def _common(frames, cell):
    """(H, W) that all frames have, cut to whole cells."""
    shapes = {np.shape(f) for f in frames}
    if len(frames) < 2 or len(shapes) > 1 or len(shape := shapes.pop()) != 2 or min(shape) < 32:
        raise ShapeError("frames are two or more mosaics (H, W) of one size of at least 32x32")
    return shape[0] // cell[0] * cell[0], shape[1] // cell[1] * cell[1]


class PhotonTransfer(NamedTuple):
    """What pairs of flats of one ISO say."""

    gain: Measured  # K, DN per electron
    prnu: float  # how much the pixels differ in sensitivity; 1 % is 0.01
    bend: float  # K of the brighter half of the blocks over the darker's, less 1; 0 if by chance
    correlation: float  # of neighbours of one colour; 0 in a true raw
    gaps: float  # share of values between the quartiles that never occur; 0 in a true raw
    saturation: int | None  # the value at which pixels pile up, where some do
    mean: np.ndarray  # (blocks,), DN above black
    variance: np.ndarray  # (blocks,), DN^2
    left_out: float  # share of blocks that were clipped or did not fit, as where something moved


def photon_transfer(pairs, black, white, floor=0.0, fixed=0.0, seed=0) -> PhotonTransfer:
    """The system gain K, by photon transfer: variance = K * mean + floor.

    Half the variance of the difference of two equal flats is free of all that both share: dust,
    gradients, the pixels' own sensitivities. It is taken in blocks of 16x16 pixels of one filter
    position, less the means of their lines and columns: so vignetting gives many levels, and row
    noise and uneven light nothing. A flat of another level is brought to that of its partner.

    Args:
        pairs: [(a, b), ...] of one ISO, uint16 (H, W) each.
        black: level of each position of the filter cell, (2, 2) or (6, 6); white: white level.
        floor, fixed: variance without light, a number or Measured, and what is fixed then.
    Raises:
        ShapeError: sizes that differ or hold no block. OptionError: all is clipped, or too dark.
    """
    black, flats = np.asarray(black, np.float64), [np.asarray(f) for pair in pairs for f in pair]
    (h, w), cell, rng = _common(flats, black.shape), black.shape, np.random.default_rng(seed)
    floor = floor if isinstance(floor, Measured) else Measured(floor, np.full(DRAWS, floor))
    top = max(int(f.max()) for f in flats)
    piled = top >= white or max(float((f == top).mean()) for f in flats) > 1e-3
    room = (min(white, top) if piled else white) - black.max()
    freedom, blocks, alike = (BLOCK - 1) ** 2, [], []
    for a, b in zip(flats[::2], flats[1::2], strict=True):
        a, b = (_blocks(f[:h, :w] - tile(black, (h, w)), cell) for f in (a, b))
        mean, ratio = a.mean((1, 2)), np.median(a) / max(np.median(b), 1e-9)
        a, b = (x - x.mean(1, keepdims=True) - x.mean(2, keepdims=True) for x in (a, b))
        a, b = (x - x.mean((1, 2), keepdims=True) for x in (a, b))
        noise = a - ratio * b
        v = (noise**2).sum((1, 2)) / freedom  # K * mean * (1 + ratio) + floor * (1 + ratio^2)
        v = (v - floor.value * (1 + ratio**2)) / (1 + ratio) + floor.value
        blocks.append((mean, v, ratio * (a * b).sum((1, 2)) / freedom - fixed**2))
        # Taking 16 pixels' mean away made neighbours differ by a fifteenth.
        near = (noise[..., 1:] * noise[..., :-1]).mean() / max((noise**2).mean(), 1e-9)
        alike.append(near + 1 / (BLOCK - 1))
    mean, v, still = np.concatenate(blocks, 1)
    keep, gain = (mean > 0) & (mean < 0.8 * room), 0.0
    for _ in range(4):
        if not keep.any() or np.median(v[keep]) < 1.1 * floor.value:
            what = "no part of the flats is both above the noise and below white"
            raise OptionError(what, todo="expose them to 5 to 60 % of the scale")
        gain = gain or float(np.median((v - floor.value)[keep] / mean[keep]))
        # Chosen by what the model says of a block, not by its own noise.
        model = gain * mean.clip(0) + floor.value
        keep = (mean > 0) & (mean + 6 * np.sqrt(model) < room)
        keep &= _near(v / model - 1, np.median(np.abs(v / model - 1)[keep]))
        gain = _slope(mean[keep], v[keep] - floor.value, model[keep])
    left_out = float(1 - keep.mean())
    mean, v, still, model = (x[keep] for x in (mean, v, still, model))
    sums = [np.bincount(np.arange(len(v)) % BANDS, x / model**2, BANDS)
            for x in (mean * v, mean, mean**2)]  # fmt: skip
    mv, m, mm = (_draws(rng, BANDS) @ np.transpose(sums)).T
    halves = [mean > np.median(mean), mean <= np.median(mean)]
    bright, dark = (_slope(mean[k], v[k] - floor.value, model[k]) for k in halves)
    errors = [2 / freedom / ((mean / model)[k] ** 2).sum() / gain**2 for k in halves]
    bend = bright / dark - 1
    low, high = np.quantile(flats[-1], (0.25, 0.75)).astype(int)
    values = np.unique(flats[-1][(flats[-1] >= low) & (flats[-1] <= high)])
    size = (high - low) // max(1, int(np.gcd.reduce(values - low))) + 1
    gaps = 1 - len(values) / size if flats[-1].size > 40 * size else 0.0  # else by chance
    off = still / model - np.median(still / model)
    near = _near(off, np.median(np.abs(off)))
    prnu = _slope(mean[near] ** 2, still[near], model[near])
    return PhotonTransfer(
        Measured(gain, (mv - floor.draws * m) / mm), max(0.0, prnu) ** 0.5,
        bend if bend**2 > 16 * sum(errors) else 0.0, float(np.mean(alike)), gaps,
        top if piled else None, mean, v, left_out,
    )  # fmt: skip


def _blocks(x, cell):
    """(H, W) -> (blocks, 16, 16), of one filter position each."""
    (h, w), (ch, cw), n = x.shape, cell, BLOCK
    rows, columns = h // (n * ch), w // (n * cw)
    if not rows * columns:
        raise ShapeError(f"frames of {h}x{w} do not hold a block of {n * ch}x{n * cw}")
    x = x[: rows * n * ch, : columns * n * cw].reshape(rows, n, ch, columns, n, cw)
    return x.transpose(0, 3, 2, 5, 1, 4).reshape(-1, n, n)


def _near(x, median):
    """Which numbers lie within six standard deviations of 0, by the median of their sizes."""
    return np.abs(x) <= 6 * 1.4826 * median


def _slope(x, y, spread):
    """The slope of a line through 0, by least squares; errors of y are as `spread`."""
    return float((x * y / spread**2).sum() / (x**2 / spread**2).sum())


def fit_line(gains, scales, typical) -> tuple[Measured, ...]:
    """ln(scale) = slope * ln(K) + bias over ISOs, from as many `Measured` of each: (slope, bias,
    sigma), the last the standard deviation of what is left. One ISO has the slope of `typical`,
    another such line, and two have its sigma."""

    def fit(*points):
        x, y = np.log(points)
        slope = np.polyfit(x, y, 1)[0] if len(x) > 1 else typical[0]
        left = y - slope * x
        return (
            slope,
            left.mean(),
            left.std() * (len(x) / (len(x) - 2)) ** 0.5 if len(x) > 2 else typical[2],
        )

    drawn = zip(*(np.transpose([m.draws for m in ms]) for ms in (gains, scales)), strict=True)
    draws = np.transpose([fit(*points) for points in drawn])
    value = fit(*([m.value for m in ms] for ms in (gains, scales)))
    return tuple(Measured(float(v), d) for v, d in zip(value, draws, strict=True))
