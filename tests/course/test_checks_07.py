"""The checks of notebook 07 accept right answers and answer wrong ones with a hint."""

import math

import numpy as np
import torch
from support.checks import laws
from torch.nn import functional as F

from lowlight_lib.blocks.binary import DABC2d, sign_ste
from lowlight_lib.course.checks import n07_binary_networks as own


def attend(z, weight, spread=None, pad=None, squash=torch.sigmoid):
    """By loops over items, channels and the neighbours of each."""
    n, c = z.shape[:2]
    spread = spread or (lambda v: (v.var() + 1e-6).sqrt())
    out, r = torch.zeros(n, c), weight.shape[2] // 2
    for i in range(n):
        seen = [[v.abs().mean(), v.mean(), spread(v)] for v in z[i]]
        for k in range(c):
            for tap in range(weight.shape[2]):
                if 0 <= k + tap - r < c:
                    out[i, k] += sum(
                        weight[0, row, tap] * seen[k + tap - r][row] for row in range(3)
                    )
    return squash(out)[..., None, None]


def own_neighbourless(z, weight):
    middle = torch.zeros_like(weight)
    middle[..., weight.shape[2] // 2] = weight[..., weight.shape[2] // 2]
    return own.attend(z, middle)


def parts(x, b):
    """(z, sums, factor) of a block."""
    z = x + b.threshold
    return z, b.conv(sign_ste(z)), b.attention(z)


def dabc(x, b):
    z = x + b.threshold
    signs = torch.sign(b.conv.weight)
    alpha = b.conv.weight.abs().mean((1, 2, 3), keepdim=True)
    y = alpha.view(1, -1, 1, 1) * F.conv2d(sign_ste(z), signs, padding=1)
    y = own.attend(z, b.attention.conv.weight) * y + b.act.before
    return x + torch.where(y > 0, y, b.act.slope.view(1, -1, 1, 1) * y) + b.act.after


def bits_of(x, t):
    return t.act(t.conv(sign_ste(x + t.threshold)))


def down(x, t):
    mean = x.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).mean((3, 5))
    mixed = torch.einsum("nchw,dc->ndhw", mean, t.skip.weight[..., 0, 0])
    return bits_of(x, t) + mixed + t.skip.bias.view(1, -1, 1, 1)


def pixels_seen(attention, kernel, h, w):
    """How many pixels of the input, changed one by one, change the output in the middle."""
    torch.manual_seed(0)
    block, x = DABC2d(4, kernel, attention=attention), torch.randn(1, 4, h, w)
    one = torch.eye(h * w).view(-1, 1, h, w)
    with torch.inference_mode():
        # Far over the threshold in one pixel of each item; none in the last.
        y = block(x - 10 * x.sign() * torch.cat([one, 0 * one[:1]]))[..., h // 2, w // 2]
    return int(((y[:-1] - y[-1]).abs() > 1e-6).any(1).sum())


def drawn_flips(n, density, d):
    rng = np.random.default_rng(0)
    z = rng.normal(0, 1 / (density * (2 * math.pi) ** 0.5), n)
    return (np.sign(z) != np.sign(z + d * rng.choice([-1, 1], n))).sum()


def bill(ops):
    bits = sum(m for _, m, b in ops if b) / 64
    skips = sum(m for name, m, b in ops if not b and name.endswith("skip"))
    return bits, skips, sum(m for _, m, b in ops if not b) - skips


def changed(change):
    return lambda ops: change(*bill(ops))


def by_name_first(ops):
    skips = sum(m for name, m, _ in ops if "skip" in name)
    return 0, skips, sum(m for _, m, _ in ops) - skips


RIGHT = {
    "attend": attend,
    "dabc": dabc,
    "pixels_seen": pixels_seen,
    "down": down,
    "expected_flips": drawn_flips,
    "bill": bill,
}
WRONG = [
    ("attend", lambda z, w: attend(z, w)[..., 0, 0], "your tensor is of shape"),
    ("attend", lambda z, w: attend(z, w, squash=lambda v: v), "missing its sigmoid"),
    ("attend", lambda z, w: attend(z, w, spread=torch.var), "square root"),
    ("attend", lambda z, w: attend(z, w, spread=lambda v: v.std(correction=0)), "one less"),
    ("attend", lambda z, w: own.attend(z, w.flip(2)), "backwards along"),
    ("attend", own_neighbourless, "hear their neighbours"),
    ("attend", lambda z, w: own.attend(z, w.flip(1)), "most of all at"),
    ("dabc", lambda x, b: dabc(x, b) - x, "not added"),
    ("dabc", lambda x, b: x + b.act(b.attention(x + b.threshold) * b.conv(x + b.threshold)),
     "no sign yet"),
    ("dabc", lambda x, b: x + b.act(b.attention(x + b.threshold) * b.conv(sign_ste(x))),
     "forgets the threshold"),
    ("dabc", lambda x, b: x + b.act(b.attention(x) * parts(x, b)[1]), "attention reads x"),
    ("dabc", lambda x, b: x + b.act(b.attention(sign_ste(parts(x, b)[0])) * parts(x, b)[1]),
     "nothing left"),
    ("dabc", lambda x, b: x + b.act(parts(x, b)[1]), "attention is missing"),
    ("dabc", lambda x, b: x + parts(x, b)[2] * b.act(parts(x, b)[1]), "before the activation"),
    ("dabc", lambda x, b: b.act(x + parts(x, b)[2] * parts(x, b)[1]), "behind the activation"),
    ("dabc", lambda x, b: dabc(x, b) + b.threshold, "x is added, not z"),
    ("dabc", lambda x, b: x + parts(x, b)[2] * parts(x, b)[1], "activation is missing"),
    ("dabc", lambda x, b: x + b.act(parts(x, b)[2] * b.conv(torch.sign(parts(x, b)[0]))),
     "The gradient is not"),
    ("pixels_seen", lambda attention, k, h, w: k * k, "from which pixels"),
    ("pixels_seen", lambda attention, k, h, w: h * w, "one pixel after the other"),
    ("down", bits_of, "bits alone"),
    ("down", lambda x, t: t.skip(F.avg_pool2d(x, 2)), "skip alone"),
    ("down", lambda x, t: bits_of(x, t) + t.skip(x[..., ::2, ::2]), "throws"),
    ("down", lambda x, t: bits_of(x - t.threshold, t) + t.skip(F.avg_pool2d(x, 2)), "forgets"),
    ("down", lambda x, t: bits_of(x, t) + t.skip(F.max_pool2d(x, 2)), "not the largest"),
    ("down", lambda x, t: t.conv(sign_ste(x + t.threshold)) + t.skip(F.avg_pool2d(x, 2)),
     "activation is missing"),
    ("expected_flips", lambda n, p, d: 2 * n * p * d, "half of them"),
    ("expected_flips", lambda n, p, d: n * d * d, "which length"),
    ("bill", changed(lambda bits, skips, other: (64 * bits, skips, other)), "costs a 64th"),
    ("bill", changed(lambda bits, skips, other: (bits, skips / 64, other / 64)), "keep their"),
    ("bill", changed(lambda bits, skips, other: (bits, skips + other, 0)), "only what ends"),
    ("bill", changed(lambda bits, skips, other: (bits, 0, skips + other)), "place of their own"),
    ("bill", by_name_first, "Ask first"),
    ("bill", lambda ops: (1, 2, 3), "one by one"),
]  # fmt: skip
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
