"""The networks and their blocks, against the released ones and against theory."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.networks import PICTURES, drawn_weights
from torch import nn

from lowlight_lib import models
from lowlight_lib.blocks import retinex
from lowlight_lib.blocks.dense import ResidualDenseBlock, channel_shuffle, conv, fold_weight_norm
from lowlight_lib.blocks.padding import pad_to_multiple
from lowlight_lib.deploy.counting import parameters
from lowlight_lib.errors import LowlightError, OptionError
from lowlight_lib.models.redi import Redi
from lowlight_lib.models.sid import Sid
from lowlight_lib.sensor import cfa
from lowlight_lib.training import checkpoint

quick = settings(derandomize=True, deadline=None, max_examples=40)


def count(model):
    return sum(p.numel() for p in model.parameters())


def rand(key, n, h, w, seed=0):
    """A batch that a system takes: mosaics, or sRGB pictures."""
    return torch.rand(
        n, models.SYSTEMS[key].spec.channels, h, w, generator=torch.Generator().manual_seed(seed)
    )


def picture(out):
    """What a system shows: its output, or PairLIE's light and paint put together."""
    return retinex.recompose(out.L, out.R) if isinstance(out, tuple) else out


@pytest.fixture(scope="module")
def networks():
    """One network of each system, in eval mode, with seeded weights."""
    torch.manual_seed(0)
    return {key: models.build(key).eval() for key in PICTURES}


# ---------------------------------------------------------------------------------------------
# parity with the released networks


def test_redi_with_the_released_weights(shared):
    reference = np.load(shared / "reference" / "redi.npz")
    model = checkpoint.load("redi", shared / "checkpoints" / "redi_sid_official.pth")
    x, y = (torch.from_numpy(reference[k]) for k in "xy")
    with torch.no_grad():
        # 1e-5: float32 sums in another order; a picture's smallest step is 4e-3.
        torch.testing.assert_close(model(x), y, rtol=0, atol=1e-5)
        fold_weight_norm(model)
        torch.testing.assert_close(model(x), y, rtol=0, atol=1e-5)


def test_sid_with_drawn_weights(shared):
    reference = np.load(shared / "reference" / "sid.npz")
    model = models.build("sid", clip_input=False).eval()
    model.load_state_dict(drawn_weights(shared, "sid", 63, 0.05))
    x, y = (torch.from_numpy(reference[k]) for k in "xy")
    assert y.abs().max() > 0.01  # there is something to compare
    with torch.no_grad():
        torch.testing.assert_close(model(x), y, rtol=0, atol=1e-5)  # as above


# ---------------------------------------------------------------------------------------------
# counts, cards, options


@pytest.mark.parametrize("key, params", [("sid", 7_760_748), ("redi", 784_768)])
def test_parameter_counts(key, params):
    assert count(models.build(key)) == params


@pytest.mark.parametrize("key", models.SYSTEMS)
def test_cards_tell_the_truth(key):
    card, model = models.SYSTEMS[key], models.build(key)
    assert (card.params, card.effective_params) == parameters(model)
    assert card.spec.multiple == model.spec.multiple
    assert not card.spec.amplifies_itself and card.licence and card.checkpoints
    assert str(card.year) in card.paper
    with pytest.raises(dataclasses.FrozenInstanceError):
        card.params = 1


def test_unknown_names_and_options():
    with pytest.raises(OptionError, match=r"unknown model 'unet'.*sid, llpacknet, redi, brve"):
        models.build("unet")
    with pytest.raises(OptionError, match="unknown model"):
        models.SYSTEMS["SID"]
    for key in models.SYSTEMS:
        with pytest.raises(OptionError, match=f"{key} does not take"):
            models.build(key, depth=3)
    assert issubclass(OptionError, LowlightError)


def test_options_reach_the_network():
    small = models.build("redi", growth=8, layers=(1, 2), weight_norm=False)
    assert [len(b.layers) for b in small.hse.rdbs] == [1, 2] and count(small) < 300_000
    assert not models.build("sid", clip_input=False).clip_input


# ---------------------------------------------------------------------------------------------
# weight normalisation


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


