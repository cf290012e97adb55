"""Fast forms of networks: the same results by every engine, and clear words where there is none."""

import copy
import functools
import sys
import warnings

import numpy as np
import pytest
import torch
from support.networks import tensors

from lowlight_lib import models
from lowlight_lib.blocks.padding import pad_to_multiple
from lowlight_lib.blocks.retinex import Decomposition
from lowlight_lib.deploy import engines, export, runtime
from lowlight_lib.deploy.runtime import prepare, resolve_backend
from lowlight_lib.errors import OptionError, ShapeError

# key, options, an odd size
SMALL = {
    "redi": ("redi", {"growth": 4, "layers": (1, 2)}, (1, 1, 45, 70)),
    "llpacknet": ("llpacknet", {}, (2, 1, 21, 33)),
    "llpacknet 2020": ("llpacknet", {"form": "2020"}, (1, 1, 50, 33)),
    "pairlie": ("pairlie", {"width": 4}, (1, 3, 13, 22)),
    "sid": ("sid", {}, (1, 1, 31, 50)),
    "sid xtrans": ("sid", {"cfa": "xtrans"}, (1, 1, 60, 50)),
}
EXPORTED = ["redi", "pairlie"]  # the others take long to export: see the slow test


def small(name):
    key, options, shape = SMALL[name]
    torch.manual_seed(0)
    return models.build(key, **options).eval(), torch.rand(shape)


@pytest.fixture(scope="module")
def files():
    """files(network) -> its ONNX form, made once for all engines."""
    pytest.importorskip("onnxscript")
    return functools.cache(lambda name: export.to_onnx(small(name)[0]))


def clip_network(channels=4):
    torch.manual_seed(0)
    return models.build("brve", channels=channels).eval(), torch.rand(4, 4, 13, 22) * 0.3


def close(y, wanted, tolerance=1e-4):
    for a, b in zip([y] if torch.is_tensor(wanted) else y, tensors(wanted), strict=True):
        torch.testing.assert_close(torch.as_tensor(a), b, rtol=0, atol=tolerance)


# ---- results


@pytest.mark.parametrize("name", SMALL)
def test_torch_is_the_network(name):
    net, x = small(name)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with torch.no_grad():
        wanted = net(x)
    fast = prepare(net, x, "torch")
    close(fast(x), wanted)
    assert (fast.backend, fast.precision) == ("torch", "float32")
    assert before.keys() == net.state_dict().keys()  # left as it was
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    close(prepare(net, None, "torch", "bfloat16")(x), wanted, 0.1)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("name", EXPORTED)
def test_exported_engines_are_the_network(name, backend, files):
    pytest.importorskip(backend)
    net, x = small(name)
    fast = prepare(net, x, backend, file=files(name))
    for image in (x, x[..., :9, :11], x[..., :1, :], torch.cat([x, x.flip(-1)])):
        with torch.no_grad():
            close(fast(image), net(image))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("name", [*SMALL, "brve"])
def test_every_engine_is_every_network(name, backend):
    pytest.importorskip(backend)
    net, x = clip_network() if name == "brve" else small(name)
    with torch.no_grad():
        close(prepare(net, x, backend)(x), net(x))


def test_bfloat16_of_openvino(files):
    pytest.importorskip("openvino")
    net, x = small("redi")
    if "bfloat16" not in engines.precisions("openvino"):
        with pytest.raises(OptionError, match="openvino has no bfloat16 here, it has float32"):
            prepare(net, x, "openvino", "bfloat16", file=files("redi"))
        return
    with torch.no_grad():
        wanted = net(x)
    rough = prepare(net, x, "openvino", "bfloat16", file=files("redi"))(x)
    close(rough, wanted, 0.1)
    exact = prepare(net, x, "openvino", "float32", file=files("redi"))(x)
    assert (exact - wanted).abs().max() < 1e-5 < (rough - wanted).abs().max()


