"""What LLRVD's ISP_info says of a frame: gains and matrices in every form."""

import numpy as np
import pytest

from lowlight_lib.data.llrvd_smoid import read_isp_info
from lowlight_lib.errors import DataError


def frame(tmp_path, **content):
    np.save(tmp_path / "1.npy", content, allow_pickle=True)
    return read_isp_info(tmp_path / "1.npy")


CCM = np.array([[1.5, -0.3, -0.2], [-0.1, 1.2, -0.1], [0, -0.4, 1.4]])


@pytest.mark.parametrize(
    "content",
    [
        {"wb": np.array([2, 1, 1.5, 1.0]), "ccm": CCM},  # as published
        {"wb": [2, 0.5, 1.5, 1.5], "ccm": CCM.ravel().tolist()},
        {"wb": (2.0, 1.0, 1.5, 0.0), "ccm": CCM[None], "iso": 100},
        {"wb": np.float32([[2, 1, 1.5]]), "ccm": CCM},
    ],
)
def test_gains_and_matrices_in_every_form(tmp_path, content):
    gains, ccm = frame(tmp_path, **content)
    assert gains.dtype == ccm.dtype == np.float32
    np.testing.assert_allclose(gains, [2, 1, 1.5])
    np.testing.assert_allclose(ccm, CCM, rtol=1e-6)


def test_what_is_not_understood_is_shown(tmp_path):
    np.testing.assert_array_equal(frame(tmp_path, wb=[2, 1, 1])[1], np.eye(3))
    for content, said in (
        ({"awb_mode": 1, "lens": "x"}, r"no white balance wb: \{'awb_mode': 1, 'lens': 'x'\}"),
        ({}, r"no white balance wb: \{\}"),
        ({"wb": [1, 2]}, r"has gains \[1\. 2\.\]"),
        ({"wb": ["a", "b", "c"]}, "no array of numbers"),
        ({"wb": [1, np.nan, 1]}, "has gains .*nan"),
        ({"wb": [1, np.inf, 1]}, "has gains .*inf"),
        ({"wb": [0, 1, 1]}, "has gains .*above 0"),
        ({"wb": [1, 1, 1], "ccm": np.eye(4)}, "no array of numbers .*16"),
        ({"wb": [1, 1, 1], "ccm": np.full(9, np.nan)}, "none beyond 1e"),
        ({"wb": [10**400, 1, 1]}, "no array of numbers"),
        ({"wb": [1, 1, 1], "ccm": [10**400] * 9}, "no array of numbers"),
        *(({"wb": [1, n, 1]}, "has gains") for n in (1e300, 1e39, 1e-300, 1e-46, 1e-7, -1)),
        *(({"wb": [1, 1, 1], "ccm": [n] * 9}, "has gains") for n in (1e300, -1e39, 1e7)),
    ):
        with pytest.raises(DataError, match=said):
            frame(tmp_path, **content)
    np.save(tmp_path / "1.npy", np.zeros(3))
    with pytest.raises(DataError, match="no white balance"):
        read_isp_info(tmp_path / "1.npy")
