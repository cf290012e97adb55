"""Checks of notebook 01."""

import io

import numpy as np

from ...sensor import cfa, colorimetry, isp, noise, raw
from .common import Judge, answer_of


def gains_of_cell(function) -> None:
    """Exercise 01/1.1: function(pattern, gains) -> (2, 2) white-balance gains, one a filter."""
    for cell in cfa.BAYER.values():
        image = _flat(cell)
        with _in_libraw(image) as file:
            pattern, gains = np.array(file.raw_pattern), list(file.camera_whitebalance)
        three = list(image.white_balance)
        # The second green as colour 3, without a gain of its own and with one; and as colour 1.
        for p, fourth in ((pattern, 0.0), (pattern, 1.25 * gains[1]), (cell, 0.0)):
            one_green = np.array([*three, three[1]])[p]
            truth = np.array([*three, fourth or three[1]])[p]
            hint = Judge(function, (p, [*gains[:3], fourth]), truth, relative=1e-3)
            hint[lambda answer: (answer <= 0).any()] = "A gain of 0 means that none is recorded."
            hint[one_green] = "This camera's greens differ. Only for a 0 does the other stand in."
            hint[...] = "Read it place by place: 0 is red, 2 is blue, and 1 and 3 are both green."
    print("Right, for all four Bayer orders and both ways to number the greens.")


def shape_of_picture(function) -> None:
    """Exercise 01/1.2: function(mosaic_shape, orientation) -> (height, width) that LibRaw gives."""
    for orientation in (1, 3, 6, 8):
        image = _flat(shape=(24, 36), orientation=orientation)
        with _in_libraw(image) as file:
            truth = file.postprocess().shape[:2]
        hint = Judge(function, (image.mosaic.shape, orientation), truth, relative=0)
        hint[...] = "Which of the four values mean that the camera stood on its side?"
    print("Right: two of the four orientations exchange height and width.")


def value_of_black(function) -> None:
    """Exercise 01/2.1: function(true_black, used_black, white, ratio) -> amplified signal."""
    for true, used in ((512, 512), (512, 500), (512, 524)):
        image = _flat(dn=true, black=used)
        args, truth = (true, used, image.white_level, 100), 100 * image.normalized().max()
        hint = Judge(function, args, truth, relative=1e-5, absolute=1e-4)
        hint[lambda answer: answer < 0] = "Both raw systems, and normalized(), clip below black."
        hint[...] = "True black in the formula, used black above and below the line; amplify last."
    print("Right: a few DN that nobody sees in daylight are a grey veil at ratio 100.")


def rows_and_columns_to_rggb(function) -> None:
    """Exercise 01/3.1: function(name) -> (rows, columns) to add at top and left."""
    for name, cell in cfa.BAYER.items():
        hint = Judge(function, (name,), cfa.to_rggb(_flat(cell))[1], relative=0)
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
    truth = 1 - _flat().mosaic.size / isp.develop(_flat()).size
    hint = Judge(function, (), truth, absolute=0.01)
    hint[1 - truth] = "That is the share that was measured; the question asks for the rest."
    hint[...] = "Count for one pixel: how many numbers the picture holds, how many were recorded."
    print(f"Right: {truth:.0%} of the numbers in a picture were never measured.")


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


def _flat(cell=cfa.RGGB, shape=(24, 24), dn=4000, black=512, orientation=1):
    """A grey frame of the course's camera."""
    mosaic, camera = np.full(shape, dn, np.uint16), noise.SONY_A7S2
    levels = black, camera.white_level, camera.white_balance, camera.color_matrix
    return raw.RawImage(mosaic, cell, *levels, orientation)  # pyright: ignore[reportArgumentType]  (made arrays)


def _in_libraw(image):
    """The image as LibRaw opens it."""
    import rawpy

    return rawpy.imread(io.BytesIO(raw.encode_dng(image)))
