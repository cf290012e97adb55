"""The checks of notebook 06 accept right answers and answer wrong ones with a hint."""

import math

import numpy as np
import torch
from support.checks import accepts, laws
from torch.nn import functional as F

from lowlight_lib.course import checks


def normal(x, t, sigma):
    return (x - t) / (sigma * 2**0.5)


def border(h, w, k):
    return 1 - max(h - k + 1, 0) * max(w - k + 1, 0) / (h * w)


def drawn_bits(x, t, sigma):
    noise = np.random.default_rng(0).standard_normal(400_000)
    return np.sign(x + sigma * noise - t).mean()


def adam_steps(w, lr, gradient):
    """Steps until PyTorch's Adam has moved w > 0 below 0."""
    p, steps = torch.tensor([w], dtype=torch.float64), 0
    p.grad, optimizer = torch.full_like(p, gradient), torch.optim.Adam([p], lr=lr)
    while p.item() > 0:
        optimizer.step()
        steps += 1
    return steps


def changed_by_padding(h, w, k):
    frame, weight, r = torch.full((1, 1, h, w), -1.0), torch.ones(1, 1, k, k), k // 2
    zeros, ones = (F.conv2d(F.pad(frame, (r,) * 4, value=v), weight) for v in (0.0, 1.0))
    return (zeros != ones).double().mean().item()


RIGHT = {
    "mean_of_bits": drawn_bits,
    "steps_until_flip": adam_steps,
    "share_at_border": changed_by_padding,
}
WRONG = [
    ("mean_of_bits", lambda x, t, s: x - t, "how far"),
    ("mean_of_bits", lambda x, t, s: (x - t) / s, "never above 1"),
    ("mean_of_bits", lambda *args: (1 + math.erf(normal(*args))) / 2, "not 0"),
    ("mean_of_bits", lambda x, t, s: math.erf((x - t) / s), "root of 2"),
    ("mean_of_bits", lambda x, t, s: -1, "How probable"),
    ("steps_until_flip", lambda w, lr, g: w / (lr * g), "plain gradient descent"),
    ("steps_until_flip", lambda w, lr, g: 12, "one step of Adam"),
    ("share_at_border", lambda h, w, k: 1 - border(h, w, k), "we ask for"),
    ("share_at_border", lambda h, w, k: 2 * (k // 2) * (h + w) / (h * w), "twice"),
    ("share_at_border", lambda h, w, k: 100 * border(h, w, k), "between 0 and 1"),
    ("share_at_border", lambda h, w, k: 1 - (h - k // 2) * (w - k // 2) / (h * w), "both sides"),
    ("share_at_border", lambda h, w, k: 0.5, "lies inside"),
    ("share_at_border", lambda h, w, k: 1 - (h - k + 1) * (w - k + 1) / (h * w), "fewer than none"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_steps_need_not_be_whole():
    accepts("steps_until_flip", lambda w, lr, g: w / lr)


def test_a_check_leaves_the_student_s_random_numbers_alone():
    torch.manual_seed(1)
    before = torch.rand(1)
    torch.manual_seed(1)
    checks.verify("06.1", RIGHT["mean_of_bits"])
    assert torch.equal(torch.rand(1), before)
