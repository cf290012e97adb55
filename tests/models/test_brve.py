"""BRVE: clips of any length and size, the streaming form, its options."""

import pytest
import torch
from support.networks import frames, near
from support.networks import small as small_network

from lowlight_lib import models
from lowlight_lib.errors import OptionError, ShapeError


@pytest.fixture(scope="module")
def small():
    return small_network("brve")


@pytest.mark.parametrize("t, h, w", [(1, 8, 8), (2, 5, 7), (3, 1, 1), (4, 13, 22), (7, 8, 16)])
def test_a_clip_of_any_length_frame_by_frame(small, t, h, w):
    """A clip of fewer than three frames is continued by its last one; a stream is two late."""
    x, stream = frames(t, h, w), small.stream()
    with torch.inference_mode():
        whole = small(x)
        longer = torch.cat([x, x[-1:].expand(max(0, 3 - t), -1, -1, -1)])
        torch.testing.assert_close(small(longer)[:t], whole, rtol=0, atol=1e-6)  # the same sums
    done = [y for frame in x for y in stream.push(frame)]
    assert len(done) == max(0, t - 2)
    torch.testing.assert_close(torch.stack(done + stream.close()), whole, rtol=0, atol=1e-4)


def test_stage_by_stage_on_larger_frames():
    """On larger frames last digits flip signs; with equal inputs each stage agrees all the same."""
    torch.manual_seed(0)
    model = models.build("brve").eval()
    assert model.gain == 48.75  # as released
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


def test_a_stream_can_begin_again(small):
    s = small.stream()
    assert len([y for frame in frames(5, 8, 8) for y in s.push(frame)]) == 3
    assert len(s.close()) == 2 and s.close() == []
    assert s.push(frames(1, 16, 8)[0]) == []  # another video, of another size


def test_what_is_no_clip_and_no_frame_is_refused(small):
    for shape in ((4, 8, 8), (3, 3, 8, 8), (0, 4, 8, 8), (1, 1, 1, 4, 8, 8)):
        with pytest.raises(ShapeError, match="a clip is"):
            small(torch.zeros(shape))
    s = small.stream()
    s.push(torch.zeros(4, 8, 8))
    for shape, words in (((4, 8, 9), "the frames before"), ((1, 4, 8, 8), "a frame is")):
        with pytest.raises(ShapeError, match=words):
            s.push(torch.zeros(shape))


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"shift": "fixed"}, "unknown shift 'fixed'"),
        ({"channels": 5}, "even number of at least 4, not 5"),
        ({"channels": 2}, "even number of at least 4, not 2"),
    ],
)
def test_options_that_cannot_be(wrong, words):
    with pytest.raises(OptionError, match=words):
        models.build("brve", **wrong)


@pytest.mark.parametrize(
    "options",
    [
        *({"shift": kind} for kind in ("intended", "temporal", "none")),
        {"attention": False},
        {"real_skips": False},
        {"gradient": "clip"},
    ],
    ids=str,
)
def test_gradients_reach_every_parameter_of_a_variant(options):
    torch.manual_seed(0)
    model = models.build("brve", channels=6, **options)
    x = torch.rand(1, 4, 4, 16, 16) * 0.2
    (model(x) - torch.rand_like(x)).square().mean().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
        assert p.grad.abs().max() > 0, name
