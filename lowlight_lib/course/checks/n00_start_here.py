"""Checks of notebook 00."""

from __future__ import annotations

import numpy as np

from ...sensor import cfa
from .common import answer_of, flat_raw


def black_after_forgetting(function) -> None:
    """Exercise 00/0.1: function(black, white, ratio) -> a lightless pixel without subtraction."""
    for black, white, ratio in ((512, 16383, 100), (64, 1023, 10), (100, 16383, 2)):
        image = flat_raw(cfa.RGGB)
        stored = np.full_like(image.mosaic, black)
        truth = float(np.clip(stored.astype(float) * ratio / white, None, 1).max())
        answer = float(answer_of(function, black, white, ratio))
        assert answer <= 1, f"{answer:.2f}: right so far, but nothing is brighter than white. Clip."
        if ratio == 100 and answer == 0:
            raise AssertionError(
                "You said 0. It would be 0 had the black level been subtracted; it was not, and "
                "what was stored for no light is multiplied like everything else."
            )
        assert np.isclose(answer, truth, atol=1e-6), (
            f"A camera with black {black}, white {white}, at ratio {ratio}: it is not "
            f"{answer:.4f}. Stored number times ratio, over the white level."
        )
    print("Right: at ratio 100 the darkest black there is comes out pure white.")
