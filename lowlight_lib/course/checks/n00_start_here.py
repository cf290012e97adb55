"""Exercises of notebook 00."""

from .common import exercise

_PIXELS = [(512, 16383, 100), (64, 1023, 10), (100, 16383, 2)]


@exercise("00.1", 1, lambda black, white, ratio: min(1.0, black * ratio / white), _PIXELS)
def black_after_forgetting(answer, truth, black, white, ratio):
    """Right: at ratio 100 the darkest black there is comes out pure white."""
    yield answer > 1, "Right so far, but nothing is brighter than white. Clip."
    yield 0, "So it would be had black been subtracted. What is stored is multiplied."
    yield True, "Stored number times ratio, over the white level."
