"""Checks of notebook 11."""

from __future__ import annotations

import numpy as np

from ...evaluation.strred import strred
from ...sensor.cfa import pack_mosaic
from .common import answer_of, near


def offset_after_mirror(function) -> None:
    """Exercise 11.1: function(offset) -> where plane G1 lies from R after mirroring each plane."""
    ramp = np.tile(np.arange(12.0), (2, 1))  # each pixel holds its column
    planes = pack_mosaic(ramp)
    for offset in (1, 3):
        planes[1] = planes[0] + offset
        mirrored = 11 - planes[..., ::-1]  # in the mirrored scene column c is column 11 - c
        truth = float((mirrored[1] - mirrored[0]).mean())
        answer = float(answer_of(function, offset))
        assert answer != offset, (
            f"You said {offset}, as before. Follow one R and its G1: R at column 4, G1 at column "
            f"{4 + offset}. In the mirrored scene their columns are 7 and {7 - offset}."
        )
        assert answer == truth, f"You said {answer:g}. Is it a distance between the same two?"
    print("Right: the sampling is mirrored with the scene, and G1 lies left of R.")


def two_means(function, per_image) -> None:
    """Exercise 11.2: function(per_image) -> (mean over clips, mean over ratios)."""
    made_up = [{"group": g, "psnr": p} for g, p in (("100", 30.0), ("100", 34.0), ("250", 20.0))]
    for rows in (made_up, per_image):
        groups = {r["group"] for r in rows}
        each = [np.mean([r["psnr"] for r in rows if r["group"] == g]) for g in groups]
        truth = np.array([np.mean([r["psnr"] for r in rows]), np.mean(each)])
        answer = np.asarray(answer_of(function, rows), float)
        assert answer.shape == (2,), "Return two numbers: over clips, and over ratios."
        assert np.allclose(truth, truth[0]) or not np.allclose(answer, truth[::-1]), (
            "You have both, the other way round: over clips first."
        )
        assert not near(answer[1], truth[0], 1e-6) or near(truth[0], truth[1], 1e-6), (
            "Your second number is the mean over clips again. Two clips at ratio 100 and one at "
            "250: which ratio has more to say in it, and which should it have?"
        )
        assert np.allclose(answer, truth, atol=1e-6), (
            f"You gave {answer.round(2).tolist()}; first the mean of each group, then of these."
        )
    print(f"Right: {truth[0]:.2f} dB over clips, {truth[1]:.2f} dB over ratios.")
    print("They differ where some ratios have more clips than others.")


def dirty_window(function) -> None:
    """Exercise 11.3: function(clip, noise) -> the clip with the first frame's noise on each."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] / 9
    clip = np.stack([0.5 + 0.2 * np.sin(x + 0.3 * t) * np.cos(y) for t in range(6)])
    noise = 0.05 * rng.standard_normal(clip.shape)
    answer = np.asarray(answer_of(function, clip.copy(), noise.copy()))
    assert answer.shape == clip.shape, f"A clip is {clip.shape}; yours is {answer.shape}."
    added = answer - clip
    assert not np.allclose(added, noise), (
        "That is new noise in each frame. A dirty window has the same spots in every frame."
    )
    assert np.allclose(added, added[:1]), "Your noise changes from frame to frame."
    assert np.allclose(added[0], noise[0]), "Add the noise of the first frame, as it is."
    flicker, window = strred(clip, clip + noise)[1], strred(clip, answer)[1]
    db = -10 * np.log10([np.square(noise).mean(), np.square(added).mean()])
    print(f"Right. PSNR: flicker {db[0]:.1f} dB, dirty window {db[1]:.1f} dB.")
    print(f"ST-RRED: flicker {flicker:.3g}, dirty window {window:.3g}.")


def packed_bytes(function) -> None:
    """Exercise 11.4: function(binary, real, channels) -> bytes of (bits, reals, scales)."""
    for case in ((4_344_768, 163_816, 5_976), (800, 10, 5)):
        binary, real, channels = case
        answer = np.asarray(answer_of(function, *case), float)
        assert answer.shape == (3,), "Return three numbers: bits, real parameters, scales."
        assert answer[0] != binary, "A byte holds eight bits."
        assert answer[0] == binary / 8, f"{binary} bits are not {answer[0]:g} bytes."
        assert answer[1] != real / 8, "The real parameters stay float32: four bytes each."
        assert tuple(answer[1:]) == (4 * real, 4 * channels), "A float32 has four bytes."
        if case[0] > 1000:
            print(
                f"Right: {answer[0] / 1e3:.0f} kB of bits, {answer[1] / 1e3:.0f} kB of real "
                f"parameters, {answer[2] / 1e3:.0f} kB of scales: {answer.sum() / 1e6:.2f} MB."
            )
    print("One parameter in 27 is real, and these take more room than all the bits.")
