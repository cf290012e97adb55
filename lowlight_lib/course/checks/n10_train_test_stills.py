"""Checks of notebook 10."""

import numpy as np

from .common import Judge, answer_of


def crop_offset(function) -> None:
    """Exercise 10.1: function(rng, size, crop) -> offset of a training crop on RGGB."""
    size, crop, drawn = 64, 32, set()
    for seed in range(300):
        top = float(answer_of(function, np.random.default_rng(seed), size, crop))
        inside = top == int(top) and 0 <= top <= size - crop
        assert inside, f"An offset of {top} puts a crop of {crop} outside a side of {size}."
        assert top % 2 == 0, f"Your offset {top} starts on a G line: its first pixel is not red."
        drawn.add(int(top))
    assert len(drawn) > 1, f"You always return {drawn}: a crop has to be somewhere else each time."
    assert size - crop in drawn, "The last one never comes. Does rng.integers draw its upper end?"
    every = len(drawn) == (size - crop) // 2 + 1
    assert every, f"Only {len(drawn)} different offsets; all with red first should come."
    print("Right: every crop starts on red, and none is left out.")


def gain_of_best_and_worst(function, per_image) -> None:
    """Exercise 10.2: function(per_image) -> gains in dB at the best and the worst baseline."""
    ranked = sorted(per_image, key=lambda r: r["baseline_psnr"])
    worst, best = (r["psnr"] - r["baseline_psnr"] for r in (ranked[0], ranked[-1]))
    hint = Judge(function, (per_image,), (best, worst), relative=0, absolute=1e-3)
    hint[(worst, best)] = "You have both, the other way round: first where the baseline is best."
    hint[...] = "A gain is psnr - baseline_psnr; rank by their baseline_psnr alone."
    print(f"Right: {best:+.1f} dB where the baseline is best, {worst:+.1f} dB at its worst.")
    print("A mean over images hides such differences.")


def psnr_of_factor(function) -> None:
    """Exercise 10.3: function(picture, factor) -> PSNR in dB of a wrongly amplified picture."""
    for seed, factor in ((1, 2.0), (2, 0.5), (0, 1.1)):
        picture = np.random.default_rng(seed).random((32, 32, 3))
        bright = factor * picture
        truth = -10 * np.log10(np.mean((np.clip(bright, 0, 1) - picture) ** 2))
        hint = Judge(function, (picture, factor), truth, relative=0, absolute=1e-2)
        unclipped = -10 * np.log10(np.mean((bright - picture) ** 2))
        hint[unclipped] = "You count values above 1. A display cannot show them: clip first."
        hint[-truth] = "Nearly: the minus sign."
        hint[2 * truth] = "Nearly: 10 log10, not 20."
        hint[...] = "The peak is 1; compare the clipped picture, over all elements."
    print(f"Right: ten per cent too bright leaves {truth:.1f} dB on random pixels.")


def gains_to_training_camera(function) -> None:
    """Exercise 10.4: function(foreign, training) -> factors on a foreign camera's signal."""
    for foreign, training in (((1.6, 1.0, 1.8), (2.0, 1.0, 1.5)), ((2.2, 1.0, 1.2), (2.2, 1, 1.6))):
        grey = 1 / np.array(foreign)  # what the foreign camera records of a neutral wall
        truth = 1 / np.array(training) / grey
        hint = Judge(function, (foreign, training), truth, relative=1e-6)
        hint[foreign] = "That is white balance. The network expects the training camera's grey."
        hint[1 / truth] = "This is upside down: follow one red pixel of the wall through."
        hint[...] = f"The wall is {grey.round(3)} here; the network knows grey as {grey * truth}."
    print("Right: the network then sees grey as it learned it.")


def augment(function) -> None:
    """Exercise 10.5: function(rng, mosaic, target, crop) -> a crop of both, at the same place."""
    h, w, crop = 24, 32, 8
    place = np.arange(h * w).reshape(h, w)
    target = np.repeat(place[..., None], 3, -1)
    seen = set()
    for seed in range(200):
        pair = answer_of(function, np.random.default_rng(seed), place, target, crop)
        assert len(pair) == 2, "Return two crops: of the mosaic, and of the target."
        m, t = map(np.asarray, pair)
        fits = m.shape == (crop, crop) and t.shape == (crop, crop, 3)
        assert fits, f"A crop is {crop} x {crop}; yours are {m.shape} and {t.shape}."
        assert np.array_equal(m, t[..., 0]), """The two crops show different places. What is drawn
            at random has to be drawn once, and used twice, or the network learns a grey fog."""
        top, left = divmod(int(m[0, 0]), w)
        assert top % 2 == left % 2 == 0, f"One starts at ({top}, {left}): is its first pixel red?"
        seen.add((top, left))
    assert len(seen) > 30, f"Only {len(seen)} different places in 200 draws."
    assert h - crop in {s[0] for s in seen}, "The last rows are never seen: mind the upper end."
    print("Right: drawn once, used twice, and red first.")


def shortcut_with_lamp(function) -> None:
    """Exercise 10.6: function(mean, share) -> 0.05 / mean with a share of saturated pixels."""
    for mean, share in ((0.001, 0.1), (0.5, 0.25), (0.002, 0.01)):
        truth = 0.05 / ((1 - share) * mean + share)
        hint = Judge(function, (mean, share), truth)
        hint[0.05 / mean] = "That is the scene without its lamp."
        hint[...] = f"It is {truth:.4g}. What is the mean of a mixture?"
    print(f"Right: a lamp on {share:.0%} turns a factor of {0.05 / mean:.0f} into {truth:.1f}.")
