"""The sensor model against its own theory; tolerances are five standard errors, draws seeded."""

import math
import types

import numpy as np
import pytest

from lowlight_lib.errors import OptionError, ShapeError
from lowlight_lib.sensor import noise
from lowlight_lib.sensor.noise import SONY_A7S2, NoiseLevels, expose, noise_levels, tukey_variance

BLACK, WHITE = SONY_A7S2.black_level, SONY_A7S2.white_level
SPAN = WHITE - BLACK
H, W = 500, 400
READS = ["tukey", "gauss"]


def central_moments(x):
    d = x - x.mean()
    return (d**2).mean(), (d**4).mean()


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("iso", [100, 1600, 6400])
@pytest.mark.parametrize("level, ratio", [(0.0, 2), (0.02, 2), (0.5, 2), (0.8, 100), (0.8, 300)])
def test_mean_and_variance(level, ratio, iso, read):
    frame = expose(np.full((H, W), level), ratio, iso=iso, rng=iso + int(100 * level), read=read)
    x = frame.astype(np.float64) - BLACK
    levels = noise_levels("sony_a7s2", iso, read)
    mean, variance = levels.moments(level / ratio * SPAN)
    row = levels.row**2
    # A row's offset is shared by its W pixels, so it averages over H draws only.
    standard_error = math.sqrt((variance - row) / x.size + row / H)
    assert abs(x.mean() - mean) < 5 * standard_error
    # Variance of a sample variance: (mu4 - mu2^2) / n for the pixels, 2 row^2 / H for the rows
    # (normal), plus twice their interaction, 4 row * variance / (H W), which is below both.
    mu2, mu4 = central_moments(x)
    standard_error = math.sqrt((mu4 - mu2**2) / x.size + 2 * row**2 / H + 4 * row * mu2 / x.size)
    assert abs(mu2 - variance) < 5 * standard_error


