"""Residual dense blocks, channel shuffle and weight normalisation, against their formulas."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.networks import count
from torch import nn
from torch.nn import functional as F

from lowlight_lib import models
from lowlight_lib.blocks.dense import ResidualDenseBlock, channel_shuffle, fold_weight_norm


@given(groups=st.integers(1, 4), n=st.integers(1, 4), size=st.integers(1, 3))
def test_channel_shuffle(groups, n, size):
    x = torch.arange(2.0 * groups * n * size * size).view(2, groups * n, size, size)
    y = channel_shuffle(x, groups)
    for g in range(groups):
        for i in range(n):
            torch.testing.assert_close(y[:, i * groups + g], x[:, g * n + i], rtol=0, atol=0)
    torch.testing.assert_close(channel_shuffle(y, n), x, rtol=0, atol=0)  # and back


@pytest.mark.parametrize("slope", [0.2, 0])
@pytest.mark.parametrize("star", [True, False])
def test_both_dense_blocks_against_their_formulas(star, slope):
    torch.manual_seed(2)
    block = ResidualDenseBlock(3, 2, 4, slope=slope, star=star, norm=False)
    x = torch.randn(2, 3, 5, 4)
    w = [layer.weight for layer in block.layers]

    def act(t):
        return torch.where(t > 0, t, slope * t)

    def conv(k, t):
        return F.conv2d(t, w[k], padding=1)

    def cat(*parts):
        return torch.cat(parts, 1)

    if star:  # rectified in front of the inner convolutions, concatenated as it is
        a = conv(0, x)
        b = conv(1, act(cat(x, a)))
        c = conv(2, act(cat(x, a, b)))
        d = conv(3, cat(x, a, b, c))
    else:  # rectified behind each convolution
        a = act(conv(0, x))
        b = act(conv(1, cat(x, a)))
        c = act(conv(2, cat(x, a, b)))
        d = act(conv(3, cat(x, a, b, c)))
    y = x + F.conv2d(cat(x, a, b, c, d), block.fuse.weight)
    torch.testing.assert_close(block(x), y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layers, linear", [(1, True), (2, True), (3, False)])
def test_a_short_starred_block_is_linear(layers, linear):
    """Only inner convolutions have a rectifier in front of them, and two layers have none."""
    torch.manual_seed(3)
    block = ResidualDenseBlock(3, 2, layers, norm=False)
    a, b = torch.randn(2, 1, 3, 6, 6)
    difference = (block(a + b) - block(a) - block(b)).abs().max()
    assert (difference < 1e-5) == linear  # float32 sums of a few dozen terms around 1


@pytest.mark.parametrize("inference", [False, True])
def test_folding_weight_norm(inference):
    torch.manual_seed(1)
    model = models.build("redi")
    with torch.no_grad():
        for name, p in model.named_parameters():  # gains away from |v|, where a mistake would hide
            if name.endswith("original0"):
                p.mul_(torch.rand_like(p) * 0.5 + 0.75)
    x = torch.rand(1, 1, 64, 96)
    with torch.no_grad():
        before = model(x)
    with torch.inference_mode(inference):
        assert fold_weight_norm(model) is model
    assert count(model) == 783_432
    assert all(type(p) is nn.Parameter and not p.is_inference() for p in model.parameters())
    assert not any("parametrizations" in k for k in model.state_dict())
    with torch.no_grad():
        # g * v / |v| is computed once instead of at every call: float32 rounding at most.
        torch.testing.assert_close(model(x), before, rtol=1e-5, atol=1e-5)
    model(x).sum().backward()  # still a network that can be trained
    assert count(fold_weight_norm(model)) == 783_432  # a second time does nothing


@pytest.mark.parametrize("key", ["brve", "pairlie"])
def test_what_has_no_weight_norm_gets_no_option_of_it(key):
    model = models.build(key)
    before = model.spec
    assert fold_weight_norm(model).spec == before
