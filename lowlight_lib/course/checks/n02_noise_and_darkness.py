"""Checks of notebook 02."""

import math

from ...sensor import noise
from .common import ANY, Judge, answer_of, near


def snr_after_multiplying(function) -> None:
    """Exercise 02/1.1: function(snr, ratio) -> SNR after 1/ratio of the light, multiplied back."""
    for snr, ratio in ((100, 300), (100, 1), (40, 16)):
        hint = Judge(function, (snr, ratio), snr / ratio**0.5)
        hint[snr] = "That brings the brightness back, not the photons: the noise is stretched too."
        hint[snr / ratio] = "The signal fell by the ratio, but its noise fell too, by the root."
        hint[...] = "How many electrons make that SNR? How many are left?"
    print("Right: the multiplication changes nothing. The shutter did it, by a square root.")


def variance_of_a_burnt_flat(function) -> None:
    """Exercise 02/2.1: function() -> variance in DN² of a flat with twice the light of white."""
    camera = noise.SONY_A7S2
    line = noise.noise_levels(camera, 1600).moments(2 * (camera.white_level - camera.black_level))
    hint = Judge(function, (), 0, absolute=0.5)
    clip = f"No pixel holds more than {camera.white_level} DN: follow a few of them to the clip."
    hint[lambda answer: near(answer, line[1], 0.1)] = f"That is what the straight line says. {clip}"
    hint[...] = f"The camera says otherwise. {clip}"
    print("Right: the cleanest flat says nothing. Calibrations leave the top of the scale out.")


def row_noise_left(function) -> None:
    """Exercise 02/3.1: function() -> shares of row noise left by four frames, by four columns."""
    hint = Judge(function, (), (0.5, 1.0), relative=0.05)
    hint[(0.5, ANY)] = "Four columns: neighbours share one draw. What is their mean?"
    hint[...] = "Four frames are four draws. How much does the mean of four dice vary?"
    print("Right: time averages row noise away, width does not. It hangs there like a curtain.")


def crossover_electrons(function) -> None:
    """Exercise 02/4.1: function(floor) -> the signal where photon noise equals that floor."""
    for floor in (2.0, 3.0, 10.0):
        answer = float(answer_of(function, floor))
        assert answer > 0, f"You said {answer:.3g} electrons. Light comes in positive numbers."
        times = answer / floor**2
        hint = "Compare variances. " if answer == floor else ""
        said = f"At {answer:.3g} electrons photons bring {times:.2f} times its variance."
        assert near(times, 1, 0.1), f"{said} {hint}A photon count's variance is the count."
    print("Right: a floor of 3 electrons rules up to 9. The square is why read noise matters.")


def black_after_clip(function) -> None:
    """Exercise 02/5.1: function(sigma) -> mean of a clipped black frame, all in electrons."""
    for sigma in (2.0, 3.0, 8.0):
        truth = sigma / (2 * math.pi) ** 0.5
        hint = Judge(function, (sigma,), truth)
        hint[0] = "Noise averages to 0 only with both halves, and the clip throws one of them away."
        hint[2 * truth] = "That is the mean of |noise|. The clip does not mirror, it sets to zero."
        hint[...] = "Integrate x times the Gaussian density from 0 up: it has a closed form."
    print("Right: two fifths of sigma, out of nothing. It looks like light.")


def halve_light_double_iso(function) -> None:
    """Exercise 02/5.2: function() -> factors on the brightness and the SNR of a bright grey."""
    hint = Judge(function, (), (1.0, 0.5**0.5))
    hint[(1.0, ANY)] = "The SNR: the DN look the same; now count the electrons behind them."
    hint[...] = "The brightness: half the electrons, and each is worth twice as many DN."
    print("Right: as bright, and noisier. A higher ISO does not bring photons back.")
