"""Exercises of notebook 09, sections 2 to 4."""

import torch

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


def other_split(L, R):
    factor = R.amax(0)  # any map will do that keeps both of them between 0 and 1
    return L * factor, R / factor


@exercise("09.3", 2, other_split)
def _(function):
    """Right: all pictures are the same, and the paint has another pattern."""
    draw = torch.Generator().manual_seed(0)
    for exposures, h, w in ((1, 4, 5), (2, 3, 6), (10, 5, 4)):
        L = 0.1 + 0.8 * torch.rand(exposures, h, w, generator=draw)
        R = 0.1 + 0.8 * torch.rand(3, h, w, generator=draw)
        other = answer_of(function, L.clone(), R.clone())
        assert len(other) == 2, "Return two things: the other lights, and the other paint."
        for name, new, old in zip(("lights", "paint"), other, (L, R), strict=True):
            assert tuple(new.shape) == tuple(old.shape), f"""The {name} came with shape
                {tuple(old.shape)} and go back with {tuple(new.shape)}."""
            assert new.min() > 0 and new.max() < 1 + 1e-5, f"""The {name} lie between
                {new.min():.2g} and {new.max():.2g}. All should be above 0, and at most 1."""
        off = (other[0][:, None] * other[1] - L[:, None] * R).abs().amax((1, 2, 3))
        wrong = int((off > 1e-4).sum())
        assert not wrong, f"""Of {exposures} product(s) light x paint {wrong} changed. What
            you take from the paint has to go into the light of *every* exposure."""
        ratio = (other[1] / R).amax(0)
        assert (ratio - 1).abs().max() > 0.01, "That is the split you were given."
        assert ratio.max() > 1.01 * ratio.min(), """You changed the paint by one factor for all
            pixels: it is as bright or dark as before, compared with its neighbours. May the factor
            be another one at each pixel?"""
