"""Another camera's colours for a network that learned those of one."""

import dataclasses

import numpy as np
import pytest
from support.mosaics import COLOURS, OTHERS, SONY, of_colour

from lowlight_lib.sensor import cameras, colour


def test_a_file_that_says_little_of_its_colours_is_matched_by_what_it_says():
    raw = of_colour(cameras.NIKON_D850, COLOURS[1], model=None)
    nothing = dataclasses.replace(raw, white_balance=(1.0, 1.0, 1.0), color_matrix=None)
    assert colour.match(nothing, "sony_a7s2") is None
    only_gains = dataclasses.replace(raw, color_matrix=None)
    found = colour.match(only_gains, "sony_a7s2")
    assert found.matrix is None
    ratio = np.divide(cameras.NIKON_D850.white_balance, SONY.white_balance)
    np.testing.assert_allclose(found.gains, ratio)
    for bad in (np.zeros((3, 3)), np.ones((3, 3)), np.full((3, 3), np.nan)):
        assert colour.match(dataclasses.replace(raw, color_matrix=bad), SONY).matrix is None
    applied_in_camera = dataclasses.replace(raw, white_balance=(1.0, 1.0, 1.0))
    assert colour.match(applied_in_camera, SONY).matrix is not None


@pytest.mark.parametrize("camera", OTHERS, ids=lambda c: c.model)
def test_grey_stays_grey(camera):
    found = colour.match(of_colour(camera, COLOURS[0]), SONY)
    np.testing.assert_allclose(found.matrix.sum(1), 1)
    grey = np.linspace(0, 1, 600, dtype=np.float32)[:, None, None].repeat(4, 1).repeat(3, 2)
    turned = grey.copy()
    found.after(turned)  # in strips, in place
    np.testing.assert_allclose(turned, grey, atol=2e-6)  # float32 through two powers
    strong = np.float32([[[0.9, 0.2, 0.1]]]).repeat(600, 0)
    found.after(strong)
    assert np.ptp(strong, axis=0).max() == 0 and not np.allclose(strong[0, 0], [0.9, 0.2, 0.1])
