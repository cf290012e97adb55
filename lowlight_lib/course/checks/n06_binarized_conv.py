"""Exercises of notebook 06."""

import math

from .common import exercise

_LIGHTS = [(0.3, 0.3, 0.1), (0.35, 0.3, 0.1), (0.2, 0.3, 0.1), (0.5, 0.2, 0.2)]


@exercise("06.1", 2, lambda x, t, s: math.erf((x - t) / s / 2**0.5), _LIGHTS, absolute=0.01)
def mean_of_bits(answer, truth, x, t, sigma):
    """Right: straight near the threshold, flat far from it. Noise turns a step into a slope."""
    u = (x - t) / sigma
    yield x - t, "That is how far the light is from the threshold. How large is the noise?"
    yield u, "Linear near the threshold, but never above 1: which probability bends like that?"
    yield (1 + math.erf(u / 2**0.5)) / 2, "So often the bit is +1. Otherwise it is -1, not 0."
    yield math.erf(u), "Nearly: look up again what erf(u) counts, and mind the root of 2."
    yield True, "How probable is +1, how probable -1? The mean is their difference."


_STEPS = [(0.3, 0.001, 1e-6), (0.3, 0.001, 1.0), (0.05, 0.002, 1e-3)]


@exercise("06.2", 1, lambda w, lr, g: math.floor(w / lr) + 1, _STEPS, relative=0.02, absolute=1.5)
def steps_until_flip(answer, truth, w, lr, gradient):
    """Right: Adam walks at one pace, however faint the gradient. Then all at once: a flip."""
    plain = "So it is with plain gradient descent. Adam divides by a root."
    yield w / (lr * gradient), plain
    yield True, "How far does one step of Adam go, if the gradient is the same each time?"


def share_at_border(h, w, kernel):
    r = kernel // 2
    return 1 - max(h - 2 * r, 0) * max(w - 2 * r, 0) / (h * w)


_FRAMES = [(128, 128, 3), (16, 16, 5), (6, 9, 5), (8, 8, 1), (3, 4, 5), (3, 3, 5)]


@exercise("06.3", 2, share_at_border, _FRAMES)
def _(answer, truth, h, w, kernel):
    """Right: at 16 x 16 with 5x5 kernels, 44% of all outputs."""
    r, truth = kernel // 2, truth
    yield 1 - truth, "That is the share that never sees the border; we ask for the other."
    yield 2 * r * (h + w) / (h * w), "You have counted the corners twice."
    yield 100 * truth, "As a share between 0 and 1, please."
    inside = 1 - (h - 2 * r) * (w - 2 * r) / (h * w)
    yield inside, "The kernel is larger than the frame: there are not fewer than none inside."
    yield 1 - (h - r) * max(w - r, 0) / (h * w), "There is a border on both sides."
    yield True, "How many rows and columns have a window that lies inside?"
