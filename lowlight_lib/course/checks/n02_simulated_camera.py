"""Exercises of notebook 02, sections 4 to 6."""

import dataclasses
import math

import numpy as np

from ...sensor import noise
from .common import answer_of, exercise, near

_CAMERA = noise.SONY_A7S2


def expose(scene, ratio, levels, black, white, rng):
    camera = dataclasses.replace(_CAMERA, black_level=black, white_level=white)
    return noise.expose(scene, ratio, camera, rng=rng, levels=levels)


def _asked(expose, scene, ratio=1, gain=2.0, read=0.0, row=0.0, black=500, white=8500):
    levels = noise.NoiseLevels(gain, read, row, -0.07)
    args = np.array(scene, float), ratio, levels, black, white, np.random.default_rng(3)
    answer = np.asarray(answer_of(expose, *args))
    said = f"Return an array of the scene's shape {np.shape(scene)}, not {answer.shape}."
    assert answer.shape == np.shape(scene), said
    assert np.isfinite(answer).all(), "Some pixels are nan or infinite."
    return answer.astype(float)


@exercise("02.4", 3, expose)
def _(expose):
    """Right, step by step: this is a camera. The training data of the course are made like this."""
    grey, zeros = np.full((200, 300), 0.4), np.zeros((200, 300))
    x = _asked(expose, grey, ratio=4)  # 800 DN, 400 electrons
    m, v = x.mean() - 500, x.var()
    one = f"Step 1: a grey wall of 0.4 at ratio 4, gain 2, comes out {m:.0f} DN above black"
    if not near(m, 800, 0.01):
        for wrong, why in (
            (3200, "that is without the ratio."), (300, "black is missing, or was there twice."),
            (400, "each electron is worth 2 DN."), (1600, "the gain came in once too often."),
        ):  # fmt: skip
            assert not near(m, wrong, 0.02), f"{one}: {why}"
        raise AssertionError(f"{one}. White is 8500, black 500: follow the formula.")
    assert v > 1, "Step 1: all pixels agree. Where are the photons drawn?"
    said = "Step 1: the variance equals the mean in DN, so the gain came before the draw."
    assert not near(v, 800, 0.06), said
    assert near(v, 1600, 0.06), (
        f"Step 1: the variance of that wall is {v:.0f} DN²: not K times the mean."
    )

    done, truth = "Step 1 of 4 is right.", 5.0**2 * noise.tukey_variance(-0.07)
    x = _asked(expose, zeros, read=5.0)
    v = x.var()
    assert v > 1, f"{done} Step 2: a dark frame has no read noise yet."
    along = [(a[:, 1:] * a[:, :-1]).mean() / v for a in ((x - 500), (x - 500).T)]
    assert max(along) < 0.05, f"{done} Step 2: neighbours are alike. Draw a p for each pixel."
    wrong = near(v, 25, 0.08)
    said = "`read` is the scale of the distribution, and its variance is another."
    assert not wrong, (
        f"{done} Step 2: the variance is the square of `read`, {v:.0f} DN². Here {said}"
    )
    assert near(v, truth, 0.06), (
        f"{done} Step 2: a dark frame has a variance of {v:.0f} DN². Look at Q(p)."
    )
    far = np.quantile(np.abs(x - 500), 0.9995) / v**0.5
    assert far > 4, f"{done} Step 2: your noise ends too early, as a Gaussian does. Use Q(p)."

    done = "Steps 1 and 2 of 4 are right."
    x = _asked(expose, zeros, row=5.0) - 500
    rows, columns = x.mean(1).std(), x.mean(0).std()
    assert columns < 1.5, f"{done} Step 3: columns share a draw, and rows should."
    said = "every pixel has a draw of its own." if x.std() > 2 else "rows do not differ yet."
    assert rows > 2, f"{done} Step 3: {said}"
    assert near(rows, 5, 0.25), (
        f"{done} Step 3: the rows' standard deviation is {rows:.1f} DN, not `row`."
    )

    done = "Steps 1 to 3 of 4 are right."
    x = _asked(expose, zeros, read=1.0)
    assert (x == np.rint(x)).all(), f"{done} Step 4: a file holds whole numbers."
    said = "they are cut off, not rounded: the mean is too low."
    assert x.mean() > 499.8, f"{done} Step 4: {said}"
    x = _asked(expose, zeros, read=5.0, black=4)
    assert x.min() >= 0 and x.max() < 500, (
        f"{done} Step 4: below 0 something wraps around. Clip first."
    )
    x = _asked(expose, np.full((40, 60), 1.5))
    assert x.max() <= 8500, f"{done} Step 4: a pixel holds {x.max():.0f}, and white is 8500."
    levels = noise.NoiseLevels(2.0, 1.0, 1.0, -0.07)
    kind = np.asarray(
        expose(np.zeros((4, 6)), 1, levels, 500, 8500, np.random.default_rng(0))
    ).dtype
    assert kind == np.uint16, f"{done} Step 4: return uint16, not {kind}."


@exercise("02.5", 2, lambda signal, gain, floor: _anscombe(signal, gain, floor))
def stabilise(stabilise):
    """Right: whatever the light, the noise is 1. A denoiser needs to be told no other number."""
    rng = np.random.default_rng(4)
    for gain in (1.5, 0.4):
        levels = noise.NoiseLevels(gain, read=1.5 * gain, row=0.0, shape=-0.07)
        floor, sizes = levels.moments(0)[1], []
        for electrons in (0, 5, 30, 300, 3000):
            light = np.full((150, 150), electrons * gain / 15871)
            frame = noise.expose(light, 1, rng=rng, levels=levels).astype(float) - 512
            out = np.asarray(answer_of(stabilise, frame, gain, floor), float)
            assert out.shape == frame.shape, f"Return (H, W) = {frame.shape}, not {out.shape}."
            said = "nan: a pixel far below black makes the root of a negative number."
            assert np.isfinite(out).all(), f"At {electrons} electrons some values are {said}"
            sizes.append(out.std())
        dark, bright = sizes[0], sizes[-1]
        seen = f"The noise is {dark:.3g} without light and {bright:.3g} at 3,000 electrons:"
        assert bright < 1.5 * dark, f"{seen} it still grows with the light."
        assert bright > dark / 1.5, f"{seen} it falls with the light. What is inside the root?"
        assert near(bright, 1, 0.08), (
            f"{seen} the same everywhere, but not 1. Which factor is missing?"
        )
        assert all(near(s, 1, 0.15) for s in sizes), (
            f"{seen} in between it is off. Check each term."
        )


def _anscombe(signal, gain, floor):
    return 2 / gain * np.sqrt(np.maximum(gain * np.asarray(signal) + 3 / 8 * gain**2 + floor, 0))


@exercise("02.6", 2, lambda sigma: sigma / (2 * math.pi) ** 0.5, [2.0, 3.0, 8.0], relative=0.02)
def black_after_clip(answer, truth, sigma):
    """Right: two fifths of sigma, out of nothing. It looks like light."""
    yield 0, "Noise averages to 0 only with both halves, and the clip throws one of them away."
    twice = 2 * truth
    yield twice, "That is the mean of |noise|. The clip does not mirror, it sets to zero."
    yield True, "Integrate x times the Gaussian density from 0 up: it has a closed form."
