"""Any filter array as an RGGB mosaic."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mosaics import PHASES

from lowlight_lib.data import scenes
from lowlight_lib.errors import ShapeError, UnsupportedRawError
from lowlight_lib.sensor import cfa, isp, noise, remosaic
from lowlight_lib.sensor.raw import RawImage

STRIPES = np.array([[0, 1], [2, 1]], np.uint8)
GAINS = [(1.0, 1.0, 1.0), *(c.white_balance for c in noise.CAMERAS.values())]


def shoot(cell, name="chelsea", camera=noise.SONY_A7S2):
    """A photograph as a noise-free mosaic of the A7S II, through other filters."""
    other = type("C", (), {"cfa": cell, "color_matrix": camera.color_matrix,
                           "white_balance": camera.white_balance})  # fmt: skip
    light = isp.undevelop(scenes.photograph(name), other)
    dn = np.rint(512 + light * (16383 - 512)).astype(np.uint16)
    return RawImage(dn, cell, 512, 16383, camera.white_balance, camera.color_matrix)


@given(
    cell=st.sampled_from([*PHASES, STRIPES, *cfa.BAYER.values()]),
    shape=st.tuples(st.integers(6, 29), st.integers(6, 29)),
    seed=st.integers(0, 99),
)
def test_a_flat_patch_of_any_colour_comes_out_exact(cell, shape, seed):
    """Every phase, odd sizes, a black level of its own at each place."""
    rng = np.random.default_rng(seed)
    colour = rng.integers(0, 15000, 3)
    black = rng.integers(400, 700, cell.shape)
    mosaic = colour[cfa.tile(cell, shape)] + cfa.tile(black, shape)
    gains = GAINS[seed % len(GAINS)]
    raw = RawImage(mosaic.astype(np.uint16), cell, black, 16383, gains, orientation=6, iso=800)
    out = remosaic.remosaic(raw)
    level = np.rint(black.mean())
    assert np.array_equal(out.mosaic, colour[cfa.tile(cfa.RGGB, shape)] + level)
    assert out.mosaic.dtype == np.uint16
    assert cfa.name(out.cfa) == "RGGB"
    assert (out.black_level == level).all()
    kept = ("white_level", "white_balance", "orientation", "iso")
    assert [getattr(out, k) for k in kept] == [getattr(raw, k) for k in kept]


@given(
    cell=st.sampled_from([*PHASES, STRIPES]),
    shape=st.tuples(st.integers(6, 40), st.integers(6, 40)),
    seed=st.integers(0, 99),
)
def test_measured_pixels_are_kept(cell, shape, seed):
    mosaic = np.random.default_rng(seed).integers(0, 1024, shape).astype(np.uint16)
    out = remosaic.remosaic(RawImage(mosaic, cell, 64, 1023)).mosaic
    same = cfa.tile(cell, shape) == cfa.tile(cfa.RGGB, shape)
    assert same.any()
    assert np.array_equal(out[same], mosaic[same])
    assert out.max() <= 1023  # estimates overshoot between black and white pixels: clipped


@pytest.mark.parametrize("order", cfa.BAYER)
def test_rggb_is_left_alone_and_other_orders_are_not(order, make_raw):
    raw = make_raw((31, 42), order)
    assert np.array_equal(remosaic.remosaic(raw).mosaic, raw.mosaic) == (order == "RGGB")


def test_strips_make_no_difference(make_raw, monkeypatch):
    raw = make_raw((53, 40), "XTRANS")
    whole = remosaic.remosaic(raw).mosaic
    monkeypatch.setattr(remosaic, "_STRIP", 1)
    assert np.array_equal(remosaic.remosaic(raw).mosaic, whole)


def psnr(a, b):
    return -10 * np.log10(np.mean((a.astype(float) - b) ** 2))


def nearest(raw):
    """The simplest remosaic: each wanted colour is the mean of those within one pixel or two."""
    x, have = raw.normalized(), cfa.tile(raw.cfa, raw.mosaic.shape)
    want, out = cfa.tile(cfa.RGGB, x.shape), x.copy()
    shifts = [(i, j) for i in range(-2, 3) for j in range(-2, 3)]
    for c in range(3):
        mine = have == c
        total, count = (
            sum(np.roll(v, s, (0, 1)) / (1 + np.hypot(*s)) for s in shifts)
            for v in (x * mine, mine)
        )
        out = np.where((want == c) & ~mine, total / count, out)
    return out


@pytest.mark.parametrize("name", ["chelsea", "astronaut"])
def test_it_follows_edges(name):
    """Against the mosaic that RGGB filters would have given: 6 dB (half the error) over a mean."""
    raw, truth = shoot(cfa.XTRANS, name), shoot(cfa.RGGB, name).normalized()
    found = psnr(remosaic.remosaic(raw).normalized()[8:-8, 8:-8], truth[8:-8, 8:-8])
    simple = psnr(nearest(raw)[8:-8, 8:-8], truth[8:-8, 8:-8])
    assert found > simple + 6


def test_colours_survive_up_to_the_picture():
    """Developed, it is within 3 dB of LibRaw's own picture of the X-Trans mosaic.

    Filters read as others would cost more than 8 dB.
    """
    picture = scenes.photograph("chelsea")
    raw = shoot(cfa.XTRANS)
    ours, own = isp.develop(remosaic.remosaic(raw)), isp.develop(raw)
    assert psnr(ours, picture) > psnr(own, picture) - 3
    wrong = isp.develop(dataclasses.replace(raw, cfa=cfa.RGGB, black_level=512.0))
    assert psnr(wrong, picture) < psnr(own, picture) - 8


@pytest.mark.parametrize("gains", GAINS)
def test_no_pixel_gets_noisier(gains):
    """Independent noise of one variance everywhere: an estimate has the variance sum(w^2) times it.

    At most 1, that of a measured pixel; 1e-6 for float32 weights.
    """
    kernels = remosaic._kernels(cfa.XTRANS, gains).astype(np.float64)
    assert kernels.shape == (144, 36)
    assert (kernels**2).sum(0).max() < 1 + 1e-6
    np.testing.assert_allclose(kernels.sum(0), 1, atol=1e-5)  # 49 float32 weights


@pytest.mark.parametrize("colour, word", [(0, "red"), (1, "green"), (2, "blue")])
def test_a_missing_colour_is_an_error(colour, word):
    cell = np.where(colour == cfa.XTRANS, (colour + 1) % 3, cfa.XTRANS)
    with pytest.raises(UnsupportedRawError, match=f"no {word} filters"):
        remosaic.remosaic(RawImage(np.zeros((12, 12), np.uint16), cell))


@pytest.mark.parametrize("shape", [(5, 20), (20, 5), (1, 1)])
def test_less_than_a_cell_is_an_error(shape):
    with pytest.raises(ShapeError, match="6x6 cell"):
        remosaic.remosaic(RawImage(np.zeros(shape, np.uint16), cfa.XTRANS))
