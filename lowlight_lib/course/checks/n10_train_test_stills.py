"""Checks of notebook 10."""

from __future__ import annotations

import numpy as np

from ...sensor import cfa
from .common import answer_of, near


def crop_offset(function) -> None:
    """Exercise 10.1: function(rng, size, crop) -> offset of a training crop on RGGB."""
    size, crop = 64, 32
    colours = cfa.tile(cfa.RGGB, (size, size))
    drawn = set()
    for seed in range(300):
        top = float(answer_of(function, np.random.default_rng(seed), size, crop))
        inside = top == int(top) and 0 <= top <= size - crop
        assert inside, f"An offset of {top} puts a crop of {crop} outside a side of {size}."
        assert colours[int(top), 0] == cfa.RGGB[0, 0], (
            f"Your offset {top} starts on a {'RGB'[colours[int(top), 0]]} line: its first pixel is "
            "not red, so that the network would file greens under red in this crop only."
        )
        drawn.add(int(top))
    assert len(drawn) > 1, (
        f"You always return {drawn.pop()}: a crop has to be somewhere else each time."
    )
    assert size - crop in drawn, (
        "The last possible crop is never drawn: the bottom of every training image goes unseen. "
        "Does rng.integers include its upper end?"
    )
    assert 0 in drawn and len(drawn) == (size - crop) // 2 + 1, (
        f"Only {len(drawn)} different offsets in 300 draws; every one with red first should come."
    )
    print("Right: every crop starts on red, and none is left out.")


def gain_of_best_and_worst(function, per_image) -> None:
    """Exercise 10.2: function(per_image) -> gains in dB at the best and the worst baseline."""
    best = max(per_image, key=lambda r: r["baseline_psnr"])
    worst = min(per_image, key=lambda r: r["baseline_psnr"])
    truth = [r["psnr"] - r["baseline_psnr"] for r in (best, worst)]
    answer = np.asarray(answer_of(function, per_image), float)
    assert answer.shape == (2,), "Return two numbers: (gain at the best baseline, at the worst)."
    assert not np.allclose(answer, truth[::-1], atol=1e-3) or np.allclose(*truth), (
        "You have both, the other way round: first where the baseline is best."
    )
    assert np.allclose(answer, truth, atol=1e-3), (
        f"You gave {answer.round(2).tolist()}. A gain is psnr - baseline_psnr of one image; "
        "pick the images by their baseline_psnr alone."
    )
    print(f"Right: {truth[0]:+.1f} dB where the baseline is best, {truth[1]:+.1f} dB at its worst.")
    if truth[1] > truth[0]:
        print("There was more to win where the baseline is worse; a mean over images hides that.")


def psnr_of_factor(function) -> None:
    """Exercise 10.3: function(picture, factor) -> PSNR in dB of a wrongly amplified picture."""
    for seed, factor in ((1, 2.0), (2, 0.5), (0, 1.1)):
        picture = np.random.default_rng(seed).random((32, 32, 3))
        wrong = np.clip(factor * picture, 0, 1)
        truth = -10 * np.log10(np.mean((wrong - picture) ** 2))
        answer = float(answer_of(function, picture, factor))
        unclipped = -10 * np.log10(np.mean((factor * picture - picture) ** 2))
        if factor > 1 and np.isclose(answer, unclipped, atol=1e-2):
            raise AssertionError(
                "You count values above 1. A display cannot show them: clip, then compare."
            )
        slips = {-1: "the minus sign", 2: "10 log10, not 20", np.log(10): "log10, not ln"}
        for times, hint in slips.items():
            assert not np.isclose(answer, times * truth, atol=1e-2), f"Nearly: {hint}."
        assert np.isclose(answer, truth, atol=1e-2), (
            f"For a factor of {factor} you gave {answer:.2f} dB. The peak is 1, the error is the "
            "clipped picture minus the picture, and the mean is over all its elements."
        )
    print(
        f"Right: ten per cent too bright leaves {truth:.1f} dB on random pixels. Did you guess it?"
    )


def gains_to_training_camera(function) -> None:
    """Exercise 10.4: function(foreign, training) -> factors on a foreign camera's signal."""
    for foreign, training in (((1.6, 1.0, 1.8), (2.0, 1.0, 1.5)), ((2.2, 1.0, 1.2), (2.2, 1, 1.6))):
        grey = 1 / np.asarray(foreign)  # what the foreign camera records of a neutral wall
        wanted = 1 / np.asarray(training)
        answer = np.asarray(answer_of(function, foreign, training), float)
        assert answer.shape == (3,), "Return three factors: red, green, blue."
        assert not np.allclose(grey * answer, 1), (
            "That is white balance: the wall comes out grey, but the network expects what the "
            "training camera records of grey, before any white balance."
        )
        assert np.allclose(grey * answer, wanted, rtol=1e-6) or not np.allclose(
            grey / answer, wanted, rtol=1e-6
        ), "The right numbers, upside down: follow one red pixel of the wall through."
        assert np.allclose(grey * answer, wanted, rtol=1e-6), (
            f"With your factors {answer.round(3).tolist()} the wall reaches the network as "
            f"{(grey * answer).round(3).tolist()}; it knows grey as {wanted.round(3).tolist()}."
        )
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
        assert m.shape == (crop, crop) and t.shape == (crop, crop, 3), (
            f"A crop is {crop} x {crop}; yours are {m.shape} and {t.shape}."
        )
        assert np.array_equal(m, t[..., 0]), (
            "The two crops show different places. Whatever is drawn at random has to be drawn "
            "once, and used twice. (What a network learns from such pairs: the mean of all "
            "targets that an input may have, a grey fog.)"
        )
        top, left = np.argwhere(place == m[0, 0])[0]
        assert top % 2 == 0 and left % 2 == 0, (
            f"They match now, but this crop starts at ({top}, {left}): is its first pixel red?"
        )
        seen.add((int(top), int(left)))
    assert len(seen) > 30, f"Only {len(seen)} different places in 200 draws."
    assert {h - crop} <= {s[0] for s in seen}, "The last rows are never seen: mind the upper end."
    print("Right: drawn once, used twice, and red first.")


def shortcut_with_lamp(function) -> None:
    """Exercise 10.6: function(mean, share) -> 0.05 / mean with a share of saturated pixels."""
    rng = np.random.default_rng(0)
    for mean, share in ((0.002, 0.01), (0.001, 0.1), (0.5, 0.25)):
        pixels = rng.uniform(0, 2 * mean, 200_000)
        pixels[rng.permutation(pixels.size)[: round(share * pixels.size)]] = 1
        truth = 0.05 / pixels.mean()
        answer = float(answer_of(function, mean, share))
        assert not near(answer, 0.05 / mean), "That is the scene without its lamp."
        assert near(answer, truth), (
            f"mean {mean:g}, share {share:g}: you gave {answer:.4g}, drawn pixels give "
            f"{truth:.4g}. What is the mean of a mixture?"
        )
    dark = 0.05 / 0.002
    with_lamp = float(function(0.002, 0.01))
    print(f"Right: a lamp on 1 % of the pixels turns a factor of {dark:.0f} into {with_lamp:.1f}.")
