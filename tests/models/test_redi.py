"""REDI's options: what each variant is made of, and that `parallel` changes nothing but time."""

import threading

import pytest
import torch
from support.networks import count
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from lowlight_lib import models
from lowlight_lib.errors import OptionError
from lowlight_lib.models.redi import Redi
from lowlight_lib.sensor import cfa
from lowlight_lib.training import checkpoint

VARIANTS = {
    "full": {},
    "no lse": {"scales": ("mse", "hse")},
    "no mse": {"scales": ("lse", "hse")},
    "no hse": {"scales": ("lse", "mse")},
    "mse alone": {"scales": ("mse",)},
    "hse alone": {"scales": ["hse"]},
    "rdb": {"block": "rdb"},
    "growth 16": {"growth": 16},
    "short": {"layers": (1, 3)},
    "3x3": {"kernel": 3},
    "plain weights": {"weight_norm": False},
    "much at once": {"scales": ("lse", "hse"), "block": "rdb", "growth": 8, "kernel": 3},
}
every_variant = pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())

# Sums of float32 in another order, as with another number of threads: a few units in the last of
# seven digits, on values around 1. Gradients are relative to their own size.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def count_by_hand(
    scales=("lse", "mse", "hse"), growth=32, layers=(4, 5, 5), kernel=5, weight_norm=True, block=""
):
    """Parameters from the paper's table of layers; the kind of dense block changes nothing."""

    def conv(c_in, c_out, k, groups=1, bias=True):
        return c_out * (c_in // groups * k * k + bias + weight_norm)

    total, deep = 0, 0
    if "lse" in scales:
        total += conv(4, 12, kernel)
    if "mse" in scales:
        total, deep = total + 2 * conv(64, 64, 3), deep + 64
    if "hse" in scales:
        total, deep = total + conv(1024, 128, 3, groups=128) + conv(128, 64, 3), deep + 64
        for n in layers:
            total += sum(conv(64 + k * growth, growth, 3, bias=False) for k in range(n))
            total += conv(64 + n * growth, 64, 1, bias=False)
        total += conv(64 * len(layers), 64, 1, bias=False) + conv(4, 64, 3)
    total += conv(deep, 32, 3, groups=4) + conv(32, 192, 3)
    return total + conv(24 if "lse" in scales else 12, 12, kernel)


@pytest.fixture
def small():
    """A small network in training mode (not clamped) and a batch for it."""
    torch.manual_seed(0)
    return models.build("redi", growth=8, layers=(2, 3)), torch.rand(2, 1, 64, 96)


# ---- variants


@every_variant
def test_a_variant_has_the_parameters_it_should(options):
    model = models.build("redi", **options)
    assert count(model) == count_by_hand(**options)


def test_the_published_one_comes_out_of_the_same_count():
    assert count_by_hand() == models.SYSTEMS["redi"].params == 784_768


@every_variant
def test_a_variant_learns_and_keeps_the_size(options):
    torch.manual_seed(0)
    model = models.build("redi", **options)
    x, target = torch.rand(2, 1, 37, 65), torch.rand(2, 3, 37, 65)
    loss = F.l1_loss(model(x), target)
    loss.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
        # All but what nothing can reach: the last layers' gradients are never all zero.
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


@every_variant
def test_a_checkpoint_remembers_its_variant(options, tmp_path):
    torch.manual_seed(1)
    model = models.build("redi", **options).eval()
    path = tmp_path / "weights.safetensors"
    checkpoint.save(model, path)
    again = checkpoint.load("redi", path)
    x = torch.rand(1, 1, 32, 64)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))


def test_parallel_can_be_chosen_when_loading(tmp_path):
    path = tmp_path / "weights.safetensors"
    checkpoint.save(models.build("redi", growth=8, scales=("mse", "hse"), parallel=True), path)
    assert checkpoint.load("redi", path).parallel
    loaded = checkpoint.load("redi", path, parallel=False)
    assert not loaded.parallel and loaded.lse is None


# ---- what it does


def test_it_clamps_in_eval_mode_only_or_as_released():
    torch.manual_seed(0)
    model = models.build("redi")
    released = models.build("redi", clamp_in_training=True)
    released.load_state_dict(model.state_dict())
    x = torch.rand(1, 1, 32, 32) * 30
    with torch.no_grad():
        free = model(x)
        assert free.min() < 0 and free.max() > 1
        assert torch.equal(released(x), free.clamp(0, 1))
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


