"""SID: its input, its initialisation, and the form that takes X-Trans mosaics as they are."""

import pytest
import torch
from support.networks import count, rand
from torch import nn

from lowlight_lib import models
from lowlight_lib.errors import OptionError
from lowlight_lib.models.sid import Sid


def build(**options):
    torch.manual_seed(0)
    return models.build("sid", **options).eval()


def test_it_clips_its_input_unless_told_otherwise():
    clipping, port = build(), build(clip_input=False)
    x = 4 * rand(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(clipping(x), clipping(x.clamp(max=1)))
        assert torch.equal(port(x / 4), clipping(x / 4)) and not torch.equal(port(x), clipping(x))


@pytest.mark.parametrize("key", ["sid", "pairlie"])
def test_pytorchs_initialisation_is_a_choice(key):
    torch.manual_seed(0)
    for layer in models.build(key, he_init=False).modules():
        if isinstance(layer, nn.Conv2d):  # uniform, up to 1 / sqrt(inputs), biases too
            bound = layer.weight[0].numel() ** -0.5
            assert layer.weight.abs().max() <= bound and 0 < layer.bias.abs().max() <= bound


def test_it_is_initialised_after_he():
    model = Sid()
    for layer in (model.conv3_2, model.upv7):
        fan = layer.weight[0].numel() if isinstance(layer, nn.Conv2d) else layer.in_channels * 4
        expected = (2 / (1 + 0.2**2) / fan) ** 0.5
        # A standard deviation over n > 100,000 draws is good to 1 / sqrt(2 n) < 0.3 %.
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.02)
        assert (layer.bias == 0).all()


def test_the_form_for_x_trans_has_other_ends():
    bayer, xtrans = build(), build(cfa="xtrans")
    assert bayer.spec == models.SYSTEMS["sid"].spec.replace(options={})
    assert (xtrans.spec.cfa, xtrans.spec.multiple, xtrans.spec.halo) == ("X-Trans", 48, 288)
    assert list(xtrans.state_dict()) == list(bayer.state_dict())
    # nine planes for four in the first layer, 27 channels for 12 in the last
    assert count(xtrans) - count(bayer) == 9 * 32 * (9 - 4) + (32 + 1) * (27 - 12)
    with pytest.raises(OptionError, match="bayer or xtrans"):
        build(cfa="fuji")


def test_the_form_for_x_trans_reads_nine_planes():
    """A changed pixel of a plane that the first layer ignores changes nothing; others do."""
    net = build(cfa="xtrans")
    with torch.no_grad():
        net.conv1_1.weight[:, 1:] = 0  # only plane 0 is left, red: (0, 0) of the cell among them
    x = rand(1, 1, 48, 48) / 2
    with torch.inference_mode():
        before = net(x)
        for place, matters in (((24, 24), True), ((24, 25), False), ((25, 24), False)):
            y = x.clone()
            y[0, 0][place] += 0.3
            assert torch.equal(net(y), before) != matters
