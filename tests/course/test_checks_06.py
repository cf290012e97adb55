"""The checks of notebook 06 accept right answers and answer wrong ones with a hint."""

import math

import numpy as np
import torch
from support.checks import accepts, laws
from torch.nn import functional as F

from lowlight_lib.course import checks
from lowlight_lib.course.checks import n06_binarized_conv as own


def normal(x, t, sigma):
    return (x - t) / (sigma * 2**0.5)


def border(h, w, k):
    return 1 - max(h - k + 1, 0) * max(w - k + 1, 0) / (h * w)


def drawn_bits(x, t, sigma):
    noise = np.random.default_rng(0).standard_normal(400_000)
    return np.sign(x + sigma * noise - t).mean()


def adam_steps(w, lr, gradients):
    """The step of PyTorch's Adam in which w > 0 comes down to 0; 0 if none does."""
    p = torch.tensor([w], dtype=torch.float64)
    optimizer = torch.optim.Adam([p], lr=lr)
    for t, gradient in enumerate(gradients, 1):
        p.grad = torch.full_like(p, gradient)
        optimizer.step()
        if p.item() <= 0:
            return t
    return 0


def changed_by_padding(h, w, k):
    frame, weight, r = torch.full((1, 1, h, w), -1.0), torch.ones(1, 1, k, k), k // 2
    zeros, ones = (F.conv2d(F.pad(frame, (r,) * 4, value=v), weight) for v in (0.0, 1.0))
    return (zeros != ones).double().mean().item()


def soft(x, kind):
    inside = x.clamp(-1, 1)
    return inside if kind == "clip" else inside * (2 - inside.abs())


