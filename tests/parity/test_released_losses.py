"""The terms of PairLIE's loss, and their sum, as the released code gives them."""

import pytest
import torch
from support.networks import reference

from lowlight_lib.blocks import retinex
from lowlight_lib.blocks.retinex import Decomposition


@pytest.mark.parametrize("term", ["C", "R", "P", "sum"])
def test_the_released_loss(shared, term):
    ref = reference(shared, "pairlie_loss")
    split = Decomposition(ref["L1"], ref["R1"], ref["X1"])
    other = Decomposition(None, ref["R2"], None)  # of the second picture R alone is asked
    found, wanted = {
        "C": lambda: (retinex.consistency(ref["R1"], ref["R2"]), ref["C"]),
        "R": lambda: (retinex.retinex(ref["im1"], split), ref["R"]),
        "P": lambda: (retinex.projection(ref["im1"], ref["X1"]), ref["P"]),
        "sum": lambda: (
            retinex.pair_loss(ref["im1"], None, split, other),
            ref["C"] + ref["R"] + 500 * ref["P"],
        ),
    }[term]()
    # float32 sums in another order
    torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-5, atol=1e-5)
