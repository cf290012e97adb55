"""Packing, phases and flips, as properties over all orders and sizes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.mosaics import PHASES

from lowlight_lib.errors import ShapeError, UnsupportedRawError
from lowlight_lib.sensor import cfa
from lowlight_lib.sensor.raw import RawImage

ORDERS = sorted(cfa.BAYER)
leads = st.lists(st.integers(1, 3), max_size=2).map(tuple)
halves = st.integers(1, 9)


def numbers(shape, dtype=np.float32):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


# ---- names


@pytest.mark.parametrize("text", [*ORDERS, "X-Trans"])
def test_names_and_cells(text):
    assert cfa.name(cfa.from_name(text)) == text
    assert cfa.name(cfa.from_name(text.lower())) == text


def test_other_cells_and_names():
    assert {cfa.name(cell) for cell in PHASES} == {"X-Trans"}
    assert cfa.name(np.zeros((6, 6))) == "other" and cfa.name([[0, 0], [1, 1]]) == "other"
    with pytest.raises(ShapeError, match="RGGB"):
        cfa.from_name("RGBW")


def test_the_cells_are_right():
    assert cfa.from_name("BGGR").tolist() == [[2, 1], [1, 0]]
    assert cfa.from_name("GRBG").tolist() == [[1, 0], [2, 1]]
    # A Fuji cell has 8 red, 20 green and 8 blue filters, and every colour in every row and column.
    assert np.bincount(cfa.XTRANS.ravel()).tolist() == [8, 20, 8]
    for lines in (cfa.XTRANS, cfa.XTRANS.T):
        assert all(set(line) == {0, 1, 2} for line in lines.tolist())


def test_from_name_does_not_lend_its_own_arrays():
    cfa.from_name("RGGB")[:] = 9
    cfa.from_name("X-Trans")[:] = 9
    assert cfa.RGGB.max() == 2 and cfa.XTRANS.max() == 2


@given(h=st.integers(1, 20), w=st.integers(1, 20), order=st.sampled_from([*ORDERS, "XTRANS"]))
def test_tile_is_the_cell_at_every_place(h, w, order):
    cell = cfa.from_name(order)
    r, c = np.mgrid[:h, :w]
    np.testing.assert_array_equal(
        cfa.tile(cell, (h, w)), cell[r % cell.shape[0], c % cell.shape[1]]
    )


# ---- packing


@given(lead=leads, h=halves, w=halves)
def test_pack_is_by_position_and_unpack_inverts_it(lead, h, w):
    x = numbers((*lead, 2 * h, 2 * w))
    packed = cfa.pack_mosaic(x)
    assert packed.shape == (*lead, 4, h, w)
    for plane in range(4):
        i, j = divmod(plane, 2)
        np.testing.assert_array_equal(packed[..., plane, :, :], x[..., i::2, j::2])
    np.testing.assert_array_equal(cfa.unpack_mosaic(packed), x)
    planes = numbers((*lead, 4, h, w))
    np.testing.assert_array_equal(cfa.pack_mosaic(cfa.unpack_mosaic(planes)), planes)


@given(lead=leads, h=halves, w=halves, dtype=st.sampled_from([np.uint16, np.float32]))
def test_numpy_and_torch_give_the_same(lead, h, w, dtype):
    x = numbers((*lead, 6 * h, 6 * w), dtype)
    for function in (
        cfa.pack_mosaic,
        cfa.pack_xtrans,
        lambda v: cfa.unpack_mosaic(cfa.pack_mosaic(v)),
        lambda v: cfa.flip(v, "horizontal"),
        lambda v: cfa.flip(v, "vertical"),
        cfa.rot90,
    ):
        ours, tensor = function(x), function(torch.from_numpy(x))
        assert isinstance(tensor, torch.Tensor) and ours.dtype == dtype
        np.testing.assert_array_equal(tensor.numpy(), ours)


@pytest.mark.parametrize(
    "function, shapes, words",
    [
        (cfa.pack_mosaic, [(3, 4), (4, 5), (0, 4), (1, 1)], "multiples of 2"),
        (cfa.pack_xtrans, [(6, 8), (3, 6), (4, 4)], "multiples of 6"),
        (cfa.unpack_mosaic, [(3, 2, 2), (4, 4)], r"needs \(\.\.\., 4, H, W\)"),
        (lambda x: cfa.flip(x, "horizontal"), [(3, 4), (4, 5)], "flip needs .* multiples of 2"),
        (lambda x: cfa.flip(x, "horizontal"), [(8, 2)], "too small"),
        (lambda x: cfa.flip(x, "diagonal"), [(8, 8)], "direction"),
    ],
)
def test_other_sizes_are_refused(function, shapes, words):
    for shape in shapes:
        for kind in (np.zeros, torch.zeros):
            with pytest.raises(ShapeError, match=words):
                function(kind(shape))


# The layout as the released Fuji code has it: plane -> place in the cell of the output phases
# ([0::2,0::2], [0::2,1::2], [1::2,0::2], [1::2,1::2]).
FUJI = {
    0: [(0, 0), (0, 4), (3, 1), (3, 3)],
    1: [(0, 2), (0, 5), (3, 2), (3, 5)],
    2: [(0, 1), (0, 3), (3, 0), (3, 4)],
    3: [(1, 2), (2, 5), (5, 2), (4, 5)],
    4: [(2, 2), (1, 5), (4, 2), (5, 5)],
}
FUJI_GREENS = {5: (1, 0), 6: (1, 1), 7: (2, 0), 8: (2, 1)}


@given(h=st.integers(1, 4), w=st.integers(1, 4), lead=leads)
def test_pack_xtrans_plane_by_plane(h, w, lead):
    x = numbers((*lead, 6 * h, 6 * w))
    packed = cfa.pack_xtrans(x)
    assert packed.shape == (*lead, 9, 2 * h, 2 * w)
    for plane, places in FUJI.items():
        for phase, (r, c) in enumerate(places):
            i, j = divmod(phase, 2)
            np.testing.assert_array_equal(packed[..., plane, i::2, j::2], x[..., r::6, c::6])
    for plane, (r, c) in FUJI_GREENS.items():
        np.testing.assert_array_equal(packed[..., plane, :, :], x[..., r::3, c::3])


def test_pack_xtrans_planes_have_one_colour_each():
    packed = cfa.pack_xtrans(cfa.tile(cfa.XTRANS, (12, 18)))
    assert [np.unique(p).tolist() for p in packed] == [[c] for c in (0, 1, 2, 0, 2, 1, 1, 1, 1)]


# ---- every Bayer order as RGGB


@given(h=st.integers(2, 15), w=st.integers(2, 15), order=st.sampled_from(ORDERS))
def test_to_rggb_moves_filters_and_black_levels_along(h, w, order):
    cell = cfa.from_name(order)
    black = np.array([[1, 2], [3, 4]])
    colours = cfa.tile(cell, (h, w)).astype(np.uint16)
    padded, (top, left) = cfa.to_rggb(RawImage(colours, cell, black, path="a.dng", iso=400))
    assert cfa.name(padded.cfa) == "RGGB"
    np.testing.assert_array_equal(padded.mosaic, cfa.tile(cfa.RGGB, (h + top, w + left)))
    np.testing.assert_array_equal(padded.mosaic[top:, left:], colours)
    np.testing.assert_array_equal(
        cfa.tile(padded.black_level, padded.mosaic.shape)[top:, left:], cfa.tile(black, (h, w))
    )
    assert (padded.path, padded.iso) == ("a.dng", 400)


def test_to_rggb_refuses_other_mosaics(make_raw):
    with pytest.raises(UnsupportedRawError, match="X-Trans"):
        cfa.to_rggb(make_raw(cfa_name="XTRANS"))
    with pytest.raises(ShapeError, match="does not hold one 2x2 cell"):
        cfa.to_rggb(make_raw((1, 8), "BGGR"))


# ---- every phase of X-Trans as one


@given(cell=st.sampled_from(PHASES), shape=st.tuples(st.integers(6, 40), st.integers(6, 40)))
def test_to_xtrans_keeps_every_filter(cell, shape):
    """The mosaic holds its filters' numbers and black levels of their own: both must fit after."""
    black = 100 * cell + np.arange(36).reshape(6, 6)
    mosaic = cfa.tile(black, shape) + cfa.tile(cell, shape)
    raw = RawImage(mosaic.astype(np.uint16), cell, black, 1023)
    out, (top, left) = cfa.to_xtrans(raw)
    assert np.array_equal(out.cfa, cfa.XTRANS)
    signal = out.mosaic - cfa.tile(out.black_level, out.mosaic.shape)
    assert np.array_equal(signal, cfa.tile(cfa.XTRANS, out.mosaic.shape))
    assert np.array_equal(out.mosaic[top:, left:], mosaic)
    assert top + left <= 7  # the pattern is its own after (3, 3): of two ways the shorter


