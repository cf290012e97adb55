"""The calibrated cameras: levels, noise, names, and the colours of one for a network of another."""

import dataclasses
import math

import numpy as np
import pytest
from support.mosaics import COLOURS, OTHERS, SONY, of_colour

from lowlight_lib.errors import OptionError
from lowlight_lib.sensor import cameras, cfa, colour, isp, noise

GREY = np.full((6, 6, 3), 0.5, np.float32)


@pytest.mark.parametrize("key", cameras.CAMERAS)
def test_a_calibrated_camera_records_what_its_profile_says(key):
    camera = cameras.find_camera(key)
    assert camera is noise.CAMERAS[key]
    assert camera.iso_range[0] == 100
    assert camera.iso_range[1] == pytest.approx(6400, rel=2e-3)  # ranges are given to 4 digits
    span = camera.white_level - camera.black_level
    x = noise.expose(np.full((60, 200), 0.5), 1, camera, 100, 0).astype(float) - camera.black_level
    mean, variance = noise.noise_levels(camera, 100).moments(0.5 * span)
    row = noise.noise_levels(camera, 100).row ** 2
    assert abs(x.mean() - mean) < 5 * math.sqrt(variance / x.size + row / 60)  # five errors
    grey = isp.undevelop(GREY, camera)
    balanced = grey * np.asarray(camera.white_balance)[cfa.tile(camera.cfa, grey.shape)]
    np.testing.assert_allclose(balanced, balanced[0, 0], rtol=1e-5)  # float32


def test_published_lines_of_the_others():
    """exp(bias) K^slope at K = 1, where the slope says nothing."""
    at_one = {
        "nikon_d850": (0.7994, -0.0904, -1.7977),
        "canon_5d4": (1.5122, 1.0927, -0.8079),
        "canon_70d": (1.9983, 1.4643, -0.9371),
        "canon_700d": (2.0799, 1.5370, -0.7756),
    }
    for key, biases in at_one.items():
        camera = cameras.CAMERAS[key]
        iso = 100 / camera.gain_range[0]
        gauss, tukey = (noise.noise_levels(camera, iso, read) for read in ("gauss", "tukey"))
        found = (gauss.read, tukey.read, tukey.row)
        np.testing.assert_allclose(np.log(found), biases, atol=1e-9)
        assert -0.25 < tukey.shape < 0.14  # the ranges that were measured


@pytest.mark.parametrize(
    "key, names",
    [
        ("sony_a7s2", ("SonyA7S2", "Sony A7S II", "ilce-7sm2", "Sony ILCE-7SM2")),
        ("nikon_d850", ("NIKON D850", "d850", "Nikon-D850")),
        ("canon_5d4", ("Canon EOS 5D Mark IV", "EOS 5D4", "canon_5d4")),
        ("canon_70d", ("Canon EOS 70D", "eos 70d")),
        ("canon_700d", ("Canon EOS 700D", "Canon EOS REBEL T5i", "700D")),
    ],
)
def test_a_camera_answers_to_several_names(key, names):
    for name in names:
        assert cameras.find_camera(name) is cameras.CAMERAS[key]
        by_name, by_camera = (isp.undevelop(GREY, c) for c in (name, cameras.CAMERAS[key]))
        assert np.array_equal(by_name, by_camera)
    with pytest.raises(OptionError, match="canon_700d"):
        cameras.find_camera("7000D")


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
