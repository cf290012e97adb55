"""Files of any camera through one path: every filter array, level and colour."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.mosaics import (
    COLOURS,
    OTHERS,
    PHASES,
    SONY,
    flat,
    ideal,
    knowing,
    of_colour,
    restored,
)
from support.networks import demosaic

from lowlight_lib import models
from lowlight_lib.blocks.amplifier import LearnedAmplifier
from lowlight_lib.errors import OptionError, RawFileError, UnsupportedRawError
from lowlight_lib.restore import still
from lowlight_lib.sensor import cameras, cfa

SIDES = st.tuples(st.integers(6, 40), st.integers(6, 40))
quick = settings(derandomize=True, deadline=None, max_examples=20)
both_ways = ("auto", None)  # with the colours matched, and without

# ---- X-Trans


@quick
@given(cell=st.sampled_from(PHASES), shape=SIDES)
def test_x_trans_restores_through_a_network_for_bayer(cell, shape):
    rgb = np.array([0.2, 0.5, 0.8])
    done = restored(flat(rgb, cell, shape), demosaic)
    assert done.shape == (*shape, 3)
    # the last line of an odd size has half a cell of the stand-in
    assert np.abs(done[: shape[0] // 2 * 2, : shape[1] // 2 * 2] - rgb).max() < 1e-6


class Native:
    """A stand-in that takes X-Trans: returns the mosaic thrice, and looks at what it is given."""

    spec = models.SYSTEMS["sid"].spec.replace(cfa="X-Trans", multiple=48, halo=288)

    def __init__(self):
        self.shapes = []

    def __call__(self, x):
        filters = np.rint(x[0, 0].numpy() * 10).astype(int)
        assert np.array_equal(filters, cfa.tile(cfa.XTRANS, filters.shape))
        self.shapes.append(tuple(x.shape[-2:]))
        return x.expand(1, 3, -1, -1)


@quick
@given(cell=st.sampled_from(PHASES), shape=SIDES)
def test_x_trans_reaches_a_native_network_in_its_phase(cell, shape):
    raw = flat([0.0, 0.1, 0.2], cell, shape)  # each filter records a tenth of its number
    done = restored(raw, Native())
    np.testing.assert_array_equal(done[..., 0], raw.normalized())


def test_tiles_of_a_native_network_keep_the_phase():
    raw = flat([0.0, 0.1, 0.2], PHASES[8], (700, 401))
    network = Native()
    done = restored(raw, network, tile=100)
    np.testing.assert_array_equal(done[..., 1], raw.normalized())
    assert len(network.shapes) == 8 * 5  # tiles of 96, after the lines in front
    assert max(h for h, _ in network.shapes) == 96 + 2 * 288
    with pytest.raises(OptionError, match="at least 48"):
        restored(raw, network, tile=47)


def test_a_native_network_refuses_bayer(make_raw):
    with pytest.raises(UnsupportedRawError, match="use a network for Bayer"):
        restored(make_raw(), Native())


def test_sid_for_x_trans_restores_a_mosaic_of_any_size_and_phase():
    network = models.build("sid", cfa="xtrans").eval()
    assert restored(flat([0.2, 0.3, 0.4], PHASES[20], (61, 75)), network, 2.0).shape == (61, 75, 3)


def test_a_bare_mosaic_may_be_of_x_trans(tmp_path):
    a = np.random.default_rng(0).integers(60, 1023, (13, 18))
    np.save(tmp_path / "a.npy", a)
    raw = still.open_mosaic(tmp_path / "a.npy", 64, 1023, "x-trans")
    assert np.array_equal(raw.mosaic, a) and cfa.name(raw.cfa) == "X-Trans"
    with pytest.raises(OptionError, match="--black"):
        still.open_mosaic(tmp_path / "a.npy")
    with pytest.raises(RawFileError, match="does not exist"):
        still.open_mosaic(tmp_path / "b.npy", 0, 1, "RGGB")


# ---- levels


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("order", ["RGGB", "GBRG", "XTRANS"])
def test_any_bit_depth_and_black_levels_by_place(bits, order):
    """A flat colour at any depth, with a black level of its own for each place of the cell."""
    cell, white = cfa.from_name(order), 2**bits - 1
    black = white // 20 + np.arange(cell.size).reshape(cell.shape) % 5
    rgb = np.array([0.1, 0.25, 0.4])
    done = restored(flat(rgb, cell, (43, 50), black, white), demosaic, 2.0)
    # Half a DN of rounding, doubled, of 0.95 white. A remosaic rounds again; its one black level
    # is up to 2 DN from those before, and its range with it: 0.4 of that, doubled.
    assert np.abs(done[:42] - 2 * rgb).max() < (3.8 if order == "XTRANS" else 1.2) / white


@pytest.mark.parametrize("kind", ["histogram", "conv"])
def test_a_learned_amplifier_sees_rggb(kind):
    torch.manual_seed(0)
    amplifier = LearnedAmplifier(kind)
    rgb = (0.02, 0.05, 0.03)
    found = []
    for cell in (cfa.RGGB, cfa.from_name("BGGR"), PHASES[5]):
        raw = flat(rgb, cell, (36, 48), white=16383)
        found.append(still.find_amplification(raw, amplifier, 2.0))
    if kind == "conv":  # whose zero padding sees the line that BGGR has more
        found.pop(1)
    np.testing.assert_allclose(found, found[0], rtol=0.05)
    x = torch.from_numpy(flat(rgb, cfa.RGGB, (36, 48), white=16383).normalized())
    assert found[0] == pytest.approx(2 * float(amplifier(x[None, None]).detach()), rel=1e-6)


def test_the_amplification_is_that_of_the_mosaic_as_recorded():
    """Not of one whose colours were matched: the network's input is the factor times those."""
    raw, seen = of_colour(cameras.NIKON_D850, (0.05, 0.05, 0.05)), []

    def network(x):
        seen.append(x.mean())
        return demosaic(x)

    for trained_on in both_ways:
        for amplification in ("auto", 1.0):
            restored(raw, network, amplification, trained_on=trained_on)
    factor = still.find_amplification(raw)
    assert [float(seen[i] / seen[i + 1]) for i in (0, 2)] == pytest.approx([factor] * 2, rel=1e-5)