def test_folding_a_copy_leaves_the_network():
    model = models.build("redi").eval()
    x = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        before = model(x)
        folded = fold_weight_norm(copy.deepcopy(model))
        assert torch.equal(model(x), before) and count(model) == 784_768
        torch.testing.assert_close(folded(x), before, rtol=1e-5, atol=1e-5)
    assert torch.equal(copy.deepcopy(model)(x), before)


def test_without_weight_norm_from_the_start():
    assert count(models.build("redi", weight_norm=False)) == 783_432


def test_weight_norm_is_g_v_over_length():
    torch.manual_seed(0)
    layer = conv(3, 5, 3)
    g = layer.parametrizations.weight.original0.detach()
    v = layer.parametrizations.weight.original1.detach()
    length = v.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    torch.testing.assert_close(
        layer.weight.detach(), g * v / length, rtol=1e-6, atol=1e-7
    )  # float32
    assert g.numel() == 5


# ---------------------------------------------------------------------------------------------
# any size


sides = st.integers(1, 70)


@pytest.mark.parametrize("key", PICTURES)
def test_any_size_goes_in_and_comes_out(key, networks):
    n = models.SYSTEMS[key].spec.multiple

    @settings(derandomize=True, deadline=None, max_examples=8)
    @given(h=sides, w=sides)
    @example(h=1, w=1)
    @example(h=1, w=70)
    @example(h=2, w=33)
    def check(h, w):
        x = rand(key, 1, h, w, seed=h * 100 + w)
        padded = torch.from_numpy(
            np.pad(x.numpy(), [(0, 0)] * 2 + [(0, -h % n), (0, -w % n)], "reflect")
        )
        with torch.no_grad():
            y = picture(networks[key](x))
            assert y.shape == (1, 3, h, w) and torch.isfinite(y).all()
            # The same numbers as of the picture padded by hand: padding and cropping, no more.
            by_hand = picture(networks[key](padded))[..., :h, :w]
            torch.testing.assert_close(y, by_hand, rtol=0, atol=1e-6)

    check()


@pytest.mark.parametrize("key", PICTURES)
def test_pictures_of_a_batch_do_not_mix(key, networks):
    x = rand(key, 3, 32, 64)
    with torch.no_grad():
        together = picture(networks[key](x))
        alone = torch.cat([picture(networks[key](v[None])) for v in x])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)  # other kernels, same sums


@quick
@given(h=sides, w=sides, multiple=st.sampled_from([2, 6, 8, 32]))
@example(h=1, w=1, multiple=32)
@example(h=2, w=3, multiple=32)
def test_padding_is_numpys_reflection(h, w, multiple):
    x = np.random.default_rng(h * w).random((1, 2, h, w), dtype=np.float32)
    ours = pad_to_multiple(torch.from_numpy(x), multiple).numpy()
    theirs = np.pad(x, [(0, 0), (0, 0), (0, -h % multiple), (0, -w % multiple)], "reflect")
    np.testing.assert_array_equal(ours, theirs)


@quick
@given(h=st.integers(2, 70), w=st.integers(2, 70), order=st.sampled_from(sorted(cfa.BAYER)))
def test_padding_keeps_the_phase(h, w, order):
    colours = cfa.tile(cfa.from_name(order), (h, w)).astype(np.float32)
    padded = pad_to_multiple(torch.from_numpy(colours)[None, None], 32)[0, 0].numpy()
    np.testing.assert_array_equal(padded, cfa.tile(cfa.from_name(order), padded.shape))


def test_no_padding_where_none_is_needed():
    x = torch.rand(1, 1, 64, 32)
    assert pad_to_multiple(x, 32) is x


# ---------------------------------------------------------------------------------------------
# what the networks do


def test_sid_clips_its_input_and_redi_does_not(networks):
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(3)) * 4
    with torch.no_grad():
        torch.testing.assert_close(networks["sid"](x), networks["sid"](x.clamp(max=1)))
        assert (networks["redi"](x) != networks["redi"](x.clamp(max=1))).any()
        unclipped = models.build("sid", clip_input=False).eval()
        unclipped.load_state_dict(networks["sid"].state_dict())
        assert (unclipped(x) != networks["sid"](x)).any()


def test_redi_clamps_in_eval_mode_only():
    torch.manual_seed(0)
    model = models.build("redi")
    x = torch.rand(1, 1, 32, 32) * 30
    with torch.no_grad():
        free = model(x)
        assert free.min() < 0 and free.max() > 1
        torch.testing.assert_close(model.eval()(x), free.clamp(0, 1))


