"""Checks of notebook 02."""

from __future__ import annotations

import numpy as np

from ...sensor import noise
from .common import near


def snr_after_multiplying(function) -> None:
    """Exercise 02/1.1: function(snr, ratio) -> SNR after 1/ratio of the light, multiplied back."""
    rng = np.random.default_rng(0)
    for snr, ratio in ((100, 300), (100, 1), (40, 16)):
        counts = rng.poisson(snr**2 / ratio, 500_000) * ratio
        truth = counts.mean() / counts.std()
        answer = float(function(snr, ratio))
        wrong = f"snr={snr}, ratio={ratio}: you said {answer:.3g}, drawn photons say {truth:.3g}."
        assert ratio == 1 or not near(answer, snr), (
            f"{wrong} Multiplying brings the brightness back, not the photons: it stretches the "
            "noise by the same factor as the signal."
        )
        assert ratio == 1 or not near(answer, snr / ratio), (
            f"{wrong} The signal did fall by the ratio, but its noise fell too: it is the square "
            "root of what is left."
        )
        assert near(answer, truth), f"{wrong} How many electrons make that SNR? How many are left?"
    print("Right: the multiplication changes nothing. The shutter did it, by a square root.")


def variance_of_a_burnt_flat(function) -> None:
    """Exercise 02/2.1: function() -> variance in DN² of a flat with twice the light of white."""
    camera = noise.SONY_A7S2
    flat = noise.expose(np.ones((256, 256)), 0.5, camera, iso=1600, rng=0)
    line = noise.noise_levels(camera, 1600).moments(2 * (camera.white_level - camera.black_level))
    answer = float(function())
    hint = " That is what the straight line says." if near(answer, line[1], 0.1) else ""
    assert abs(answer - flat.var()) < 0.5, (
        f"You said {answer:.4g} DN², the camera says otherwise.{hint} No pixel can hold more than "
        f"{flat.max()} DN, and here every one would like to: follow a few of them to the clip."
    )
    print("Right: the cleanest flat says nothing. Calibrations leave the top of the scale out.")


def row_noise_left(function) -> None:
    """Exercise 02/3.1: function() -> shares of row noise left by four frames, by four columns."""
    levels = noise.NoiseLevels(gain=1.0, read=0.0, row=50.0, shape=None)  # row noise and no other
    rng = np.random.default_rng(0)
    frames = [noise.expose(np.zeros((8192, 4)), 1, rng=rng, levels=levels) for _ in range(4)]
    before = frames[0][:, 0].std()
    answer = tuple(function())
    assert len(answer) == 2, "Return two numbers: what four frames leave, and what four columns do."
    for said, after, how, why in (
        (answer[0], np.mean(frames, 0)[:, 0], "frames", "Every frame draws its rows anew: four "
         "independent draws. How much does the mean of four dice vary?"),
        (answer[1], frames[0].mean(1), "columns", "Neighbours in a row share one draw. What is "
         "the mean of four equal numbers?"),
    ):  # fmt: skip
        assert near(float(said), after.std() / before, 0.05), (
            f"Averaging four {how} does not leave {float(said):.3g} of the row noise. {why}"
        )
    print("Right: time averages row noise away, width does not. It hangs there like a curtain.")


def crossover_electrons(function) -> None:
    """Exercise 02/4.1: function(floor) -> the signal where photon noise equals that floor."""
    for floor in (2.0, 3.0, 10.0):
        answer = float(function(floor))
        assert answer > 0, f"You said {answer:.3g} electrons. Light comes in positive numbers."
        levels = noise.NoiseLevels(gain=4.0, read=4.0 * floor, row=0.0, shape=None)
        scene = np.full((512, 512), answer * levels.gain / (16383 - 512))
        dark = noise.expose(0 * scene, 1, rng=0, levels=levels).var()
        photons = noise.expose(scene, 1, rng=1, levels=levels).var() - dark
        hint = " Compare variances, not standard deviations." if answer == floor else ""
        assert near(photons, dark, 0.1), (
            f"Floor {floor:g}: at the {answer:.3g} electrons that you said, photons bring "
            f"{photons / dark:.2f} times the variance of the floor.{hint} The variance of a photon "
            "count is the count."
        )
    print("Right: a floor of 3 electrons rules up to 9. The square is why read noise matters.")


def black_after_clip(function) -> None:
    """Exercise 02/5.1: function(sigma) -> mean of a clipped black frame, all in electrons."""
    for sigma in (2.0, 3.0, 8.0):
        levels = noise.NoiseLevels(gain=8.0, read=8.0 * sigma, row=0.0, shape=None)
        dark = noise.expose(np.zeros((1024, 1024)), 1, rng=0, levels=levels)
        truth = np.maximum(dark.astype(float) - 512, 0).mean() / levels.gain
        answer = float(function(sigma))
        wrong = f"sigma={sigma:g}: you said {answer:.3g} electrons, a clipped frame {truth:.3g}."
        assert abs(answer) > 0.02 * sigma, (
            f"{wrong} Symmetric noise averages to zero only while both halves are there, and the "
            "clip throws one of them away."
        )
        assert not near(answer, 2 * truth), (
            f"{wrong} That is the mean of |noise|. The clip does not mirror the lower half, it "
            "sets it to 0."
        )
        assert near(answer, truth), (
            f"{wrong} Integrate x times the Gaussian density from 0 upwards: it has a closed form."
        )
    print("Right: two fifths of sigma, out of nothing. It looks like light.")


def halve_light_double_iso(function) -> None:
    """Exercise 02/5.2: function() -> factors on the brightness and the SNR of a bright grey."""
    grey = np.full((512, 512), 0.5)
    frames = [noise.expose(grey, 1, iso=iso, rng=0).astype(float) - 512 for iso in (400, 800)]
    (mean, snr), (new_mean, new_snr) = [(f.mean(), f.mean() / f.std()) for f in frames]
    answer = tuple(function())
    assert len(answer) == 2, "Return two numbers: the factor on brightness, the one on SNR."
    assert near(float(answer[0]), new_mean / mean), (
        f"The brightness in DN does not change by {float(answer[0]):.3g}. Half the electrons, and "
        "each of them is worth twice as many DN."
    )
    assert near(float(answer[1]), new_snr / snr), (
        f"The SNR does not change by {float(answer[1]):.3g}. The DN look the same; now count the "
        "electrons behind them."
    )
    print("Right: as bright, and noisier. A higher ISO does not bring photons back.")
