"""BRVE: the released network, clips of any length and size, the streaming form."""

import numpy as np
import pytest
import torch
from support.networks import drawn_weights, frames

from lowlight_lib import models
from lowlight_lib.blocks.binary import BinaryConv2d
from lowlight_lib.errors import OptionError, ShapeError
from lowlight_lib.models.released import our_name


@pytest.fixture(scope="module")
def reference(shared):
    """(network with the drawn weights, input, output of the released code)."""
    model = models.build("brve").eval()
    state = drawn_weights(shared, "brve", 62, 0.1)
    model.load_state_dict({our_name("brve", k): v for k, v in state.items()})
    arrays = np.load(shared / "reference" / "brve.npz")
    return model, *(torch.from_numpy(arrays[k]) for k in "xy")


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return models.build("brve", channels=4).eval()


def stream(model, clip):
    s, done = model.stream(), []
    for frame in clip:
        done += s.push(frame)
    late = len(clip) - len(done)
    return torch.stack(done + s.close()), late


# ---------------------------------------------------------------------------------------------
# parity


def test_the_released_network(reference):
    model, x, y = reference
    with torch.inference_mode():
        # 1e-4: binary networks are chaotic, but not on so small a frame (float32: 3e-7 here).
        torch.testing.assert_close(model(x), y, rtol=0, atol=1e-4)
        torch.testing.assert_close(model(x[0]), y[0], rtol=0, atol=1e-4)


def test_streaming_is_the_clip_form(reference):
    model, x, y = reference
    for t in (5, 3, 2, 1):
        with torch.inference_mode():
            whole = model(x[0, :t])
        streamed, late = stream(model, x[0, :t])
        assert streamed.shape == (t, 4, 16, 24) and late == min(t, 2)
        torch.testing.assert_close(streamed, whole, rtol=0, atol=1e-4)
    torch.testing.assert_close(stream(model, x[0])[0], y[0], rtol=0, atol=1e-4)


def test_wrong_shift_is_another_network(reference, shared):
    """The intended shift cannot use the weights: same parameters, other pictures."""
    model, x, y = reference
    other = models.build("brve", shift="intended").eval()
    other.load_state_dict(model.state_dict())
    with torch.inference_mode():
        assert (other(x) - y).abs().mean() > 0.01


def test_parameters():
    model = models.build("brve")
    assert sum(p.numel() for p in model.parameters()) == 4_508_584
    binary = sum(m.weight.numel() for m in model.modules() if isinstance(m, BinaryConv2d))
    assert binary == 4_344_768
    assert 4_508_584 - binary + binary // 32 == 299_590
    assert model.gain == 48.75 and model.spec.multiple == 8


# ---------------------------------------------------------------------------------------------
# any clip


@pytest.mark.parametrize("t, h, w", [(1, 8, 8), (2, 5, 7), (3, 1, 1), (4, 13, 22), (7, 8, 16)])
def test_any_length_and_size(small, t, h, w):
    x = frames(t, h, w)
    with torch.inference_mode():
        y = small(x)
        assert y.shape == x.shape and torch.isfinite(y).all()
        more = torch.cat([x, x[-1:].expand(max(0, 3 - t), -1, -1, -1)])
        padded = np.pad(more, [(0, 0)] * 2 + [(0, -h % 8), (0, -w % 8)], "reflect")
        # Padding and cropping, no more. 1e-6: the same sums.
        byhand = small(torch.from_numpy(padded))[:t, :, :h, :w]
        torch.testing.assert_close(y, byhand, rtol=0, atol=1e-6)
    streamed, _ = stream(small, x)
    torch.testing.assert_close(streamed, y, rtol=0, atol=1e-4)


def test_clips_of_a_batch_do_not_mix(small):
    x = torch.stack([frames(4, 8, 8, seed) for seed in range(3)])
    with torch.inference_mode():
        torch.testing.assert_close(small(x), torch.stack([small(c) for c in x]), atol=1e-5, rtol=0)


def test_stage_by_stage_on_larger_frames(reference):
    """On larger frames last digits flip signs; with equal inputs each stage agrees all the same."""
    model, *_ = reference
    x = frames(4, 64, 64)
    with torch.inference_mode():
        first, deep = model.extract(x)
        for i in range(4):
            one = model.extract(x[i : i + 1])
            near(one[0], first[i : i + 1])
            near(model.stage0(first[i : i + 1]), deep[i : i + 1])
        window = [deep[i : i + 1] for i in range(3)]
        together = model.stage1(deep[None, :3])
        near(torch.stack(model.align(*window), 1), together)
        near(
            torch.cat([model.reconstruct(*(v[i : i + 1] for v in (x, first, deep, deep)))
                       for i in range(4)]),
            model.reconstruct(x, first, deep, deep),
        )  # fmt: skip


def near(a, b):
    """Equal but for what one flipped sign spreads: most within 1e-4, on average within 1e-3."""
    assert (a - b).abs().mean() < 1e-3 * b.abs().mean() + 1e-6
    assert ((a - b).abs() < 1e-4 * b.abs().max()).float().mean() > 0.99


def test_a_stream_holds_two_frames_whatever_its_length(small):
    s = small.stream()
    for i in range(12):
        s.push(frames(1, 8, 8, i)[0])
        assert len(s._waiting) == len(s._window) == min(i + 1, 2)
    assert len(s.close()) == 2 and s.close() == []
    assert s.push(frames(1, 16, 8)[0]) == []  # another video, of another size


@pytest.mark.parametrize("shape", [(4, 8, 8), (3, 3, 8, 8), (0, 4, 8, 8), (1, 1, 1, 4, 8, 8)])
def test_what_is_no_clip(small, shape):
    with pytest.raises(ShapeError, match="a clip is"):
        small(torch.zeros(shape))


def test_what_is_no_frame(small):
    s = small.stream()
    s.push(torch.zeros(4, 8, 8))
    with pytest.raises(ShapeError, match="the frames before"):
        s.push(torch.zeros(4, 8, 9))
    with pytest.raises(ShapeError, match="a frame is"):
        s.push(torch.zeros(1, 4, 8, 8))


@pytest.mark.parametrize("wrong", [{"shift": "fixed"}, {"channels": 5}, {"channels": 2}])
def test_options_that_cannot_be(wrong):
    with pytest.raises(OptionError):
        models.build("brve", **wrong)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shift": "intended"},
        {"shift": "temporal"},
        {"shift": "none"},
        {"attention": False},
        {"real_skips": False},
        {"gradient": "clip"},
    ],
    ids=str,
)
def test_gradients_reach_every_parameter(options):
    torch.manual_seed(0)
    model = models.build("brve", channels=6, **options)
    x = torch.rand(1, 4, 4, 16, 16) * 0.2
    (model(x) - torch.rand_like(x)).square().mean().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
        assert p.grad.abs().max() > 0, name
