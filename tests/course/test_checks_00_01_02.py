"""The checks of notebooks 00 to 02 accept right answers and answer wrong ones with a hint."""

import io
import math

import numpy as np
import rawpy
from support.checks import accepts, laws

from lowlight_lib.sensor import cfa, colorimetry, isp, noise, raw


def gains(pattern, four):
    four = np.array(four)
    four[3] = four[3] or four[1]
    return four[pattern]


def flat(cell=cfa.RGGB, shape=(24, 24), dn=4000, black=512, orientation=1):
    """A grey frame of the course's camera."""
    mosaic, camera = np.full(shape, dn, np.uint16), noise.SONY_A7S2
    levels = black, camera.white_level, camera.white_balance, camera.color_matrix
    return raw.RawImage(mosaic, cell, *levels, orientation)


def in_libraw(image):
    return rawpy.imread(io.BytesIO(raw.encode_dng(image)))


def turned(shape, orientation):
    with in_libraw(flat(shape=shape, orientation=orientation)) as file:
        return file.postprocess().shape[:2]


def srgb(x):
    return np.where(x <= 0.0031308, 12.92 * x, power(x))


def power(x):
    return 1.055 * np.maximum(x, 0) ** (1 / 2.4) - 0.055


def drawn_snr(snr, ratio):
    counts = np.random.default_rng(0).poisson(snr**2 / ratio, 500_000) * ratio
    return counts.mean() / counts.std()


def burnt():
    return noise.expose(np.ones((256, 256)), 0.5, noise.SONY_A7S2, iso=1600, rng=0).var()


def averaged():
    levels = noise.NoiseLevels(gain=1.0, read=0.0, row=50.0, shape=None)  # row noise and no other
    rng = np.random.default_rng(0)
    frames = [noise.expose(np.zeros((8192, 4)), 1, rng=rng, levels=levels) for _ in range(4)]
    left = np.mean(frames, 0)[:, 0].std(), frames[0].mean(1).std()
    return np.array(left) / frames[0][:, 0].std()


def clipped(sigma):
    levels = noise.NoiseLevels(gain=8.0, read=8.0 * sigma, row=0.0, shape=None)
    dark = noise.expose(np.zeros((1024, 1024)), 1, rng=0, levels=levels)
    return np.maximum(dark.astype(float) - 512, 0).mean() / levels.gain


def at_twice_the_iso():
    grey = np.full((512, 512), 0.5)
    frames = [noise.expose(grey, 1, iso=iso, rng=0).astype(float) - 512 for iso in (400, 800)]
    (mean, snr), (new_mean, new_snr) = [(f.mean(), f.mean() / f.std()) for f in frames]
    return new_mean / mean, new_snr / snr


RIGHT = {
    "black_after_forgetting": lambda black, white, ratio: min(1.0, black * ratio / white),
    "gains_of_cell": gains,
    "shape_of_picture": turned,
    "value_of_black": lambda true, used, _, r: r * flat(dn=true, black=used).normalized().max(),
    "rows_and_columns_to_rggb": lambda name: cfa.to_rggb(flat(cfa.BAYER[name]))[1],
    "sid_planes": lambda packed: packed[[0, 1, 3, 2]],
    "phase_after_both_flips": lambda: "bggr",
    "share_of_invented_numbers": lambda: 1 - flat().mosaic.size / isp.develop(flat()).size,
    "srgb_encode": srgb,
    "snr_after_multiplying": drawn_snr,
    "variance_of_a_burnt_flat": burnt,
    "row_noise_left": averaged,
    "crossover_electrons": lambda floor: floor**2,
    "black_after_clip": clipped,
    "halve_light_double_iso": at_twice_the_iso,
}
WRONG = [
    ("black_after_forgetting", lambda black, white, ratio: black * ratio / white, "Clip"),
    ("black_after_forgetting", lambda black, white, ratio: 0, "been subtracted"),
    ("black_after_forgetting", lambda black, white, ratio: black / white, "over the white level"),
    ("gains_of_cell", lambda pattern, four: np.array(four)[pattern], "none is recorded"),
    ("gains_of_cell", lambda p, four: np.array([*four[:3], four[1]])[p], "greens differ"),
    ("gains_of_cell", lambda pattern, four: gains(3 - pattern, four), "place by place"),
    ("shape_of_picture", lambda shape, orientation: shape, "on its side"),
    ("value_of_black", lambda t, used, w, r: (t - used) / (w - used) * r, "clip below black"),
    ("value_of_black", lambda true, used, white, r: 0.0, "amplify last"),
    ("rows_and_columns_to_rggb", lambda name: (1, 1), "is the first one R"),
    ("sid_planes", lambda packed: packed, "clockwise"),
    ("sid_planes", lambda packed: packed[[0, 1, 3, 3]], "only the order changes"),
    ("phase_after_both_flips", lambda: "RGGB", "cancel nothing"),
    ("phase_after_both_flips", lambda: "GRBG", "one flip alone"),
    ("phase_after_both_flips", lambda: "RGB", "as in RGGB"),
    ("share_of_invented_numbers", lambda: 1 / 3, "asks for the rest"),
    ("share_of_invented_numbers", lambda: 0.5, "Count for one pixel"),
    ("srgb_encode", colorimetry.bt709_encode, "BT.709"),
    ("srgb_encode", power, "straight line"),
    ("srgb_encode", np.sqrt, "x = 0.001, on the straight"),
    ("snr_after_multiplying", lambda snr, ratio: snr, "not the photons"),
    ("snr_after_multiplying", lambda snr, ratio: snr / ratio, "its noise fell too"),
    ("snr_after_multiplying", lambda snr, ratio: 1.0, "How many electrons"),
    ("variance_of_a_burnt_flat", lambda: 1e6, "follow a few of them to the clip"),
    ("row_noise_left", lambda: (0.5, 0.5), "share one draw"),
    ("row_noise_left", lambda: (1.0, 1.0), "four dice"),
    ("crossover_electrons", lambda floor: floor, "Compare variances"),
    ("crossover_electrons", lambda floor: -1, "positive"),
    ("crossover_electrons", lambda floor: 2 * floor**2, "is the count"),
    ("black_after_clip", lambda sigma: 0, "throws one of them away"),
    ("black_after_clip", lambda sigma: 2 * sigma / math.sqrt(2 * math.pi), "does not mirror"),
    ("black_after_clip", lambda sigma: sigma, "closed form"),
    ("halve_light_double_iso", lambda: (0.5, 0.5**0.5), "worth twice as many"),
    ("halve_light_double_iso", lambda: (1.0, 1.0), "behind them"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_filters_are_numbered_as_libraw_does():
    seen = []
    accepts("gains_of_cell", lambda pattern, four: seen.append(pattern) or gains(pattern, four))
    for cell, pattern in zip(cfa.BAYER.values(), seen[::3], strict=True):
        with in_libraw(flat(cell)) as file:
            np.testing.assert_array_equal(file.raw_pattern, pattern)
