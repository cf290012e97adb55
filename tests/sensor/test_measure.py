"""The statistics of a calibration against frames whose noise is known."""

import dataclasses

import numpy as np
import pytest
from support import calibration as simulated

from lowlight_lib.errors import OptionError, ShapeError
from lowlight_lib.sensor import cfa, measure, noise
from lowlight_lib.sensor.cameras import CAMERAS

SONY = CAMERAS["sony_a7s2"]
SHAPE = (384, 576)
# What issue and docs promise of 8 darks and 6 flats: relative, but for the shape and black (DN).
PROMISED = {"gain": 0.02, "gauss": 0.05, "tukey": 0.05, "row": 0.05, "tukey_shape": 0.03,
            "black_mean": 0.1}  # fmt: skip


def measured(camera, darks, pairs, seed=0):
    dark = measure.dark_noise(darks, camera.cfa.shape, seed)
    known = dark.black, camera.white_level, dark.variance, dark.fixed
    return dark, measure.photon_transfer(pairs, *known, seed=seed)


def errors(camera, iso, rng, **frames):
    """{name: (how far off, in what is promised; is the truth in the 95 % interval)}."""
    dark, transfer = measured(camera, *simulated.arrays(camera, iso, rng, **frames))
    found = {}
    for name, true in simulated.truth(camera, iso).items():
        m = transfer.gain if name == "gain" else getattr(dark, name)
        size = 1 if name in ("tukey_shape", "black_mean") else true
        low, high = m.interval
        found[name] = abs(m.value - true) / size / PROMISED[name], low <= true <= high
    return found


@pytest.mark.parametrize("key", CAMERAS)
def test_the_five_cameras_are_found_again(key):
    iso = {"nikon_d850": 100, "canon_5d4": 400}.get(key, 1600)
    found = errors(CAMERAS[key], iso, np.random.default_rng(7), shape=SHAPE)
    assert {name for name, (off, _) in found.items() if off > 1} == set()


def random_ones(n):
    return [simulated.random_camera(np.random.default_rng(100 + k)) for k in range(n)]


def test_random_cameras_are_found_again():
    """Within twice the 95 % interval: four standard errors."""
    for k, camera in enumerate(random_ones(4)):
        iso = (100, 400, 1600, 6300)[k]
        frames = simulated.arrays(camera, iso, np.random.default_rng(k), shape=SHAPE)
        dark, transfer = measured(camera, *frames)
        for name, true in simulated.truth(camera, iso).items():
            m = transfer.gain if name == "gain" else getattr(dark, name)
            assert abs(m.value - true) < 4 * m.draws.std(), (camera, name)
            assert m.draws.std() < 0.1 * abs(true) or name in ("row", "tukey_shape")


@pytest.mark.slow
def test_all_that_is_promised_and_the_intervals():
    """Five cameras and twenty random ones, four ISOs, frames of 1000x1500: medians, coverage."""
    found = [
        errors(camera, iso, np.random.default_rng([n, iso]))
        for n, camera in enumerate([*CAMERAS.values(), *random_ones(20)])
        for iso in (100, 400, 1600, 6300)
    ]
    for name in PROMISED:
        assert np.median([f[name][0] for f in found]) < 1, name
        # Of 100 intervals; 95 +- 2.2 are expected.
        assert np.mean([f[name][1] for f in found]) >= 0.88, name
    assert 0.90 <= np.mean([f[name][1] for f in found for name in PROMISED]) <= 0.98


@pytest.mark.parametrize("name", ["GRBG", "BGGR", "XTRANS"])
def test_any_filters_and_black_levels_of_their_own(name):
    camera = dataclasses.replace(SONY, cfa_name=name)
    darks, pairs = simulated.arrays(camera, 1600, np.random.default_rng(1), shape=SHAPE)
    offsets = np.arange(camera.cfa.size).reshape(camera.cfa.shape) % 5
    shift = cfa.tile(offsets, SHAPE).astype(np.uint16)
    dark, transfer = measured(camera, [f + shift for f in darks],
                              [(a + shift, b + shift) for a, b in pairs])  # fmt: skip
    truth = simulated.truth(camera, 1600)
    # A position of X-Trans has 6144 pixels in 8 frames, and 64 lines with row noise of 0.7 DN.
    np.testing.assert_allclose(dark.black, 512 + offsets, atol=0.2)
    np.testing.assert_allclose(transfer.gain.value, truth["gain"], rtol=0.02)
    np.testing.assert_allclose(dark.tukey_shape.value, truth["tukey_shape"], atol=0.01)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_any_number_of_bits(bits):
    unit = 2.0 ** (bits - 14)
    read = max(0.6, 2 * unit)  # of 8 bits as good as there is: below, rounding hides it
    camera = dataclasses.replace(
        SONY, black_level=int(512 * unit) + 8, white_level=2**bits - 1,
        gain_range=(1.5 * unit / 16, 6 * unit), tukey=(0.0, np.log(read), 0.1),
        row=(0.0, np.log(read / 4), 0.1),
    )  # fmt: skip
    found = errors(camera, 1600, np.random.default_rng(bits), shape=SHAPE)
    assert {name for name, (off, _) in found.items() if off > 1} == set()


