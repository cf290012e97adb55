"""int8 in every layer of PairLIE, as notebook 13 makes it before it spares the last ones."""

import numpy as np
import pytest
import torch

from lowlight_lib import models

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from lowlight_lib.deploy import export, quantise


def test_a_result_that_the_network_reads_again_stays_in_the_file():
    """X goes out, and into both branches."""
    torch.manual_seed(0)
    file = export.to_onnx(models.build("pairlie", width=8).eval())
    x = np.random.default_rng(0).random((1, 3, 32, 48), np.float32) * 0.3
    made = quantise.to_int8(file, [x], keep=())
    assert quantise.int8_kernels(made) == {"QLinearConv": 15}
    found, wanted = (export.open_file(f)(torch.from_numpy(x)) for f in (made, file))
    for y_q, y in zip(found, wanted, strict=True):
        assert 0 < np.abs(y_q - y).max() < 0.1
