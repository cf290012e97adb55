"""Exercises of notebook 11, up to 11.3; the others are in n11_training."""

import numpy as np
import torch
from torch.nn import functional as F

from .common import answer_of, exercise


def augment(rng, mosaic, target, crop):
    top, left = (2 * int(rng.integers(0, (s - crop) // 2 + 1)) for s in mosaic.shape)
    return [image[top : top + crop, left : left + crop] for image in (mosaic, target)]


@exercise("11.1", 2, augment)
def _(function):
    """Right: drawn once, used twice, and every crop starts on red."""
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


def picture_psnr(picture, target):
    a, b = (np.round(255 * v) / 255 for v in (picture, target))
    return -10 * np.log10(np.mean((a - b) ** 2))


def _pictures():
    for seed, noise in ((1, 0.05), (2, 0.3), (3, 0.004)):
        rng = np.random.default_rng(seed)
        target = rng.random((32, 40, 3))
        yield np.clip(target + noise * rng.standard_normal(target.shape), 0, 1), target


@exercise("11.2", 1, picture_psnr, _pictures, relative=0, absolute=1e-4)
def _(answer, truth, picture, target):
    """Right, to the fourth digit, rounding included."""
    error = np.mean((picture - target) ** 2)
    floors = [np.floor(255 * v) / 255 for v in (picture, target)]
    yield -10 * np.log10(error), "So it is without the rounding. Which values has an 8-bit file?"
    yield -10 * np.log10(np.mean((floors[0] - floors[1]) ** 2)), "That is truncated, not rounded."
    yield -truth, "Nearly: the minus sign."
    yield 2 * truth, "Nearly: 10 log10 of a mean square, not 20."
    yield abs(answer - truth * np.log(10)) < 1e-3, "A decibel counts powers of ten, not of e."
    yield abs(answer - truth) > 40, "The peak of your pictures is 1. Did you leave them at 0..255?"
    yield True, "Round both, subtract, square, one mean over all elements, then the logarithm."


def picture_ssim(x, y):
    i = torch.arange(11) - 5
    g = torch.exp(-(i**2) / (2 * 1.5**2))
    window = (g[:, None] * g / g.sum() ** 2)[None, None]
    mx, my, xx, yy, xy = (F.conv2d(v[None, None], window) for v in (x, y, x * x, y * y, x * y))
    luminance = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
    contrast = (2 * (xy - mx * my) + 0.03**2) / (xx - mx**2 + yy - my**2 + 0.03**2)
    return (luminance * contrast).mean().item()


@exercise("11.3", 3, picture_ssim)
def _(function):
    """Right: the library's SSIM, to the fifth digit."""
    g = torch.Generator().manual_seed(0)
    for a, b in ((0.2, 0.6), (0.5, 0.5), (0.9, 0.1)):
        x, y = (torch.full((24, 30), v) for v in (a, b))
        given, truth = float(answer_of(function, x, y)), picture_ssim(x, y)
        what = f"Step 1 of 3: two flat pictures, {a} and {b}: you say {given:.4f}, which is not it."
        assert given == given, f"{what} NaN: divide by something that is never 0."
        hint = "A flat picture has no variance: the second fraction is 1, and so is a window's sum."
        assert abs(given - truth) < 2e-4, f"{what} {hint}"
    x = torch.rand(24, 30, generator=g)
    given = float(answer_of(function, x, x))
    what = f"Step 1 is right. Step 2 of 3: a picture has SSIM 1 with itself; you say {given:.4f}."
    assert abs(given - 1) < 1e-4, f"{what} A variance is the mean of squares less the squared mean."
    for noise in (0.1, 0.3):
        x = F.interpolate(torch.rand(1, 1, 6, 7, generator=g), (48, 56), mode="bilinear")[0, 0]
        y = (x + noise * torch.randn(x.shape, generator=g)).clip(0, 1)
        given, truth = float(answer_of(function, x, y)), picture_ssim(x, y)
        what = f"Steps 1 and 2 are right. Step 3 of 3: you say {given:.5f}, which is not it."
        assert abs(given - truth) < 2e-5, f"{what} {_why(given, x, y)}"


def _why(given, x, y):
    """What is different about a value of SSIM that is not ours."""
    border = picture_ssim(*(F.pad(v, (5,) * 4) for v in (x, y)))
    box = torch.ones(1, 1, 11, 11) / 121
    means = [F.conv2d(v[None, None], box) for v in (x, y, x * x, y * y, x * y)]
    mx, my, xx, yy, xy = means
    flat = (2 * mx * my + 1e-4) * (2 * (xy - mx * my) + 9e-4)
    flat = flat / ((mx**2 + my**2 + 1e-4) * (xx - mx**2 + yy - my**2 + 9e-4))
    if abs(given - border) < 1e-4:
        return "Your windows reach over the border. Take those that fit into the picture."
    if abs(given - flat.mean().item()) < 1e-4:
        return "All pixels of your window weigh the same. SSIM's window is a Gaussian."
    return "Is sigma 1.5, the window 11 wide, the covariance the mean of x y less the two means?"