def test_values_in_steps_are_seen():
    darks, pairs = simulated.arrays(SONY, 6400, np.random.default_rng(2), shape=SHAPE)
    darks = [f // 4 * 4 for f in darks]  # 12 bits in the place of 14
    pairs = [(a // 4 * 4, b // 4 * 4) for a, b in pairs]
    dark, transfer = measured(SONY, darks, pairs)
    truth = simulated.truth(SONY, 6400)
    assert dark.step == 4
    for m, name in ((transfer.gain, "gain"), (dark.gauss, "gauss"), (dark.tukey, "tukey")):
        np.testing.assert_allclose(m.value, truth[name], rtol=0.03)
    assert dark.tukey_shape.value == pytest.approx(truth["tukey_shape"], abs=0.02)


def test_what_is_fixed_and_what_is_not():
    """A pattern of the pixels, shading, column noise, hot pixels, and unequal sensitivities."""
    rng, shape, iso = np.random.default_rng(3), SHAPE, 1600
    pattern = rng.normal(0, 1.5, shape) + np.linspace(-6, 6, shape[1])
    hot = rng.random(shape) < 5e-4
    darks, pairs = simulated.arrays(SONY, iso, rng, shape=shape)
    worse = []
    for f in darks:
        f = f + pattern + rng.normal(0, 0.8, shape[1])
        worse.append(np.rint(np.where(hot, f + 900, f)).astype(np.uint16))
    sensitive = 1 + rng.normal(0, 0.01, shape)
    scene = simulated.wall(shape)
    pairs = [
        tuple(noise.expose(scene * sensitive * level, 1, SONY, iso, rng) for _ in range(2))
        for level in simulated.LEVELS
    ]
    dark, transfer = measured(SONY, worse, pairs)
    truth = simulated.truth(SONY, iso)
    assert dark.hot == pytest.approx(hot.mean(), rel=0.02)
    assert dark.fixed == pytest.approx(1.5, rel=0.05)
    assert dark.column.value == pytest.approx(0.8, rel=0.1)  # of 8 x 576 draws
    assert np.ptp(dark.shading[::8, 32:-32]) == pytest.approx(12 * (1 - 64 / 575), rel=0.15)
    assert transfer.prnu == pytest.approx(0.01, rel=0.05)
    for m, name, off in ((dark.gauss, "gauss", 0.01), (dark.row, "row", 0.06),
                         (transfer.gain, "gain", 0.01)):  # fmt: skip
        np.testing.assert_allclose(m.value, truth[name], rtol=off)
    # Of single frames, in which a normal pattern and normal columns make the tails lighter.
    assert truth["tukey_shape"] < dark.tukey_shape.value < truth["tukey_shape"] + 0.05


def test_a_light_that_flickers_and_dust_that_moves_leave_the_gain_right():
    rng, scene = np.random.default_rng(4), simulated.wall(SHAPE)
    dusty = scene.copy()
    dusty[100:140, 200:260] *= 0.6
    pairs = [
        (noise.expose(scene * level, 1, SONY, 1600, rng),
         noise.expose(dusty * level * 1.1, 1, SONY, 1600, rng))
        for level in simulated.LEVELS
    ]  # fmt: skip
    floor = noise.noise_levels(SONY, 1600).read_variance() + 1 / 12
    transfer = measure.photon_transfer(pairs, np.full((2, 2), 512), SONY.white_level, floor)
    assert transfer.gain.value == pytest.approx(SONY.gain(1600), rel=0.01)
    assert 0 < transfer.left_out < 0.05


def test_denoised_and_lossy_raws_are_seen():
    darks, pairs = simulated.arrays(SONY, 1600, np.random.default_rng(5), shape=SHAPE)
    true = measured(SONY, darks, pairs)

    def smoothed(f):
        """Each pixel as the mean of three of its colour."""
        x = f.astype(float)
        x[:, 2:-2] = (x[:, 2:-2] + x[:, 4:] + x[:, :-4]) / 3
        return np.rint(x).astype(np.uint16)

    def cleaned(f):
        """Less noise where there is more light."""
        light = simulated.wall(SHAPE) * np.median(f / simulated.wall(SHAPE))
        x = light + (f - light) * np.sqrt(2000 / (2000 + np.maximum(light - 512, 0)))
        return np.rint(x).astype(np.uint16)

    assert abs(true[0].correlation) < 0.01 > abs(true[1].correlation)
    assert true[1].bend == 0
    dark, transfer = measured(SONY, [smoothed(f) for f in darks],
                              [tuple(map(smoothed, p)) for p in pairs])  # fmt: skip
    assert dark.correlation > 0.2 < transfer.correlation
    assert measured(SONY, darks, [tuple(map(cleaned, p)) for p in pairs])[1].bend < -0.2


def test_a_clipped_flat_shows_where_the_sensor_is_full():
    rng = np.random.default_rng(6)
    lower = dataclasses.replace(SONY, white_level=15000)  # than the file will say
    darks, pairs = simulated.arrays(lower, 800, rng, shape=SHAPE, levels=(0.3, 1.4))
    dark = measure.dark_noise(darks)
    transfer = measure.photon_transfer(pairs, dark.black, 16383, dark.variance)
    assert transfer.saturation == 15000 and transfer.left_out > 0.3
    assert transfer.gain.value == pytest.approx(SONY.gain(800), rel=0.02)
    full = [(np.full(SHAPE, 15000, np.uint16),) * 2]
    with pytest.raises(OptionError, match="below white"):
        measure.photon_transfer(full, dark.black, 15000)


def test_the_model_that_fits_is_told_from_the_one_that_does_not():
    rng = np.random.default_rng(8)
    tails, _ = simulated.arrays(SONY, 1600, rng, shape=SHAPE, levels=())
    normal = [noise.expose(np.zeros(SHAPE), 1, SONY, 1600, rng, "gauss") for _ in range(4)]
    a, b = measure.dark_noise(tails), measure.dark_noise(normal)
    assert a.ppcc["tukey"] > 0.9999 > 0.99 > a.ppcc["gauss"]
    assert a.distance["gauss"] > 5 * a.distance["tukey"] < 10 * a.distance["real"]
    assert b.ppcc["gauss"] > 0.9999 and b.distance["gauss"] < 2 * b.distance["real"]
    assert b.tukey_shape.value == pytest.approx(0.14, abs=0.02)  # which is all but normal


def test_a_line_goes_through_what_lies_on_it():
    gains = [measure.Measured(k, np.full(measure.DRAWS, k)) for k in (0.1, 0.4, 1.6, 6.4)]
    scales = [measure.Measured(2 * g.value**0.5, 2 * g.draws**0.5) for g in gains]
    typical = (0.7, 9.0, 0.25)
    for n, expected in ((4, (0.5, np.log(2), 0)), (2, (0.5, np.log(2), 0.25))):
        line = measure.fit_line(gains[:n], scales[:n], typical)
        np.testing.assert_allclose([m.value for m in line], expected, atol=1e-9)
    slope, bias, sigma = measure.fit_line(gains[:1], scales[:1], typical)
    assert (slope.value, sigma.value) == (0.7, 0.25)
    assert bias.value + 0.7 * np.log(0.1) == pytest.approx(np.log(2 * 0.1**0.5))


@pytest.mark.parametrize("frames", [[np.zeros(SHAPE)], [np.zeros((64, 64)), np.zeros((64, 66))],
                                    [np.zeros((8, 8))] * 2])  # fmt: skip
def test_frames_that_say_nothing_are_refused(frames):
    with pytest.raises(ShapeError, match=r"two or more mosaics|do not hold a block"):
        measure.dark_noise(frames)
    with pytest.raises(ShapeError, match=r"two or more mosaics|do not hold a block"):
        measure.photon_transfer([frames] if len(frames) == 2 else [], np.zeros((2, 2)), 100)
