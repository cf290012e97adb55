"""Exercises of notebook 02."""

import math

from ...sensor import noise
from .common import ANY, exercise, near


@exercise("02.1", 1, lambda snr, ratio: snr / ratio**0.5, [(99, 300), (40, 16)], relative=0.02)
def snr_after_multiplying(answer, truth, snr, ratio):
    """Right: the multiplication changes nothing. The shutter did it, by a square root."""
    yield snr, "That brings the brightness back, not the photons: the noise is stretched too."
    yield snr / ratio, "The signal fell by the ratio, but its noise fell too, by the root."
    yield True, "How many electrons make that SNR? How many are left?"


@exercise("02.2", 1, lambda: 0.0, [()], absolute=0.5)
def variance_of_a_burnt_flat(answer, truth):
    """Right: the cleanest flat says nothing. Calibrations leave the top of the scale out."""
    camera = noise.SONY_A7S2
    line = noise.noise_levels(camera, 1600).moments(2 * (camera.white_level - camera.black_level))
    clip = f"No pixel holds more than {camera.white_level} DN: follow a few of them to the clip."
    yield near(answer, line[1], 0.1), f"That is what the straight line says. {clip}"
    yield True, f"The camera says otherwise. {clip}"


@exercise("02.3", 1, lambda: (0.5, 1.0), [()], relative=0.05)
def row_noise_left(answer, truth):
    """Right: time averages row noise away, width does not. It hangs there like a curtain."""
    yield (0.5, ANY), "Four columns: neighbours share one draw. What is their mean?"
    yield True, "Four frames are four draws. How much does the mean of four dice vary?"


@exercise("02.4", 1, lambda floor: floor**2, [2.0, 3.0, 10.0], relative=0.1)
def crossover_electrons(answer, truth, floor):
    """Right: a floor of 3 electrons rules up to 9. The square is why read noise matters."""
    yield answer <= 0, "Light comes in positive numbers."
    yield floor, "That compares a count with a standard deviation. Compare variances."
    yield True, "A photon count's variance is the count; compare it with that of the floor."


@exercise("02.5", 2, lambda sigma: sigma / (2 * math.pi) ** 0.5, [2.0, 3.0, 8.0], relative=0.02)
def black_after_clip(answer, truth, sigma):
    """Right: two fifths of sigma, out of nothing. It looks like light."""
    yield 0, "Noise averages to 0 only with both halves, and the clip throws one of them away."
    twice = 2 * truth
    yield twice, "That is the mean of |noise|. The clip does not mirror, it sets to zero."
    yield True, "Integrate x times the Gaussian density from 0 up: it has a closed form."


@exercise("02.6", 1, lambda: (1.0, 0.5**0.5), [()], relative=0.02)
def halve_light_double_iso(answer, truth):
    """Right: as bright, and noisier. A higher ISO does not bring photons back."""
    yield (1.0, ANY), "The SNR: the DN look the same; now count the electrons behind them."
    yield True, "The brightness: half the electrons, and each is worth twice as many DN."
