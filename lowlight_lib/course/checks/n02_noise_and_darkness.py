"""Exercises of notebook 02."""

import dataclasses
import math

import numpy as np

from ...sensor import noise
from .common import answer_of, array_of, exercise, near

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


@exercise("02.2", 2, gain_of_sensor, relative=0.01)
def _(function):
    """Right, for three sensors that nobody told you about. This is how real calibrations begin."""
    rng = np.random.default_rng(2)
    for gain, black in ((3.0, 256), (0.8, 64), (6.5, 512)):
        frames = _frames(gain, black, rng)
        answer = answer_of(function, *(f.copy() for f in frames))
        assert np.ndim(answer) == 0 and np.isfinite(answer), "Return one finite number, K."
        if near(answer, gain, 0.04):
            continue
        fa, fb, da, db = (f.astype(float) for f in frames)
        light = (fa + fb).mean() / 2 - (da + db).mean() / 2
        with_light, dark = (fa - fb).var() / 2, (da - db).var() / 2
        made = f"For a sensor you find K = {answer:.4g}, and that is not the one it was made with:"
        yield made, answer, gain
        yield {
            """the variances of *two* frames add up in a difference. Step 2: how much of it belongs
            to one?""": 2 * (with_light - dark) / light,
            """what is divided by is not the light. Step 1: where do these numbers
            start?""": (with_light - dark) / (light + black),
            """the noise of the electronics is still in it. Step 3: which two frames hold only
            that?""": with_light / light,
            """the variance over one flat holds the uneven lamp and the unequal pixels too. Step 2:
            what cancels them?""": (fa.var() - da.var()) / light,
            "that is electrons per DN, the other way round.": light / (with_light - dark),
            """that is a standard deviation over the light. The straight line is one of
            variances.""": math.sqrt(max(0, with_light - dark)) / light,
        }
        one, two = (frames[0] - frames[1]).var() / 2, (frames[2] - frames[3]).var() / 2
        wrapped = near(answer, (one - two) / light, 0.02) or abs(answer) > 100 * gain
        yield wrapped, "differences of uint16 wrap around: floats first."
        yield True, "run the three steps by hand and print what each gives."


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


@exercise("02.3", 2, subtract_dark, relative=0, absolute=1e-6)
def _(function):
    """Right: pattern gone, hot pixels replaced by neighbours of their own colour, borders too."""

    def ask(*hot):
        frame, darks = _pattern(hot)
        args, form = (frame.copy(), darks.copy(), 50), "Return (H, W) ="
        x = array_of(function, frame.shape, *args, form=form)
        return frame, darks, x, subtract_dark(frame, darks, 50)

    frame, darks, x, y = ask()
    yield "Step 1:", x, y
    yield not x.max() < 6e4, "differences of uint16 wrap around below black. Floats first."
    yield frame - darks[0].astype(float), "one dark frame brings its own noise along. Use them all."
    yield np.maximum(y, 0), "values below black are noise, not nonsense: keep them."
    level = np.abs(x - (frame - float(np.median(darks)))).max() < 8
    yield level, "you took one number from all pixels, but each column has a level of its own."
    assert np.allclose(x, y), f"""Step 1: without any hot pixel the signal is frame less the mean of
        the dark frames; yours is off by up to {np.abs(x - y).max():.3g} DN."""

    frame, darks, x, y = ask((5, 6))
    others = np.ones(frame.shape, bool)
    others[5, 6] = False
    kept = frame - darks.mean(0)
    yield "Step 1 of 3 is right. Step 2:", x, y
    left = abs(x[5, 6] - kept[5, 6]) < 1e-6
    yield left, "pixel (5, 6) is hot in every dark frame, and you left it."
    near_by = abs(x[5, 6] - kept[[4, 6, 5, 5], [6, 6, 5, 7]].mean()) < 1e-6
    yield near_by, "the pixels next to it lie behind other filters. Go two steps."
    yield not np.allclose(x[others], y[others]), "pixels that are not hot changed."
    yield True, "pixel (5, 6) is not the mean of its four."

    yield "Steps 1 and 2 of 3 are right. Step 3:", *ask((5, 6), (5, 8))[2:]
    yield True, "a hot neighbour was averaged in."
    yield "Steps 1 and 2 of 3 are right. Step 3:", *ask((0, 5), (11, 13), (6, 1))[2:]
    yield True, "at the border some neighbours do not exist. Count those that do."


def expose(scene, ratio, levels, black, white, rng):
    camera = dataclasses.replace(_CAMERA, black_level=black, white_level=white)
    return noise.expose(scene, ratio, camera, rng=rng, levels=levels)


