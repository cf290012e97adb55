"""Exercises of notebook 02, sections 1 to 3."""

import dataclasses
import math

import numpy as np

from ...sensor import noise
from .common import answer_of, exercise, near

_CAMERA = noise.SONY_A7S2


@exercise("02.1", 1, lambda snr, ratio: snr / ratio**0.5, [(99, 300), (40, 16)], relative=0.02)
def snr_after_multiplying(answer, truth, snr, ratio):
    """Right: the multiplication changes nothing. The shutter did it, by a square root."""
    yield snr, "That brings the brightness back, not the photons: the noise is stretched too."
    yield snr / ratio, "The signal fell by the ratio, but its noise fell too, by the root."
    yield True, "How many electrons make that SNR? How many are left?"


def gain_of_sensor(flat_a, flat_b, dark_a, dark_b):
    flat_a, flat_b, dark_a, dark_b = (x.astype(float) for x in (flat_a, flat_b, dark_a, dark_b))
    light = (flat_a + flat_b).mean() / 2 - (dark_a + dark_b).mean() / 2
    return ((flat_a - flat_b).var() - (dark_a - dark_b).var()) / 2 / light


def _frames(gain, black, rng):
    """Two flats and two dark frames of a sensor under an uneven lamp."""
    y, x = np.mgrid[-1:1:160j, -1:1:160j]
    light = 0.3 * (1 - 0.3 * (x**2 + y**2) / 2) * rng.normal(1, 0.02, x.shape)
    levels = noise.NoiseLevels(gain, read=6 * gain, row=2 * gain, shape=-0.07)
    camera = dataclasses.replace(_CAMERA, black_level=black, white_level=4095)
    scenes = light, light, 0 * light, 0 * light
    return [noise.expose(s, 1, camera, rng=rng, levels=levels) for s in scenes]


@exercise("02.2", 2, gain_of_sensor)
def _(gain_of_sensor):
    """Right, for three sensors that nobody told you about. This is how real calibrations begin."""
    rng = np.random.default_rng(2)
    for gain, black in ((3.0, 256), (0.8, 64), (6.5, 512)):
        frames = _frames(gain, black, rng)
        answer = answer_of(gain_of_sensor, *(f.copy() for f in frames))
        assert np.ndim(answer) == 0 and np.isfinite(answer), "Return one finite number, K."
        if near(answer, gain, 0.04):
            continue
        fa, fb, da, db = (f.astype(float) for f in frames)
        light = (fa + fb).mean() / 2 - (da + db).mean() / 2
        with_light, dark = (fa - fb).var() / 2, (da - db).var() / 2
        said = f"For a sensor you find K = {answer:.4g}, and that is not the one it was made with:"
        for wrong, why in (
            (2 * (with_light - dark) / light, "the variances of *two* frames add up in a "
             "difference. Step 2: how much of it belongs to one?"),
            ((with_light - dark) / (light + black), "what is divided by is not the light. Step 1: "
             "where do these numbers start?"),
            (with_light / light, "the noise of the electronics is still in it. Step 3: which two "
             "frames hold only that?"),
            ((fa.var() - da.var()) / light, "the variance over one flat holds the uneven lamp and "
             "the unequal pixels too. Step 2: what cancels them?"),
            (light / (with_light - dark), "that is electrons per DN, the other way round."),
            (math.sqrt(max(0, with_light - dark)) / light, "that is a standard deviation over the "
             "light. The straight line is one of variances."),
        ):  # fmt: skip
            assert not near(answer, wrong, 0.01), f"{said} {why}"
        wrapped = ((frames[0] - frames[1]).var() / 2, (frames[2] - frames[3]).var() / 2)
        if near(answer, (wrapped[0] - wrapped[1]) / light, 0.02) or abs(answer) > 100 * gain:
            raise AssertionError(f"{said} differences of uint16 wrap around: floats first.")
        raise AssertionError(f"{said} run the three steps by hand and print what each gives.")


