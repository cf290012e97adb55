"""Files for others to run: ONNX and programs, in what they compute equal to PyTorch."""

import copy
import json
import sys

import numpy as np
import pytest
import torch
from support import tiny

from lowlight_lib import models
from lowlight_lib.data.photos import LolDataset
from lowlight_lib.data.sid import SidDataset
from lowlight_lib.deploy import bench, calibration, export, quantise
from lowlight_lib.errors import DataError, OptionError
from lowlight_lib.training import checkpoint

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


STAGES = ("extract", "align", "reconstruct")
SMALL = {"growth": 8, "layers": (1,)}  # the graph is the same, the export quicker


def build(key, **options):
    torch.manual_seed(0)
    return models.build(key, **options)


@pytest.fixture(scope="module")
def small():
    """(float32 file of a PairLIE, inputs to calibrate on)."""
    rng = np.random.default_rng(0)
    inputs = [rng.random((1, 3, 32, 48), np.float32) * 0.3 for _ in range(3)]
    return export.to_onnx(build("pairlie", width=8), outputs=("L", "R")), inputs


@pytest.mark.parametrize(
    "key, options",
    [
        ("redi", SMALL),
        pytest.param("sid", {"cfa": "xtrans"}, marks=pytest.mark.slow),
        pytest.param("llpacknet", {"up": "pixelshuffle"}, marks=pytest.mark.slow),
        pytest.param("llpacknet", {"form": "2020"}, marks=pytest.mark.slow),
        pytest.param("llpacknet", {"form": "2020", "amplifier": "conv"}, marks=pytest.mark.slow),
        pytest.param("redi", {}, marks=pytest.mark.slow),
        pytest.param("redi", {"parallel": True}, marks=pytest.mark.slow),
        pytest.param("redi", {"scales": ("mse",)}, marks=pytest.mark.slow),
        pytest.param("redi", {"scales": ("lse", "hse")}, marks=pytest.mark.slow),
        pytest.param("redi", {"block": "rdb", "kernel": 3}, marks=pytest.mark.slow),
        pytest.param("pairlie", {}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_onnx_computes_what_pytorch_does(key, options, tmp_path):
    model = build(key, **options)
    before = copy.deepcopy(model.state_dict())
    path = export.to_onnx(model, tmp_path / "a.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]  # weights are inside
    assert export.verify(model, path) <= 1e-4
    assert model.training  # left as it was
    assert model.state_dict().keys() == before.keys()
    about = export.read_about(path)
    assert about["spec"] == models.Spec.from_json(model.spec.to_json())
    assert about["multiple"] == model.spec.multiple
    # One block of the coarsest scale alone, a size below all that export was told of.
    m = max(model.spec.multiple, 2)
    assert export.verify(model, path, sizes=[(m, m), (m, 5 * m)]) <= 1e-4


def test_the_stages_of_brve():
    model = build("brve", channels=4)
    with pytest.raises(OptionError, match="needs a stage"):
        export.to_onnx(model)
    units = export.units(model)
    assert tuple(units) == STAGES
    # Each stage by itself, on what the one before gives, is the network's clip.
    clip = torch.rand(3, 4, 16, 24)
    with torch.no_grad():
        first, deep = units["extract"].module(clip)
        window = units["align"].module(*deep.split(1))
        done = [
            units["reconstruct"].module(clip[i : i + 1], first[i : i + 1], deep[i : i + 1], w)
            for i, w in enumerate(window)
        ]
        torch.testing.assert_close(torch.cat(done), model.eval()(clip), rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_brve_whole(stage):
    model = build("brve")
    assert export.verify(model, export.to_onnx(model, stage=stage), stage=stage) <= 1e-4


def test_outputs_of_pairlie():
    model = build("pairlie", width=4)
    x = torch.rand(1, 3, 17, 22)
    with torch.no_grad():
        split = model.eval()(x)
    file = export.to_onnx(model, outputs=("X", "R"))
    for y, wanted in zip(export.open_file(file)(x), (split.X, split.R), strict=True):
        np.testing.assert_allclose(y, wanted.numpy(), rtol=0, atol=1e-5)
    assert export.read_about(file)["outputs"] == ["X", "R"]
    weights = {i.name.split(".")[1] for i in file.graph.initializer if i.name.startswith("net.")}
    assert weights == {"project", "reflectance"}  # what only L needs is not in it
    for wrong in (("A",), ("L", "L"), ()):
        with pytest.raises(OptionError, match=r"L,R,X"):
            export.to_onnx(model, outputs=wrong)
    with pytest.raises(OptionError, match="no outputs"):
        export.to_onnx(build("redi"), outputs=("L",))


def test_what_is_not_exported():
    model = build("redi", **SMALL)
    with pytest.raises(OptionError, match="no stage"):
        export.to_onnx(model, stage="align")
    with pytest.raises(OptionError, match=r"models\.build"):
        export.to_onnx(torch.nn.Conv2d(1, 1, 3))


def test_a_program(tmp_path):
    model = build("pairlie", width=4)
    path = export.to_program(model, tmp_path / "a.pt2", outputs=("L", "R"))
    assert export.verify(model, path, outputs=("L", "R")) <= 1e-4
    about = export.read_about(path)
    assert about["spec"] == model.spec and about["outputs"] == ["L", "R"]


def test_files_of_before_say_what_they_are(small):
    """Format 1, of version 0.1, had the fields of today's spec one by one."""
    old = {"format": 1, "key": "sid", "options": {"cfa": "xtrans"}, "multiple": 48, "halo": 96}
    old |= {"precision": "float32", "stage": "network", "amplifies_itself": False, "cfa": "X-Trans"}
    old |= {"trained_on": "fuji_xt2", "white_balance": [2.0, 1.0, 1.5]}
    file = copy.deepcopy(small[0])
    file.metadata_props[0].value = json.dumps(old)
    about = export.read_about(file)
    assert about["spec"] == models.SYSTEMS["sid"].spec.replace(
        options={"cfa": "xtrans"}, multiple=48, halo=96, cfa="X-Trans", trained_on="fuji_xt2",
        white_balance=(2.0, 1.0, 1.5),
    )  # fmt: skip
    assert about["stage"] == "network" and about["multiple"] == 48


def test_a_file_that_computes_something_else_is_found(small):
    assert export.verify(build("pairlie", width=8), small[0], ("L", "R")) <= 1e-4
    other = models.build("pairlie", width=8)  # other weights
    with pytest.raises(DataError, match="differs from PyTorch"):
        export.verify(other, small[0], ("L", "R"))
    with torch.no_grad():
        other.reflectance.layers[0].weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(DataError, match="differs from PyTorch by nan"):
        export.verify(other, small[0], ("L", "R"))


def test_what_is_no_file_of_ours(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no")
    with pytest.raises(DataError, match="no ONNX file of ours"):
        export.read_about(tmp_path / "a.onnx")
    with pytest.raises(DataError, match="does not exist"):
        export.read_about(tmp_path / "b.onnx")


def test_without_the_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(OptionError, match=r'pip install "lowlight-lab\[deploy\]"'):
        export.to_onnx(build("pairlie", width=4))


# ---- smaller numbers


def test_best_cut_is_the_least_divergence():
    """Against the definition, written out slowly."""
    rng = np.random.default_rng(0)
    counts = np.histogram(np.abs(rng.standard_t(2, 20000)).clip(max=60), 64, (0, 60))[0]

    def divergence(n, levels=8):
        p = counts[:n].astype(float)
        q = np.zeros(n)
        for k in range(levels):
            inside = [i for i in range(n) if i * levels // n == k and counts[i]]
            for i in inside:
                q[i] = sum(counts[j] for j in inside) / len(inside)
        p[-1] += counts[n:].sum()
        p, q = p / p.sum(), q / q.sum()
        return sum(a * np.log(a / max(b, 1e-9)) for a, b in zip(p, q, strict=True) if a)

    found = quantise.best_cut(counts, 8)
    assert found < 64  # heavy tails are cut
    assert divergence(found) == pytest.approx(min(divergence(n) for n in range(8, 65)))
    assert quantise.best_cut(np.full(512, 10), 128) == 512  # nothing to cut off


def test_int8_runs_integer_kernels(small):
    file, inputs = small
    made = quantise.to_int8(file, inputs)
    assert quantise.int8_kernels(file) == {"Conv": 15}
    # All but the last convolution of each of the three networks.
    assert quantise.int8_kernels(made) == {"QLinearConv": 12, "Conv": 3}
    about = export.read_about(made)
    assert about["precision"] == "int8" and about["outputs"] == ["L", "R"]
    assert about["float_layers"] == [*models.SYSTEMS["pairlie"].int8.keep]
    # Padding works on integers too: nothing but ends and float layers leaves them.
    pads = [n for n in made.graph.node if n.op_type == "Pad"]
    floats = {o for n in made.graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    assert len(pads) == 14 and not any(n.input[0] in floats for n in pads)
    onnx.checker.check_model(made)
    x = inputs[0][..., :27, :39]  # another size
    for y, y_q in zip(export.open_file(file)(x), export.open_file(made)(x), strict=True):
        assert 0 < np.abs(y - y_q).max() < 0.1  # of a sigmoid's range


def test_a_result_that_the_network_reads_again_stays_in_the_file():
    """X of PairLIE goes out, and into both branches; here in int8 everywhere."""
    file = export.to_onnx(build("pairlie", width=8))
    x = np.random.default_rng(0).random((1, 3, 32, 48), np.float32) * 0.3
    made = quantise.to_int8(file, [x], keep=())
    assert quantise.int8_kernels(made) == {"QLinearConv": 15}
    for y_q, y in zip(export.open_file(made)(x), export.open_file(file)(x), strict=True):
        assert 0 < np.abs(y_q - y).max() < 0.1


def test_errors_by_layer(small):
    file, inputs = small
    errors = quantise.layer_errors(file, quantise.to_int8(file, inputs), inputs)
    assert list(errors) == [*quantise.convolutions(file).values()]
    assert len(errors) == 15 and all(10 < e < 80 for e in errors.values())
    poor = quantise.to_int8(file, [x * 0.02 for x in inputs])  # calibrated on other pictures
    worse = quantise.layer_errors(file, poor, inputs)
    assert np.mean([*worse.values()]) < np.mean([*errors.values()]) - 10


def test_float16_is_half_as_large_and_close(small):
    file, inputs = small
    made = quantise.to_float16(file)
    weights = [i for i in made.graph.initializer if i.name.endswith("weight")]
    assert weights and all(i.data_type == onnx.TensorProto.FLOAT16 for i in weights)
    assert export.read_about(made)["precision"] == "float16"
    exact, rough = (export.open_file(f)(inputs[0]) for f in (file, made))
    for y, y_h in zip(exact, rough, strict=True):
        assert y_h.dtype == np.float32
        assert 0 < np.abs(y - y_h).max() < 2e-3  # float16 has 11 bits


def test_int8_and_float16_are_for_two_systems(small):
    file = small[0]
    for key in ("sid", "llpacknet", "brve"):
        other = copy.deepcopy(file)
        export.set_about(other, export.read_about(file) | {"spec": models.SYSTEMS[key].spec})
        for make in (quantise.to_float16, lambda f: quantise.to_int8(f, small[1])):
            with pytest.raises(OptionError, match=f"{key} is not exported as float16 or int8"):
                make(other)
    with pytest.raises(OptionError, match="calibrate"):
        quantise.to_int8(file, [])


def test_redi_in_int8():
    rng = np.random.default_rng(0)
    file = export.to_onnx(build("redi", **SMALL))
    inputs = [rng.random((1, 1, 64, 96), np.float32) for _ in range(3)]
    made = quantise.to_int8(file, inputs)
    kernels = quantise.int8_kernels(made)
    assert kernels["QLinearConv"] >= 0.8 * sum(kernels.values())
    [y], [y_q] = (export.open_file(f)(inputs[0]) for f in (file, made))
    assert 10 * np.log10(1 / ((y - y_q) ** 2).mean()) > 25


# ---- calibration sets


def test_a_calibration_set_of_each_system(tmp_path):
    tiny.make_photos(tmp_path)
    tiny.make_sid(tmp_path, scenes=3)
    photos = calibration.calibration_set("pairlie", tmp_path, count=2, side=32)
    assert [x.shape for x in photos] == [(1, 3, 32, 32)] * 2
    first = LolDataset(tmp_path, "train").input(0)
    np.testing.assert_array_equal(photos[0][0], first.transpose(2, 0, 1)[:, 4:36, 8:40])
    mosaics = calibration.calibration_set("redi", tmp_path, side=64)
    assert [x.shape for x in mosaics] == [(1, 1, 64, 64)] * 3
    data = SidDataset(tmp_path, "train")
    wanted = data.input(0).normalized()[8:72, 16:80] * np.float32(100)
    np.testing.assert_allclose(mosaics[0][0, 0], wanted, rtol=1e-6)
    # The same from folders of files, photographs and raw files.
    files = calibration.calibration_set("pairlie", tmp_path / "LOL/our485/low", side=32)
    np.testing.assert_array_equal(files[0], photos[0])
    raws = calibration.calibration_set("redi", tmp_path / "SID/Sony/short", side=64)
    assert len(raws) == 3 and raws[0].shape == (1, 1, 64, 64)

    path = calibration.write_calibration(tmp_path / "c.npz", "redi", mosaics)
    for a, b in zip(calibration.calibration_set("redi", path), mosaics, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(DataError, match="for 'redi', not for 'pairlie'"):
        calibration.calibration_set("pairlie", path)
    for system in ("sid", "brve"):
        with pytest.raises(OptionError, match=system):
            calibration.calibration_set(system, tmp_path)


def test_calibration_sets_that_are_none(tmp_path):
    path = tmp_path / "c.npz"
    good = np.zeros((3, 8, 8), np.float32)
    for arrays, message in (
        ({}, "no inputs"),
        ({"a": good[0]}, "no input of pairlie"),
        ({"a": np.moveaxis(good, 0, 2)}, "no input of pairlie"),
        ({"a": good.astype(np.uint8)}, "no input of pairlie"),
        ({"a": good * np.nan}, "no input of pairlie"),
        ({"a": np.array([{}], object)}, "cannot be read"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(DataError, match=message):
            calibration.calibration_set("pairlie", path)
    np.savez(path, a=good[:1, :, :7])
    with pytest.raises(DataError, match="multiples of 32"):
        calibration.calibration_set("redi", path)
    for content in (b"", b"PK\x03\x04 and no more"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            calibration.calibration_set("pairlie", path)
    (tmp_path / "empty").mkdir()
    for name, said in (("no.npz", "does not exist"), ("no", "no folder"), ("empty", "no pictures")):
        with pytest.raises(DataError, match=said):
            calibration.calibration_set("pairlie", tmp_path / name)


# ---- the command


def test_the_command(tmp_path, lowlight):
    tiny.make_photos(tmp_path)
    weights, out = tmp_path / "w.safetensors", tmp_path / "out"
    checkpoint.save(build("pairlie", width=8), weights)

    def run(key, *words):
        return lowlight("export", key, "-o", out, *words)

    mine = ("pairlie", "--checkpoint", weights)
    everything = ("--precision", "float32", "float16", "int8", "--calibration", str(tmp_path))
    scored = ("--evaluate", str(tmp_path), "--limit", "1", "--json")
    code, said, err = run(*mine, *everything, "--outputs", "L,R", *scored)
    assert code == 0, err
    assert {p.name for p in out.iterdir()} == {
        "pairlie-calibration.npz",
        *(f"pairlie-{p}.onnx" for p in ("float32", "float16", "int8")),
    }
    found = json.loads(said)
    by = {f["precision"]: f for f in found["files"]}
    assert by["float32"]["max_difference"] <= 1e-4
    assert by["int8"]["kernels"] == {"QLinearConv": 12, "Conv": 3}
    assert by["int8"]["bytes"] < by["float16"]["bytes"] < by["float32"]["bytes"]
    rows = {(r["engine"], r["precision"]): r for r in found["table"]}
    torch_row = rows["torch", "float32"]
    assert rows["onnxruntime", "float32"]["psnr"] == pytest.approx(torch_row["psnr"], abs=1e-3)
    for row in rows.values():
        assert row["images"] == 1 and row["ssim"] <= 1
        assert row["seconds"] > 0 and row["images_per_s"] > 0 and row["mpixel_per_s"] > 0

    for words, message in (
        ((*mine, *everything), "exists already"),
        ((*mine, "--format", "torchscript"), "deprecated"),
        ((*mine, "--precision", "int4"), "unknown precision"),
        ((*mine, "--format", "program", "--precision", "int8"), "program is float32"),
        ((*mine, "--calibration", str(tmp_path)), "for int8"),
        ((*mine, "--outputs", "L,Q", "--force"), "no outputs"),
        (("brve", "--evaluate", tmp_path), "not scored here"),
        (("sid", "--precision", "int8"), "not exported as float16 or int8"),
        (("sid",), "--checkpoint is missing"),
    ):
        code, _, err = run(*words)
        assert code == 1 and message in err, err


@pytest.mark.slow
def test_released_weights_keep_their_score(shared, tmp_path):
    """On mini LOL: float16 within 0.05 dB, int8 within 0.15 dB and 0.02 SSIM of float32."""
    from lowlight_lib.data import mini

    mini.ensure(tmp_path, sets=["LOL"])
    model = checkpoint.load("pairlie", shared / "checkpoints" / "pairlie_official.pth")
    file = export.to_onnx(model, outputs=("L", "R"))
    made = quantise.to_int8(file, calibration.calibration_set("pairlie", tmp_path))
    assert quantise.int8_kernels(made) == {"QLinearConv": 12, "Conv": 3}
    files = {"float32": file, "float16": quantise.to_float16(file), "int8": made}
    files = {p: {"network": f} for p, f in files.items()}
    for gamma in (0.2, 0.14):
        rows = bench.compare(
            model, files, tmp_path, gamma=gamma, engines=["onnxruntime"], rounds=1, progress=False
        )
        of = {r["precision"]: (r["psnr"], r["ssim"]) for r in rows[1:]}
        assert abs(of["float16"][0] - of["float32"][0]) <= 0.05
        assert of["int8"][0] >= of["float32"][0] - 0.15
        assert of["int8"][1] >= of["float32"][1] - 0.02
