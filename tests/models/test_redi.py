"""REDI's options: what each variant is made of, and that `parallel` changes nothing but time."""

import pytest
import torch
from support.networks import count
from torch.nn import functional as F

from lowlight_lib import models
from lowlight_lib.errors import OptionError
from lowlight_lib.models.redi import Redi
from lowlight_lib.sensor import cfa
from lowlight_lib.training import checkpoint

VARIANTS = {  # options, and the parameters by the paper's table of layers
    "full": ({}, 784_768),
    "no lse": ({"scales": ("mse", "hse")}, 779_944),
    "no mse": ({"scales": ("lse", "hse")}, 706_176),
    "no hse": ({"scales": ("lse", "mse")}, 142_784),
    "mse alone": ({"scales": ("mse",)}, 137_960),
    "hse alone": ({"scales": ["hse"]}, 701_352),
    "rdb": ({"block": "rdb"}, 784_768),
    "growth 16": ({"growth": 16}, 461_472),
    "short": ({"layers": (1, 3)}, 359_424),
    "3x3": ({"kernel": 3}, 779_392),
    "plain weights": ({"weight_norm": False}, 783_432),
    "much at once": (
        {"scales": ("lse", "hse"), "block": "rdb", "growth": 8, "kernel": 3}, 260_784
    ),
}  # fmt: skip


@pytest.mark.parametrize("options, parameters", VARIANTS.values(), ids=VARIANTS)
def test_a_variant_learns_and_keeps_the_size(options, parameters):
    torch.manual_seed(0)
    model = models.build("redi", **options)
    assert count(model) == parameters
    x, target = torch.rand(2, 1, 37, 65), torch.rand(2, 3, 37, 65)
    loss = F.l1_loss(model(x), target)
    loss.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
        assert p.grad.abs().max() > 0, name
    torch.optim.Adam(model.parameters(), lr=1e-3).step()
    with torch.no_grad():
        assert F.l1_loss(model(x), target) < loss
        assert model.eval()(torch.rand(1, 1, 33, 34)).shape == (1, 3, 33, 34)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"scales": ()}, "scales"),
        ({"scales": ("lse",)}, "keep mse or hse"),
        ({"scales": ("mse", "xse")}, "scales"),
        ({"scales": "mse"}, "scales"),
        ({"block": "rdb**"}, "unknown block"),
        ({"kernel": 4}, "kernel is 5 or 3"),
        ({"kernel": 7}, "kernel is 5 or 3"),
        ({"growth": 0}, "counts of at least 1"),
        ({"growth": 1.5}, "counts of at least 1"),
        ({"layers": ()}, "counts of at least 1"),
        ({"layers": (4, 0)}, "counts of at least 1"),
        ({"layers": 4}, "does not take these options"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(OptionError, match=words):
        models.build("redi", **options)


def test_parallel_can_be_chosen_when_loading(tmp_path):
    path = tmp_path / "weights.safetensors"
    checkpoint.save(models.build("redi", growth=8, scales=("mse", "hse"), parallel=True), path)
    assert checkpoint.load("redi", path).parallel
    loaded = checkpoint.load("redi", path, parallel=False)
    assert not loaded.parallel and loaded.lse is None


def test_it_clamps_in_eval_mode_only():
    torch.manual_seed(0)
    model = models.build("redi")
    x = torch.rand(1, 1, 32, 32) * 30
    with torch.no_grad():
        free = model(x)
        assert free.min() < 0 and free.max() > 1
        torch.testing.assert_close(model.eval()(x), free.clamp(0, 1))


def test_it_does_not_clip_its_input():
    model = models.build("redi").eval()
    x = 4 * torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert (model(x) != model(x.clamp(max=1))).any()


def test_it_sees_whole_cells():
    """Pixels of one Bayer colour stay together on the way to the grouped convolution."""
    model = Redi(weight_norm=False)
    seen = []
    model.hse.squeeze.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    colours = torch.from_numpy(cfa.tile([[0, 1], [2, 3]], (64, 64)).astype("float32"))
    model(colours[None, None])
    (x,) = seen
    assert x.shape == (1, 1024, 2, 2)
    expected = torch.arange(4.0).repeat_interleave(256).view(1, 1024, 1, 1).expand_as(x)
    torch.testing.assert_close(x, expected, rtol=0, atol=0)


@pytest.mark.parametrize("scales", [("lse", "mse", "hse"), ("mse", "hse"), ("hse",)], ids=str)
@pytest.mark.parametrize(
    "device, tolerance",
    [
        ("cpu", {"rtol": 1e-5, "atol": 1e-6}),  # float32 sums in another order
        pytest.param(
            "cuda", {"rtol": 1e-4, "atol": 1e-5},  # kernels may be chosen anew
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
        ),
    ],
    ids=["cpu", "cuda"],
)  # fmt: skip
def test_parallel_gives_the_same_output_and_gradients(scales, device, tolerance, cores):
    torch.manual_seed(4)
    model = models.build("redi", scales=scales, growth=8, layers=(2, 3)).to(device)
    x = torch.rand(3, 1, 64, 96, device=device)
    results = []
    for model.parallel in (False, True, True):
        model.zero_grad()
        leaf = x.clone().requires_grad_()
        y = model(leaf)
        y.square().mean().backward()
        results.append([y.detach(), leaf.grad, *(p.grad.clone() for p in model.parameters())])
    for parallel in results[1:]:
        for a, b in zip(parallel, results[0], strict=True):
            torch.testing.assert_close(a, b, **tolerance)


def test_a_parallel_network_is_exported(cores):
    model, x = (
        models.build("redi", growth=8, layers=(2, 3), parallel=True),
        torch.rand(2, 1, 64, 96),
    )
    exported = torch.export.export(model, (x,), strict=False).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(x), model(x), rtol=1e-5, atol=1e-6)
