"""The checks of notebook 06 accept what is right, refuse the likely wrong answers, and say why."""

import math

import pytest
import torch

from lowlight_lib.course import checks
from lowlight_lib.course.checks import n06_binarized_conv as n06


def refused(says, check, function):
    with pytest.raises(AssertionError, match=says):
        check(function)


def test_mean_of_bits():
    checks.mean_of_bits(lambda x, t, s: math.erf((x - t) / (s * 2**0.5)))
    for wrong, says in (
        (lambda x, t, s: x - t, "how far"),
        (lambda x, t, s: (x - t) / s, "never above 1"),
        (lambda x, t, s: (1 + math.erf((x - t) / (s * 2**0.5))) / 2, "not 0"),
        (lambda x, t, s: math.erf((x - t) / s), "root of 2"),
        (lambda x, t, s: -1, "How probable"),
        (lambda x, t, s: None, "return"),
    ):
        refused(says, checks.mean_of_bits, wrong)


def test_steps_until_flip():
    checks.steps_until_flip(lambda w, lr, g: w / lr)
    checks.steps_until_flip(lambda w, lr, g: math.floor(w / lr) + 1)
    refused("plain gradient descent", checks.steps_until_flip, lambda w, lr, g: w / (lr * g))
    refused("We ran Adam", checks.steps_until_flip, lambda w, lr, g: 12)


def test_share_at_border():
    def right(h, w, k):
        return 1 - max(h - k + 1, 0) * max(w - k + 1, 0) / (h * w)

    checks.share_at_border(right)
    refused("we ask for", checks.share_at_border, lambda h, w, k: 1 - right(h, w, k))
    refused("twice", checks.share_at_border, lambda h, w, k: 2 * (k // 2) * (h + w) / (h * w))
    refused("between 0 and 1", checks.share_at_border, lambda h, w, k: 100 * right(h, w, k))
    refused("both sides", checks.share_at_border,
            lambda h, w, k: 1 - (h - k // 2) * (w - k // 2) / (h * w))  # fmt: skip
    refused("lies inside", checks.share_at_border, lambda h, w, k: 0.5)
    refused("3 x 4", checks.share_at_border,  # a frame smaller than the kernel
            lambda h, w, k: 1 - (h - k + 1) * (w - k + 1) / (h * w) if h > 3 else 0)  # fmt: skip


def test_pixels_seen():
    checks.pixels_seen(lambda attention, k, h, w: h * w if attention else k * k)
    refused("from which pixels", checks.pixels_seen, lambda attention, k, h, w: k * k)
    refused("one pixel after the other", checks.pixels_seen, lambda attention, k, h, w: h * w)


def test_expected_flips():
    checks.expected_flips(lambda n, p, d: n * p * d)
    refused("half of them", checks.expected_flips, lambda n, p, d: 2 * n * p * d)
    refused("which length", checks.expected_flips, lambda n, p, d: n * d * d)


def test_times_cheaper_with_bits():
    checks.times_cheaper_with_bits(lambda m, b: m / (m - b + b / 64))
    for wrong, says in (
        (lambda m, b: 64, "bits alone"),
        (lambda m, b: 64 * b / m, "does not vanish"),
        (lambda m, b: (m - b + b / 64) / m, "upside down"),
        (lambda m, b: m / (m - b), "Old cost"),
    ):
        refused(says, checks.times_cheaper_with_bits, wrong)


def test_truths_are_measured_and_leave_the_student_s_random_numbers_alone():
    torch.manual_seed(1)
    before = torch.rand(1)
    torch.manual_seed(1)
    assert n06._adam_steps(0.3, 0.001, 1.0) == pytest.approx(300, abs=2)
    assert n06._pixels_seen(False, 3, 7, 8) == 9 and n06._pixels_seen(True, 3, 7, 8) == 56
    checks.times_cheaper_with_bits(lambda m, b: m / (m - b + b / 64))
    assert torch.equal(torch.rand(1), before)
