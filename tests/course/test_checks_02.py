"""The checks of notebook 02 accept right answers and answer wrong ones with a hint."""

import dataclasses
import math

import numpy as np
from support.checks import laws

from lowlight_lib.course.checks import n02_noise_and_darkness as own
from lowlight_lib.sensor import noise


def drawn_snr(snr, ratio):
    counts = np.random.default_rng(0).poisson(snr**2 / ratio, 500_000) * ratio
    return counts.mean() / counts.std()


def by_regression(flat_a, flat_b, dark_a, dark_b):
    """K from blocks of many brightnesses, by a straight line: another way than the course's."""
    a, b, c, d = (x.astype(float) for x in (flat_a, flat_b, dark_a, dark_b))
    black = (c.mean() + d.mean()) / 2
    mean, var = [], []
    for x, y in ((a, b), (c, d)):
        for i in range(0, x.shape[0], 16):
            mean.append((x[i : i + 16] + y[i : i + 16]).mean() / 2 - black)
            var.append((x[i : i + 16] - y[i : i + 16]).var() / 2)
    return np.polyfit(mean, var, 1)[0]


def floats(find):
    return lambda *frames: find(*(f.astype(float) for f in frames))


def half(a, b):
    return (a - b).var() / 2


def light(a, b, c, d):
    return (a.mean() + b.mean() - c.mean() - d.mean()) / 2


def pixel_by_pixel(frame, darks, limit=30):
    dark = np.mean(darks, 0)
    hot, out = dark > np.median(dark) + limit, frame - dark
    for y, x in np.argwhere(hot):
        near = [(y - 2, x), (y + 2, x), (y, x - 2), (y, x + 2)]
        inside = [p for p in near if 0 <= p[0] < out.shape[0] and 0 <= p[1] < out.shape[1]]
        out[y, x] = np.mean([(frame - dark)[p] for p in inside if not hot[p]])
    return out


def patched(step, keep_hot=False, borders=None):
    def subtract_dark(frame, darks, limit=30):
        dark = darks.mean(0)
        hot, signal = dark > np.median(dark) + limit, frame - dark
        out = signal.copy()
        h, w = signal.shape
        for y, x in np.argwhere(hot):
            near = [(y - step, x), (y + step, x), (y, x - step), (y, x + step)]
            if borders:
                near = [(min(max(p, 0), h - 1), min(max(q, 0), w - 1)) for p, q in near]
            near = [p for p in near if 0 <= p[0] < h and 0 <= p[1] < w]
            out[y, x] = np.mean([signal[p] for p in near if keep_hot or not hot[p]])
        return out

    return subtract_dark


def camera(
    scene, ratio, levels, black, white, rng, *, electrons=True, read="tukey", whole=np.rint,
    row=(True, False), clip=True, kind=np.uint16, start=None, by=1.0, drawn=True,
):  # fmt: skip
    """A camera in which any part can be another."""
    mu = scene * (white - black) / ratio / levels.gain * by
    signal = levels.gain * rng.poisson(mu) if electrons else rng.poisson(levels.gain * mu)
    signal = signal.astype(float) if drawn else levels.gain * mu

    def tukey(*size):
        return levels.read * noise.tukey_lambda(rng, levels.shape, size)

    draws = {"tukey": lambda: tukey(*scene.shape),
             "gauss": lambda: rng.normal(0, levels.read_variance() ** 0.5, scene.shape),
             "scale": lambda: rng.normal(0, levels.read, scene.shape),
             "twice": lambda: 2 * tukey(*scene.shape),
             "a row": lambda: tukey(len(scene), 1),
             "none": lambda: 0}  # fmt: skip
    size = [n if not same else 1 for n, same in zip(scene.shape, reversed(row), strict=True)]
    signal = signal + draws[read]() + rng.normal(0, levels.row, size)
    dn = whole(signal + (black if start is None else start))
    return (np.clip(dn, 0, white) if clip else dn).astype(kind)


def louder(levels, factor):
    return dataclasses.replace(levels, row=factor * levels.row)


def other(**parts):
    return lambda *args: camera(*args, **parts)


def wraps(*args):
    return (camera(*args, clip=False, kind=np.int64) % 65536).clip(0, args[4]).astype(np.uint16)


def clipped(sigma):
    levels = noise.NoiseLevels(gain=8.0, read=8.0 * sigma, row=0.0, shape=None)
    dark = noise.expose(np.zeros((1024, 1024)), 1, rng=0, levels=levels)
    return np.maximum(dark.astype(float) - 512, 0).mean() / levels.gain


def integrated(signal, gain, floor):
    """The integral of one over the noise, summed up numerically."""
    at = np.linspace(-floor / gain, signal.max(), 200_001)
    steps = 1 / np.sqrt(np.maximum(gain * at + floor + 3 / 8 * gain**2, 1e-3))
    return np.interp(signal, at, np.cumsum(steps) * (at[1] - at[0]))


def root(signal, gain, floor, factor=1.0, real=True):
    inside = gain * signal + floor
    return factor * np.sqrt(np.maximum(inside, 0) if real else inside)