# ---- colours


@pytest.mark.parametrize("order", ["RGGB", "BGGR", "XTRANS"])
@pytest.mark.parametrize("camera", OTHERS, ids=lambda c: c.model)
def test_another_camera_gets_its_own_colours(camera, order):
    """Through a network that is perfect for the A7S II every colour comes out as it went in.

    Rounded to a DN of at least 12,400 and amplified by white balance (up to 2.8), matrix (up to 2)
    and tone curve (slope up to 2 from 0.3 on): at most 1e-3. X-Trans rounds twice.
    """
    camera = dataclasses.replace(camera, cfa_name=order)
    casts = []
    for rgb in COLOURS:
        raw = of_colour(camera, rgb)
        network = ideal(SONY)
        matched, plain = (
            restored(raw, network, trained_on=t)[:-1, :-1] for t in both_ways
        )  # without the lines that BGGR leaves half a cell of the stand-in
        assert np.abs(matched - rgb).max() < 2e-3
        casts.append(np.abs(plain - rgb).max())
    assert max(casts) > 0.03  # without it, other colours


def test_another_training_camera():
    """A network may say whose colours it knows; the caller may say otherwise."""
    nikon, canon = cameras.NIKON_D850, cameras.CANON_70D
    raw = of_colour(canon, COLOURS[1])
    given = restored(raw, ideal(nikon, trained_on=SONY.model), trained_on="Nikon D850")
    assert np.abs(given - COLOURS[1]).max() < 2e-3
    np.testing.assert_array_equal(restored(raw, ideal(nikon)), given)
    own = of_colour(nikon, COLOURS[1], model="NIKON D850")
    for raw_file, network in (
        (own, ideal(nikon)), (raw, ideal(nikon, trained_on="a camera that nobody has measured")),
    ):  # fmt: skip
        exact = [restored(raw_file, network, trained_on=t) for t in both_ways]
        np.testing.assert_array_equal(*exact)
    with pytest.raises(OptionError, match="nikon_d850"):
        restored(raw, ideal(nikon), trained_on="kodak")


@pytest.mark.parametrize(
    "says, gains",
    [
        ({}, still.DEFAULT_TRAINING_WHITE_BALANCE),
        ({"trained_on": SONY.model}, SONY.white_balance),
        ({"trained_on": SONY.model, "white_balance": (1.5, 1.0, 2.5)}, (1.5, 1.0, 2.5)),
    ],
    ids=["nothing", "camera", "camera and light"],
)
def test_grey_reaches_a_network_as_in_the_light_of_its_training(says, gains):
    seen = []

    def network(x):
        seen.append(demosaic(x).mean((0, 2, 3)).numpy())
        return demosaic(x)

    raw = of_colour(cameras.CANON_70D, COLOURS[0])
    restored(raw, knowing(network, **says))
    restored(raw, knowing(network, **says), trained_on="nikon_d850")  # the caller knows better
    for found, wanted in zip(seen, (gains, cameras.NIKON_D850.white_balance), strict=True):
        np.testing.assert_allclose(found / found[1], 1 / np.asarray(wanted), rtol=2e-3)


@pytest.mark.parametrize("model", ["Sony ILCE-7SM2", "ILCE-7SM2"])
def test_the_training_camera_is_left_alone(model):
    """Whatever white balance its file has: bit-equal to no matching at all."""
    raw = of_colour(SONY, COLOURS[1], model=model, white_balance=(1.9, 1.0, 2.2))
    both = [restored(raw, ideal(SONY), trained_on=t) for t in both_ways]
    np.testing.assert_array_equal(*both)
