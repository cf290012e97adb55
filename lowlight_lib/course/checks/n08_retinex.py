"""Checks of notebook 08."""

import numpy as np
import torch
from torch.nn import functional as F

from ...blocks import retinex
from .common import ANY, Judge, answer_of


def halo_width(function) -> None:
    """Exercise 08/2.1: function(radius) -> pixels of the shade that get too much illumination."""
    for radius in (1, 8, 3, 0):
        hint = Judge(function, (radius,), 2 * radius, relative=0)
        hint[radius] = "So far the *maximum* carries the sun. What does the mean behind it do?"
        hint[2 * radius + 1] = "That is the side of a window. How far does it reach to one side?"
        hint[4 * radius] = "You count both sides of the edge. Is anything in the sun too dark?"
        hint[...] = "Write the row down, 1 1 1 0.1 0.1 0.1: the maximum of each window, their mean."
    print("Right: twice the radius, and all of it in the shade; the sunny side keeps its light.")


def contrast_left(function) -> None:
    """Exercise 08/3.1: function(ratio, gamma) -> (with plain gamma, with L^gamma R)."""
    for ratio, gamma in ((4.0, 0.2), (2.0, 0.5), (1.5, 0.14), (3.0, 1.0)):
        plain, split = ratio**gamma, ratio
        hint = Judge(function, (ratio, gamma), (plain, split), relative=1e-3)
        hint[(split, plain)] = "These are the right two numbers, in the other order."
        hint[(plain, ANY)] = "Second number: both are in the *same* light. What is left of it?"
        hint[...] = "First number: both are raised to gamma. What is (a x) ** g / (a y) ** g?"
    print("Right: plain gamma squeezes both alike; the split squeezes the illumination alone.")


def freedoms(function) -> None:
    """Exercise 08/4.1: function(exposures) -> numbers a pixel that the products leave open."""
    for k in (1, 2, 3, 10):
        hint = Judge(function, (k,), 1, relative=0)  # a factor of all R and one over it of all L
        hint[3 - 2 * k] = f"""{k + 3} unknowns and {3 * k} equations. But do they all say something
            new? Take any solution, double R, and halve every L."""
        hint[0] = "Then there would be one answer. But double R and halve every L: still right?"
        hint[...] = "Suppose somebody tells you L of the first exposure. What follows for all else?"
    print("Right: one number a pixel, with two exposures, ten, or a hundred.")


def cheat(function) -> None:
    """Exercise 08/4.2: function(image) -> (L, R, X) that most of the loss is content with."""
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
    print("Right: four of the six terms are 0, and you have not even looked at the picture.")


def _split_of(function, image):
    h, w = image.shape[-2:]
    split = retinex.Decomposition(*answer_of(function, image))
    for name, t, c in zip("LRX", split, (1, 3, 3), strict=True):
        said = f"{name} has shape {tuple(t.shape)}, and here it should be {(1, c, h, w)}."
        assert tuple(t.shape) == (1, c, h, w), said
        assert t.min() >= 0 and t.max() <= 1, f"{name} leaves the range from 0 to 1."
    return split


def invisible_light(function) -> None:
    """Exercise 08/4.3: function(h, w) -> illumination that changes at each pixel, with TV = 0."""
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
    print("Right: the roughest light there is, and TV, which looks two pixels on, sees none of it.")


def light_of_half(function) -> None:
    """Exercise 08/5.1: function(weight) -> illumination at which half of the noise is removed."""
    for weight in (500.0, 5.0, 50.0):
        truth = (weight - 1) ** -0.5
        hint = Judge(function, (weight,), truth)
        pull = 1 + np.clip(float(hint.answer), 1e-3, 1) ** -2  # of (L R - X)^2 and (R - X / L)^2
        hint[1 / truth] = "That is 1 / L, and the light is below 1."
        hint[truth**2] = "That is L^2."
        hint[...] = f"""There the share is {pull / (pull + weight):.0%}. Set it to one half and
            solve for L."""
    of_255 = " and ".join(f"{255 * (w - 1) ** -0.5:.0f} with {w:g}" for w in (500.0, 5.0))
    print(f"Right: of the 255 levels of a PNG file, that is {of_255}.")