RIGHT = {
    "snr_after_multiplying": drawn_snr,
    "gain_of_sensor": by_regression,
    "subtract_dark": pixel_by_pixel,
    "expose": camera,
    "stabilise": integrated,
    "black_after_clip": clipped,
}
WRONG = [
    ("snr_after_multiplying", lambda snr, ratio: snr, "not the photons"),
    ("snr_after_multiplying", lambda snr, ratio: snr / ratio, "its noise fell too"),
    ("snr_after_multiplying", lambda snr, ratio: 1.0, "How many electrons"),
    ("gain_of_sensor", lambda a, b, c, d: a, "one finite number"),
    ("gain_of_sensor", floats(lambda a, b, c, d: 2 * own.gain_of_sensor(a, b, c, d)), "to one"),
    ("gain_of_sensor", floats(lambda a, b, c, d: (half(a, b) - half(c, d)) / a.mean()), "Step 1"),
    ("gain_of_sensor", floats(lambda a, b, c, d: half(a, b) / light(a, b, c, d)), "Step 3"),
    ("gain_of_sensor", floats(lambda *f: (f[0].var() - f[2].var()) / light(*f)), "uneven"),
    ("gain_of_sensor", lambda *f: 1 / own.gain_of_sensor(*f), "other way round"),
    ("gain_of_sensor", floats(lambda a, b, c, d: (half(a, b) - half(c, d)) ** 0.5
                              / light(a, b, c, d)), "variances"),
    ("gain_of_sensor", lambda *f: (half(*f[:2]) - half(*f[2:])) / light(*f), "floats first"),
    ("gain_of_sensor", lambda a, b, c, d: 1.7, "three steps by hand"),
    ("subtract_dark", lambda f, d, limit: (f - d[0]).astype(float), "Floats first"),
    ("subtract_dark", lambda f, d, limit: f - d[0].astype(float), "own noise along"),
    ("subtract_dark", lambda f, d, limit: np.maximum(f - d.mean(0), 0), "keep them"),
    ("subtract_dark", lambda f, d, limit: f - d.mean(), "level of its own"),
    ("subtract_dark", lambda f, d, limit: d.mean(0) - f, "off by up to"),
    ("subtract_dark", lambda f, d, limit: f[0], r"not \(14,\)"),
    ("subtract_dark", lambda f, d, limit: f - d.mean(0), "you left it"),
    ("subtract_dark", patched(1), "Go two steps"),
    ("subtract_dark", lambda f, d, limit: pixel_by_pixel(f, d, 0), "Step 1:|not hot changed"),
    ("subtract_dark", lambda f, d, limit: np.where(pixel_by_pixel(f, d, limit) == f - d.mean(0),
                                                   f - d.mean(0), 0), "mean of its four"),
    ("subtract_dark", patched(2, keep_hot=True), "averaged in"),
    ("subtract_dark", patched(2, borders=True), "Count those"),
    ("expose", other(by=4), "Follow|follow|without the ratio|too often"),
    ("expose", lambda s, r, *more: camera(s, 1, *more), "without the ratio"),
    ("expose", other(start=0), "black is missing"),
    ("expose", lambda s, r, lv, *more: camera(s, r * lv.gain, lv, *more), "2 DN"),
    ("expose", lambda s, r, lv, *more: camera(s, r / lv.gain, lv, *more), "too often"),
    ("expose", other(by=1.2), "follow the formula"),
    ("expose", other(drawn=False), "photons drawn"),
    ("expose", other(electrons=False), "before the draw"),
    ("expose", lambda s, *m: camera(s, *m).repeat(1, 0)[:1] + 0 * camera(s, *m), "not K times"),
    ("expose", other(read="none"), "no read noise"),
    ("expose", other(read="scale"), "the scale of the distribution"),
    ("expose", other(read="twice"), r"Look at Q\(p\)"),
    ("expose", other(read="gauss"), "ends too early"),
    ("expose", other(read="a row"), "for each pixel"),
    ("expose", other(row=(False, True)), "columns share"),
    ("expose", other(row=(False, False)), "draw of its own"),
    ("expose", lambda *args: camera(*args[:2], louder(args[2], 0), *args[3:]), "yet"),
    ("expose", lambda *args: camera(*args[:2], louder(args[2], 2), *args[3:]), "not `row`"),
    ("expose", other(whole=lambda x: x, kind=float), "whole numbers"),
    ("expose", other(whole=np.floor), "cut off"),
    ("expose", wraps, "wraps around"),
    ("expose", lambda s, r, lv, black, white, g: camera(s, r, lv, black, 9e9, g, kind=int)
     if s.max() > 1 else camera(s, r, lv, black, white, g), "white is"),
    ("expose", other(kind=np.int32), "not int32"),
    ("expose", lambda *args: camera(*args).T, "scene's shape"),
    ("expose", lambda *args: camera(*args) * np.nan, "nan"),
    ("stabilise", lambda s, gain, floor: s, "still grows"),
    ("stabilise", lambda s, gain, floor: np.log(np.maximum(s, 0) + 30), "falls"),
    ("stabilise", root, "Which factor"),
    ("stabilise", lambda s, k, f: root(s, k, f, 2 / k, real=False), "root of a negative"),
    ("stabilise", lambda s, k, f: (2 / k * np.sqrt(np.maximum(k * s + f, 0)))[:1], "Return"),
    ("stabilise", lambda s, k, f: np.where(s < 25 * k, root(s, k, f, 2 / k), root(s, k, f, 2 / k))
     + np.where(abs(s - 30 * k) < 15 * k, s, 0), "in between"),
    ("black_after_clip", lambda sigma: 0, "throws one of them away"),
    ("black_after_clip", lambda sigma: 2 * sigma / math.sqrt(2 * math.pi), "does not mirror"),
    ("black_after_clip", lambda sigma: sigma, "closed form"),
]  # fmt: skip
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
