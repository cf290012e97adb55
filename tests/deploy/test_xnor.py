"""Bits for signs: sums equal in integers, blocks and network equal to the float ones."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.networks import near, reference_network
from support.networks import reference as reference_outputs
from torch.nn import functional as F

from lowlight_lib import models
from lowlight_lib.blocks.binary import BinaryConv2d, BinaryTransition, DABC2d
from lowlight_lib.blocks.shift import ShiftStep, temporal_shift
from lowlight_lib.deploy import vectors
from lowlight_lib.deploy.bitpacked import blocks
from lowlight_lib.deploy.bitpacked import network as xnor
from lowlight_lib.errors import OptionError, ShapeError
from lowlight_lib.training import checkpoint


def draw(*shape, seed=0, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def randomised(module, seed=0):
    """Every parameter drawn, thresholds among them."""
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(draw(*p.shape, seed=1000 * seed + i, scale=0.3))
    return module.eval()


# ---- sums


@given(
    st.integers(1, 130), st.integers(1, 20), st.sampled_from([1, 3, 5]), st.sampled_from([1, 2]),
    st.integers(1, 11), st.integers(1, 11), st.booleans(), st.integers(0, 999),
)  # fmt: skip
def test_sums_are_those_of_the_float_convolution(c, o, k, stride, h, w, zeros, seed):
    """Equal, not close: borders, and zeros among the activations, included."""
    conv = BinaryConv2d(c, o, k, stride)
    with torch.no_grad():
        conv.weight.copy_(draw(*conv.weight.shape, seed=seed))
    x = draw(2, c, h, w, seed=seed + 1)
    if zeros:
        x[draw(*x.shape, seed=seed + 2) > 0.7] = 0
    packed = blocks.PackedConv(conv.as_bits()[0].numpy(), conv.weight.shape, stride)
    y = blocks.channels_first(packed(blocks.channels_last(x)), o)
    assert torch.equal(y, F.conv2d(x.sign(), conv.weight.sign(), None, stride, k // 2))


def test_a_sum_by_hand():
    """Signs + - and weights - -, one pixel: one of two differs, 2 - 2 = 0; and a zero counts 0."""
    packed = blocks.PackedConv(np.array([[0]], np.uint8), (1, 2, 1, 1))
    x = torch.tensor([[3.0, -0.5], [-0.1, -2.0], [0.0, -1.0]])[..., None, None]
    assert packed(blocks.channels_last(x))[:, 0, 0, 0].tolist() == [0, 2, 1]
    assert packed.weights.max() == 0  # two weights of -1, no bit of 64 set


def test_bits_of_other_weights_are_refused():
    with pytest.raises(ShapeError, match="not the signs"):
        blocks.PackedConv(np.zeros((4, 2), np.uint8), (4, 24, 3, 3))
    conv = BinaryConv2d(2, 2, 1)
    with torch.no_grad():
        conv.weight[0, 0] = 0
    with pytest.raises(OptionError, match="exactly 0"):
        blocks.pack_state(conv)


def test_what_is_no_number_counts_as_zero():
    conv = BinaryConv2d(24, 8, 3)
    x = draw(1, 24, 6, 6)
    x[0, 3, 2, 2] = float("nan")
    packed = blocks.PackedConv(conv.as_bits()[0].numpy(), conv.weight.shape)
    y = blocks.channels_first(packed(blocks.channels_last(x)), 8)
    assert torch.equal(y, F.conv2d(x.sign(), conv.weight.sign().detach(), padding=1))
    assert torch.equal(y, F.conv2d(x.nan_to_num(0).sign(), conv.weight.sign().detach(), padding=1))


@pytest.mark.parametrize("shape", [(1, 5, 5, 72), (1, 4, 4, 8), (1, 4, 4, 32), (1, 4, 4, 22)])
def test_a_layer_of_other_channels_is_refused(shape):
    """The kernels do not look: they would write behind their arrays."""
    conv, block = BinaryConv2d(24, 8, 1), DABC2d(24)
    packed = blocks.PackedConv(conv.as_bits()[0].numpy(), conv.weight.shape)
    for layer in (packed, blocks.PackedBlock(block, blocks.pack_state(block))):
        with pytest.raises(ShapeError, match="24 channels takes"):
            layer(np.ones(shape, np.float32))
        with pytest.raises(ShapeError, match="float64"):
            layer(np.ones((1, 4, 4, 24)))


@pytest.mark.parametrize("shape", [(1, 24, 5, 8), (1, 24, 4, 7)])
def test_halving_an_odd_frame_is_refused(shape):
    block = BinaryTransition(24, 48, "down")
    packed = blocks.PackedBlock(block, blocks.pack_state(block))
    with pytest.raises(ShapeError, match="even sides"):
        packed(blocks.channels_last(torch.ones(shape)))


# ---- blocks

BLOCKS = {
    "dabc 3x3": lambda: DABC2d(24),
    "dabc 5x5": lambda: DABC2d(48, 5),
    "dabc, 10 channels": lambda: DABC2d(10),
    "dabc, 96 channels": lambda: DABC2d(96),
    "dabc without attention": lambda: DABC2d(24, attention=False),
    "transition": lambda: BinaryTransition(72, 48),
    "transition, 6 channels": lambda: BinaryTransition(6, 10),
    "down": lambda: BinaryTransition(24, 48, "down"),
    "up": lambda: BinaryTransition(48, 24, "up"),
    "transition without skip": lambda: BinaryTransition(24, 48, real_skip=False),
    "down without skip": lambda: BinaryTransition(24, 48, "down", real_skip=False),
}


def compare(block, x, got=None):
    """Equal within 1e-4 of what is there, but where a sign may have fallen the other way."""
    packed = blocks.PackedBlock(block, blocks.pack_state(block))
    with torch.inference_mode():
        y = block(x)
        up = getattr(block, "resize", None) == "up"
        z = F.interpolate(x, scale_factor=2.0, mode="bilinear") if up else x
        close = ((z + block.threshold).abs() < 1e-5).any(1, keepdim=True).float()
        k = block.conv.weight.shape[-1]
        seen = F.conv2d(close, torch.ones(1, 1, k, k), None, block.conv.stride, k // 2)
        far = (seen == 0).expand_as(y)
        assert far.float().mean() > 0.8  # there is something to compare
    got = blocks.channels_first(packed(blocks.channels_last(x)), y.shape[1])
    torch.testing.assert_close(got[far], y[far], rtol=1e-5, atol=1e-4)
    return packed, y


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_are_the_float_ones(name, threads):
    block = randomised(BLOCKS[name]())
    sides = (10, 14) if "down" in name else (9, 13)
    torch.set_num_threads(threads)
    try:
        compare(block, draw(2, block.threshold.shape[1], *sides, scale=2.0))
    finally:
        torch.set_num_threads(1)


def test_blocks_in_place_and_added():
    block = randomised(DABC2d(24))
    x = draw(1, 24, 5, 7)
    packed, y = compare(block, x)
    mine, base = blocks.channels_last(x), blocks.channels_last(draw(1, 24, 5, 7, seed=5))
    sum_ = packed(mine, base.copy(), add=True) - base
    torch.testing.assert_close(blocks.channels_first(sum_, 24), y, rtol=0, atol=1e-5)
    assert packed(mine, mine) is mine
    torch.testing.assert_close(blocks.channels_first(mine, 24), y, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 2)])
def test_small_frames(size):
    compare(randomised(DABC2d(24)), draw(3, 24, *size))
    compare(randomised(DABC2d(24, 5)), draw(3, 24, *size))


def test_flat_bright_frames_have_no_variance():
    """Mean 50, deviation 1e-4: sums of squares in float32 would find one of 0.01 or NaN."""
    block = randomised(DABC2d(24))
    with torch.no_grad():
        block.attention.conv.weight.mul_(3)
    compare(block, 50 + draw(1, 24, 32, 32, scale=1e-4))
    compare(block, torch.full((1, 24, 16, 16), 50.0))
    x = draw(1, 24, 32, 32, scale=0.1)
    x[..., 0, 0] = 300  # a hot pixel where the pivot is taken
    compare(block, x)


@pytest.mark.parametrize("kind", ["released", "intended", "temporal"])
@pytest.mark.parametrize("reverse", [False, True])
def test_plans_are_the_shifts(kind, reverse):
    """A fused shift is the shift; with channels that do not fill their lanes, too."""
    for c, h, w in ((48, 12, 9), (12, 5, 20)):
        step = randomised(ShiftStep(c, kind, reverse, BinaryTransition, DABC2d))
        x = draw(1, 3, c, h, w, scale=2.0)
        packed = blocks.PackedShiftStep(step, blocks.pack_state(step))
        with torch.inference_mode():
            y = step(x)[0]
        got = blocks.channels_first(packed(blocks.channels_last(x[0])), c)
        # a sign may fall the other way in the first convolution
        assert ((got - y).abs() < 1e-4).float().mean() > 0.999


def test_a_plan_by_hand():
    plan = blocks.read_plan(lambda x: temporal_shift(x, True), 3, 4)
    assert plan[0][0].tolist() == [[0, 2, 0, 2, 0, 0], [1, 0, 2, 2, 0, 0]] and plan[1] == []


# ---- the network


@pytest.fixture(scope="module")
def reference(shared):
    """(network with the drawn weights, its packed form, input, output of the released code)."""
    model, arrays = reference_network(shared, "brve"), reference_outputs(shared, "brve")
    return model, xnor.pack_network(model), arrays["x"], arrays["y"]


def test_the_released_network(reference):
    _, fast, x, y = reference
    torch.testing.assert_close(fast(x), y, rtol=0, atol=1e-4)  # 3e-7 here
    torch.testing.assert_close(fast(x[0]), y[0], rtol=0, atol=1e-4)


def test_streaming_is_the_clip_form(reference):
    _, fast, x, _ = reference
    stream = fast.stream()
    done = [stream.push(frame) for frame in x[0]]
    assert [len(d) for d in done] == [0, 0, 1, 1, 1]
    assert torch.equal(torch.stack([f for d in done for f in d] + stream.close()), fast(x[0]))
    for shape in ((4, 8, 8), (3, 3, 8, 8), (0, 4, 8, 8), (1, 1, 1, 4, 8, 8)):
        with pytest.raises(ShapeError, match="a clip is"):
            fast(torch.zeros(shape))


OPTIONS = [
    {},
    {"shift": "intended", "channels": 6},
    {"shift": "temporal", "channels": 10},
    {"shift": "none"},
    {"attention": False},
    {"real_skips": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_stage_by_stage(options):
    """With equal inputs, for in a whole network last digits flip signs (and then everything)."""
    model = models.build("brve", **{"channels": 12, **options})
    fast = xnor.pack_network(randomised(model))
    x = draw(3, 4, 16, 24).abs() * 0.3
    last = blocks.channels_last
    with torch.inference_mode():
        first, deep = model.extract(x)
        for got, y in zip(fast.extract(x), (first, deep), strict=True):
            near(blocks.channels_first(got, y.shape[1]), y)
        window = [d[None] for d in deep]
        for got, y in zip(fast.align(*map(last, window)), model.align(*window), strict=True):
            near(blocks.channels_first(got, y.shape[1]), y)
        near(fast.reconstruct(x, *(last(v) for v in (first, deep, deep))),
             model.reconstruct(x, first, deep, deep))  # fmt: skip


def test_a_packed_file_is_used_as_it_is(tmp_path, reference):
    model, fast, x, _ = reference
    checkpoint.save(model, tmp_path / "small.safetensors", packed=True)
    state, header = checkpoint.read_packed(tmp_path / "small.safetensors")
    with torch.device("meta"):
        bare = models.build(header["key"], **header["options"])
    assert torch.equal(xnor.PackedBrve(state, bare)(x), fast(x))
    del state["stage0.ups.0.conv.bits"]
    with pytest.raises(OptionError, match=r"stage0\.ups\.0\.conv\.bits"):
        xnor.PackedBrve(state, bare)


def test_calls_from_several_threads_do_not_meet(reference):
    _, fast, x, _ = reference
    alone = fast(x[:, :3])
    with ThreadPoolExecutor(3) as pool:
        for y in pool.map(lambda _: fast(x[:, :3]), range(3)):
            assert torch.equal(y, alone)


def fresh(before, after):
    """The words that a process of its own prints after a packed convolution."""
    code = f"{before}; import numpy as np\n"
    code += "from lowlight_lib.deploy.bitpacked import blocks\n"
    code += "conv = blocks.PackedConv(np.zeros((8, 1), np.uint8), (8, 8, 1, 1))\n"
    code += f"conv(np.ones((1, 4, 4, 8), np.float32)); print({after})"
    env = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_THREADING_LAYER")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_threads_stay_as_torch_was_told():
    """numba, starting its threads, tells OpenMP to use all, and so PyTorch."""
    assert fresh("import torch; torch.set_num_threads(1)", "torch.get_num_threads()") == ["1"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere OpenMP may be missing")
def test_threads_are_those_of_openmp():
    """OpenVINO brings TBB along, which numba would take, and it is slower."""
    pytest.importorskip("openvino")
    before = "import openvino, numba; openvino.Core().available_devices"
    assert fresh(before, "numba.threading_layer()") == ["omp"]


def test_nowhere_to_keep_compiled_code(monkeypatch):
    from numba.core import caching

    monkeypatch.setattr(caching.FunctionCache._impl_class, "_locator_classes", [])
    assert vectors.kernel()(lambda x: x + 1)(2) == 3


def test_kernels_are_compiled_anew_for_other_vectors(monkeypatch, tmp_path):
    """numba itself would not look: the vectors are in another file."""

    def made():
        def f(x):
            return x + 1

        assert vectors.kernel()(f)(2) == 3
        return len([*tmp_path.rglob("*.nbi")])

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert [made(), made()] == [1, 1]
    monkeypatch.setattr(vectors, "VECTORS", "others")
    assert made() == 2


@pytest.mark.slow
def test_a_cpu_without_wide_vectors(tmp_path):
    """All of the above, compiled for the least CPU of this kind: slower, the same sums."""
    env = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    env["NUMBA_CACHE_DIR"] = str(tmp_path)
    run = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", __file__]
    done = subprocess.run(run, env=env, capture_output=True, encoding="utf-8", timeout=1800)
    assert done.returncode == 0, done.stdout
    assert list(tmp_path.rglob("*.nbc"))  # it did compile
