"""Checks of notebook 00."""

from .common import Judge


def black_after_forgetting(function) -> None:
    """Exercise 00/0.1: function(black, white, ratio) -> a lightless pixel without subtraction."""
    for black, white, ratio in ((512, 16383, 100), (64, 1023, 10), (100, 16383, 2)):
        truth = min(black * ratio / white, 1)
        hint = Judge(function, (black, white, ratio), truth, relative=1e-6)
        hint[lambda answer: answer > 1] = "Right so far, but nothing is brighter than white. Clip."
        hint[0] = "So it would be had black been subtracted. What is stored is multiplied."
        hint[...] = "Stored number times ratio, over the white level."
    print("Right: at ratio 100 the darkest black there is comes out pure white.")