@pytest.mark.parametrize("read", READS)
def test_rows_are_correlated_as_theory_says_and_columns_are_not(read):
    rows, columns, iso = 2000, 500, 1600
    x = expose(np.zeros((rows, columns)), 1, iso=iso, rng=5, read=read).astype(np.float64)
    levels = noise_levels("sony_a7s2", iso, read)
    _, variance = levels.moments(0.0)
    row = levels.row**2
    # Two pixels of one row share the offset and nothing else: covariance R^2, correlation
    # R^2 / variance. Estimated between the means of the left and the right half of each row, whose
    # own variance is s; the covariance of n normal pairs has the variance (s^2 + R^4) / n.
    left, right = x[:, : columns // 2].mean(1), x[:, columns // 2 :].mean(1)
    s = row + (variance - row) / (columns // 2)
    standard_error = math.sqrt((s**2 + row**2) / rows)
    found = np.cov(left, right)[0, 1]
    assert abs(found - row) < 5 * standard_error
    assert row > 5 * standard_error  # and it is told from no row noise at all
    np.testing.assert_allclose(found / variance, row / variance, atol=5 * standard_error / variance)
    top, bottom = x[: rows // 2].mean(0), x[rows // 2 :].mean(0)
    s = (variance - row) / (rows // 2)  # the offsets are common to all columns: no spread there
    assert abs(np.cov(top, bottom)[0, 1]) < 5 * s / math.sqrt(columns)


@pytest.mark.parametrize("shape", [-0.2, -0.07, 0.0, 0.14, 1.0, 2.0])
def test_tukey_variance_by_integration(shape):
    # Var = integral of Q(p)^2 dp over (0, 1), Q being odd about 1/2; with p = 1 / (1 + e^-t) the
    # ends become smooth and the trapezoid rule converges fast.
    t = np.linspace(-150, 150, 600_001)
    log_p, log_q = -np.logaddexp(0, -t), -np.logaddexp(0, t)
    quantile = t if shape == 0 else (np.exp(shape * log_p) - np.exp(shape * log_q)) / shape
    integral = np.trapezoid(quantile**2 * np.exp(log_p + log_q), t)
    np.testing.assert_allclose(tukey_variance(shape), integral, rtol=1e-6)  # the rule's own error


def test_tukey_variance_is_continuous():
    # Continuous where the formula changes; it divides by shape^2, which costs eleven digits there.
    assert math.isclose(tukey_variance(2e-6), tukey_variance(0), rel_tol=5e-4)


def given(*values):
    """A generator that gives the probabilities it is told."""
    return types.SimpleNamespace(random=lambda size: np.array(values, np.float64).reshape(size))


@pytest.mark.parametrize("shape", [-0.07, 0.0, 0.13])
def test_tukey_quantiles(shape):
    p = np.array([0.1, 0.25, 0.5, 0.9])
    x = noise.tukey_lambda(given(*p), shape, 4)
    by_hand = [
        math.log(v / (1 - v)) if shape == 0 else (v**shape - (1 - v) ** shape) / shape for v in p
    ]
    np.testing.assert_allclose(x, by_hand, atol=1e-12)  # float64 powers
    assert x[2] == 0 and x[0] == pytest.approx(-x[3])
    assert np.isfinite(noise.tukey_lambda(given(0.0), shape, 1)).all()


def test_tukey_tails_are_heavier():
    def kurtosis(read):
        x = expose(np.zeros((H, W)), 1, iso=6400, rng=3, read=read).astype(np.float64)
        x -= x.mean(1, keepdims=True)  # without the rows' offsets
        mu2, mu4 = central_moments(x)
        return mu4 / mu2**2

    # A normal sample's kurtosis is 3 with variance 24/n; rounding and row means are below that.
    standard_error = math.sqrt(24 / (H * W))
    assert abs(kurtosis("gauss") - 3) < 5 * standard_error + 1e-2
    # Shape -0.07 has, by the integral over Q^4, a kurtosis of 5.67; shape 0 (logistic) has 4.2.
    assert kurtosis("tukey") > 4.5


def test_every_place_keeps_its_own_light():
    scene = np.linspace(0.1, 0.9, 40)[:, None] * np.linspace(0.5, 1, 60)[None]
    x = expose(scene, 1, iso=100, rng=0).astype(np.float64) - BLACK
    spread = np.sqrt(noise_levels("sony_a7s2", 100).moments(scene * SPAN)[1])
    assert (np.abs(x - scene * SPAN) < 8 * spread).all()  # 8: 2,400 draws, long tails


def test_dtype_levels_and_clipping():
    frame = expose(np.full((40, 50), 0.99), 0.5, rng=0)
    assert frame.dtype == np.uint16 and frame.shape == (40, 50)
    assert (frame == WHITE).all()
    loud = NoiseLevels(gain=1.0, read=5000.0, row=0.0, shape=None)
    frame = expose(np.zeros((100, 100)), 1, rng=0, levels=loud)
    assert frame.min() == 0 and frame.max() <= WHITE  # below zero is zero, not 65,000
    # Half of what lies below zero would have wrapped around: P(x < -512/5000) = 46 %; 5 errors.
    assert abs((frame == 0).mean() - 0.459) < 5 * math.sqrt(0.25 / frame.size)


@pytest.mark.parametrize("read", READS)
def test_same_seed_same_frame(read):
    scene = np.random.default_rng(0).random((30, 40)) - 0.1
    before = scene.copy()
    once = expose(scene, 100, rng=7, read=read)
    np.testing.assert_array_equal(once, expose(scene, 100, rng=7, read=read))
    generator = np.random.default_rng(7)
    np.testing.assert_array_equal(once, expose(scene, 100, rng=generator, read=read))
    assert (once != expose(scene, 100, rng=generator, read=read)).any()  # it goes on
    assert (once != expose(scene, 100, rng=8, read=read)).any()
    assert np.array_equal(scene, before)
    np.testing.assert_array_equal(once, expose(scene.clip(0), 100, rng=7, read=read))  # dark is 0


@pytest.mark.parametrize("iso, gain", [(100, 0.0939), (1600, 1.5024), (6400, 6.0096)])
def test_levels_lie_on_the_published_lines(iso, gain):
    tukey, gauss = (noise_levels("sony_a7s2", iso, read) for read in READS)
    assert tukey.gain == pytest.approx(gain) == gauss.gain
    # exp(bias) * K^slope with the published numbers; float64.
    assert gauss.read == pytest.approx(math.exp(1.2182) * gain**0.5407)
    assert tukey.read == pytest.approx(math.exp(0.5657) * gain**0.4621)
    assert tukey.row == gauss.row == pytest.approx(math.exp(-0.5917) * gain**0.5275)
    assert (tukey.shape, gauss.shape) == (-0.07, None)


def test_real_frames_scatter_around_the_lines():
    rng = np.random.default_rng(0)
    n = 2000
    drawn = [noise_levels("sony_a7s2", 800, "gauss", rng) for _ in range(n)]
    line = noise_levels("sony_a7s2", 800, "gauss")
    for field, sigma in (("read", 0.2675), ("row", 0.2943)):
        logs = np.log([getattr(d, field) for d in drawn])
        assert abs(logs.mean() - math.log(getattr(line, field))) < 5 * sigma / math.sqrt(n)
        assert abs(logs.std() - sigma) < 5 * sigma / math.sqrt(2 * n)


def test_moments_by_hand():
    gauss = NoiseLevels(gain=2.0, read=3.0, row=0.5, shape=None)
    assert gauss.moments(100.0) == (100.0, 2 * 100 + 9 + 0.25 + 1 / 12)
    logistic = NoiseLevels(gain=2.0, read=3.0, row=0.5, shape=0.0)
    assert logistic.read_variance() == pytest.approx(9 * math.pi**2 / 3)


@pytest.mark.parametrize(
    "change, error, word",
    [
        ({"camera": "kodak"}, OptionError, "sony_a7s2"),
        ({"iso": 99}, OptionError, "ISO"),
        ({"iso": 12800}, OptionError, "ISO"),
        ({"iso": float("nan")}, OptionError, "ISO"),
        ({"ratio": 0}, OptionError, "ratio"),
        ({"ratio": -3}, OptionError, "ratio"),
        ({"ratio": float("nan")}, OptionError, "ratio"),
        ({"read": "poisson"}, OptionError, "tukey"),
        ({"mosaic": np.full((4, 4), np.nan)}, ShapeError, "finite"),
        ({"mosaic": np.full((4, 4), np.inf)}, ShapeError, "finite"),
        ({"mosaic": np.zeros((1, 4, 4))}, ShapeError, "mosaic"),
    ],
)
def test_what_cannot_be_exposed_is_refused(change, error, word):
    arguments = {"mosaic": np.zeros((4, 4)), "ratio": 100, "rng": 0} | change
    with pytest.raises(error, match=word):
        expose(**arguments)
