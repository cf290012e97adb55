"""Padding to a multiple: by reflection or by whole cells, in the phase of the filters."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from lowlight_lib.blocks.padding import pad_to_multiple, run_padded
from lowlight_lib.sensor import cfa

sides = st.integers(1, 70)


@given(h=sides, w=sides, multiple=st.sampled_from([2, 6, 8, 32]))
@example(h=1, w=1, multiple=32)
@example(h=2, w=3, multiple=32)
def test_padding_is_numpys_reflection(h, w, multiple):
    x = np.random.default_rng(h * w).random((1, 2, h, w), dtype=np.float32)
    ours = pad_to_multiple(torch.from_numpy(x), multiple).numpy()
    theirs = np.pad(x, [(0, 0), (0, 0), (0, -h % multiple), (0, -w % multiple)], "reflect")
    np.testing.assert_array_equal(ours, theirs)


@given(h=st.integers(2, 70), w=st.integers(2, 70), order=st.sampled_from(sorted(cfa.BAYER)))
def test_reflection_keeps_the_phase_of_bayer(h, w, order):
    colours = cfa.tile(cfa.from_name(order), (h, w)).astype(np.float32)
    padded = pad_to_multiple(torch.from_numpy(colours)[None, None], 32)[0, 0].numpy()
    np.testing.assert_array_equal(padded, cfa.tile(cfa.from_name(order), padded.shape))


@given(h=st.integers(6, 40), w=st.integers(6, 40), multiple=st.sampled_from([6, 12, 48]))
def test_whole_cells_keep_the_phase_of_x_trans(h, w, multiple):
    x = torch.from_numpy(cfa.tile(np.arange(36.0).reshape(6, 6), (h, w)).copy())[None, None]
    y = pad_to_multiple(x, multiple, cell=6)
    assert y.shape[2:] == (h + -h % multiple, w + -w % multiple)
    assert np.array_equal(y[0, 0].numpy(), cfa.tile(np.arange(36).reshape(6, 6), y.shape[2:]))


def test_what_is_a_multiple_is_not_padded():
    x = torch.rand(1, 1, 64, 32)
    assert pad_to_multiple(x, 32) is x


@pytest.mark.parametrize("several", [False, True])
def test_what_is_computed_on_a_padded_input_is_cropped(several):
    x, seen = torch.rand(2, 1, 5, 9), []

    def network(padded):
        seen.append(padded.shape)
        return (padded, padded[:, :, :, :] * 2) if several else padded

    out = run_padded(network, x, 8)
    assert seen == [(2, 1, 8, 16)]
    assert torch.equal(out[0] if several else out, x)
    assert not several or torch.equal(out[1], 2 * x)
