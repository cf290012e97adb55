"""Checks of notebook 11."""

import numpy as np

from ...evaluation.strred import strred
from .common import ANY, Judge


def offset_after_mirror(function) -> None:
    """Exercise 11.1: function(offset) -> where plane G1 lies from R after mirroring each plane."""
    for offset in (1, 3):
        hint = Judge(function, (offset,), -offset, relative=0)
        hint[offset] = "So it was before. Follow one R and its G1: which is left of the other now?"
        hint[...] = "Is it a distance between the same two?"
    print("Right: the sampling is mirrored with the scene, and G1 lies left of R.")


def two_means(function, per_image) -> None:
    """Exercise 11.2: function(per_image) -> (mean over clips, mean over ratios)."""
    made_up = [{"group": g, "psnr": p} for g, p in (("100", 30.0), ("100", 34.0), ("250", 20.0))]
    for rows in (made_up, per_image):
        groups = {r["group"] for r in rows}
        each = [np.mean([r["psnr"] for r in rows if r["group"] == g]) for g in groups]
        clips, ratios = np.mean([r["psnr"] for r in rows]), np.mean(each)
        hint = Judge(function, (rows,), (clips, ratios), relative=1e-6)
        hint[(ratios, clips)] = "You have both, the other way round: over clips first."
        hint[(ANY, clips)] = "The second is the mean over clips again."
        hint[...] = "Over ratios: first the mean of each group, then of these."
    print(f"Right: {clips:.2f} dB over clips, {ratios:.2f} dB over ratios.")


def dirty_window(function) -> None:
    """Exercise 11.3: function(clip, noise) -> the clip with the first frame's noise on each."""
    y, x = np.mgrid[:64, :64] / 9
    clip = np.stack([0.5 + 0.2 * np.sin(x + 0.3 * t) * np.cos(y) for t in range(6)])
    noise = 0.05 * np.random.default_rng(0).standard_normal(clip.shape)
    hint = Judge(function, (clip.copy(), noise.copy()), clip + noise[:1], relative=1e-5)
    hint[lambda answer: not np.allclose(answer - clip, (answer - clip)[:1])] = """Your noise changes
        from frame to frame. A dirty window has the same spots in every frame."""
    hint[...] = "Add the noise of the first frame, as it is."
    flicker, window = strred(clip, clip + noise)[1], strred(clip, hint.answer)[1]
    db = -10 * np.log10([np.square(noise).mean(), np.square(hint.answer - clip).mean()])
    print(f"Right. PSNR: flicker {db[0]:.1f} dB, dirty window {db[1]:.1f} dB.")
    print(f"ST-RRED: flicker {flicker:.3g}, dirty window {window:.3g}.")


def packed_bytes(function) -> None:
    """Exercise 11.4: function(binary, real, channels) -> bytes of (bits, reals, scales)."""
    for binary, real, channels in ((800, 10, 5), (4_344_768, 163_816, 5_976)):
        truth = binary / 8, 4 * real, 4 * channels
        hint = Judge(function, (binary, real, channels), truth, relative=0)
        hint[(binary, ANY, ANY)] = "A byte holds eight bits."
        hint[(binary / 8, ANY, ANY)] = "A float32 has four bytes."
        hint[...] = "The first number: so many bytes are not what the bits take."
        kb = hint.answer / 1e3
    print("Right: {:.0f} kB of bits, {:.0f} kB of reals, {:.0f} kB of scales.".format(*kb))
    print("One parameter in 27 is real, and these take more room than all the bits.")
