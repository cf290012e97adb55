"""Checks of notebook 01."""

from __future__ import annotations

import dataclasses
import io

import numpy as np

from ...sensor import cfa, colorimetry, isp, raw
from .common import flat_raw


def gains_of_cell(function) -> None:
    """Exercise 01/1.1: function(pattern, gains) -> (2, 2) white-balance gains, one a filter."""
    import rawpy

    for name, cell in cfa.BAYER.items():
        image = flat_raw(cell)
        with rawpy.imread(io.BytesIO(raw.encode_dng(image))) as file:
            pattern, gains = np.array(file.raw_pattern), list(file.camera_whitebalance)
        truth = np.asarray(image.white_balance)[cell]
        for p in (pattern, cell):  # the second green as colour 3, and as colour 1
            answer = np.asarray(function(p, list(gains)), float)
            assert answer.shape == (2, 2), (
                f"Return one gain for each place of the 2x2 cell; yours has shape {answer.shape}."
            )
            assert (answer > 0).all(), (
                f"With the pattern {p.tolist()} one of your gains is 0: half of the green pixels "
                "would turn black. A zero here means 'not recorded', not 'no light'."
            )
            assert np.allclose(answer, truth, atol=1e-3), (
                f"For {name}, numbered {p.tolist()}, you gave {answer.round(3).tolist()}. Read the "
                "pattern place by place: 0 is red, 2 is blue, and 1 and 3 are both green."
            )
    print("Right, for all four Bayer orders and both ways to number the greens.")


def shape_of_picture(function) -> None:
    """Exercise 01/1.2: function(mosaic_shape, orientation) -> (height, width) that LibRaw gives."""
    import rawpy

    for orientation in (1, 3, 6, 8):
        image = dataclasses.replace(flat_raw(cfa.RGGB, (24, 36)), orientation=orientation)
        with rawpy.imread(io.BytesIO(raw.encode_dng(image))) as file:
            truth = file.postprocess().shape[:2]
        answer = tuple(int(n) for n in function(image.mosaic.shape, orientation))
        assert answer == truth, (
            f"A mosaic of {image.mosaic.shape} with orientation {orientation} does not become "
            f"{answer}. Which of the four values mean that the camera stood on its side?"
        )
    print("Right: two of the four orientations exchange height and width.")


def value_of_black(function) -> None:
    """Exercise 01/2.1: function(true_black, used_black, white, ratio) -> amplified signal."""
    for true, used in ((512, 512), (512, 500), (512, 524)):
        image = dataclasses.replace(
            flat_raw(cfa.RGGB), mosaic=np.full((24, 24), true, np.uint16), black_level=used
        )
        truth = float(image.normalized().max()) * 100
        answer = float(function(true, used, image.white_level, 100))
        if used > true and answer < 0:
            raise AssertionError(
                f"You gave {answer:.3f}. That is the honest difference, but both published raw "
                "systems, and normalized(), clip below black: nothing there is negative."
            )
        assert np.isclose(answer, truth, atol=1e-4), (
            f"True black {true}, used {used}: it is not {answer:.4f}. Put the number that the "
            "pixel holds (true black) into the formula with the level you believe in (used "
            "black), in the numerator and in the denominator, and amplify last."
        )
    print("Right: a few DN that nobody sees in daylight are a grey veil at ratio 100.")


def rows_and_columns_to_rggb(function) -> None:
    """Exercise 01/3.1: function(name) -> (rows, columns) to add at top and left."""
    for name, cell in cfa.BAYER.items():
        image = flat_raw(cell)
        truth = cfa.to_rggb(image)[1]
        answer = tuple(int(n) for n in function(name))
        assert answer == truth, (
            f"For {name} you add {answer} (rows, columns). Write down its 2x2 cell, put the new "
            "line in front, and read the four letters again: is the first one R?"
        )
    print("Right for all four orders.")


def sid_planes(function) -> None:
    """Exercise 01/3.2: function(packed) reorders planes by position to R, G1, B, G2."""
    mosaic = np.random.default_rng(0).random((4, 6))
    truth = np.stack([mosaic[r::2, c::2] for r, c in ((0, 0), (0, 1), (1, 1), (1, 0))])
    answer = np.asarray(function(cfa.pack_mosaic(mosaic)))
    assert answer.shape == truth.shape, f"Four planes in, four out; yours has {answer.shape}."
    assert np.array_equal(np.sort(answer, 0), np.sort(truth, 0)), (
        "Every plane has to come back once, its pixels untouched: only the order changes."
    )
    assert np.array_equal(answer, truth), (
        "Not yet: walk around the cell clockwise from red, that is the order of the 2018 code."
    )
    print("Right: the same numbers, and a network that expects the other order would not complain.")


def phase_after_both_flips(function) -> None:
    """Exercise 01/4.1: function() -> the Bayer order that RGGB shows after both plain flips."""
    truth = cfa.name(cfa.tile(cfa.RGGB, (4, 4))[::-1, ::-1][:2, :2])
    answer = str(function()).upper()
    assert answer in cfa.BAYER, f"{answer} is no Bayer order; choose from {', '.join(cfa.BAYER)}."
    assert answer != "RGGB", (
        "You said RGGB. Two mirrors of a picture cancel nothing here: follow the red pixel of the "
        "first 2x2 cell through each flip."
    )
    assert answer == truth, (
        f"You said {answer}, which is where one flip alone leads. The second one moves the phase "
        "along the other axis as well."
    )
    print(f"Right: {truth}. The greens are back in their places, red and blue have changed seats.")


def share_of_invented_numbers(function) -> None:
    """Exercise 01/5.1: function() -> share of a picture's numbers that no pixel measured."""
    image = flat_raw(cfa.RGGB)
    truth = 1 - image.mosaic.size / isp.develop(image).size
    answer = float(function())
    assert not np.isclose(answer, 1 - truth, atol=0.01), (
        "That is the share that was measured; the question asks for the rest."
    )
    assert np.isclose(answer, truth, atol=0.01), (
        f"You said {answer:.2f}. Count for one pixel: how many numbers does the picture hold "
        "there, and how many did the sensor record?"
    )
    print(f"Right: {truth:.0%} of the numbers in a picture were never measured.")


def srgb_encode(function) -> None:
    """Exercise 01/5.2: function(x) -> the sRGB curve (IEC 61966-2-1) of linear light in [0, 1]."""
    x = np.linspace(0, 1, 1001)
    power = 1.055 * x ** (1 / 2.4) - 0.055
    truth = np.where(x <= 0.0031308, 12.92 * x, power)
    answer = np.asarray(function(x), float)
    assert answer.shape == x.shape, f"One value out for each one in; yours has {answer.shape}."
    assert not np.allclose(answer, colorimetry.bt709_encode(x), atol=1e-4), (
        "This is the BT.709 curve again. sRGB shares its primaries, not its curve."
    )
    assert not np.allclose(answer, power, atol=1e-4), (
        "The power law is right, but near black the standard goes on as a straight line: without "
        "it, 0 becomes a negative number."
    )
    wrong = np.abs(answer - truth) > 1e-4
    assert not wrong.any(), (
        f"At x = {x[wrong][0]:.3f} you give {answer[wrong][0]:.4f}, the standard "
        f"{truth[wrong][0]:.4f}. Check the two pieces and the place where they meet."
    )
    print("Right: straight near black, a power law above.")
