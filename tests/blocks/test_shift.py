"""Shifts over frames and over pixels: both kinds against indices written out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lowlight_lib.blocks.shift import OFFSETS, move, spatial_shift, temporal_shift
from lowlight_lib.errors import OptionError, ShapeError


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(n=st.integers(1, 3), t=st.integers(1, 5), half=st.integers(1, 4))
def test_temporal_shift_frame_by_frame(n, t, half):
    x = draw(n, t, 2 * half, 2, 3)
    forward, reverse = temporal_shift(x), temporal_shift(x, reverse=True)
    for i in range(t):
        before, after = x[:, (i - 1) % t], x[:, (i + 1) % t]
        assert torch.equal(forward[:, i], torch.cat([before[:, half:], x[:, i, :half]], 1))
        assert torch.equal(reverse[:, i], torch.cat([x[:, i, half:], after[:, :half]], 1))
    assert torch.equal(temporal_shift(forward, reverse=True), x)  # they undo each other
    assert torch.equal(temporal_shift(reverse), x)


@given(size=st.integers(1, 12), by=st.integers(-15, 15))
def test_move_fills_with_zeros(size, by):
    x = torch.arange(1.0, size + 1)
    assert move(x, by, 0).tolist() == [
        float(x[i - by]) if 0 <= i - by < size else 0.0 for i in range(size)
    ]


@pytest.mark.parametrize("channels", [5, 16, 24, 48, 50])
def test_the_intended_shift_deals_its_offsets_evenly_among_channels(channels):
    assert len(OFFSETS) == len(set(OFFSETS)) == 24 and (0, 0) not in OFFSETS
    x = torch.zeros(1, 3, channels, 17, 17)
    x[..., 8, 8] = 1  # one lit pixel in the middle of every channel
    places = spatial_shift(x, "intended").nonzero()[:, 3:] - 8
    for frame in places.view(3, channels, 2).tolist():
        ways = [tuple(way) for way in frame]
        share = [ways.count(o) for o in OFFSETS]
        assert max(share) - min(share) <= 1 and sum(share) == channels and ways == sorted(ways)


def test_the_released_shift_takes_every_axis_for_the_one_before():
    """Channels by 8, rows by 8, 4, 0 in frames 0, 1, 2, columns never."""
    x = draw(2, 3, 24, 12, 7)
    y = spatial_shift(x, "released")
    assert not y[:, :, :8].any()
    for t, rows in enumerate((8, 4, 0)):
        expected = torch.zeros(2, 16, 12, 7)
        expected[:, :, rows:] = x[:, t, :16, : 12 - rows]
        assert torch.equal(y[:, t, 8:], expected)


@pytest.mark.parametrize("kind", ["released", "intended"])
def test_frames_smaller_than_the_offsets(kind):
    assert spatial_shift(draw(1, 3, 24, 2, 1), kind).shape == (1, 3, 24, 2, 1)


def test_wrong_shapes_and_names_are_refused():
    with pytest.raises(OptionError, match="unknown shift 'fixed'"):
        spatial_shift(draw(1, 3, 4, 5, 5), "fixed")
    for x in (draw(3, 4, 5, 5), draw(1, 2, 4, 5, 5)):
        with pytest.raises(ShapeError, match=r"frames are \(N, 3, C, H, W\)"):
            spatial_shift(x, "released")
    for x in (draw(1, 3, 5, 4, 4), draw(3, 4, 5, 5)):
        with pytest.raises(ShapeError, match="even C"):
            temporal_shift(x)
