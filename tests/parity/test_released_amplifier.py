"""The amplification of REDI's equation 5, as the released code estimates it."""

import numpy as np
import pytest

from lowlight_lib.blocks.amplifier import estimate_amplification


@pytest.mark.parametrize("m, column", [(1, 0), (5, 1), (8, 2)])
@pytest.mark.parametrize("kind", [np.uint16, np.float32, np.float64, np.int32])
def test_the_released_value_to_the_last_bit(shared, kind, m, column):
    reference = np.load(shared / "reference" / "amplifier.npz")
    for mosaic, amplification in zip(reference["raw"], reference["amp"], strict=True):
        ours = estimate_amplification(mosaic.astype(kind), 512, 16383, m)
        assert np.float32(ours) == amplification[column]
        by_place = estimate_amplification(mosaic.astype(kind), np.full((2, 2), 512), 16383, m)
        assert by_place == ours