@pytest.mark.parametrize("backend", ["bitpacked", "torch"])
def test_clips(backend):
    net, x = clip_network()
    fast = prepare(net, x[:1], backend)
    with torch.no_grad():
        wanted = net(x)
    y = fast(x)
    # A last digit flips a sign here and there; not in this clip.
    close(y, wanted)
    assert torch.equal(fast(x[None])[0], y)
    assert isinstance(fast(x.numpy()), np.ndarray)
    stream = fast.stream()
    done = [f for frame in x for f in stream.push(frame)] + stream.close()
    assert torch.equal(torch.stack(done), y)


def test_the_kind_that_went_in_comes_out():
    net, x = small("pairlie")
    fast = prepare(net, x, "torch")
    parts = fast(x.numpy().astype(np.float64))
    assert isinstance(parts, Decomposition)
    assert all(isinstance(p, np.ndarray) and p.dtype == np.float32 for p in parts)
    close(parts, fast(x), 1e-6)
    assert fast(x.half()).R.dtype == torch.float32
    flipped = x.numpy()[..., ::-1]  # strides that PyTorch does not take
    close(fast(flipped), fast(torch.from_numpy(flipped.copy())))


@pytest.mark.parametrize(
    "wrong, said",
    [
        (torch.rand(1, 3, 8, 8), "redi takes"),
        (torch.rand(1, 8, 8), "redi takes"),
        (torch.rand(1, 1, 0, 8), "redi takes"),
        (np.zeros((1, 1, 8, 8), np.uint16), "of floats"),
        ([[0.5]], "array or a tensor"),
    ],
    ids=lambda x: str(getattr(x, "shape", x)),
)
def test_what_is_no_input(wrong, said):
    net, x = small("redi")
    fast = prepare(net, x, "torch")
    with pytest.raises(ShapeError, match=said):
        fast(wrong)
    with pytest.raises(ShapeError, match=said):
        prepare(net, wrong)


@pytest.mark.parametrize("name", EXPORTED)
def test_a_result_is_its_owners(name, files):
    """What an engine hands out stays as it is whatever it computes after that."""
    pytest.importorskip("openvino")
    net, x = small(name)
    fast = prepare(net, x, "openvino", file=files(name))
    with torch.no_grad():
        wanted = tensors(net(x))
    first, second = tensors(fast(x)), tensors(fast(1 - x))
    assert not {y.data_ptr() for y in first} & {y.data_ptr() for y in second}
    close(first, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["histogram", "conv"])
def test_the_factor_is_of_the_picture_and_not_of_what_is_padded_to_it(kind):
    """LLPackNet of 2020 from files, at an odd size: a row of white would be counted twice."""
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    net = models.build("llpacknet", form="2020", amplifier=kind).eval()
    x = torch.rand(1, 1, 49, 33) * 0.01
    x[..., -2, :] = 1  # what padding by reflection would repeat
    files = {stage: export.to_onnx(net, stage=stage) for stage in ("amplifier", "network")}
    with torch.no_grad():
        wanted, factor = net(x), net.amplifier(x)
    padded = pad_to_multiple(x, export.read_about(files["amplifier"])["multiple"])
    [from_file] = export.open_file(files["amplifier"])(padded)
    np.testing.assert_allclose(from_file, factor.numpy(), rtol=1e-5)
    for file in (files, {"network": files["network"]}, files["network"], None):
        close(prepare(net, x, "onnxruntime", file=file)(x), wanted)
    assert export.read_about(files["network"])["spec"].amplifies_itself is False


def test_files_of_before_have_the_amplifier_inside(monkeypatch):
    """Format 1: the factor must not be applied twice."""
    pytest.importorskip("onnx")
    net, x = small("llpacknet 2020")
    whole = engines.TorchEngine(copy.deepcopy(net))
    monkeypatch.setattr(runtime, "OnnxRuntimeEngine", lambda file: whole)
    x = x[..., :48, :32]  # of its multiple: padding comes first there
    about = {"spec": net.spec, "inputs": ["mosaic"], "outputs": ["picture"]}
    monkeypatch.setattr(runtime, "read_about", lambda file: about)
    with torch.no_grad():
        close(prepare(net, None, "onnxruntime", file="old.onnx")(x), net(x))


