"""`lowlight bench`: what its rows say."""

import json

import pytest
import torch

from lowlight_lib import allocator, models
from lowlight_lib.deploy import bench, engines, export, memory
from lowlight_lib.deploy.runtime import prepare
from lowlight_lib.errors import OptionError
from lowlight_lib.training import checkpoint

FIGURES = {
    "model", "backend", "precision", "input", "size", "weights", "weights_id", "threads", "repeats",
    "seconds", "p10", "p90", "ratio", "gmacs", "gflops", "peak_gflops", "share", "memory_bytes",
    "memory_added_bytes", "max_difference", "psnr", "torch", "commit",
}  # fmt: skip


@pytest.fixture
def tiny(monkeypatch):
    shapes = {"redi": (1, 1, 45, 70), "brve": (3, 4, 16, 16)}
    monkeypatch.setattr(bench, "input_shape", lambda key, size: shapes[key])


def test_rows(tiny, tmp_path, lowlight):
    torch.manual_seed(3)
    weights, out = tmp_path / "w.safetensors", tmp_path / "bench.json"
    checkpoint.save(models.build("redi", growth=4, layers=(1,)), weights)
    words = ["bench", "--size", "small", "--model", "redi", "--backend", "torch", "--repeats", "2"]
    words += ["--checkpoint", f"redi={weights}", "-o", str(out), "--json", "--no-memory"]
    code, said, err = lowlight(*words)
    assert code == 0, err
    bfloat16 = [("torch", "bfloat16")] * engines.cpu_has_bfloat16()
    rows = json.loads(said)
    assert rows == json.loads(out.read_text(encoding="utf-8"))
    system = [("system", "float32")] * allocator.wanted()
    assert [(r["backend"], r["precision"]) for r in rows] == [
        ("eager", "float32"), *system, ("torch", "float32"), *bfloat16,
    ]  # fmt: skip
    for row in rows:
        assert set(row) == FIGURES
        assert row["weights"] == "w.safetensors" and row["input"] == [1, 1, 45, 70]
        assert row["gflops"] == pytest.approx(2 * row["gmacs"] / row["seconds"])
        assert row["share"] == pytest.approx(row["gflops"] / row["peak_gflops"])
        assert row["ratio"] == pytest.approx(rows[0]["seconds"] / row["seconds"])
        assert row["memory_bytes"] is None
        assert 0 < row["p10"] <= row["seconds"] <= row["p90"]
    found = {(r["backend"], r["precision"]): r for r in rows}
    eager, exact = found["eager", "float32"], found["torch", "float32"]
    assert all(found[name]["max_difference"] is None for name in system)  # nobody compared it
    assert eager["max_difference"] == 0 and eager["psnr"] is None
    assert exact["max_difference"] < 1e-4 and exact["psnr"] > 80
    if rough := found.get(("torch", "bfloat16")):
        assert rough["max_difference"] > 1e-4 and 20 < rough["psnr"] < 80
    text = bench.table(rows)
    assert len(text.splitlines()) == len(rows) + 1 and "p90" in text


def test_binary_networks_have_their_own_engine(tiny):
    rows = bench.bench(["brve"], "full", backends=["bitpacked"], repeats=1, memory=False,
                       progress=False)  # fmt: skip
    assert [r["backend"] for r in rows if r["backend"] != "system"] == ["eager", "bitpacked"]
    assert rows[-1]["psnr"] is None or rows[-1]["psnr"] > 20


@pytest.mark.slow
def test_memory_is_a_fresh_process(tiny):
    rows = bench.bench(["redi"], "small", backends=["torch"], repeats=1, progress=False)
    [row] = [r for r in rows if (r["backend"], r["precision"]) == ("torch", "float32")]
    assert row["memory_bytes"] > row["memory_added_bytes"] >= 0
    assert row["memory_bytes"] > 100e6  # Python and PyTorch


def test_a_form_that_does_not_run_is_a_row_that_says_so(tiny, monkeypatch):
    def fails(*args, **kwargs):
        raise OptionError("openvino is not installed")

    monkeypatch.setattr(bench, "prepare", fails)
    rows = bench.bench(["redi"], "small", backends=["torch"], repeats=1, memory=False,
                       progress=False)  # fmt: skip
    rough = engines.cpu_has_bfloat16()
    said = [r["error"] for r in rows if "error" in r]
    assert said == ["openvino is not installed"] * (1 + rough)
    assert "error" not in rows[0]
    assert "not installed" in bench.table(rows)


@pytest.mark.skipif(not allocator.wanted(), reason="this C library is not glibc")
def test_the_system_row_leaves_memory_to_the_c_library(monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "0")
    order = {}
    monkeypatch.setattr(memory.subprocess, "Popen", lambda **given: order.update(given) or 1 / 0)
    stops = pytest.raises(ZeroDivisionError, match="division")
    with stops, memory.with_system_allocator("redi", (1, 1, 16, 16)):
        pass
    assert order["env"]["LOWLIGHT_MALLOC"] == "system" and "MALLOC_MMAP_MAX_" not in order["env"]


def test_a_cpu_without_bfloat16_does_not_emulate_it(monkeypatch):
    monkeypatch.setattr(engines, "cpu_has_bfloat16", lambda: False)
    for backend in ("torch", "openvino"):
        assert "bfloat16" not in engines.precisions(backend)
    assert "bfloat16" in engines.precisions("torch", "cuda")
    with pytest.raises(OptionError, match="torch has no bfloat16 here, it has float32"):
        prepare(models.build("redi", growth=4, layers=(1,)), backend="torch", precision="bfloat16")


@pytest.mark.parametrize("vnni", [False, True])
def test_int8_is_exact_on_cpus_without_vnni(monkeypatch, vnni):
    pytest.importorskip("onnxruntime")
    file = export.to_onnx(models.build("pairlie", width=2))
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: vnni)
    options = engines.onnx_session(file).get_session_options()
    assert options.get_session_config_entry("session.x64quantprecision") == "01"[not vnni]


@pytest.mark.parametrize("shape", [(1, 1, 50, 70), (4, 4, 33, 30), (1, 3, 31, 600)])
def test_scenes(shape):
    x = bench.scene(shape)
    assert x.shape == shape and x.dtype == torch.float32 and x.std() > 0.01
    assert torch.equal(x, bench.scene(shape))


@pytest.mark.parametrize(
    "options, said",
    [
        ({"keys": ["unet"]}, "unknown model 'unet'"),
        ({"size": "huge"}, "unknown size 'huge'"),
        ({"backends": ["eager"]}, "unknown backend 'eager'"),
        ({"repeats": 0}, "at least 1"),
        ({"weights": {"brv": "x"}}, "unknown model 'brv'"),
    ],
)
def test_what_there_is_not(options, said):
    with pytest.raises(OptionError, match=said):
        bench.bench(**options)


def test_sizes_grow():
    for key in models.SYSTEMS:
        full, medium, small = (bench.input_shape(key, s) for s in ("full", "medium", "small"))
        assert all(a >= b >= c for a, b, c in zip(full, medium, small, strict=True))
        assert full[1] == small[1] == models.SYSTEMS[key].spec.channels


def test_turns_are_taken():
    called = []
    times = bench.in_turns({k: lambda k=k: called.append(k) for k in "ab"}, 3)
    assert called == [*"ababab"] and [len(t) for t in times.values()] == [3, 3]