@pytest.mark.parametrize("key", PICTURES)
def test_gradients_reach_every_parameter(key):
    torch.manual_seed(0)
    model = models.build(key)
    x = rand(key, 2, 64, 64)
    (picture(model(x)) - torch.rand(2, 3, 64, 64)).square().mean().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert torch.isfinite(p.grad).all() and p.grad.abs().max() > 0, name


@pytest.mark.parametrize("key", PICTURES)
def test_a_new_network_answers_to_its_input(key):
    torch.manual_seed(0)
    model = models.build(key)  # training mode: not clamped
    x = rand(key, 1, 64, 64)
    with torch.no_grad():
        answer = (picture(model(x)) - picture(model(0 * x))).std()
    # He initialisation keeps the scale of the input (its deviation is 0.3) to a factor of a few;
    # with PyTorch's default the U-Net answers with 0.005, and learns nothing for long. Between the
    # ends of PairLIE stand two sigmoids, of slopes 0.1 and 0.25; by default it answers with 4e-6.
    assert (0.005 if key == "pairlie" else 0.05) < answer < 5


def test_sid_is_initialised_after_he():
    model = Sid()
    for layer in (model.conv3_2, model.upv7):
        fan = (
            layer.weight[0].numel() if isinstance(layer, nn.Conv2d) else layer.weight[:, 0].numel()
        )
        fan = fan if isinstance(layer, nn.Conv2d) else layer.in_channels * 4
        expected = (2 / (1 + 0.2**2) / fan) ** 0.5
        # A standard deviation over n > 100,000 draws is good to 1 / sqrt(2 n) < 0.3 %.
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.02)
        assert (layer.bias == 0).all()


def test_redi_sees_whole_cells():
    """Pixels of one Bayer colour stay together on the way to the grouped convolution."""
    model = Redi(weight_norm=False)
    seen = []
    model.hse.squeeze.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    colours = torch.from_numpy(cfa.tile([[0, 1], [2, 3]], (64, 64)).astype(np.float32))
    model(colours[None, None])
    (x,) = seen
    assert x.shape == (1, 1024, 2, 2)
    expected = torch.arange(4.0).repeat_interleave(256).view(1, 1024, 1, 1).expand_as(x)
    torch.testing.assert_close(x, expected, rtol=0, atol=0)


# ---------------------------------------------------------------------------------------------
# blocks


@quick
@given(groups=st.integers(1, 4), n=st.integers(1, 4), size=st.integers(1, 3))
def test_channel_shuffle(groups, n, size):
    x = torch.arange(2.0 * groups * n * size * size).view(2, groups * n, size, size)
    y = channel_shuffle(x, groups)
    for g in range(groups):
        for i in range(n):
            torch.testing.assert_close(y[:, i * groups + g], x[:, g * n + i], rtol=0, atol=0)
    torch.testing.assert_close(channel_shuffle(y, n), x, rtol=0, atol=0)  # and back


def test_residual_dense_block_by_hand():
    """One channel, growth 1, three layers, all weights 1 at the centre, slope 0.2, x = -2."""
    block = ResidualDenseBlock(1, 1, 3, slope=0.2, norm=False)
    with torch.no_grad():
        for layer in [*block.layers, block.fuse]:
            layer.weight.zero_()
            layer.weight[:, :, layer.kernel_size[0] // 2, layer.kernel_size[1] // 2] = 1
        y = block(torch.full((1, 1, 3, 3), -2.0))
    # f1 = -2 (first layer: not rectified); f2 = 0.2 * (-2 - 2) = -0.8 (inner: rectified);
    # f3 = -2 - 2 - 0.8 = -4.8 (last: not); out = x + (-2 - 2 - 0.8 - 4.8) = -11.6. 1e-5: float32.
    torch.testing.assert_close(y, torch.full((1, 1, 3, 3), -11.6), rtol=0, atol=1e-5)


def test_residual_dense_block_shapes_and_size():
    block = ResidualDenseBlock(6, 4, 3, norm=False)
    assert block(torch.rand(2, 6, 5, 7)).shape == (2, 6, 5, 7)
    assert count(block) == 9 * 4 * (6 + 10 + 14) + 18 * 6