def subtract_dark(frame, darks, limit=30):
    dark = darks.mean(0)
    signal, hot = frame - dark, dark > np.median(dark) + limit
    values, usable = np.pad(np.where(hot, 0, signal), 2), np.pad(~hot, 2).astype(float)
    (h, w), places = frame.shape, ((0, 2), (4, 2), (2, 0), (2, 4))
    total, count = (sum(x[i : i + h, j : j + w] for i, j in places) for x in (values, usable))
    return np.where(hot, total / np.maximum(count, 1), signal)


def _pattern(hot=()):
    """A frame and its dark frames, whose columns differ; some pixels are hot."""
    rng = np.random.default_rng(5)
    fixed = 500.0 + np.rint(rng.normal(0, 4, (1, 14))) + np.zeros((12, 14))
    for place in hot:
        fixed[place] += 200
    light = np.arange(12)[:, None] * 3 + np.arange(14) * 40.0
    darks = fixed + np.rint(rng.normal(0, 5, (6, 12, 14)))
    frame = fixed + light + np.rint(rng.normal(0, 5, (12, 14)))
    frame[0, :3] = fixed[0, :3] - 9  # below black
    return frame.astype(np.uint16), darks.astype(np.uint16)


@exercise("02.3", 2, subtract_dark)
def _(subtract_dark):
    """Right: pattern gone, hot pixels replaced by neighbours of their own colour, borders too."""

    def ask(hot):
        frame, darks = _pattern(hot)
        answer = answer_of(subtract_dark, frame.copy(), darks.copy(), 50)
        answer = np.asarray(answer, float)
        assert answer.shape == frame.shape, f"Return (H, W) = {frame.shape}, not {answer.shape}."
        return frame, darks, answer, _OWN(frame, darks, 50)

    frame, darks, answer, truth = ask(())
    one = "Step 1:"
    assert answer.max() < 6e4, f"{one} differences of uint16 wrap around below black. Floats first."
    single = np.abs(answer - (frame - darks[0].astype(float))).max() < 1e-6
    assert not single, f"{one} one dark frame brings its own noise along. Use them all."
    clipped = np.abs(answer - np.maximum(truth, 0)).max() < 1e-6 and truth.min() < 0
    assert not clipped, f"{one} values below black are noise, not nonsense: keep them."
    level = np.abs(answer - (frame - float(np.median(darks)))).max() < 8
    said = "you took one number from all pixels, but each column has a level of its own."
    assert np.allclose(answer, truth) or not level, f"{one} {said}"
    said = "without any hot pixel the signal is frame less the mean of the dark frames; yours is"
    assert np.allclose(answer, truth), (
        f"{one} {said} off by up to {np.abs(answer - truth).max():.3g} DN."
    )

    done = "Step 1 of 3 is right."
    frame, darks, answer, truth = ask([(5, 6)])
    others = np.ones(frame.shape, bool)
    others[5, 6] = False
    near_by = (frame - darks.mean(0))[[4, 6, 5, 5], [6, 6, 5, 7]].mean()
    left = abs(answer[5, 6] - (frame - darks.mean(0))[5, 6]) < 1e-6
    assert not left, f"{done} Step 2: pixel (5, 6) is hot in every dark frame, and you left it."
    said = "the pixels next to it lie behind other filters. Go two steps."
    assert abs(answer[5, 6] - near_by) > 1e-6, f"{done} Step 2: {said}"
    assert np.allclose(answer[others], truth[others]), (
        f"{done} Step 2: pixels that are not hot changed."
    )
    assert np.allclose(answer, truth), f"{done} Step 2: pixel (5, 6) is not the mean of its four."

    done = "Steps 1 and 2 of 3 are right."
    *_, answer, truth = ask([(5, 6), (5, 8)])
    assert np.allclose(answer, truth), f"{done} Step 3: a hot neighbour was averaged in."
    *_, answer, truth = ask([(0, 5), (11, 13), (6, 1)])
    said = "at the border some neighbours do not exist. Count those that do."
    assert np.allclose(answer, truth), f"{done} Step 3: {said}"


_OWN = subtract_dark
