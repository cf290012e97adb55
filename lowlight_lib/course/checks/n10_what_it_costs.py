"""Exercises of notebook 10 about counting; those about time are in `n10_what_it_takes`."""

from ... import models
from ...deploy import counting
from .common import ANY, exercise

_SONY = (1, 1, 2848, 4256)


def one_by_one_against_three_by_three(channels, scale):
    full = 1.0  # positions, in units of the picture
    return (full * channels**2) / (full / scale**2 * channels**2 * 9)


@exercise("10.1", 1, one_by_one_against_three_by_three, [(64, 8), (12, 2), (32, 32)])
def _(answer, truth, channels, scale):
    """Right: at 1/8, the modest 1x1 costs 7.1 times as much as the 3x3."""
    yield 1 / 9, "So it would be at one size. The 3x3 layer has far fewer positions to visit."
    yield scale / 9, "The scale divides the width *and* the height."
    yield 9 / scale**2, "That is the other layer over this one."
    yield True, "Write both as positions x weights, and divide."


def share_of_transposed(ops):
    up = sum(op.macs for op in ops if op.kind == "transposed convolution")
    rest = sum(op.macs for op in ops) - up
    return up / (up + rest), 4 * up / (4 * up + rest)


def _operations():
    return [counting.trace(models.build("sid"), _SONY)]


@exercise("10.2", 2, share_of_transposed, _operations)
def _(answer, truth, ops):
    """Right: 4.4% of the work, counted as 15.6%."""
    share, _ = truth
    yield (share, 4 * share), "The old counter has the larger number in its total, too."
    yield (share, ANY), "In the old way: what is multiplied by 4, and what is not?"
    yield True, "The true share: the MACs of that kind of operation over the MACs of all."


def most_alive(made, reads):
    last = {j: i for i, read in enumerate(reads) for j in read}  # later readers overwrite
    alive = most = 0
    for i, size in enumerate(made):
        alive += size
        most = max(most, alive)
        alive -= sum(made[j] for j in set(reads[i]) if last[j] == i)
    return most


_GRAPHS = [
    ([5, 6, 7, 8], [[], [], [0], [1, 2]]),  # two branches
    ([16, 4, 8, 16, 32, 4], [[], [0], [1], [2], [3, 0], [4]]),  # a small U-Net
    ([20, 1, 30], [[], [0, 0], [1]]),  # x + x
    ([5, 6, 7, 8, 9], [[], [0], [0, 1], [2], [3, 0]]),  # the first is read three times
    ([7, 9, 2, 3], [[], [0], [1], [2]]),  # a chain
]


@exercise("10.3", 3, most_alive, _GRAPHS)
def _(answer, truth, made, reads):
    """Right: a result stays until its last reader has run, and not a moment longer."""
    yield KeyError, "The last result has no reader: look only at what this operation reads."
    yield sum(made), "Step 1 is done: nothing is let go, as in training. Who needs what, how long?"
    yield _freed_at_first_use(made, reads), "A result may be read again: ask for the last reader."
    neighbours = max(a + b for a, b in zip(made, [0, *made], strict=False))
    yield neighbours, "So it is in a chain. A skip connection keeps something alive for longer."
    yield (
        _freed_before(made, reads),
        """Step 3: an operation needs its inputs while it writes its
        result. Take the maximum before you let them go.""",
    )
    yield max(made), "That is the largest single result. How many are there at the same time?"
    yield answer < truth, "Something is let go too early, or twice."
    yield True, "Something stays alive that nobody reads any more."


def _freed_at_first_use(made, reads):
    alive = most = 0
    gone = set()
    for i, size in enumerate(made):
        most = max(most, alive := alive + size)
        alive -= sum(made[j] for j in set(reads[i]) - gone)
        gone.update(reads[i])
    return most


def _freed_before(made, reads):
    last = {j: i for i, read in enumerate(reads) for j in read}
    alive = most = 0
    for i, size in enumerate(made):
        alive -= sum(made[j] for j in set(reads[i]) if last[j] == i)
        most = max(most, alive := alive + size)
    return most
