"""LLPackNet in its two forms: ends, amplifier, packing, loss."""

import dataclasses

import pytest
import torch
from support.networks import rand
from torch.nn import functional as F

from lowlight_lib import models, recipes
from lowlight_lib.blocks.packing import pack, shuffle_order
from lowlight_lib.errors import OptionError
from lowlight_lib.models.llpacknet import FORMS
from lowlight_lib.training.losses import LOSSES, find_loss

OLD = {"histogram": {"form": "2020"}, "conv": {"form": "2020", "amplifier": "conv"}}
both_amplifiers = pytest.mark.parametrize("options", OLD.values(), ids=OLD)


def build(seed=0, **options):
    torch.manual_seed(seed)
    return models.build("llpacknet", **options).eval()


def test_forms_by_name():
    for form in FORMS:
        assert build(form=form).spec.amplifies_itself == (form == "2020")
    assert build(form=2020).spec.amplifies_itself  # a number, as a command line may hand it on
    assert not any("parametrizations" in k for k in build(form="2020").state_dict())
    for wrong, todo in (
        ({"form": "2021"}, "2022 or 2020"),
        ({"up": "deconv"}, "unpack"),
        ({"form": "2020", "amplifier": "median"}, "histogram"),
    ):
        with pytest.raises(OptionError, match=todo):
            build(**wrong)


def test_the_ends():
    """2022: a sigmoid, so within (0, 1) whatever comes; 2020: a ReLU, open at the top."""
    x = 40 * rand(1, 1, 32, 48)
    with torch.no_grad():
        y = build()(x)
        assert y.min() >= 0 and y.max() <= 1
        old = build(form="2020")
        old.amplifier.out.bias.fill_(30.0)
        y = old(x)
        assert y.min() == 0 and y.max() > 1


@both_amplifiers
def test_2020_amplifies_inside_and_2022_does_not(options):
    x = rand(2, 1, 32, 48) / 50
    old = build(**options)
    factors = torch.tensor([50.0, 0.5])
    old.amplifier.register_forward_hook(lambda *_: factors)
    plain = build(**options)
    plain.amplifier = None
    with torch.no_grad():
        assert torch.equal(old(x), plain(x * factors.view(2, 1, 1, 1)))
    assert build().amplifier is None and not models.SYSTEMS["llpacknet"].spec.amplifies_itself


def test_the_amplifier_sees_the_picture_and_not_the_padding():
    """What the padding repeats would be counted twice in the histogram."""
    model = build(form="2020")
    seen = []
    model.amplifier.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    with torch.no_grad():
        model(torch.rand(1, 1, 20, 35))
    assert seen == [(1, 1, 20, 35)]


@both_amplifiers
@pytest.mark.parametrize("shape", [(1, 2), (17, 33), (64, 16)])
def test_2020_takes_any_size_and_batch(options, shape):
    model, x = build(**options), rand(2, 1, *shape)
    with torch.no_grad():
        y = model(x)
        assert y.shape == (2, 3, *shape) and torch.isfinite(y).all()
        alone = torch.cat([model(v[None]) for v in x])
    torch.testing.assert_close(y, alone, rtol=1e-5, atol=1e-5)  # other kernels, same sums


@both_amplifiers
def test_gradients_reach_every_parameter_of_2020(options):
    """One training step: finite everywhere, 0 nowhere."""
    model = build(**options).train()
    with torch.no_grad():  # an untrained one answers 1e-4 half of the time, without a gradient
        model.amplifier.out.bias.fill_(2.0)
    loss = find_loss("llpacknet")(model(rand(2, 1, 64, 64)), rand(2, 3, 64, 64), 0)
    loss.backward()
    for name, p in model.named_parameters():
        assert torch.isfinite(p.grad).all() and p.grad.abs().max() > 0, name


def test_pixelshuffle_is_unpack_with_permuted_last_weights():
    ours, other = build(), build(seed=1, up="pixelshuffle")
    other.load_state_dict(ours.state_dict())
    x = torch.rand(2, 1, 32, 48)
    with torch.no_grad():
        assert (other(x) - ours(x)).abs().max() > 1e-3  # another function with the same weights
        for p in other.conv_out.parameters():
            p.copy_(p[shuffle_order(3, 8)])
        assert torch.equal(other(x), ours(x))


def test_the_first_stage_packs_each_colour_by_itself():
    """Shape and order at 1/16: what the convolution of one colour sees is that colour, packed."""
    model = build()
    seen = [None] * 4
    for i, layer in enumerate(model.colours):
        layer.register_forward_pre_hook(lambda _, args, i=i: seen.__setitem__(i, args[0]))
    x = torch.rand(1, 1, 32, 48)
    with torch.no_grad():
        model(x)
    for i, packed in enumerate(seen):
        plane = x[..., i // 2 :: 2, i % 2 :: 2]
        assert torch.equal(packed, pack(plane, 8)) and packed.shape == (1, 64, 2, 3)
        assert torch.equal(packed, F.pixel_unshuffle(plane, 8))  # one channel: the same order


def test_the_terms_of_the_loss_by_hand():
    """A 4x4 picture, black but for one pixel of one colour, beside a black target."""
    prediction, target = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    prediction[0, 1, 1, 1] = 0.6
    theta = torch.tensor([-2.0, 0.5], requires_grad=True)

    l1 = 0.6 / 48
    # The pixel differs from one neighbour above, one below, one left, one right: 2 of 3 * 3 * 4
    # vertical differences and 2 of as many horizontal ones are 0.36 when squared.
    tv = 2 * (2 * 0.36) / 36
    # Blurred without padding, 2x2 remain; (1, 1) weighs 4/16, 2/16, 2/16 and 1/16 in them.
    blurred = 0.36 * (4**2 + 2 * 2**2 + 1) / 16**2 / 12
    for step, lam_tv, lam_c in ((0, 1000, 10), (19_999, 1000, 10), (20_000, 400, 1)):
        expected = l1 + lam_tv * tv / 48 + lam_c * blurred + 1e-6 * 2.5
        loss = find_loss("llpacknet")(prediction, target, step, [theta])
        assert loss.item() == pytest.approx(expected, rel=1e-5)  # float32
    loss.backward()
    torch.testing.assert_close(theta.grad, torch.tensor([-1e-6, 1e-6]))


def test_no_term_of_the_loss_is_perceptual_and_it_says_so():
    """The published VGG term had no gradient (features under no_grad): it is left out, in words."""
    assert "VGG" in LOSSES["llpacknet"].source and "left out" in LOSSES["llpacknet"].source
    paper = recipes.find("llpacknet", "paper")
    assert (paper.loss, paper.lr, paper.steps, paper.crop) == ("llpacknet", 1e-4, 400_000, 512)
    assert (paper.batch, paper.flips) == (4, (0.5, 0.2))
    # "1000 TV" of a 512 crop: 1000 / (3 * 512 * 512) = 1000 / 786,432.
    y = rand(1, 3, 64, 64)
    with_tv = dataclasses.replace(LOSSES["llpacknet"], l1=0.0, blurred=0.0, first=None, tv=1000.0)
    rows, columns = y.diff(dim=2).square().mean(), y.diff(dim=3).square().mean()
    torch.testing.assert_close(with_tv(y, y), 1000 * (rows + columns) / (3 * 64 * 64))