def test_two_steps_and_one_step_differ_by_an_order():
    x = torch.arange(2 * 64 * 96.0).view(2, 1, 64, 96)
    two = F.pixel_unshuffle(F.pixel_unshuffle(x, 2), 16)
    one = F.pixel_unshuffle(x, 32)
    assert two.shape == one.shape == (2, 1024, 2, 3) and not torch.equal(two, one)
    # Channel c * 256 + i * 16 + j of two steps is the pixel (2 i + c // 2, 2 j + c % 2) of its
    # square of 32 x 32, which is channel 32 * row + column of one step.
    c, i, j = torch.meshgrid(torch.arange(4), torch.arange(16), torch.arange(16), indexing="ij")
    order = (32 * (2 * i + c // 2) + 2 * j + c % 2).flatten()
    assert torch.equal(order.sort().values, torch.arange(1024))
    assert torch.equal(two, one[:, order])


def test_colours_that_a_group_sees():
    model = models.build("redi", weight_norm=False)
    groups = model.hse.squeeze.groups
    size = model.hse.squeeze.in_channels // groups
    mosaic = torch.from_numpy(cfa.tile(cfa.RGGB, (32, 32)).astype("float32"))[None, None]
    two = F.pixel_unshuffle(F.pixel_unshuffle(mosaic, 2), 16)
    one = F.pixel_unshuffle(mosaic, 32)
    colours = [
        [set(g.flatten().tolist()) for g in t.view(groups, size)]
        for t in (two, one)
    ]  # fmt: skip
    assert [len(s) for s in colours[0]] == [1] * 128
    assert colours[0].count({0}) == colours[0].count({2}) == 32 and colours[0].count({1}) == 64
    assert colours[1].count({0, 1}) == colours[1].count({1, 2}) == 64


# ---- at the same time


@pytest.mark.parametrize("scales", [("lse", "mse", "hse"), ("mse", "hse"), ("hse",)], ids=str)
def test_parallel_gives_the_same_output_and_gradients(scales, cores):
    torch.manual_seed(4)
    model = models.build("redi", scales=scales, growth=8, layers=(2, 3))
    x = torch.rand(3, 1, 64, 96)
    results = []
    for model.parallel in (False, True):
        model.zero_grad()
        leaf = x.clone().requires_grad_()
        y = model(leaf)
        y.square().mean().backward()
        results.append([y.detach(), leaf.grad, *(p.grad for p in model.parameters())])
    for plain, parallel in zip(*results, strict=True):
        torch.testing.assert_close(parallel, plain, **CLOSE)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_parallel_keeps_the_callers_gradient_mode(mode, small, cores):
    model, x = small
    with mode():
        plain = model(x)
        model.parallel = True
        inner = model.encode(F.pixel_unshuffle(x, 2))
        y = model(x)
    for t in (y, *inner):
        assert t.requires_grad == plain.requires_grad == (mode is torch.enable_grad)
        assert t.is_inference() == plain.is_inference() == (mode is torch.inference_mode)
    torch.testing.assert_close(y, plain, **CLOSE)


def test_parallel_keeps_the_callers_autocast(small, cores):
    model, x = small
    x, kinds = F.pixel_unshuffle(x, 2), []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for model.parallel in (False, True):
            kinds.append([t.dtype for t in model.encode(x)])
    assert kinds[0] == kinds[1] and torch.bfloat16 in kinds[1]


def test_several_threads_may_call_at_once(small, cores):
    model, x = small
    with torch.no_grad():
        plain = model(x)
    model.parallel = True
    results, counts, ready = [None] * 6, [None] * 6, threading.Barrier(6)

    def call(i):
        torch.get_num_threads()  # a thread's number is settled at its first use of PyTorch
        ready.wait()
        with torch.no_grad():
            results[i] = model(x)
        counts[i] = torch.get_num_threads()

    callers = [threading.Thread(target=call, args=(i,)) for i in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for result in results:
        torch.testing.assert_close(result, plain, **CLOSE)
    assert counts == [cores] * 6
    assert torch.get_num_threads() == cores


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_parallel_network_is_exported_and_counted_as_ever(small, cores):
    model, x = small
    model.parallel = True
    with torch.no_grad():
        plain = model(x)
        for made in (
            torch.jit.trace(model, x, check_trace=False),
            torch.export.export(model, (x,), strict=False).module(),
        ):
            torch.testing.assert_close(made(x), plain, **CLOSE)
        flops = []
        for model.parallel in (False, True):
            with FlopCounterMode(display=False) as counter:
                model(x)
            flops.append(counter.get_total_flops())
    assert flops[0] == flops[1] > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_parallel_on_streams(small):
    model, x = small
    model, x = model.cuda(), x.cuda()
    results = []
    for model.parallel in (False, True, True):
        model.zero_grad()
        y = model(x)
        y.square().mean().backward()
        results.append([y.detach(), *(p.grad.clone() for p in model.parameters())])
    for parallel in results[1:]:
        for a, b in zip(parallel, results[0], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)  # kernels may be chosen anew
