"""The checks of notebook 11 accept right answers and answer wrong ones with a hint."""

import numpy as np
from support.checks import laws


def gains(rows):
    best, worst = (f(rows, key=lambda r: r["baseline_psnr"]) for f in (max, min))
    return [r["psnr"] - r["baseline_psnr"] for r in (best, worst)]


def crop(image, top, left, side):
    return image[top : top + side, left : left + side]


def offset(rng, size, side):
    return 2 * rng.integers(0, (size - side) // 2 + 1)


def augment(rng, mosaic, target, side, step=2, more=1):
    places = [(s - side) // step + more for s in mosaic.shape]
    top, left = (step * int(rng.integers(0, n)) for n in places)
    return crop(mosaic, top, left, side), crop(target, top, left, side)


def drawn_twice(rng, mosaic, target, side):
    return augment(rng, mosaic, target, side)[0], augment(rng, mosaic, target, side)[1]


def psnr(picture, other):
    return -10 * np.log10(np.mean((other - picture) ** 2))


def psnr_of_factor(picture, factor):
    return psnr(picture, np.clip(factor * picture, 0, 1))


RIGHT = {
    "crop_offset": offset,
    "gain_of_best_and_worst": gains,
    "psnr_of_factor": psnr_of_factor,
    "gains_to_training_camera": lambda foreign, ours: np.divide(foreign, ours),
    "augment": augment,
    "shortcut_with_lamp": lambda mean, share: 0.05 / ((1 - share) * mean + share),
}
WRONG = [
    ("crop_offset", lambda rng, size, side: rng.integers(0, size - side), "not red"),
    ("crop_offset", lambda rng, size, side: 2 * rng.integers(0, (size - side) // 2), "upper end"),
    ("crop_offset", lambda rng, size, side: 0, "somewhere else each time"),
    ("crop_offset", lambda rng, size, side: size, "outside"),
    ("crop_offset", lambda rng, size, side: rng.choice([0, size - side]), "different offsets"),
    ("gain_of_best_and_worst", lambda rows: gains(rows)[::-1], "other way round"),
    ("gain_of_best_and_worst", lambda rows: (5.0, 8.0), "by their baseline_psnr alone"),
    ("psnr_of_factor", lambda p, f: psnr(p, f * p), "above 1"),
    ("psnr_of_factor", lambda p, f: -psnr_of_factor(p, f), "minus sign"),
    ("psnr_of_factor", lambda p, f: 2 * psnr_of_factor(p, f), "not 20"),
    ("psnr_of_factor", lambda p, f: 30.0, "The peak is 1"),
    ("gains_to_training_camera", lambda foreign, ours: foreign, "white balance"),
    ("gains_to_training_camera", lambda foreign, ours: np.divide(ours, foreign), "Upside down"),
    ("gains_to_training_camera", lambda foreign, ours: ours, "each of the two record"),
    ("augment", drawn_twice, "different places"),
    ("augment", lambda *args: augment(*args, step=1), "is its first pixel red"),
    ("augment", lambda *args: augment(*args, more=0), "last rows"),
    ("augment", lambda _, *args: augment(np.random.default_rng(0), *args), "Only 1"),
    ("augment", lambda rng, m, t, side: (m, t), "A crop is 8 x 8"),
    ("augment", lambda rng, m, t, side: m, "two crops"),
    ("shortcut_with_lamp", lambda mean, share: 0.05 / mean, "without its lamp"),
    ("shortcut_with_lamp", lambda mean, share: 0.05 / (mean + share), "mixture"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
