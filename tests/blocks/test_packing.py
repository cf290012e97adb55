"""Pack and UnPack: the order of the paper, exact inverses, gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from lowlight_lib.blocks.packing import pack, shuffle_order, unpack
from lowlight_lib.errors import ShapeError


def pack_by_loops(x, a):
    """The definition: channel (row * a + col) * C + c holds pixel (y * a + row, x * a + col, c)."""
    n, c, h, w = x.shape
    out = torch.empty(n, a * a * c, h // a, w // a, dtype=x.dtype)
    for row in range(a):
        for col in range(a):
            for k in range(c):
                out[:, (row * a + col) * c + k] = x[:, k, row::a, col::a]
    return out


sizes = st.integers(1, 4)


@given(n=sizes, c=sizes, h=sizes, w=sizes, a=st.integers(1, 5))
def test_order_and_inverse(n, c, h, w, a):
    x = torch.arange(n * c * h * a * w * a).view(n, c, h * a, w * a)
    packed = pack(x, a)
    assert torch.equal(packed, pack_by_loops(x, a))
    assert torch.equal(unpack(packed, a), x)
    z = torch.arange(n * c * a * a * h * w).view(n, a * a * c, h, w)
    assert torch.equal(pack(unpack(z, a), a), z)


@given(n=sizes, c=sizes, a=st.integers(1, 8))
def test_unpack_is_pixel_shuffle_of_permuted_channels(n, c, a):
    z = torch.randn(n, a * a * c, 3, 2)
    order = shuffle_order(c, a)
    assert torch.equal(unpack(z, a), F.pixel_shuffle(z[:, order], a))
    assert all(order[k * a * a + ij] == ij * c + k for k in range(c) for ij in range(a * a))


def test_leading_axes_are_free():
    x = torch.randn(5, 2, 3, 8, 12)
    assert torch.equal(pack(x, 4)[3, 1], pack(x[3, 1], 4))
    assert torch.equal(unpack(pack(x, 4), 4), x)


@pytest.mark.parametrize(
    "function, shape, factor, words",
    [
        (pack, (1, 1, 10, 16), 4, "multiples of 4, got 10x16"),
        (pack, (1, 1, 16, 10), 4, "multiples of 4, got 16x10"),
        (pack, (16, 16), 4, r"needs \(\.\.\., C, H, W\)"),
        (pack, (1, 1, 16, 16), 0, "whole number of at least 1, got 0"),
        (pack, (1, 1, 16, 16), 1.5, "whole number of at least 1, got 1.5"),
        (unpack, (1, 30, 4, 4), 4, "multiple of 16 channels, got 30"),
    ],
)
def test_wrong_shapes_are_named(function, shape, factor, words):
    with pytest.raises(ShapeError, match=words):
        function(torch.zeros(shape), factor)
