"""Retinex: a split by hand is a product, and what the terms of the loss ask of a split."""

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from support.networks import rand

from lowlight_lib import models
from lowlight_lib.blocks import retinex
from lowlight_lib.blocks.retinex import Decomposition
from lowlight_lib.errors import ShapeError


@given(h=st.integers(1, 12), w=st.integers(1, 12), radius=st.integers(0, 4))
@example(h=1, w=1, radius=4)
def test_a_split_by_hand_is_a_product(h, w, radius):
    image = rand(2, 3, h, w, seed=h * 20 + w)
    image[0, :, 0, 0] = 0  # black has no reflectance, and no NaN
    illumination, reflectance, same = retinex.decompose(image, radius)
    assert same is image and illumination.shape == (2, 1, h, w)
    torch.testing.assert_close(illumination * reflectance, image, rtol=1e-6, atol=1e-7)  # float32
    assert (illumination > image.amax(1, keepdim=True) - 1e-6).all()
    assert reflectance.max() < 1 + 1e-6
    torch.testing.assert_close(
        retinex.recompose(illumination, reflectance, 1.0), image, rtol=0, atol=1e-5
    )
    brighter = retinex.recompose(illumination, reflectance, 0.2)
    assert (brighter > image - 1e-6).all() and brighter.max() < 1 + 1e-6


def test_a_wider_window_makes_smoother_illumination():
    image = rand(1, 3, 32, 32)
    rough = [retinex.total_variation(retinex.decompose(image, r).L) for r in (0, 1, 4)]
    assert rough[0] > rough[1] > rough[2]


def test_total_variation_by_hand():
    x = torch.tensor([[0.0, 1.0, 4.0], [2.0, 2.0, 2.0], [3.0, 1.0, 0.0], [2.0, 4.0, 2.5]])
    down = (3 + 0 + 4 + 0 + 2 + 0.5) / 6  # rows 0 to 2 and 1 to 3
    right = (4 + 0 + 3 + 0.5) / 4
    assert retinex.total_variation(x[None, None]).item() == pytest.approx(down + right)
    with pytest.raises(ShapeError, match="3 or more"):
        retinex.total_variation(torch.zeros(1, 1, 2, 9))


def test_the_illumination_is_a_constant_where_the_picture_is_divided_by_it():
    """stop(L): with L R = X and L = max I the only pull left on L would be that of X / L."""
    illumination = torch.full((1, 1, 4, 4), 0.5).requires_grad_()
    x = torch.full((1, 3, 4, 4), 0.25)
    image = torch.full((1, 3, 4, 4), 0.5)
    retinex.retinex(image, Decomposition(illumination, torch.full((1, 3, 4, 4), 0.5), x)).backward()
    assert illumination.grad.abs().max() == 0
    reflectance = torch.full((1, 3, 4, 4), 0.7)  # now R - X / L = 0.2, and L R - X = 0.1
    retinex.retinex(image, Decomposition(illumination, reflectance, x)).backward()
    # of mean((L R - X)^2) alone: 2 * 0.1 * 0.7, three colours of 48 values
    torch.testing.assert_close(
        illumination.grad, torch.full_like(illumination, 2 * 0.1 * 0.7 * 3 / 48)
    )


def test_both_pictures_count_in_the_symmetric_form_only():
    a, b = rand(2, 3, 8, 8), rand(2, 3, 8, 8, seed=1)
    one, two = (
        Decomposition(*(rand(2, c, 8, 8, seed=s + c + 10 * i) for i, c in enumerate((1, 3, 3))))
        for s in (2, 7)
    )
    swapped = {s: retinex.pair_loss(b, a, two, one, symmetric=s) for s in (False, True)}
    plain = {s: retinex.pair_loss(a, b, one, two, symmetric=s) for s in (False, True)}
    torch.testing.assert_close(plain[True], swapped[True])
    assert abs(plain[False] - swapped[False]) > 1e-3
    torch.testing.assert_close(plain[True], (plain[False] + swapped[False]) / 2)
    weights = (0.5, 1, 5)  # of a fork
    own = retinex.retinex(a, one) + 5 * retinex.projection(a, one.X)
    expected = 0.5 * retinex.consistency(one.R, two.R) + own
    torch.testing.assert_close(retinex.pair_loss(a, b, one, two, weights), expected)


def test_the_second_picture_teaches_through_its_reflectance():
    model = models.build("pairlie", width=8)
    a, b = rand(1, 3, 16, 16), rand(1, 3, 16, 16, seed=1)
    split = model(b)
    for t in split:
        t.retain_grad()
    retinex.pair_loss(a, b, model(a), split).backward()
    assert split.R.grad.abs().max() > 0 and split.L.grad is None