def with_slope(slope):
    """A sign whose gradient is slope(x, kind, what arrives)."""

    def answer(x, kind):
        class Sign(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return torch.sign(x)

            @staticmethod
            def backward(ctx, g):
                return slope(ctx.saved_tensors[0], kind, g)

        return Sign.apply(x)

    return answer


def near(x):
    return (x.abs() <= 1).float()


def by_autograd(x, kind, g):
    return g * (near(x) if kind == "clip" else (2 - 2 * x.abs()).clamp(min=0))


def words_by_hand(signs):
    """Each word as a Python integer, sign by sign."""
    rows = []
    for row in signs.reshape(-1, signs.shape[-1]):
        bits = "".join("1" if s > 0 else "0" for s in row[::-1])
        number = int(bits, 2)
        rows.append([number >> 64 * k & 2**64 - 1 for k in range(-(-len(row) // 64))])
    return np.array(rows, np.uint64).reshape(*signs.shape[:-1], -1)


def conv_by_pytorch(x, w, n):
    """Unpack the words, and let PyTorch multiply."""

    def signs(words):
        bits = np.unpackbits(words.view(np.uint8), axis=-1, bitorder="little", count=n)
        return torch.from_numpy(bits.astype(np.float32) * 2 - 1).movedim(-1, -3)

    return F.conv2d(signs(x)[None], signs(w), padding=w.shape[1] // 2)[0].numpy()


def as_border(pad):
    """The convolution with another border."""

    def answer(x, w, n):
        k, (h, wide, _) = w.shape[1], x.shape
        x = np.pad(x, [(k // 2, k // 2)] * 2 + [(0, 0)], **pad)
        return sum(
            n - 2 * np.bitwise_count(x[i : i + h, j : j + wide] ^ w[:, i, j, None, None])
            .sum(-1, dtype=int)
            for i, j in np.ndindex(k, k)
        )  # fmt: skip

    return answer


def differing(x, w, n):
    return (n * w.shape[1] ** 2 - own.conv_by_bits(x, w, n)) // 2


RIGHT = {
    "mean_of_bits": drawn_bits,
    "sign_with_gradient": with_slope(by_autograd),
    "pack_signs": words_by_hand,
    "conv_by_bits": conv_by_pytorch,
    "share_at_border": changed_by_padding,
    "steps_until_flip": adam_steps,
}
WRONG = [
    ("mean_of_bits", lambda x, t, s: x - t, "how far"),
    ("mean_of_bits", lambda x, t, s: (x - t) / s, "never above 1"),
    ("mean_of_bits", lambda *args: (1 + math.erf(normal(*args))) / 2, "not 0"),
    ("mean_of_bits", lambda x, t, s: math.erf((x - t) / s), "root of 2"),
    ("mean_of_bits", lambda x, t, s: -1, "How probable"),
    ("sign_with_gradient", lambda x, kind: x[:3], "Step 1: x has shape"),
    ("sign_with_gradient", soft, "What comes out has to be a sign"),
    ("sign_with_gradient", lambda x, kind: torch.sign(x).detach(), "finds its way"),
    ("sign_with_gradient", lambda x, kind: torch.sign(x), "as that of torch.sign"),
    ("sign_with_gradient", with_slope(lambda x, kind, g: g), "flat there"),
    ("sign_with_gradient", with_slope(lambda x, kind, g: near(x)), "chain rule"),
    ("sign_with_gradient", with_slope(lambda x, kind, g: g * near(x)), "favour"),
    ("sign_with_gradient", with_slope(lambda x, kind, g: g * near(x) / 2), "derivative"),
    ("pack_signs", lambda s: s, "yours have"),
    ("pack_signs", lambda s: own.pack_signs(s).astype(float), "float64 has 53"),
    ("pack_signs", lambda s: own.pack_signs(-s), "wrote 1 for -1"),
    ("pack_signs", lambda s: own.pack_signs(s[..., ::-1]), "highest"),
    ("pack_signs", lambda s: own.pack_signs(
        np.concatenate([s, np.ones(-len(s) % 64)]) if s.ndim == 1 else s), "hold ones"),
    ("pack_signs", lambda s: own.pack_signs(s) // np.uint64(2), "bin"),
    ("conv_by_bits", lambda x, w, n: np.zeros(3), "expected"),
    ("conv_by_bits", lambda x, w, n: own.conv_by_bits(x, w[:, ::-1, ::-1], n), "180 degrees"),
    ("conv_by_bits", as_border({}), "bits of -1"),
    ("conv_by_bits", as_border({"mode": "wrap"}), "opposite side"),
    ("conv_by_bits", differing, "so many signs differ"),
    ("conv_by_bits", lambda x, w, n: n * w.shape[1] ** 2 - differing(x, w, n), "so many agree"),
    ("conv_by_bits", lambda x, w, n: own.conv_by_bits(x, w, n).astype(np.uint8), "runs over"),
    ("conv_by_bits", lambda x, w, n: own.conv_by_bits(x, w, n) + 1, "you say"),
    ("share_at_border", lambda h, w, k: 1 - border(h, w, k), "we ask for"),
    ("share_at_border", lambda h, w, k: 2 * (k // 2) * (h + w) / (h * w), "twice"),
    ("share_at_border", lambda h, w, k: 100 * border(h, w, k), "between 0 and 1"),
    ("share_at_border", lambda h, w, k: 1 - (h - k // 2) * (w - k // 2) / (h * w), "both sides"),
    ("share_at_border", lambda h, w, k: 0.5, "lies inside"),
    ("share_at_border", lambda h, w, k: 1 - (h - k + 1) * (w - k + 1) / (h * w), "fewer than none"),
    ("steps_until_flip", lambda w, lr, g: next(
        (t for t, s in enumerate(np.cumsum(g), 1) if lr * s >= w), 0), "plain gradient descent"),
    ("steps_until_flip", lambda *args: own.steps_until_flip(*args, correct=False), "start at 0"),
    ("steps_until_flip", lambda *args: own.steps_until_flip(*args) or 50, "never flips here"),
    ("steps_until_flip", lambda w, lr, g: 305, "Close"),
    ("steps_until_flip", lambda w, lr, g: 200, "Update m and v"),
]  # fmt: skip
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)


def test_the_trick_with_detach_is_right():
    accepts("sign_with_gradient", lambda x, k: soft(x, k) + (torch.sign(x) - soft(x, k)).detach())


def test_a_check_leaves_the_student_s_random_numbers_alone():
    torch.manual_seed(1)
    before = torch.rand(1)
    torch.manual_seed(1)
    checks.verify("06.1", RIGHT["mean_of_bits"])
    assert torch.equal(torch.rand(1), before)
