"""Winograd's convolutions: PyTorch's results, to the rounding that the method has."""

import pytest
import torch
from torch import nn

from lowlight_lib.deploy import winograd
from lowlight_lib.deploy.winograd import WinogradConv2d, fits


def drawn(c_in, c_out, k, **options):
    torch.manual_seed(0)
    return nn.Conv2d(c_in, c_out, k, padding=k // 2, **options).eval()


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
@pytest.mark.parametrize("c_in, c_out, size", [
    (16, 16, (4, 4)),
    (24, 3, (9, 7)),  # few outputs, sides that are no multiples of a tile
    (16, 40, (3, 5)),  # smaller than a tile
    (32, 17, (11, 4 * winograd.CHUNK + 9)),  # more tiles than are worked on at a time
])  # fmt: skip
def test_it_is_the_convolution(c_in, c_out, size, mode, k):
    layer = drawn(c_in, c_out, k, padding_mode=mode, bias=c_out != 16)
    x = torch.randn(2, c_in, *size, generator=torch.Generator().manual_seed(1))
    assert fits(layer)
    with torch.no_grad():
        wanted = layer.double()(x.double())
    for given in (x, x.contiguous(memory_format=torch.channels_last)):
        y = WinogradConv2d(layer.float())(given)
        assert y.dtype == torch.float32
        torch.testing.assert_close(y.double(), wanted, rtol=0, atol=2e-5)


def test_results_do_not_depend_on_threads_or_the_rest_of_a_batch():
    fast = WinogradConv2d(drawn(16, 8, 3))
    x = torch.rand(3, 16, 21, 30)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = fast(x[1:2])
        torch.set_num_threads(2)
        assert torch.equal(fast(x)[1:2], alone)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("layer", [
    nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 3), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(),
    nn.Conv2d(16, 16, 3, padding=1, groups=2), nn.Conv2d(4, 16, 3, padding=1),
    nn.Conv2d(20, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=2, dilation=2),
    nn.Conv2d(16, 16, 3, padding=1, padding_mode="circular"),
    nn.Conv2d(16, 16, 3, padding="same"), nn.ConvTranspose2d(16, 16, 3, padding=1),
], ids=str)  # fmt: skip
def test_what_it_leaves_to_pytorch(layer):
    assert not fits(layer)
