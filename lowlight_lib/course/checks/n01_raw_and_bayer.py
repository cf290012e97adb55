"""Checks of notebook 01."""

import numpy as np

from ...sensor import cfa, colorimetry, noise
from .common import Judge, answer_of


def gains_of_cell(function) -> None:
    """Exercise 01/1.1: function(pattern, gains) -> (2, 2) white-balance gains, one a filter."""
    three = noise.SONY_A7S2.white_balance
    for cell in cfa.BAYER.values():
        # The green beside blue as LibRaw's colour 3, without a gain of its own and with one; as 1.
        pattern = np.where((cell == 1) & (cell == 2).any(1, keepdims=True), 3, cell)
        for p, fourth in ((pattern, 0.0), (pattern, 1.25 * three[1]), (cell, 0.0)):
            one_green = np.array([*three, three[1]])[p]
            truth = np.array([*three, fourth or three[1]])[p]
            hint = Judge(function, (p, [*three, fourth]), truth, relative=1e-3)
            hint[lambda answer: (answer <= 0).any()] = "A gain of 0 means that none is recorded."
            hint[one_green] = "This camera's greens differ. Only for a 0 does the other stand in."
            hint[...] = "Read it place by place: 0 is red, 2 is blue, and 1 and 3 are both green."
    print("Right, for all four Bayer orders and both ways to number the greens.")


def shape_of_picture(function) -> None:
    """Exercise 01/1.2: function(mosaic_shape, orientation) -> (height, width) that LibRaw gives."""
    for orientation, truth in ((1, (24, 36)), (3, (24, 36)), (6, (36, 24)), (8, (36, 24))):
        hint = Judge(function, ((24, 36), orientation), truth, relative=0)
        hint[...] = "Which of the four values mean that the camera stood on its side?"
    print("Right: two of the four orientations exchange height and width.")


def value_of_black(function) -> None:
    """Exercise 01/2.1: function(true_black, used_black, white, ratio) -> amplified signal."""
    for true, used in ((512, 512), (512, 500), (512, 524)):
        white = noise.SONY_A7S2.white_level
        truth = 100 * max(true - used, 0) / (white - used)
        hint = Judge(function, (true, used, white, 100), truth, relative=1e-5, absolute=1e-4)
        hint[lambda answer: answer < 0] = "Both raw systems, and normalized(), clip below black."
        hint[...] = "True black in the formula, used black above and below the line; amplify last."
    print("Right: a few DN that nobody sees in daylight are a grey veil at ratio 100.")


def rows_and_columns_to_rggb(function) -> None:
    """Exercise 01/3.1: function(name) -> (rows, columns) to add at top and left."""
    for name in cfa.BAYER:
        hint = Judge(function, (name,), divmod(name.index("R"), 2), relative=0)
        hint[...] = "Write down the cell, put the new line in front: is the first one R?"
    print("Right for all four orders.")


def sid_planes(function) -> None:
    """Exercise 01/3.2: function(packed) reorders planes by position to R, G1, B, G2."""
    mosaic = np.random.default_rng(0).random((4, 6))
    truth = np.stack([mosaic[r::2, c::2] for r, c in ((0, 0), (0, 1), (1, 1), (1, 0))])
    hint = Judge(function, (cfa.pack_mosaic(mosaic),), truth, relative=0)
    hint[lambda a: (np.sort(a, 0) != np.sort(truth, 0)).any()] = "Here only the order changes."
    hint[...] = "Walk around the cell clockwise from red: the order of the 2018 code."
    print("Right: the same numbers, and a network that expects the other order would not complain.")


def phase_after_both_flips(function) -> None:
    """Exercise 01/4.1: function() -> the Bayer order that RGGB shows after both plain flips."""
    truth = cfa.name(cfa.tile(cfa.RGGB, (4, 4))[::-1, ::-1][:2, :2])
    hint = Judge(lambda: str(answer_of(function)).upper(), (), truth)
    hint[lambda answer: answer not in cfa.BAYER] = f"Choose from {', '.join(cfa.BAYER)}."
    hint["RGGB"] = "Two mirrors cancel nothing here: follow the first red pixel through each."
    hint[...] = "That is where one flip alone leads. The second one moves the other axis."
    print(f"Right: {truth}. The greens are back in their places, red and blue have changed seats.")


def share_of_invented_numbers(function) -> None:
    """Exercise 01/5.1: function() -> share of a picture's numbers that no pixel measured."""
    hint = Judge(function, (), 2 / 3, absolute=0.01)
    hint[1 / 3] = "That is the share that was measured; the question asks for the rest."
    hint[...] = "Count for one pixel: how many numbers the picture holds, how many were recorded."
    print("Right: 67% of the numbers in a picture were never measured.")


def srgb_encode(function) -> None:
    """Exercise 01/5.2: function(x) -> the sRGB curve (IEC 61966-2-1) of linear light in [0, 1]."""
    x = np.linspace(0, 1, 1001)
    power = 1.055 * x ** (1 / 2.4) - 0.055
    truth = np.where(x <= 0.0031308, 12.92 * x, power)
    hint = Judge(function, (x,), truth, relative=0, absolute=1e-4)
    hint[colorimetry.bt709_encode(x)] = "That is the BT.709 curve again: sRGB shares its primaries."
    hint[power] = "Near black the standard is a straight line: so 0 would become negative."
    k = np.argmax(np.abs(hint.answer - truth) > 1e-4)
    hint[...] = f"""At x = {x[k]:.3f} that is {hint.answer[k]:.4f}, and in the standard
        {truth[k]:.4f}. Check the two pieces and the place where they meet."""
    print("Right: straight near black, a power law above.")
