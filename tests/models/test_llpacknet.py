"""LLPackNet in its two forms: the released network, its sizes, its halo, its loss."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lowlight_lib import models, recipes
from lowlight_lib.blocks.packing import pack, shuffle_order
from lowlight_lib.errors import CheckpointError, OptionError
from lowlight_lib.models.llpacknet import FORMS, LLPackNet
from lowlight_lib.models.released import our_name
from lowlight_lib.restore import still as restore
from lowlight_lib.training import checkpoint
from lowlight_lib.training.losses import LOSSES, find_loss

EVERY = {
    "2022": {},
    "2020 histogram": {"form": "2020"},
    "2020 conv": {"form": "2020", "amplifier": "conv"},
}
every_form = pytest.mark.parametrize("options", EVERY.values(), ids=EVERY)


def build(seed=0, **options):
    torch.manual_seed(seed)
    return models.build("llpacknet", **options).eval()


def count(model):
    return sum(p.numel() for p in model.parameters())


def drawn(shared):
    """The weights of the reference output, under the released names."""
    rng = np.random.RandomState(61)
    state = {}
    for name, shape in json.loads((shared / "reference" / "llpacknet_keys.json").read_text()):
        value = rng.standard_normal(shape).astype(np.float32) * np.float32(0.05)
        state[name] = torch.from_numpy(np.abs(value) * 10 + 0.2 if "weight_g" in name else value)
    return state


def reference(shared):
    arrays = np.load(shared / "reference" / "llpacknet.npz")
    x, y = (torch.from_numpy(arrays[k]) for k in "xy")
    assert y.std() > 0.01  # there is something to compare: the sigmoid is not flat
    return x, y


# ---------------------------------------------------------------------------------------------
# the released network


def test_released_names_load_and_give_the_released_output(shared, tmp_path):
    x, y = reference(shared)
    model = build()
    checkpoint.fill(model, drawn(shared), None)
    torch.save({f"module.{k}": v for k, v in drawn(shared).items()}, tmp_path / "weights.pth")
    loaded = checkpoint.load("llpacknet", tmp_path / "weights.pth")
    with torch.no_grad():
        # 1e-5: float32 sums in another order.
        torch.testing.assert_close(model(x), y, rtol=0, atol=1e-5)
        torch.testing.assert_close(loaded(x), y, rtol=0, atol=1e-5)


def test_released_weights_fit_no_other_form(shared):
    with pytest.raises(CheckpointError, match="missing"):
        checkpoint.fill(build(form="2020"), drawn(shared), None)


def test_names_of_2020_have_no_weight_norm(shared, tmp_path):
    """`RDBr.0.weight` and the like; the amplifier keeps our names, for none of theirs is known."""
    released = drawn(shared)
    state = {}
    for name, v in released.items():
        if name.endswith("weight_v"):  # the weight that v and g stand for
            g = released[name.removesuffix("v") + "g"]
            length = v.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            state[name.removesuffix("_v")] = g * v / length
        elif not name.endswith("weight_g"):
            state[name] = v
    assert "RDBr.0.weight" in state and len(state) == 40
    plain, normed = build(weight_norm=False), build()
    checkpoint.fill(plain, state, None)
    checkpoint.fill(normed, released, None)
    x, _ = reference(shared)
    with torch.no_grad():
        torch.testing.assert_close(plain(x), normed(x), rtol=0, atol=1e-5)  # as above

    own = build(seed=1, form="2020")
    amplifier = {k: v for k, v in own.state_dict().items() if k.startswith("amplifier.")}
    torch.save(state | amplifier, tmp_path / "2020.pth")
    old = checkpoint.load("llpacknet", tmp_path / "2020.pth", form="2020")
    torch.testing.assert_close(old.conv_out.weight.data, state["final.2.0.weight"], rtol=0, atol=0)
    with pytest.raises(CheckpointError, match="does not fit"):
        checkpoint.load("llpacknet", tmp_path / "2020.pth")


def test_every_parameter_has_one_released_name(shared):
    names = [name for name, _ in json.loads((shared / "reference/llpacknet_keys.json").read_text())]
    stems = {n.rpartition(".")[0] for n in names}
    ours = {our_name("llpacknet", s) for s in stems}
    assert len(ours) == len(stems) == 35
    assert ours == {
        n for n, m in LLPackNet(weight_norm=False).named_modules() if type(m) is nn.Conv2d
    }
    assert our_name("llpacknet", "colours.0.bias") == "colours.0.bias"


# ---------------------------------------------------------------------------------------------
# the forms


def test_parameter_counts():
    assert count(build()) == 1_170_640
    assert count(build()) - count(build(weight_norm=False)) == 1_552  # the gains
    assert count(build(form="2020")) == 1_177_409
    assert count(build(form="2020", amplifier="conv")) == 1_171_985


def test_forms_by_name():
    for form in FORMS:
        assert build(form=form).spec.amplifies_itself == (form == "2020")
    assert build(form=2020).spec.amplifies_itself  # a number, as a command line may hand it on
    assert not any("parametrizations" in k for k in build(form="2020").state_dict())
    for wrong, todo in (({"form": "2021"}, "2022 or 2020"), ({"up": "deconv"}, "unpack"),
                        ({"form": "2020", "amplifier": "median"}, "histogram")):  # fmt: skip
        with pytest.raises(OptionError, match=todo):
            build(**wrong)


def test_the_ends():
    """2022: a sigmoid, so within (0, 1) whatever comes; 2020: a ReLU, open at the top."""
    x = 40 * torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = build()(x)
        assert y.min() >= 0 and y.max() <= 1
        old = build(form="2020")
        old.amplifier.out.bias.fill_(30.0)
        y = old(x)
        assert y.min() == 0 and y.max() > 1


@pytest.mark.parametrize("kind", ["histogram", "conv"])
def test_2020_amplifies_inside_and_2022_does_not(kind):
    x = torch.rand(2, 1, 32, 48, generator=torch.Generator().manual_seed(0)) / 50
    old = build(form="2020", amplifier=kind)
    factors = torch.tensor([50.0, 0.5])
    old.amplifier.register_forward_hook(lambda *_: factors)
    plain = build(form="2020", amplifier=kind)
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


def test_pixelshuffle_is_unpack_with_permuted_last_weights():
    ours, other = build(), build(seed=1, up="pixelshuffle")
    other.load_state_dict(ours.state_dict())
    x = torch.rand(2, 1, 32, 48)
    with torch.no_grad():
        assert (other(x) - ours(x)).abs().max() > 1e-3  # another function with the same weights
        for p in other.conv_out.parameters():
            p.copy_(p[shuffle_order(3, 8)])
        assert torch.equal(other(x), ours(x))


# ---------------------------------------------------------------------------------------------
# any size, any batch, any place


@every_form
@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (17, 33), (64, 16), (31, 50)])
def test_any_size_and_batch(options, shape):
    model = build(**options)
    x = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(shape[0]))
    with torch.no_grad():
        y = model(x)
        assert y.shape == (2, 3, *shape) and torch.isfinite(y).all()
        alone = torch.cat([model(v[None]) for v in x])
    torch.testing.assert_close(y, alone, rtol=1e-5, atol=1e-5)  # other kernels, same sums


@every_form
def test_gradients_reach_every_parameter(options):
    """One training step: finite everywhere, 0 nowhere."""
    model = build(**options).train()
    if options:  # an untrained amplifier answers 1e-4 half of the time, and that has no gradient
        with torch.no_grad():
            model.amplifier.out.bias.fill_(2.0)
    x, y = torch.rand(2, 1, 64, 64), torch.rand(2, 3, 64, 64)
    loss = find_loss("llpacknet")(model(x), y, 0, model.parameters())
    loss.backward()
    for name, p in model.named_parameters():
        assert torch.isfinite(p.grad).all() and p.grad.abs().max() > 0, name


def positive(model):
    """Weights above 0 and no sigmoid: nothing cancels, so a gradient is 0 only out of sight."""
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(0.01)
    model.end = nn.Identity()
    return model.double()


def test_the_halo_of_the_card_is_the_receptive_field():
    """Both ways: nothing beyond it is seen, and everything within it."""
    model, halo = positive(build(weight_norm=False)), models.SYSTEMS["llpacknet"].spec.halo
    for axis in (2, 3):
        size = [1, 1, 16, 16]
        size[axis] = 2 * halo + 16 + 64
        x = torch.zeros(size, dtype=torch.float64, requires_grad=True)
        start = halo + 32  # a multiple of 16, as tiles are
        assert start % model.spec.multiple == 0
        model(x).narrow(axis, start, 16).sum().backward()
        seen = x.grad.sum(dim=[d for d in range(4) if d != axis]).nonzero().flatten()
        assert (seen.min(), seen.max() + 1) == (start - halo, start + 16 + halo)


def test_tiles_are_exact():
    card = models.SYSTEMS["llpacknet"]
    model = build(weight_norm=False)
    x = torch.rand(1, 1, 2 * card.spec.halo + 100, 24, generator=torch.Generator().manual_seed(0))
    whole = restore.run(model, x)
    tiled = restore.run(model, x, tile=256, card=card)
    # Same sums over other sizes of the convolutions: float32 rounding.
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)
    near = restore.run(model, x, tile=256, card=dataclasses.replace(card, halo=16))
    assert (near - whole).abs().max() > 1e-3  # a halo that is too small would have been noticed


# ---------------------------------------------------------------------------------------------
# files


@pytest.mark.parametrize(
    "options", [*EVERY.values(), {"up": "pixelshuffle"}, {"weight_norm": False}], ids=str
)
def test_a_saved_network_comes_back_with_its_options(options, tmp_path):
    model = build(seed=3, **options)
    checkpoint.save(model, tmp_path / "w.safetensors")
    back = checkpoint.load("llpacknet", tmp_path / "w.safetensors")
    assert back.spec.options == options
    x = torch.rand(1, 1, 20, 30)
    with torch.no_grad():
        assert torch.equal(back(x), model(x))


# ---------------------------------------------------------------------------------------------
# the loss


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
    y = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with_tv = dataclasses.replace(LOSSES["llpacknet"], l1=0.0, blurred=0.0, first=None, tv=1000.0)
    rows, columns = y.diff(dim=2).square().mean(), y.diff(dim=3).square().mean()
    torch.testing.assert_close(with_tv(y, y), 1000 * (rows + columns) / (3 * 64 * 64))


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
