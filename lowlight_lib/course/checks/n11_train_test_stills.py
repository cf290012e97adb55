"""Exercises of notebook 11."""

import numpy as np

from .common import answer_of, exercise


@exercise("11.1", 1, lambda rng, size, crop: 2 * int(rng.integers(0, (size - crop) // 2 + 1)))
def crop_offset(function):
    """Right: every crop starts on red, and none is left out."""
    size, crop, drawn = 64, 32, set()
    for seed in range(300):
        top = float(answer_of(function, np.random.default_rng(seed), size, crop))
        inside = 0 <= top <= size - crop and top == int(top)
        assert inside, f"An offset of {top} puts a crop of {crop} outside a side of {size}."
        assert top % 2 == 0, f"Your offset {top} starts on a G line: its first pixel is not red."
        drawn.add(int(top))
    assert len(drawn) > 1, f"You always return {drawn}: a crop has to be somewhere else each time."
    assert size - crop in drawn, "The last one never comes. Does rng.integers draw its upper end?"
    every = len(drawn) == (size - crop) // 2 + 1
    assert every, f"Only {len(drawn)} different offsets; all with red first should come."


def gain_of_best_and_worst(per_image):
    ordered = sorted(per_image, key=lambda r: r["baseline_psnr"])
    gains = [r["psnr"] - r["baseline_psnr"] for r in ordered]
    return gains[-1], gains[0]


def _tables():
    for scores in (((15, 20), (10, 18), (20, 21)), ((18.5, 19), (21, 20.5), (9, 14.5), (12, 19))):
        yield [{"baseline_psnr": float(b), "psnr": float(p)} for b, p in scores]


@exercise("11.2", 1, gain_of_best_and_worst, _tables, absolute=1e-3)
def _(answer, truth, per_image):
    """Right: a mean over images hides such differences."""
    other = truth[::-1]
    yield other, "You have both, the other way round: first where the baseline is best."
    yield True, "A gain is psnr - baseline_psnr; rank by their baseline_psnr alone."


def psnr_of_factor(picture, factor):
    error = np.clip(factor * picture, 0, 1) - picture
    return -10 * np.log10(np.mean(error**2))


def _pictures():
    for seed, factor in ((1, 2.0), (2, 0.5), (0, 1.1)):
        yield np.random.default_rng(seed).random((32, 32, 3)), factor


@exercise("11.3", 2, psnr_of_factor, _pictures, relative=0, absolute=1e-2)
def _(answer, truth, picture, factor):
    """Right: ten per cent too bright leaves 25.6 dB on random pixels."""
    unclipped = -10 * np.log10(np.mean((factor * picture - picture) ** 2))
    yield unclipped, "You count values above 1. A display cannot show them: clip first."
    yield -truth, "Nearly: the minus sign."
    yield 2 * truth, "Nearly: 10 log10, not 20."
    yield True, "The peak is 1; compare the clipped picture, over all elements."


def gains_to_training_camera(foreign, training):
    # A grey of 1 is recorded as 1 / gain. What the network knows is 1 / training.
    return tuple(f / t for f, t in zip(foreign, training, strict=True))


_GAINS = [((1.6, 1.0, 1.8), (2.0, 1.0, 1.5)), ((2.2, 1.0, 1.2), (2.2, 1, 1.6))]


@exercise("11.4", 2, gains_to_training_camera, _GAINS)
def _(answer, truth, foreign, training):
    """Right: the network then sees grey as it learned it."""
    yield foreign, "That is white balance. The network expects the training camera's grey."
    yield np.divide(training, foreign), "Upside down: follow one red pixel of the wall through."
    yield True, "What does each of the two record of a wall whose light is 1 in all colours?"


def augment(rng, mosaic, target, crop):
    top, left = (2 * int(rng.integers(0, (s - crop) // 2 + 1)) for s in mosaic.shape)
    return [image[top : top + crop, left : left + crop] for image in (mosaic, target)]


@exercise("11.5", 2, augment)
def _(function):
    """Right: drawn once, used twice, and red first."""
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


_LAMPS = [(0.001, 0.1), (0.5, 0.25), (0.002, 0.01)]


@exercise("11.6", 1, lambda mean, share: 0.05 / ((1 - share) * mean + share), _LAMPS)
def shortcut_with_lamp(answer, truth, mean, share):
    """Right: a lamp on 1% turns a factor of 25 into 4.2."""
    yield 0.05 / mean, "That is the scene without its lamp."
    yield True, "What is the mean of a mixture: so much of the old light, and so much of white?"
