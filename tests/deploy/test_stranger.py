"""A network from outside the package goes through all of deploy, as soon as its card is known."""

import numpy as np
import pytest
import torch
from support.networks import known
from torch import nn

from lowlight_lib import models
from lowlight_lib.deploy import bench, export, memory, runtime
from lowlight_lib.errors import OptionError
from lowlight_lib.models import Card, Spec, Task


class Stranger(nn.Module):
    """Knows nothing of this library: a mosaic whose sides are even, to a picture."""

    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(4, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, 12, 1), nn.PixelShuffle(2),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x)


class StrangeClip(nn.Module):
    """For raw video, without a word on stages."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.conv(x)


def card(key, network, task, **fields):
    spec = Spec(key, task, channels=task.channels, **fields)
    return Card(key, spec, "nobody", 2026, "A test", network, 0, 0, "none")


@pytest.fixture(autouse=True)
def added():
    stranger = card("stranger", Stranger, Task.RAW_STILL, multiple=2)
    with known(stranger, card("strange_clip", StrangeClip, Task.RAW_VIDEO)):
        yield


def built(key, **options):
    torch.manual_seed(0)
    return models.build(key, **options).eval()


@pytest.fixture(scope="module")
def file():
    pytest.importorskip("onnxscript")
    with known(card("stranger", Stranger, Task.RAW_STILL, multiple=2)):
        return export.to_onnx(built("stranger", width=6))


@pytest.mark.parametrize("backend", ["torch", "onnxruntime", "openvino"])
def test_its_engines(backend, file):
    if backend != "torch":
        pytest.importorskip(backend)
    net, x = built("stranger", width=6), torch.rand(2, 1, 17, 22)
    with torch.no_grad():
        wanted = net(nn.functional.pad(x, (0, 0, 0, 1), mode="reflect"))[..., :17, :]
    fast = runtime.prepare(net, x, backend, file=file)
    torch.testing.assert_close(fast(x), wanted, rtol=0, atol=1e-5)
    np.testing.assert_allclose(fast(x.numpy()), wanted, rtol=0, atol=1e-5)
    with pytest.raises(OptionError, match="bitpacked is for binary networks"):
        runtime.prepare(net, x, "bitpacked")


def test_its_times():
    how = {"backends": ["torch"], "repeats": 1, "memory": False, "progress": False}
    rows = bench.bench(["stranger", "strange_clip"], "small", **how)
    eager = [r["input"] for r in rows if r["backend"] == "eager"]
    assert eager == [[1, 1, 128, 160], [4, 4, 16, 20]]
    assert [r["model"] for r in rows if "error" in r] == ["strange_clip"] * 2
    assert "stages" in bench.table(rows)


def test_its_memory_in_a_process_of_its_own():
    assert memory.process_peak("stranger", (1, 1, 64, 64)).peak > 50e6

    class Local(Stranger):
        pass

    models.add(card("local", Local, Task.RAW_STILL))
    with pytest.raises(OptionError, match="put its class in a module"):
        memory.process_peak("local", (1, 1, 8, 8))


def test_a_clip_without_stages_says_what_to_do():
    net = built("strange_clip")
    for call in (export.to_onnx, runtime.prepare, runtime.resolve_backend):
        with pytest.raises(OptionError, match="does not say of which stages it is made"):
            call(net)
    assert runtime.resolve_backend(net, "eager") is net
