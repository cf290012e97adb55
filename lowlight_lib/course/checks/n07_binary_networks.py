"""Exercises of notebook 07."""

import math

from .common import exercise

_BLOCKS = [(False, 3, 9, 11), (False, 5, 12, 9), (True, 3, 9, 11)]


@exercise("07.1", 1, lambda attention, kernel, h, w: h * w if attention else kernel**2, _BLOCKS)
def pixels_seen(answer, truth, attention, kernel, h, w):
    """Right: with attention every pixel sees the whole frame; tiles are never quite that."""
    yield kernel**2, "That is the window. But s goes into every output: from which pixels?"
    yield True, "Change one pixel after the other: which of them change the one in the middle?"


def _decisions():
    for n, sigma, d in ((2_000_000, 1.0, 0.01), (2_000_000, 0.5, 0.004)):
        yield n, 1 / (sigma * (2 * math.pi) ** 0.5), d


@exercise("07.2", 2, lambda n, density, d: n * density * d, _decisions, relative=0.05)
def expected_flips(answer, truth, n, density, d):
    """Right: the number of decisions counts, and so the size of the frame. One is enough."""
    twice = 2 * truth
    yield twice, "Twice as many as there are: half of them are pushed away from zero."
    yield True, "A sign changes where z lies close enough to zero: in an interval of which length?"


@exercise("07.3", 1, lambda macs, bits: macs / (macs - bits + bits / 64), [(1000, 990), (100, 0)])
def times_cheaper_with_bits(answer, truth, macs, binary_macs):
    """Right. Amdahl's law: what is left real sets the price."""
    share = binary_macs / macs
    yield 64 * share, f"The rest does not vanish: what do the other {1 - share:.1%} cost?"
    yield 64, "That holds for the bits alone."
    upside_down = 1 / truth
    yield upside_down, "That is upside down. It is the old cost over the new one."
    yield True, "Old cost: all MACs. New cost: real ones as before, bits at 1/64."
