"""Signs, their made-up gradients, binary convolutions and the blocks around them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from lowlight_lib.blocks.binary import (
    BinaryConv2d,
    BinaryTransition,
    BinaryUNet,
    DABC2d,
    DistributionAwareAttention,
    RPReLU,
    sign_ste,
)
from lowlight_lib.errors import OptionError


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=20))
def test_sign_and_its_one_rule_for_zero(values):
    x = torch.tensor(values)
    assert sign_ste(x).tolist() == [0.0 if v == 0 else (1.0 if v > 0 else -1.0) for v in values]
    assert sign_ste(x, zero=1).tolist() == [1.0 if v >= 0 else -1.0 for v in values]


@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=20))
def test_gradients_of_the_sign_are_their_formulas(values):
    """The derivatives of clamp(x, -1, 1) and of x (2 - |x|), written out by hand."""
    for gradient, formula in (
        ("clip", lambda v: float(abs(v) <= 1)),
        ("quadratic", lambda v: max(2 - 2 * abs(v), 0.0)),
    ):
        x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        sign_ste(x, gradient).backward(torch.full_like(x, 3.0))
        assert x.grad.tolist() == pytest.approx([3 * formula(v) for v in values])


def test_what_there_is_not():
    for wrong in ({"gradient": "none"}, {"zero": -1}):
        with pytest.raises(OptionError, match="no sign with"):
            sign_ste(torch.ones(1), **wrong)
    with pytest.raises(OptionError, match="resize"):
        BinaryTransition(8, 8, "half")


def test_binary_convolution_by_hand():
    conv = BinaryConv2d(1, 2, 3)
    with torch.no_grad():
        conv.weight[0] = 0.5
        conv.weight[1] = torch.tensor([[[-1.0, 2.0, -3.0]] * 3])
    y = conv(torch.ones(1, 1, 3, 3))
    # Channel 0: alpha 0.5 times the number of pixels under the window, border zeros left out.
    assert y[0, 0].tolist() == [[2.0, 3.0, 2.0], [3.0, 4.5, 3.0], [2.0, 3.0, 2.0]]
    # Channel 1: alpha = (1 + 2 + 3) / 3 = 2, signs -1 +1 -1 in each row of three.
    assert y[0, 1].tolist() == [[0.0, -4.0, 0.0], [0.0, -6.0, 0.0], [0.0, -4.0, 0.0]]


@pytest.mark.parametrize("stride, bias", [(1, False), (2, True)])
def test_gradients_of_the_convolution(stride, bias):
    """For its input the true ones, for the bias too; for weights those of their stand-ins."""
    conv = BinaryConv2d(3, 4, 3, stride, bias).double()
    with torch.no_grad():
        conv.weight.mul_(8)  # some beyond 1, which get none
    x = draw(2, 3, 6, 6, seed=1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(conv, x)
    if bias:
        assert torch.autograd.gradcheck(lambda b: F.conv2d(x.detach(), conv.weight, b), conv.bias)
    stand_in = conv.weight.detach().abs().mean((1, 2, 3), True) * conv.weight.detach().sign()
    stand_in.requires_grad_()
    F.conv2d(x, stand_in, conv.bias, stride, 1).square().sum().backward()
    conv.weight.grad = None
    conv(x).square().sum().backward()
    inside = conv.weight.detach().abs() <= 1
    assert 0 < inside.double().mean() < 1
    torch.testing.assert_close(conv.weight.grad, stand_in.grad * inside)


def test_rprelu_and_attention_by_their_formulas():
    x = draw(2, 8, 5, 4)
    act = RPReLU(8)
    with torch.no_grad():
        act.before.copy_(draw(1, 8, 1, 1, seed=1))
        act.slope.copy_(draw(8, seed=2))
        act.after.copy_(draw(1, 8, 1, 1, seed=3))
    z = x + act.before
    expected = torch.where(z > 0, z, act.slope.view(1, 8, 1, 1) * z) + act.after
    torch.testing.assert_close(act(x), expected)

    attention = DistributionAwareAttention(8)
    w = attention.conv.weight[0]
    seen = torch.stack([x.abs().mean((2, 3)), x.mean((2, 3)), (x.var((2, 3)) + 1e-6).sqrt()], 1)
    seen = F.pad(seen, (1, 1))
    byhand = sum((w[:, k, None] * seen[:, :, k : k + 8]).sum(1) for k in range(3))
    torch.testing.assert_close(attention(x), torch.sigmoid(byhand)[..., None, None])


@pytest.mark.parametrize("channels, kernel", [(4, 1), (16, 3), (24, 3), (96, 3), (256, 5)])
def test_kernel_of_the_attention(channels, kernel):
    assert DistributionAwareAttention(channels).conv.kernel_size == (kernel,)


def test_a_frame_of_one_pixel_has_no_deviation():
    assert torch.isfinite(DABC2d(8)(draw(1, 8, 1, 1))).all()


def test_dabc_is_its_formula():
    block = DABC2d(8)
    with torch.no_grad():
        block.threshold.copy_(draw(1, 8, 1, 1, seed=4))
    x = draw(2, 8, 7, 5)
    z = x + block.threshold
    y = x + block.act(block.attention(z) * block.conv(torch.sign(z)))
    assert torch.equal(block(x), y)
    plain = DABC2d(8, attention=False)
    plain.load_state_dict({k: v for k, v in block.state_dict().items() if "attention" not in k})
    assert torch.equal(plain(x), x + block.act(block.conv(torch.sign(z))))


@pytest.mark.parametrize("resize, side", [(None, (6, 8)), ("down", (3, 4)), ("up", (12, 16))])
@pytest.mark.parametrize("real_skip", [True, False])
def test_transitions(resize, side, real_skip):
    layer = BinaryTransition(8, 12, resize, real_skip=real_skip)
    y = layer(draw(2, 8, 6, 8))
    assert y.shape == (2, 12, *side)
    assert (layer.conv.bias is None) == (resize != "down")
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in layer.parameters())


def test_unet_is_a_residual_of_the_same_shape():
    net = BinaryUNet(4, BinaryTransition, DABC2d)
    x = draw(2, 4, 8, 12)
    assert net(x).shape == x.shape
    for up in net.ups:  # nothing from below: what is left are the blocks at full size
        up.register_forward_hook(lambda *args: torch.zeros_like(args[-1]))
    y = net.encoders[0](x)
    torch.testing.assert_close(net(x), x + net.decoders[0](net.skips[0](y)))
