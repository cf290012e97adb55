"""Exercises of notebook 01."""

import numpy as np

from ...sensor import cfa, colorimetry, noise
from .common import exercise

_CAMERA = noise.SONY_A7S2


def gains_of_cell(pattern, gains):
    gains = np.array(gains)
    if gains[3] == 0:  # not recorded: the second green is as good as the first
        gains[3] = gains[1]
    return gains[pattern]


def _cells():
    three = _CAMERA.white_balance
    for cell in cfa.BAYER.values():
        # The green beside blue as LibRaw's colour 3, without a gain of its own and with one; as 1.
        pattern = np.where((cell == 1) & (cell == 2).any(1, keepdims=True), 3, cell)
        for p, fourth in ((pattern, 0.0), (pattern, 1.25 * three[1]), (cell, 0.0)):
            yield p, [*three, fourth]


@exercise("01.1", 2, gains_of_cell, _cells)
def _(answer, truth, pattern, gains):
    """Right, for all four Bayer orders and both ways to number the greens."""
    yield (answer <= 0).any(), "A gain of 0 means that none is recorded."
    one_green = np.array([*gains[:3], gains[1]])[pattern]
    yield one_green, "This camera's greens differ. Only for a 0 does the other stand in."
    yield True, "Read it place by place: 0 is red, 2 is blue, and 1 and 3 are both green."


def shape_of_picture(mosaic_shape, orientation):
    height, width = mosaic_shape
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


@exercise("01.2", 1, shape_of_picture, [((24, 36), o) for o in (1, 3, 6, 8)])
def _(answer, truth, mosaic_shape, orientation):
    """Right: two of the four orientations exchange height and width."""
    yield True, "Which of the four values mean that the camera stood on its side?"


def value_of_black(true_black, used_black, white, ratio):
    return max(true_black - used_black, 0) / (white - used_black) * ratio


_LEVELS = [(512, used, _CAMERA.white_level, 100) for used in (512, 500, 524)]


@exercise("01.3", 1, value_of_black, _LEVELS, relative=1e-5, absolute=1e-4)
def _(answer, truth, true_black, used_black, white, ratio):
    """Right: a few DN that nobody sees in daylight are a grey veil at ratio 100."""
    yield answer < 0, "Both raw systems, and normalized(), clip below black."
    yield True, "True black in the formula, used black above and below the line; amplify last."


@exercise("01.4", 1, lambda name: divmod(name.index("R"), 2), list(cfa.BAYER))
def rows_and_columns_to_rggb(answer, truth, name):
    """Right for all four orders."""
    yield True, "Write down the cell, put the new line in front: is the first one R?"


@exercise("01.5", 1, lambda packed: packed[[0, 1, 3, 2]], [np.arange(24.0).reshape(4, 2, 3)])
def sid_planes(answer, truth, packed):
    """Right: the same numbers, and a network that expects the other order would not complain."""
    yield (np.sort(answer, 0) != np.sort(packed, 0)).any(), "Here only the order changes."
    yield True, "Walk around the cell clockwise from red: the order of the 2018 code."


@exercise("01.6", 1, lambda: cfa.name(cfa.tile(cfa.RGGB, (4, 4))[::-1, ::-1][:2, :2]), [()])
def phase_after_both_flips(answer, truth):
    """Right. The greens are back in their places, red and blue have changed seats."""
    yield answer not in cfa.BAYER, "An order has two G, an R and a B, as in RGGB."
    yield "RGGB", "Two mirrors cancel nothing here: follow the first red pixel through each."
    yield True, "That is where one flip alone leads. The second one moves the other axis."


@exercise("01.7", 1, lambda: 2 / 3, [()], absolute=0.01)
def share_of_invented_numbers(answer, truth):
    """Right: 67% of the numbers in a picture were never measured."""
    yield 1 / 3, "That is the share that was measured; the question asks for the rest."
    yield True, "Count for one pixel: how many numbers the picture holds, how many were recorded."


def srgb_encode(x):
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 0) ** (1 / 2.4) - 0.055)


@exercise("01.8", 2, srgb_encode, [np.linspace(0, 1, 1001)], relative=0, absolute=1e-4)
def _(answer, truth, x):
    """Right: straight near black, a power law above."""
    bt709, power = colorimetry.bt709_encode(x), 1.055 * x ** (1 / 2.4) - 0.055
    yield bt709, "That is the BT.709 curve again: sRGB shares its primaries."
    yield power, "Near black the standard is a straight line: so 0 would become negative."
    k = np.argmax(~(np.abs(answer - truth) <= 1e-4))
    piece = "straight" if x[k] <= 0.0031308 else "curved"
    yield True, f"It is off first at x = {x[k]:.3f}, on the {piece} piece: check its numbers."