def test_to_xtrans_refuses_other_mosaics(make_raw):
    with pytest.raises(UnsupportedRawError, match="RGGB mosaic, and this network takes X-Trans"):
        cfa.to_xtrans(make_raw())
    with pytest.raises(ShapeError, match="6x6 cell"):
        cfa.to_xtrans(RawImage(np.zeros((5, 9), np.uint16), PHASES[1]))


# ---- augmentations


@given(lead=leads, h=st.integers(2, 9), w=st.integers(2, 9), order=st.sampled_from(ORDERS))
def test_a_flip_is_a_mirror_without_the_outer_lines(lead, h, w, order):
    x = numbers((*lead, 2 * h, 2 * w))
    np.testing.assert_array_equal(cfa.flip(x, "horizontal"), x[..., 1:-1][..., ::-1])
    np.testing.assert_array_equal(cfa.flip(x, "vertical"), x[..., 1:-1, :][..., ::-1, :])
    for direction in ("horizontal", "vertical"):  # the filters stay in place
        flipped = cfa.flip(cfa.tile(cfa.from_name(order), (2 * h, 2 * w)), direction)
        np.testing.assert_array_equal(flipped, cfa.tile(cfa.from_name(order), flipped.shape))


@given(h=st.integers(3, 9), w=st.integers(3, 9), order=st.sampled_from(["RGGB", "BGGR"]))
def test_rot90_turns_the_scene_and_keeps_the_filters(h, w, order):
    x = numbers((2 * h, 2 * w))
    np.testing.assert_array_equal(cfa.rot90(x), np.rot90(x[:, 1:-1]))
    turned = cfa.rot90(cfa.tile(cfa.from_name(order), x.shape))
    np.testing.assert_array_equal(turned, cfa.tile(cfa.from_name(order), turned.shape))
    four = cfa.rot90(cfa.rot90(cfa.rot90(cfa.rot90(x))))
    np.testing.assert_array_equal(four, x[2:-2, 2:-2])