def test_few_shapes_stay_compiled(files):
    pytest.importorskip("openvino")
    net, _ = small("pairlie")
    fast = prepare(net, None, "openvino", file=files("pairlie"))
    sizes = [(4, 4 + k) for k in range(engines.SHAPES + 2)]
    for h, w in [*sizes, sizes[-2]]:
        fast(torch.rand(1, 3, h, w))
    last = [*sizes[2:-2], sizes[-1], sizes[-2]]  # used again, it is the youngest
    assert [shapes[0][2:] for shapes in fast.engines["network"]._ready] == last
    with torch.no_grad():
        close(fast(torch.ones(1, 3, 4, 4)), net(torch.ones(1, 3, 4, 4)))


# ---- which engine


@pytest.fixture
def without_engines(monkeypatch):
    """OpenVINO and ONNX Runtime cannot be imported."""
    for name in ("openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.filterwarnings("error")
def test_auto_is_torch_and_needs_no_other_runtime(without_engines):
    net, x = small("redi")
    assert prepare(net, x).backend == "torch"
    for name in ("openvino", "onnxruntime"):  # asked for by name it is an error
        with pytest.raises(OptionError, match=f"{name} is not installed"):
            prepare(net, x, name)


def test_auto_takes_bits_for_binary_networks(without_engines):
    net, x = clip_network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert prepare(net, x).backend == "bitpacked"
    next(m for m in net.modules() if getattr(m, "binary", False)).weight.data.view(-1)[0] = 0
    with pytest.warns(UserWarning, match="brve runs on torch .bitpacked: .*exactly 0"):
        assert prepare(net, x).backend == "torch"


@pytest.mark.parametrize(
    "options, said",
    [
        ({"backend": "tensorrt"}, "unknown backend 'tensorrt'"),
        ({"precision": "float8"}, "unknown precision 'float8'"),
        ({"backend": "bitpacked"}, "bitpacked is for binary networks"),
        ({"backend": "torch", "precision": "float16"}, "torch has no float16 here, it has float32"),
        ({"backend": "torch", "precision": "int8", "file": "x"}, "torch has no int8 here"),
        ({"precision": "int8"}, "torch has no int8 here"),
        ({"precision": "int8", "backend": "onnxruntime"}, "int8 on onnxruntime needs a file"),
    ],
)
def test_what_there_is_not(options, said):
    net, x = small("redi")
    with pytest.raises(OptionError, match=said):
        prepare(net, x, **options)


def test_engines_that_fail_are_an_option_error():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    with pytest.raises(OptionError, match="onnxruntime cannot run redi"):
        prepare(*small("redi"), "onnxruntime", file=b"no network")
    with pytest.raises(OptionError, match="has no spec"):
        prepare(torch.nn.Conv2d(1, 1, 1), None)


# ---- commands


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["redi", "pairlie"])
def test_a_command_computes_with_torch_unless_told_otherwise(name, monkeypatch):
    """No export in the middle of a command, and no warning."""
    net, x = small(name)
    monkeypatch.setattr(runtime, "to_onnx", lambda *_, **__: pytest.fail("exports"))
    fast = resolve_backend(net)
    assert (fast.backend, fast.precision, fast.spec) == ("torch", "float32", net.spec)
    with torch.no_grad():
        close(fast(x), net(x))


def test_a_clip_never_waits_for_an_export(monkeypatch):
    """brve's stages take minutes to export, and a weight of 0 has no bit."""
    net, x = clip_network()
    assert resolve_backend(net).backend == "bitpacked"
    next(m for m in net.modules() if getattr(m, "binary", False)).weight.data.view(-1)[0] = 0
    monkeypatch.setattr(runtime, "to_onnx", lambda *_, **__: pytest.fail("exports"))
    with pytest.warns(UserWarning, match="brve runs on torch .bitpacked: .*exactly 0"):
        fast = resolve_backend(net)
    fast(x), fast(x)
    assert fast.backend == "torch" and hasattr(fast, "stream")


def test_what_commands_run():
    net, _ = small("redi")
    assert resolve_backend(net, "eager") is net
    assert resolve_backend(net, "torch", "bfloat16").precision == "bfloat16"
    with pytest.raises(OptionError, match="eager computes in float32"):
        resolve_backend(net, "eager", "bfloat16")
