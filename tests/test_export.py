"""Files for others to run: ONNX and programs, in what they compute equal to PyTorch."""

import copy

import pytest
import torch

from lowlight_lib import models
from lowlight_lib.deploy import export

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


SMALL = {"growth": 8, "layers": (1,)}  # the graph is the same, the export quicker


def build(key, **options):
    torch.manual_seed(0)
    return models.build(key, **options)


@pytest.mark.parametrize(
    "key, options",
    [
        ("sid", {}),
        ("redi", SMALL),
        ("pairlie", {"width": 8}),
        pytest.param("sid", {"cfa": "xtrans"}, marks=pytest.mark.slow),
        pytest.param("llpacknet", {}, marks=pytest.mark.slow),
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
    assert about["key"] == key and about["multiple"] == model.multiple
    # One block of the coarsest scale alone, a size below all that export was told of.
    m = max(model.multiple, 2)
    assert export.verify(model, path, sizes=[(m, m), (m, 5 * m)]) <= 1e-4
