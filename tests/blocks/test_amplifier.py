"""The amplifiers: the fixed one against the released one and against theory, and the learned."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lowlight_lib.blocks import amplifier
from lowlight_lib.blocks.amplifier import (
    LearnedAmplifier,
    bin_edges,
    bin_weights,
    estimate_amplification,
)
from lowlight_lib.errors import ShapeError
from lowlight_lib.sensor import cfa

KINDS = ("histogram", "conv")


def by_masks(mosaic, black, white, m):
    """Equation 5 as it reads: one mask over the whole mosaic for each of the 127 bins."""
    x = np.maximum(mosaic.astype(np.float32) - np.float32(black), 0) / np.float32(white - black)
    edges = bin_edges()
    masks = [(low <= x) & (x < high) for low, high in pairwise(edges)]
    w = np.select(masks, list(bin_weights()), default=np.float32(0))
    a = np.float32(0.01 * w.sum(dtype=np.float64) / (w * x).sum(dtype=np.float64)) * np.float32(m)
    return np.clip(a, 1, 300)


@given(
    seed=st.integers(0, 1000),
    scale=st.floats(1, 16000),
    m=st.sampled_from([0.1, 1, 5, 8]),
    kind=st.sampled_from([np.int32, np.int64, np.float32, np.float64]),
)
def test_counts_pixels_and_masks_give_one_float32(seed, scale, m, kind):
    """The sums are float64, so another order shows far behind the digits of a float32."""
    light = np.random.default_rng(seed).exponential(scale, (6, 9))
    mosaic = np.minimum(light + 500, 16383).astype(np.uint16)
    counted = estimate_amplification(mosaic, 512, 16383, m)
    assert counted == estimate_amplification(mosaic.astype(kind), 512, 16383, m)
    if (mosaic > 512).any() and mosaic.min() < 16383:  # the masks divide 0 by 0 otherwise
        assert np.float32(counted) == by_masks(mosaic, 512, 16383, m)


def test_small_and_signed_integers():
    light = np.random.default_rng(0).integers(0, 120, (20, 30))
    truth = estimate_amplification(light.astype(np.uint16), 3, 127)
    for kind in (np.uint8, np.int8, np.int16, np.uint32):
        assert estimate_amplification(light.astype(kind), 3, 127) == truth
    below = light.astype(np.int16) - 200  # a mosaic whose black was taken off too early
    assert estimate_amplification(below, -197, -73) == truth


def test_black_levels_by_place():
    rng = np.random.default_rng(0)
    light = rng.integers(0, 2000, (20, 30))
    black = np.array([[100, 200], [300, 400]])
    with_levels = (light + cfa.tile(black, light.shape)).astype(np.uint16)
    white = 100_000  # so far away that the four spans are one, to 3e-3
    ours = estimate_amplification(with_levels, black, white, 5)
    flat = estimate_amplification(light.astype(np.uint16), 0, white - 250, 5)
    np.testing.assert_allclose(ours, flat, rtol=5e-3)
    wrong = estimate_amplification(with_levels, 100, white, 5)
    assert abs(wrong / flat - 1) > 0.05  # one level for all would have been noticed


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_at_the_limits(kind):
    assert estimate_amplification(np.full((4, 4), 512, kind), 512, 16383) == 300
    assert estimate_amplification(np.full((4, 4), 100, kind), 512, 16383) == 300  # below black
    assert estimate_amplification(np.full((4, 4), 16383, kind), 512, 16383) == 1  # all saturated
    one_lamp = np.full((40, 40), 600, kind)
    without = estimate_amplification(one_lamp, 512, 16383)
    one_lamp[:10] = 16383
    assert estimate_amplification(one_lamp, 512, 16383) == pytest.approx(without)  # weight 0


def test_it_does_not_depend_on_the_strips(monkeypatch):
    mosaic = np.random.default_rng(0).integers(500, 3000, (33, 17)).astype(np.uint16)
    kinds = (np.uint16, np.int32, np.float32)
    whole = [estimate_amplification(mosaic.astype(k), 512, 16383) for k in kinds]
    monkeypatch.setattr(amplifier, "_STRIP", 40)
    cut = [estimate_amplification(mosaic.astype(k), 512, 16383) for k in kinds]
    assert cut == whole


@pytest.mark.parametrize("black", [512, [[512, 513], [511, 512]]], ids=["one level", "by place"])
@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_twelve_megapixels_take_little_memory(kind, black):
    """Under 64 MB beside the mosaic, where the 127 masks alone would be 1.5 GB."""
    mosaic = np.random.default_rng(0).integers(500, 3000, (2848, 4256), np.uint16).astype(kind)
    tracemalloc.start()
    estimate_amplification(mosaic, black, 16383)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 65536 * 8 <= peak < 64e6  # at least the counts, or tracemalloc does not see numpy


def test_constants():
    edges, weights = bin_edges(), bin_weights()
    assert edges.shape == (128,) and weights.shape == (127,) and weights.dtype == np.float32
    np.testing.assert_allclose(edges, (2 ** (8 * np.arange(128) / 127) - 1) / 255, rtol=1e-6)
    np.testing.assert_allclose(weights, 10 ** (-5 * np.arange(127) / 126), rtol=1e-6)  # float32


@pytest.mark.parametrize(
    "mosaic, black, white, words",
    [
        (np.zeros((2, 3, 4)), 0, 1, "mosaic"),
        (np.zeros((0, 4)), 0, 1, "mosaic"),
        (np.zeros((4, 4), bool), 0, 1, "mosaic"),
        (np.zeros((4, 4), complex), 0, 1, "mosaic"),
        (np.full((4, 4), np.nan), 0, 1, "NaN or infinity"),
        (np.zeros((4, 4)), 5, 5, "not above black level"),
        (np.zeros((4, 4)), [[0, 0], [0, 9]], 9, "not above black level"),
    ],
)
def test_what_is_no_mosaic_is_refused(mosaic, black, white, words):
    with pytest.raises(ShapeError, match=words):
        estimate_amplification(mosaic, black, white)


def learned(kind, seed=0):
    torch.manual_seed(seed)
    return LearnedAmplifier(kind)


def dark(n=2, shape=(20, 26), seed=0):
    return torch.rand(n, 1, *shape, generator=torch.Generator().manual_seed(seed)) ** 3


def test_the_histogram_is_numpys_in_shares():
    x = dark()
    x[0, 0, 0, :3] = torch.tensor([0.0, 1.0, 1.0])  # both ends are inside
    edges = (2 ** (8 * np.arange(64) / 63) - 1) / 255
    ours = learned("histogram").histogram(x)
    for row, picture in zip(ours, x, strict=True):
        truth = np.histogram(picture.numpy(), edges.astype(np.float32))[0] / picture.numel()
        np.testing.assert_allclose(row, truth, atol=1e-7)  # float32 of a share


def test_the_histogram_counts_beyond_two_to_the_24():
    black = torch.zeros(1, 1, 4100, 4100)  # 16.8 million pixels in one bin
    assert learned("histogram").histogram(black)[0, 0] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_one_positive_factor_a_picture(kind):
    net, x = learned(kind), dark(3, (21, 27))  # odd sides too
    factors = net(x)
    assert factors.shape == (3,) and (factors > 0).all()
    alone = torch.cat([net(picture[None]) for picture in x])
    torch.testing.assert_close(alone, factors, rtol=1e-5, atol=0)  # sums in another order


@pytest.mark.parametrize("kind", KINDS)
def test_it_begins_alive_and_dies_below_zero(kind):
    """An answer of 0 or less becomes 1e-4, through which nothing is learned."""
    for seed in range(20):
        net = learned(kind, seed)
        net(dark()).log().sum().backward()
        assert (net.out.bias.grad != 0).all()
    with torch.no_grad():
        net.out.bias.fill_(-1e3)
    net.zero_grad()
    factors = net(dark())
    assert (factors == 1e-4).all()
    factors.sum().backward()
    assert not net.out.bias.grad.any()


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_with_respect_to_the_picture(kind):
    """A count does not change when a pixel moves inside its bin; a convolution answers."""
    net, x = learned(kind), dark().requires_grad_()
    net(x).sum().backward()
    assert (x.grad is None) == (kind == "histogram")
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
