"""What networks cost: the papers' numbers recomputed, live tensors, a process of its own."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from support.networks import PICTURES
from torch import nn
from torch.nn import functional as F

from lowlight_lib import models
from lowlight_lib.deploy import cost, counting, memory, roofline
from lowlight_lib.errors import OptionError

SONY = (1, 1, 2848, 4256)  # SID's camera, full size
COLAB = (1, 1, 2048, 4096)  # the size that the REDI repository measures
FUJI = (1, 1, 4032, 5984)  # the largest part of 4032x6032 that is whole 32x32 blocks


def built(key, **options):
    return models.build(key, **options).eval()


# ---- the papers' numbers


@pytest.mark.parametrize(
    "key, options, params, effective",
    [
        ("redi", {}, 784_768, 784_768),
        ("sid", {}, 7_760_748, 7_760_748),
        ("llpacknet", {}, 1_170_640, 1_170_640),
        ("llpacknet", {"weight_norm": False}, 1_169_088, 1_169_088),
        ("llpacknet", {"form": "2020"}, 1_177_409, 1_177_409),
        ("llpacknet", {"form": "2020", "amplifier": "conv"}, 1_171_985, 1_171_985),
        ("brve", {}, 4_508_584, 299_590),
    ],
)
def test_parameters_are_those_of_the_papers(key, options, params, effective):
    assert counting.parameters(built(key, **options)) == (params, effective)


@pytest.mark.parametrize(
    "key, shape, giga",
    [
        ("redi", COLAB, 41.23),
        ("redi", SONY, 59.58),
        ("sid", COLAB, 387.62),
        ("llpacknet", SONY, 83.30),
        ("pairlie", (1, 3, 400, 600), 81.84),
    ],
)
def test_macs_of_the_convolutions(key, shape, giga):
    assert f"{cost.count(built(key), shape).macs / 1e9:.2f}" == f"{giga:.2f}"


@pytest.mark.parametrize(
    "key, options, shape, release, printed",
    [
        ("redi", {}, COLAB, "old", "41.38"),  # the repository
        ("sid", {}, COLAB, "old", "440.46"),  # the repository
        ("redi", {}, SONY, "later", "59.8"),  # from here on Table 1 of the paper
        ("sid", {}, (1, 1, 4256, 2848), "later", "562.06"),
        ("sid", {}, (1, 1, 5984, 4032), "later", "1118.8"),
        ("llpacknet", {"form": "2020"}, SONY, "later", "83.46"),
        ("llpacknet", {"form": "2020"}, FUJI, "later", "166.12"),
    ],
)
def test_the_authors_counters_print_what_the_authors_print(key, options, shape, release, printed):
    found = counting.ptflops_gmacs(built(key, **options), shape, release)
    digits = len(printed.split(".")[1])
    assert f"{found:.{digits}f}" == printed


@pytest.mark.parametrize(
    "key, shape, printed",
    [
        ("redi", COLAB, "ptflops, old              41.378 G"),
        ("sid", COLAB, "ptflops, old              440.46"),
        ("sid", SONY, "ptflops, later            562.06"),
        ("pairlie", (1, 3, 400, 600), "thop / 0.9 * 2            182.276 G"),
        ("brve", (2, 4, 128, 128), "get_flops_bnn, a frame    1.029 G"),
    ],
)
def test_the_command_line_counts_as_published(key, shape, printed, lowlight):
    words = ("cost", key, "--shape", *shape, "--count", "--as-published")
    code, out, err = lowlight(*words)
    assert code == 0 and printed in out, (out, err)


def test_brves_counter_counts_as_published():
    """As published, in clips of 50; not by the command, which counts such a clip twice."""
    found = counting.as_published(built("brve"), (50, 4, 128, 128))
    assert f"{found['get_flops_bnn, a frame']:.3f}" == "1.469"


def test_where_redis_work_sits():
    """FACTS of the released code, GMac at full size; the layer that leaves HSE counts apart."""
    parts = {k: v / 1e9 for k, v in counting.by_module(built("redi"), SONY).items()}
    leave = counting.by_module(built("redi"), SONY, depth=2)["hse.conv_out"] / 1e9
    found = [parts["fuse"], parts["mse"], parts["merge"] + parts["expand"], leave]
    found += [parts["hse"] - leave, parts["lse"]]
    assert [round(v, 1) for v in found] == [21.8, 14.0, 12.2, 0.4, 7.5, 3.6]
    assert round(parts["fuse"] / sum(parts.values()), 2) == 0.37


# ---- counting


@pytest.mark.parametrize(
    "key, n, h, w",
    [(k, *shape) for k in PICTURES for shape in ((1, 64, 96), (2, 50, 67), (1, 5, 7))]
    + [("brve", 4, 9, 16)],  # four frames
)
def test_counting_without_computing_is_counting(key, n, h, w):
    """Shapes alone give the same operations and the same peak as a pass on numbers."""
    model, shape = built(key), (n, models.SYSTEMS[key].spec.channels, h, w)
    counted = counting.trace(model, shape)
    device = torch.device("cpu")
    with torch.no_grad():
        real = counting._run(model, shape, device, training=False)
    assert counted == real


@pytest.mark.parametrize("key", PICTURES)
def test_costs_grow_with_the_padded_area_and_the_batch(key):
    model, card = built(key), models.SYSTEMS[key]
    c, unit, pads = card.spec.channels, max(2, card.spec.multiple), card.spec.multiple > 1
    one = cost.count(model, (1, c, unit, unit)).macs
    h, w = (2 * unit - 1, unit + 1) if pads else (2 * unit, 2 * unit)
    assert cost.count(model, (3, c, h, w)).macs == 12 * one


def test_counting_leaves_the_network_as_it_was():
    model = models.build("redi")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    cost.count(model, (1, 1, 64, 64))
    cost.count(model, (1, 1, 64, 64), training=True)
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(p.grad is None and p.device.type == "cpu" for p in model.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("training", [False, True])
def test_counting_does_not_mind_where_it_is_called(training):
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Linear(6, 5))
    outside = counting.trace(model, (1, 4, 8, 8), training=training)
    for mode in (torch.inference_mode(), torch.no_grad()):
        with mode:
            assert counting.trace(model, (1, 4, 8, 8), training=training) == outside
    assert sum(op.macs for op in outside) > 0


class SignConv(nn.Conv2d):
    """A stand-in for a convolution with binary weights."""

    binary = True

    def forward(self, x):
        return F.conv2d(x.sign(), self.weight.sign(), self.bias, padding=1)


def test_a_module_may_announce_binary_weights():
    model = nn.Sequential(SignConv(64, 32, 3), nn.Conv2d(32, 8, 1))
    found = cost.count(model, (1, 64, 10, 12))
    assert found.binary_macs == 64 * 32 * 9 * 120
    assert found.macs == found.binary_macs + 32 * 8 * 120
    assert found.ops == 64 * 32 * 9 * 120 / 64 + 32 * 8 * 120
    assert found.effective_params == 64 * 32 * 9 / 32 + 32 + 32 * 8 + 8  # its bias stays real
    assert found.params == 64 * 32 * 9 + 32 + 32 * 8 + 8


def test_what_runs_inside_a_binary_module_is_not_binary_by_that():
    block = nn.Sequential(nn.Conv2d(4, 4, 1))
    block.binary = True
    found = cost.count(block, (1, 4, 8, 8))
    assert (found.binary_macs, found.effective_params) == (0, found.params)


def test_macs_of_layers_by_hand():
    for layer, shape, macs in (
        (nn.Conv2d(4, 6, 3, stride=2, padding=1), (1, 4, 8, 6), 12 * 4 * 6 * 9),  # to 4x3
        (nn.Conv2d(4, 6, 3, padding=1, groups=2), (1, 4, 8, 6), 48 * 2 * 6 * 9),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), (1, 4, 8, 6), 48 * 4 * 6 * 4),
        (nn.Linear(6, 5), (7, 6), 7 * 6 * 5),
    ):
        assert cost.count(layer, shape).macs == macs, layer


def test_a_training_step_is_twice_the_forward_pass_on_top():
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.ReLU()
    )
    first, second = 4 * 8 * 9 * 64, 8 * 2 * 9 * 64
    assert cost.count(model, (1, 4, 8, 8)).macs == first + second
    # Nobody asks for the gradient of the input, so the first layer has one product less.
    assert cost.count(model, (1, 4, 8, 8), training=True).macs == 2 * first + 3 * second


def test_the_peak_is_that_of_the_tensors_alive():
    chain = [nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(6)]
    one = 4 * 8 * 16 * 16  # bytes of a feature
    # Two are alive at once, what goes in and what comes out, however long the chain.
    assert cost.count(nn.Sequential(*chain), (1, 8, 16, 16)).peak_bytes == 2 * one
    # For the backward pass the input of every layer is kept.
    kept = cost.count(nn.Sequential(*chain), (1, 8, 16, 16), training=True).peak_bytes
    assert 6 * one < kept


def test_a_network_that_looks_at_its_values_is_run():
    class Looks(nn.Conv2d):
        def forward(self, x):
            return super().forward(x) if x.mean().item() > 0 else x

    found = cost.count(Looks(2, 3, 1), (1, 2, 4, 4))
    assert found.macs == 2 * 3 * 16


def test_what_runs_in_threads_is_refused_rather_than_missed():
    class Threaded(nn.Sequential):
        def forward(self, x):
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(super().forward, x).result()

    with pytest.raises(OptionError, match="threads"):
        cost.count(Threaded(nn.Conv2d(1, 1, 1)), (1, 1, 8, 8))


def test_redis_branches_in_threads_cost_what_they_cost_in_turn():
    shape = (1, 1, 64, 96)
    assert cost.count(built("redi", parallel=True), shape) == cost.count(built("redi"), shape)


def test_unknown_counters_and_wrong_inputs_are_refused():
    with pytest.raises(OptionError, match="newest"):
        counting.ptflops_gmacs(built("sid"), (1, 1, 32, 32), "newest")
    with pytest.raises(RuntimeError, match="channels"):
        cost.count(built("sid"), (1, 3, 32, 32))


# ---- measuring


def test_measuring_adds_the_time():
    model = models.build("redi")
    found = cost.measure(model, (1, 1, 64, 64), repeats=1)
    assert cost.count(model, (1, 1, 64, 64)).seconds is None
    assert 0 < found.seconds < 60


def test_a_fresh_process_tells_its_own_peak():
    """At least the live tensors, and nothing of what this process holds."""
    ballast = torch.ones(150_000_000)  # 600 MB that a child must not inherit into its figure
    shape = (1, 1, 1024, 2048)
    live = cost.count(built("llpacknet"), shape).peak_bytes
    found = memory.process_peak("llpacknet", shape, {"form": "2022"})
    assert live < found.added < 400e6
    assert found.peak == found.before + found.added
    del ballast


def test_a_process_that_fails_says_why():
    with pytest.raises(OptionError, match="does not fit into memory"):
        memory.process_peak("redi", (1, 1, 10**6, 10**6))
    with pytest.raises(OptionError, match=r"more than 0\.01 s"):
        memory.process_peak("redi", (1, 1, 64, 64), timeout=0.01)


def test_the_command_counts_and_measures(lowlight):
    code, _, err = lowlight("cost", "sid", "--shape", 1, 1, 10**6, 10**6)
    assert code == 1 and "memory" in err
    code, out, _ = lowlight("cost", "redi", "--shape", *SONY, "--count", "--by-module")
    assert code == 0
    [fuse] = [line for line in out.splitlines() if line.split()[0] == "fuse"]
    assert fuse.split() == ["fuse", "21.82", "G", "36.6%"]
    assert "time" not in out
    code, out, _ = lowlight("cost", "sid", "--shape", 1, 1, 64, 64, "--memory", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["peak_bytes"] < found["process_peak_bytes"] - found["process_before_bytes"]
    assert "by_module" not in found


# ---- the binary network


@pytest.fixture(scope="module")
def brve_frame():
    """Counters of BRVE a frame of a clip of 50, 4x128x128: each window adds the same."""
    model, found = models.build("brve"), []
    for count in (counting.as_published_binary, lambda *a: cost.count(*a).__dict__):
        a, b = (count(model, (t, 4, 128, 128)) for t in (3, 4))
        found.append({k: (a[k] + 47 * (b[k] - a[k])) / 50 for k in ("binary", "real", "other",
                      "macs", "binary_macs", "ops") if k in a})  # fmt: skip
    return found


def test_the_released_counter_of_brve(brve_frame):
    """1.469 G a frame: 24 % binary, 63 % real-valued, 13 % the rest (the authors' counter)."""
    parts, _ = brve_frame
    total = sum(parts.values())
    assert round(total / 1e9, 3) == 1.469
    assert [round(100 * parts[k] / total) for k in ("binary", "real", "other")] == [24, 63, 13]


def test_what_binarizing_really_saves(brve_frame):
    """About 16 times, not 64: two thirds of what is left was never binary."""
    parts, ours = brve_frame
    assert 15.5 < ours["macs"] / sum(parts.values()) < 16.5
    assert round(ours["macs"] / 1e9) == 24
    assert ours["binary_macs"] / 64 == pytest.approx(parts["binary"])
    real = ours["macs"] - ours["binary_macs"]
    assert ours["ops"] == pytest.approx(real + ours["binary_macs"] / 64)


@pytest.mark.parametrize(
    "words, expected",
    [
        ("brve --shape 3 4 8 8", "3x4x8x8"),
        ("brve", "4x4x128x128"),
        ("pairlie", "1x3x1024x1024"),
        ("brve --shape 1 1 8 8", "takes channels: 4, got (1, 1, 8, 8). To fix: --shape FRAMES 4"),
        ("redi --shape 1 3 8 8", "takes channels: 1, got (1, 3, 8, 8). To fix: --shape 1 1 HEIGHT"),
    ],
)
def test_the_command_knows_what_each_model_takes(words, expected, lowlight):
    _, out, err = lowlight("cost", *words.split(), "--count")
    assert expected in out + err


# ---- the roofline: what is counted and where; nothing depends on a time


@pytest.mark.parametrize("key", models.SYSTEMS)
def test_blocks_hold_all_the_work_and_each_once(key):
    model, shape = models.build(key).eval(), models.SYSTEMS[key].bench["small"]
    found = roofline.blocks(model, shape, repeats=1)
    assert sum(b.flops for b in found) == 2 * cost.count(model, shape).macs
    names = [b.name for b in found]
    assert len({*names}) == len(names)
    assert not any(n != m and n.startswith(f"{m}.") for n in names for m in names)
    assert all(b.seconds > 0 and b.bytes > 0 for b in found)
    assert not any(h for m in model.modules() for h in (m._forward_hooks, m._forward_pre_hooks))


def test_a_block_in_numbers():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 1, bias=False))
    first, second = roofline.blocks(net.eval(), (1, 2, 4, 5), repeats=1)
    assert (first.name, first.flops) == ("0", 2 * 20 * 2 * 3 * 9)
    assert first.bytes == 4 * (2 * 20 + 3 * 20 + 2 * 3 * 9 + 3)
    assert (second.flops, second.bytes) == (2 * 20 * 3, 4 * (3 * 20 + 20 + 3))
    assert first.intensity == first.flops / first.bytes


def test_a_network_without_parts_is_one_block():
    [only] = roofline.blocks(nn.Conv2d(1, 1, 3).eval(), (1, 1, 8, 8))
    assert (only.name, only.flops) == ("", 2 * 36 * 9)


def test_the_roof():
    roof = roofline.Roof(peak=100.0, bandwidth=10.0)
    assert [roof.bound(i) for i in (1, 10, 50)] == [10, 100, 100]
    measured = roofline.measure_roof(torch.float32, sides=(64,), megabytes=1, repeats=1)
    assert measured.peak > 0 and measured.bandwidth > 0