@exercise("02.4", 3, expose)
def _(function):
    """Right, step by step: this is a camera. The training data of the course are made like this."""
    grey, zeros = np.full((200, 300), 0.4), np.zeros((200, 300))

    def ask(scene, ratio=1, gain=2.0, read=0.0, row=0.0, black=500, white=8500):
        levels, form = (
            noise.NoiseLevels(gain, read, row, -0.07),
            "Return an array of the scene's shape",
        )
        args = scene.copy(), ratio, levels, black, white, np.random.default_rng(3)
        x = array_of(function, scene.shape, *args, form=form)
        assert np.isfinite(x).all(), "Some pixels are nan or infinite."
        return x

    x = ask(grey, ratio=4)  # 800 DN, 400 electrons
    m, v = x.mean() - 500, x.var()
    if not near(m, 800, 0.01):
        yield f"Step 1: a grey wall of 0.4 at ratio 4, gain 2, comes out {m:.0f} DN above black:"
        yield near(m, 3200), "that is without the ratio."
        yield near(m, 300), "black is missing, or was there twice."
        yield near(m, 400), "each electron is worth 2 DN."
        yield near(m, 1600), "the gain came in once too often."
        yield True, "White is 8500, black 500: follow the formula."
    yield "Step 1:"
    yield not v > 1, "all pixels agree. Where are the photons drawn?"
    early = near(v, 800, 0.06)
    yield early, "the variance equals the mean in DN, so the gain came before the draw."
    wall = f"the variance of that wall is {v:.0f} DN²: not K times the mean."
    yield not near(v, 1600, 0.06), wall

    yield "Step 1 of 4 is right. Step 2:"
    x = ask(zeros, read=5.0)
    v = x.var()
    yield not v > 1, "a dark frame has no read noise yet."
    along = [(a[:, 1:] * a[:, :-1]).mean() / v for a in ((x - 500), (x - 500).T)]
    yield not max(along) < 0.05, "neighbours are alike. Draw a p for each pixel."
    assert not near(v, 25, 0.08), f"""Step 1 of 4 is right. Step 2: the variance is the square of
        `read`, {v:.0f} DN². Here `read` is the scale of the distribution, and its variance is
        another."""
    right = near(v, 5.0**2 * noise.tukey_variance(-0.07), 0.06)
    yield not right, f"a dark frame has a variance of {v:.0f} DN². Look at Q(p)."
    far = np.quantile(np.abs(x - 500), 0.9995) / v**0.5
    yield not far > 4, "your noise ends too early, as a Gaussian does. Use Q(p)."

    yield "Steps 1 and 2 of 4 are right. Step 3:"
    x = ask(zeros, row=5.0) - 500
    rows, columns = x.mean(1).std(), x.mean(0).std()
    yield not columns < 1.5, "columns share a draw, and rows should."
    said = "every pixel has a draw of its own." if x.std() > 2 else "rows do not differ yet."
    yield not rows > 2, said
    yield not near(rows, 5, 0.25), f"the rows' standard deviation is {rows:.1f} DN, not `row`."

    yield "Steps 1 to 3 of 4 are right. Step 4:"
    x = ask(zeros, read=1.0)
    yield (x != np.rint(x)).any(), "a file holds whole numbers."
    yield not x.mean() > 499.8, "they are cut off, not rounded: the mean is too low."
    x = ask(zeros, read=5.0, black=4)
    yield not (x.min() >= 0 and x.max() < 500), "below 0 something wraps around. Clip first."
    x = ask(np.full((40, 60), 1.5))
    yield not x.max() <= 8500, f"a pixel holds {x.max():.0f}, and white is 8500."
    levels, rng = noise.NoiseLevels(2.0, 1.0, 1.0, -0.07), np.random.default_rng(0)
    kind = np.asarray(function(np.zeros((4, 6)), 1, levels, 500, 8500, rng)).dtype
    yield kind != np.uint16, f"return uint16, not {kind}."


@exercise("02.5", 2, lambda signal, gain, floor: _anscombe(signal, gain, floor))
def stabilise(function):
    """Right: whatever the light, the noise is 1. A denoiser needs to be told no other number."""
    rng = np.random.default_rng(4)
    for gain in (1.5, 0.4):
        levels = noise.NoiseLevels(gain, read=1.5 * gain, row=0.0, shape=-0.07)
        floor, sizes = levels.moments(0)[1], []
        for electrons in (0, 5, 30, 300, 3000):
            light = np.full((150, 150), electrons * gain / 15871)
            frame = noise.expose(light, 1, rng=rng, levels=levels).astype(float) - 512
            out = array_of(function, frame.shape, frame, gain, floor, form="Return (H, W) =")
            assert np.isfinite(out).all(), f"""At {electrons} electrons some values are nan: a pixel
                far below black makes the root of a negative number."""
            sizes.append(out.std())
        dark, bright = sizes[0], sizes[-1]
        yield f"The noise is {dark:.3g} without light and {bright:.3g} at 3,000 electrons:"
        yield not bright < 1.5 * dark, "it still grows with the light."
        yield not bright > dark / 1.5, "it falls with the light. What is inside the root?"
        yield not near(bright, 1, 0.08), "the same everywhere, but not 1. Which factor is missing?"
        yield not all(near(s, 1, 0.15) for s in sizes), "in between it is off. Check each term."


def _anscombe(signal, gain, floor):
    return 2 / gain * np.sqrt(np.maximum(gain * np.asarray(signal) + 3 / 8 * gain**2 + floor, 0))


@exercise("02.6", 2, lambda sigma: sigma / (2 * math.pi) ** 0.5, [2.0, 3.0, 8.0], relative=0.02)
def black_after_clip(answer, truth, sigma):
    """Right: two fifths of sigma, out of nothing. It looks like light."""
    yield 0, "Noise averages to 0 only with both halves, and the clip throws one of them away."
    twice = 2 * truth
    yield twice, "That is the mean of |noise|. The clip does not mirror, it sets to zero."
    yield True, "Integrate x times the Gaussian density from 0 up: it has a closed form."
