"""Exercises of notebook 09."""

import numpy as np
import torch
from torch.nn import functional as F

from ...blocks import retinex
from .common import ANY, answer_of, exercise


@exercise("09.1", 1, lambda radius: 2 * radius, [1, 8, 3, 0])
def halo_width(answer, truth, radius):
    """Right: twice the radius, and all of it in the shade; the sunny side keeps its light."""
    yield radius, "So far the *maximum* carries the sun. What does the mean behind it do?"
    yield 2 * radius + 1, "That is the side of a window. How far does it reach to one side?"
    yield 4 * radius, "You count both sides of the edge. Is anything in the sun too dark?"
    yield True, "Write the row down, 1 1 1 0.1 0.1 0.1: the maximum of each window, their mean."


def contrast_left(ratio, gamma):
    return ratio**gamma, ratio  # the light is the same for both, and cancels


@exercise("09.2", 1, contrast_left, [(4.0, 0.2), (2.0, 0.5), (1.5, 0.14), (3.0, 1.0)])
def _(answer, truth, ratio, gamma):
    """Right: plain gamma squeezes both alike; the split squeezes the illumination alone."""
    plain, split = truth
    yield (split, plain), "These are the right two numbers, in the other order."
    yield (plain, ANY), "Second number: both are in the *same* light. What is left of it?"
    yield True, "First number: both are raised to gamma. What is (a x) ** g / (a y) ** g?"


@exercise("09.3", 1, lambda exposures: 1, [1, 2, 3, 10])
def freedoms(answer, truth, k):
    """Right: one number a pixel, with two exposures, ten, or a hundred."""
    yield 3 - 2 * k, "Do all equations say something new? Double R of a solution, halve every L."
    yield 0, "Then there would be a single answer. But double R and halve every L: still right?"
    yield True, "Suppose somebody tells you L of the first exposure. What follows for all else?"


def cheat(image):
    grey = torch.full_like(image, 0.5)
    return grey[:, :1], grey, grey * grey  # constant paint, constant light, and X their product


@exercise("09.4", 2, cheat)
def _(function):
    """Right: four of the six terms are 0, and you have not even looked at the picture."""
    draw = torch.Generator().manual_seed(0)
    for h, w in ((8, 8), (5, 12)):
        images = [torch.rand(1, 3, h, w, generator=draw) for _ in range(2)]  # unrelated
        splits = [_split_of(function, image) for image in images]
        for image, split in zip(images, splits, strict=True):
            same = _split_of(function, image.clone())
            assert all(map(torch.equal, split, same)), "One picture gave two different splits."
            L, R, X = split
            assert L.min() > 0, "L is 0 somewhere, and X / L is not a number there."
            assert F.mse_loss(L * R, X) < 1e-9, "mean((L R - X)^2) is not 0. X is yours to choose."
            assert retinex.total_variation(L) < 1e-6, "TV(L) is not 0. Which L is smoothest?"
        apart = retinex.consistency(splits[0].R, splits[1].R)
        assert apart < 1e-9, "C is not 0. Which reflectance is the same whatever one looks at?"


def _split_of(function, image):
    h, w = image.shape[-2:]
    split = retinex.Decomposition(*answer_of(function, image.clone()))
    for name, t, c in zip("LRX", split, (1, 3, 3), strict=True):
        said = f"{name} has shape {tuple(t.shape)}, and here it should be {(1, c, h, w)}."
        assert tuple(t.shape) == (1, c, h, w), said
        assert t.min() >= 0 and t.max() <= 1, f"{name} leaves the range from 0 to 1."
    return split


def invisible_light(h, w):
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return (y + x) % 2  # a step of two never changes the colour of the chessboard


@exercise("09.5", 2, invisible_light)
def _(function):
    """Right: the roughest light there is, and TV, which looks two pixels on, sees none of it."""
    for h, w in ((4, 6), (7, 5), (3, 3)):
        light = torch.as_tensor(answer_of(function, h, w)).float()
        assert tuple(light.shape) == (h, w), f"Return ({h}, {w}) numbers, not {tuple(light.shape)}."
        assert light.min() >= 0 and light.max() <= 1, "Light is between 0 and 1."
        value = retinex.total_variation(light[None, None]).item()
        assert value < 1e-6, f"""{h} x {w}: TV is {value:.2g}. Which pixels does it compare? Those,
            and only those, have to be equal."""
        for axis, name in enumerate(("below", "beside")):
            steps = light.diff(dim=axis).abs()
            assert steps.min() > 1 - 1e-6, f"""Two pixels, one {name} the other, differ by
                {steps.min():.2g} only, and not by 1 as on all four sides they should."""


@exercise("09.6", 2, lambda weight: (weight - 1) ** -0.5, [500.0, 5.0, 50.0])
def light_of_half(answer, truth, weight):
    """Right: of the 255 levels of a PNG file, that is 11 with 500 and 128 with 5."""
    truth, pull = truth, 1 + np.clip(answer, 1e-3, 1) ** -2.0
    yield 1 / truth, "That is 1 / L, and the light is below 1."
    yield truth**2, "That is L^2."
    # (L R - X)^2 and (R - X / L)^2 pull together, the projection pulls back.
    yield True, f"There the share is {pull / (pull + weight):.0%}. Set it to a half, solve for L."
