"""The checks of notebook 04 accept what is right, refuse the likely wrong answers, and say why."""

import pytest
import torch
from torch.nn import functional as F

from lowlight_lib.blocks.packing import unpack
from lowlight_lib.course import checks
from lowlight_lib.course.checks import n04_pack_unpack as n04


def refused(says, check, *args):
    with pytest.raises(AssertionError, match=says):
        check(*args)


def unpack_one(z, a):
    """The notebook's variant that is right for one picture only."""
    n, channels, h, w = z.shape
    z = z.reshape(n, a, a, channels // (a * a), h, w).permute(3, 4, 0, 1, 5, 2)
    return z.reshape(n, channels // (a * a), h * a, w * a)


def test_unpack_by_loops():
    checks.unpack_by_loops(unpack)
    refused("PixelShuffle", checks.unpack_by_loops, F.pixel_shuffle)
    refused("should be", checks.unpack_by_loops, unpack_one)
    refused("shape", checks.unpack_by_loops, lambda z, a: z)
    refused("return", checks.unpack_by_loops, lambda z, a: None)
    columns_first = lambda z, a: unpack(z, a).mT.contiguous().view_as(unpack(z, a))  # noqa: E731
    refused("should be", checks.unpack_by_loops, columns_first)


def test_source_of_row():
    def right(picture, row, batch, h, a):
        y, rest = divmod(picture * h * a + row, batch * a)
        return rest // a, y * a + rest % a

    def single_rows(picture, row, batch, h, a):
        y, n = divmod(picture * h * a + row, batch)
        return n, y

    checks.source_of_row(right, unpack_one)
    refused("where it belongs", checks.source_of_row, lambda p, r, *_: (p, r), unpack_one)
    refused("Number the rows", checks.source_of_row, single_rows, unpack_one)


def test_times_cheaper():
    checks.times_cheaper(lambda a, c, k: (a * c / k) ** 2)
    refused("counts the pixels", checks.times_cheaper, lambda a, c, k: a * a)
    refused("count twice", checks.times_cheaper, lambda a, c, k: a * a * c / k)
    refused("Upside down", checks.times_cheaper, lambda a, c, k: (k / (a * c)) ** 2)
    refused("Multiply", checks.times_cheaper, lambda a, c, k: a)


def test_receptive_field():
    cells = 1 + 2 * 19  # nineteen 3x3 convolutions
    checks.receptive_field(lambda: 16 * cells)
    for wrong, says in ((16, "one cell"), (cells, "How many pixels"), (19 * 16, "each"),
                        (20 * 16, "each"), (16 * 7, "RDB"), (16 * 37, "Count")):  # fmt: skip
        refused(says, checks.receptive_field, lambda wrong=wrong: wrong)


def test_perceptual():
    def half(features, y, t):
        with torch.no_grad():
            of_t = features(t)
        return F.mse_loss(features(y), of_t)

    def released(features, y, t):
        with torch.no_grad():
            return F.mse_loss(features(y), features(t))

    checks.perceptual(half)
    checks.perceptual(lambda f, y, t: F.mse_loss(f(y), f(t)))
    refused("nothing hangs on it", checks.perceptual, released)
    refused("distance", checks.perceptual, lambda f, y, t: F.l1_loss(f(y), f(t)))
    refused("its gradient is not", checks.perceptual,
            lambda f, y, t: F.mse_loss(f(y.detach()), f(t)))  # fmt: skip


def test_order_matters():
    truth = {"groups", "neighbours"}
    checks.order_matters(lambda: truth)
    refused("None", checks.order_matters, set)
    refused("not among", checks.order_matters, lambda: {"adam"})
    refused("1 more", checks.order_matters, lambda: {"groups"})
    for name in set(n04.CHANGES) - truth:
        refused(f"'{name}' does not care", checks.order_matters, lambda n=name: truth | {n})


def test_the_truth_about_the_order_is_computed_and_not_chance():
    """What trains alike does so to rounding; what does not is off by far more than the limit."""
    torch.manual_seed(1)
    before = torch.rand(1)
    torch.manual_seed(1)
    assert n04._same_training("sgd") and not n04._same_training("groups")
    assert torch.equal(torch.rand(1), before)  # the student's own random numbers go on undisturbed
