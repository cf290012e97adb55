"""Exercises of notebook 12."""

import numpy as np

from ...evaluation.strred import strred
from .common import ANY, answer_of, exercise


@exercise("12.1", 1, lambda offset: -offset, [1, 3])
def offset_after_mirror(answer, truth, offset):
    """Right: the sampling is mirrored with the scene, and G1 lies left of R."""
    yield offset, "So it was before. Follow one R and its G1: which is left of the other now?"
    yield True, "Is it a distance between the same two?"


def two_means(per_image):
    groups = {}
    for r in per_image:
        groups.setdefault(r["group"], []).append(r["psnr"])
    everything = [v for group in groups.values() for v in group]
    return np.mean(everything), np.mean([np.mean(group) for group in groups.values()])


def _tables():
    for scores in ((("100", 30), ("100", 34), ("250", 20)), (("a", 9), ("b", 1), ("b", 2))):
        yield [{"group": g, "psnr": float(p)} for g, p in scores]


@exercise("12.2", 1, two_means, _tables)
def _(answer, truth, per_image):
    """Right: they differ where some ratios have more clips than others."""
    clips, ratios = truth
    yield (ratios, clips), "You have both, the other way round: over clips first."
    yield (ANY, clips), "The second is the mean over clips again."
    yield True, "Over ratios: first the mean of each group, then of these."


def dirty_window(clip, noise):
    return clip + noise[:1]


@exercise("12.3", 1, dirty_window)
def _(function):
    y, x = np.mgrid[:64, :64] / 9
    clip = np.stack([0.5 + 0.2 * np.sin(x + 0.3 * t) * np.cos(y) for t in range(6)])
    noise = 0.05 * np.random.default_rng(0).standard_normal(clip.shape)
    answer = np.asarray(answer_of(function, clip.copy(), noise.copy()), float)
    assert answer.shape == clip.shape, f"A clip of shape {clip.shape} became {answer.shape}."
    same = np.allclose(answer - clip, (answer - clip)[:1])
    assert same, """Your noise changes from frame to frame. A dirty window has the same spots in
        every frame."""
    first = np.allclose(answer, dirty_window(clip, noise), rtol=1e-5)
    assert first, "Add the noise of the first frame, as it is."
    flicker, window = strred(clip, clip + noise)[1], strred(clip, answer)[1]
    db = -10 * np.log10([np.square(noise).mean(), np.square(answer - clip).mean()])
    return f"""Right. PSNR: flicker {db[0]:.1f} dB, dirty window {db[1]:.1f} dB. ST-RRED: flicker
        {flicker:.3g}, dirty window {window:.3g}."""


_COUNTS = [(800, 10, 5), (4_344_768, 163_816, 5_976)]


@exercise("12.4", 1, lambda binary, real, scales: (binary / 8, real * 4, scales * 4), _COUNTS)
def packed_bytes(answer, truth, binary, real, channels):
    """Right: 543 kB of bits, 655 kB of reals, 24 kB of scales. One parameter in 27 is real, and
    these take more room than all the bits."""
    yield (binary, ANY, ANY), "A byte holds eight bits."
    yield (binary / 8, ANY, ANY), "A float32 has four bytes."
    yield True, "The first number: so many bytes are not what the bits take."
