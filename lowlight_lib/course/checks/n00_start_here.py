"""Checks of notebook 00."""

from __future__ import annotations

import numpy as np

from .common import judge


def black_after_forgetting(function) -> None:
    """Exercise 00/0.1: function(black, white, ratio) -> a lightless pixel without subtraction."""
    hints = {
        (lambda answer: answer > 1): "Right so far, but nothing is brighter than white. Clip.",
        0: """It would be 0 had the black level been subtracted; it was not, and what was stored for
            no light is multiplied like everything else.""",
        "otherwise": "Stored number times ratio, over the white level.",
    }
    for black, white, ratio in ((512, 16383, 100), (64, 1023, 10), (100, 16383, 2)):
        stored = np.full((2, 2), black)
        truth = np.clip(stored * ratio / white, None, 1).max()
        judge(function, (black, white, ratio), truth, hints, relative=1e-6)
    print("Right: at ratio 100 the darkest black there is comes out pure white.")
