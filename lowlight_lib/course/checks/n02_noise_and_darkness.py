"""Checks of notebook 02. The truths are measured on frames and photons that are drawn here."""

from __future__ import annotations

import numpy as np

from ...sensor import noise
from .common import ANY, answer_of, judge, near


def snr_after_multiplying(function) -> None:
    """Exercise 02/1.1: function(snr, ratio) -> SNR after 1/ratio of the light, multiplied back."""
    rng = np.random.default_rng(0)
    for snr, ratio in ((100, 300), (100, 1), (40, 16)):
        counts = rng.poisson(snr**2 / ratio, 500_000) * ratio
        hints = {
            snr: """Multiplying brings the brightness back, not the photons: it stretches the noise
                by the same factor as the signal.""",
            snr / ratio: """The signal did fall by the ratio, but its noise fell too: it is the
                square root of what is left.""",
            "otherwise": "How many electrons make that SNR? How many are left?",
        }
        judge(function, (snr, ratio), counts.mean() / counts.std(), hints)
    print("Right: the multiplication changes nothing. The shutter did it, by a square root.")


def variance_of_a_burnt_flat(function) -> None:
    """Exercise 02/2.1: function() -> variance in DN² of a flat with twice the light of white."""
    camera = noise.SONY_A7S2
    flat = noise.expose(np.ones((256, 256)), 0.5, camera, iso=1600, rng=0)
    line = noise.noise_levels(camera, 1600).moments(2 * (camera.white_level - camera.black_level))
    clip = f"""No pixel can hold more than {flat.max()} DN, and here every one would like to: follow
        a few of them to the clip."""
    hints = {
        (lambda answer: near(answer, line[1], 0.1)): f"That is what the straight line says. {clip}",
        "otherwise": f"The camera says otherwise. {clip}",
    }
    judge(function, (), flat.var(), hints, absolute=0.5)
    print("Right: the cleanest flat says nothing. Calibrations leave the top of the scale out.")


def row_noise_left(function) -> None:
    """Exercise 02/3.1: function() -> shares of row noise left by four frames, by four columns."""
    levels = noise.NoiseLevels(gain=1.0, read=0.0, row=50.0, shape=None)  # row noise and no other
    rng = np.random.default_rng(0)
    frames = [noise.expose(np.zeros((8192, 4)), 1, rng=rng, levels=levels) for _ in range(4)]
    left = np.mean(frames, 0)[:, 0].std(), frames[0].mean(1).std()
    truth = np.array(left) / frames[0][:, 0].std()
    hints = {
        (truth[0], ANY): """Averaging four columns: neighbours in a row share one draw. What is the
            mean of four equal numbers?""",
        "otherwise": """Averaging four frames: every frame draws its rows anew, four independent
            draws. How much does the mean of four dice vary?""",
    }
    judge(function, (), truth, hints, relative=0.05)
    print("Right: time averages row noise away, width does not. It hangs there like a curtain.")


def crossover_electrons(function) -> None:
    """Exercise 02/4.1: function(floor) -> the signal where photon noise equals that floor."""
    for floor in (2.0, 3.0, 10.0):
        answer = float(answer_of(function, floor))
        assert answer > 0, f"You said {answer:.3g} electrons. Light comes in positive numbers."
        levels = noise.NoiseLevels(gain=4.0, read=4.0 * floor, row=0.0, shape=None)
        scene = np.full((512, 512), answer * levels.gain / (16383 - 512))
        dark = noise.expose(0 * scene, 1, rng=0, levels=levels).var()
        photons = noise.expose(scene, 1, rng=1, levels=levels).var() - dark
        hint = "Compare variances, not standard deviations." if answer == floor else ""
        assert near(photons, dark, 0.1), f"""Floor {floor:g}: at the {answer:.3g} electrons that you
            said, photons bring {photons / dark:.2f} times the variance of the floor. {hint} The
            variance of a photon count is the count."""
    print("Right: a floor of 3 electrons rules up to 9. The square is why read noise matters.")


def black_after_clip(function) -> None:
    """Exercise 02/5.1: function(sigma) -> mean of a clipped black frame, all in electrons."""
    for sigma in (2.0, 3.0, 8.0):
        levels = noise.NoiseLevels(gain=8.0, read=8.0 * sigma, row=0.0, shape=None)
        dark = noise.expose(np.zeros((1024, 1024)), 1, rng=0, levels=levels)
        truth = np.maximum(dark.astype(float) - 512, 0).mean() / levels.gain
        hints = {
            0: """Symmetric noise averages to zero only while both halves are there, and the clip
                throws one of them away.""",
            2 * truth: """That is the mean of |noise|. The clip does not mirror the lower half, it
                sets it to 0.""",
            "otherwise": """Integrate x times the Gaussian density from 0 upwards: it has a closed
                form.""",
        }
        judge(function, (sigma,), truth, hints)
    print("Right: two fifths of sigma, out of nothing. It looks like light.")


def halve_light_double_iso(function) -> None:
    """Exercise 02/5.2: function() -> factors on the brightness and the SNR of a bright grey."""
    grey = np.full((512, 512), 0.5)
    frames = [noise.expose(grey, 1, iso=iso, rng=0).astype(float) - 512 for iso in (400, 800)]
    (mean, snr), (new_mean, new_snr) = [(f.mean(), f.mean() / f.std()) for f in frames]
    truth = new_mean / mean, new_snr / snr
    hints = {
        (truth[0], ANY): "The SNR: the DN look the same; now count the electrons behind them.",
        "otherwise": "The brightness: half the electrons, and each is worth twice as many DN.",
    }
    judge(function, (), truth, hints)
    print("Right: as bright, and noisier. A higher ISO does not bring photons back.")
