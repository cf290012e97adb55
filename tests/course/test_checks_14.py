"""The checks of notebook 14 accept right answers and answer wrong ones with a hint."""

import math

import numpy as np
import torch
from support.checks import laws
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F


def step(low, high):
    return (high - low) / 255


def scale_and_zero(low, high):
    low, high = min(low, 0.0), max(high, 0.0)
    return step(low, high), round(-low / step(low, high))


def too_coarse(low, high):
    scale, zero = scale_and_zero(low, high)
    return scale * 255 / 250, round(zero * 250 / 255)


def traced(example, width, multiple):
    graph = make_fx(lambda x: F.pad(x, (0, -x.shape[-1] % multiple)))(torch.zeros(1, example))
    return graph(torch.zeros(1, width)).shape[-1]


def sorted_threshold(
    values, method, divergence, *, part=0.999, zeros=True, kept=0, bins=1024, start=256,
    first=False, top=None, edge=True,
):  # fmt: skip
    """Another way to write it, with room for slips."""
    ordered = np.sort(values if zeros else values[values > 0])
    if method == "min-max":
        return ordered[-1]
    if method == "percentile":
        return np.quantile(ordered, part)
    if divergence is None:
        return 1.0
    counts, edges = np.histogram(values[values > -kept], bins, (0, top or values.max()))
    ends = list(range(start, bins + 1, 16))
    lost = [divergence(counts, end) for end in ends]
    place = lost.index(min(lost)) if first else len(lost) - 1 - lost[::-1].index(min(lost))
    return edges[ends[place]] if edge else ends[place]


def slip(**how):
    return lambda values, method, divergence: sorted_threshold(values, method, divergence, **how)


def never_asks(values, method, divergence):
    return sorted_threshold(values, method, None)


def layer(x, weight, bias, low, high):
    """PyTorch's own rounding, and sums by hand over patches."""
    s, z = scale_and_zero(low, high)
    qx = torch.quantize_per_tensor(x, s, z, torch.quint8).int_repr().float()
    flat = weight.flatten(1)
    each = flat.abs().max(1).values / 127
    qw = (flat / each[:, None]).round()
    patches = F.unfold(qx.double() - z, weight.shape[-1], padding=weight.shape[-1] // 2)
    sums = (qw.double() @ patches).view(len(x), len(weight), *x.shape[2:])
    made = sums * (s * each.double()).view(-1, 1, 1) + bias.view(-1, 1, 1)
    return qx, qw.view_as(weight), sums, made.float()


def wrong_at(place, change):
    def answer(x, weight, bias, low, high):
        found = list(layer(x, weight, bias, low, high))
        found[place] = change(found, x, weight, bias, *scale_and_zero(low, high))
        return tuple(found)

    return answer


def sums_of(found, pad=0, zero=0):
    k = found[1].shape[-1] // 2
    x = F.pad(found[0], (k,) * 4, value=float(pad)) - zero
    return F.conv2d(x.double(), found[1].double())


def gains(layers, error, sign=1, factor=10.0, log=math.log10, order=True, keep=None):
    nothing = error(())
    found = {
        name: sign * factor * log(nothing / error(keep(name) if keep else (name,)))
        for name in layers
    }
    names = sorted(found, key=found.get)[::-1] if order else sorted(found)
    return {name: found[name] for name in names}


RIGHT = {
    "frozen_width": traced,
    "scale_and_zero": scale_and_zero,
    "threshold": sorted_threshold,
    "int8_conv": layer,
    "restored": gains,
}
WRONG = [
    ("frozen_width", lambda example, width, multiple: width + -width % multiple, "no longer asks"),
    ("frozen_width", lambda example, width, multiple: example + -example % multiple, "How many"),
    ("scale_and_zero", lambda low, high: (step(low, high), -low / step(low, high)), "whole"),
    ("scale_and_zero", lambda low, high: (step(low, high), 0), "both ends"),
    ("scale_and_zero", lambda low, high: (-1.0, 0), "distance"),
    ("scale_and_zero", too_coarse, "the step can be"),
    ("scale_and_zero", lambda low, high: (step(low, high), 0 if low >= 0 else 64), "both ends"),
    ("threshold", lambda values, method, divergence: 1.0, "Step 1.*How many"),
    ("threshold", slip(part=0.99), "Step 2.*one in a hundred"),
    ("threshold", slip(zeros=False), "Step 2.*zeros count"),
    ("threshold", slip(part=0.9999), "Step 2.*lie above"),
    ("threshold", never_asks, "never asked"),
    ("threshold", slip(kept=1), "zeros are in your histogram"),
    ("threshold", slip(bins=512), "has 512 bins"),
    ("threshold", slip(top=5.0), "from 0 to the largest"),
    ("threshold", slip(start=272), "begin at 256"),
    ("threshold", slip(first=True), "clips more"),
    ("threshold", slip(edge=False), "number of a bin"),
    ("int8_conv", lambda *given: layer(*given)[3], "Return 4 tensors"),
    ("int8_conv", lambda *given: (layer(*given)[0][:1], *layer(*given)[1:]), "shape"),
    ("int8_conv", wrong_at(0, lambda f, x, w, b, s, z: f[0] - z), "lost its zero point"),
    ("int8_conv", wrong_at(0, lambda f, x, w, b, s, z: (x / s).round() + z), "clipped"),
    ("int8_conv", wrong_at(0, lambda f, *_: f[0] + 1), "Step 1: you are off"),
    (
        "int8_conv",
        wrong_at(1, lambda f, x, w, *_: (w / w.abs().max() * 127).round()),
        "Step 2.*own",
    ),
    ("int8_conv", wrong_at(2, lambda f, *_: sums_of(f)), "zero point is still"),
    ("int8_conv", wrong_at(2, lambda f, x, w, b, s, z: sums_of(f, 0, z)), "which float"),
    ("int8_conv", wrong_at(3, lambda f, x, w, b, s, z: f[3] - b.view(-1, 1, 1)), "the bias"),
    ("int8_conv", wrong_at(3, lambda f, x, w, b, s, z: s * f[2] + b.view(-1, 1, 1)), "missing"),
    ("restored", lambda layers, error: gains(layers, error, keep=lambda name: name), "comma"),
    ("restored", lambda layers, error: list(gains(layers, error)), "for each layer"),
    ("restored", lambda layers, e: gains(layers, e, keep=lambda n: (n, "last")), "at a time"),
    ("restored", lambda layers, error: gains(layers, error, sign=-1), "is a gain"),
    ("restored", lambda layers, error: gains(layers, error, factor=5.0), "squared error already"),
    ("restored", lambda layers, error: gains(layers, error, log=math.log), "base 10"),
    ("restored", lambda layers, error: gains(layers, error, factor=33.0), "nothing is restored"),
    ("restored", lambda layers, error: gains(layers, error, order=False), "useful layer first"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
