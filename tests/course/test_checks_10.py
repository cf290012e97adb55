"""The checks of notebook 10 accept right answers and answer wrong ones with a hint."""

import math

from support.checks import laws
from torch import nn

from lowlight_lib.deploy import cost, counting


def layer_bytes(c_in, c_out, kernel, groups, height, width):
    return 4 * ((c_in + c_out) * height * width + c_out * c_in // groups * kernel**2)


def without_end(n):
    """Forgets the input (0) or the output (1)."""
    return lambda *a: layer_bytes(*a) - 4 * a[n] * a[4] * a[5]


def remaining(parts, shrunk=("lse", "fuse"), factor=9 / 25):
    large = sum(parts[name] for name in shrunk)
    return sum(parts.values()) - large + large * factor


def split(ops):
    up = sum(op.macs for op in ops if op.kind == "transposed convolution")
    return up, sum(op.macs for op in ops) - up


def shares(ops):
    up, rest = split(ops)
    return up / (up + rest), 4 * up / (4 * up + rest)


def counted_ratio(channels, scale):
    shapes = (1, channels, 64, 96), (1, channels, 64 // scale, 96 // scale)
    layers = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 3, padding=1)
    point, window = (cost.count(*pair).macs for pair in zip(layers, shapes, strict=True))
    return point / window


def counted_bytes(c_in, c_out, kernel, groups, *size):
    layer = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups, bias=False)
    [op] = counting.trace(layer, (1, c_in, *size))
    return sum(4 * math.prod(shape) for shape in (op.input, op.weight, op.output))


def kept_per_layer(training, act):
    """How many features one more convolution with its activation adds to the peak."""

    def peak(layers):
        chain = [(nn.Conv2d(8, 8, 3, padding=1, bias=False), act) for _ in range(layers)]
        net = nn.Sequential(*(layer for pair in chain for layer in pair))
        return cost.count(net, (1, 8, 64, 64), training=training).peak_bytes

    return round((peak(12) - peak(4)) / 8 / (4 * 8 * 64 * 64))


def counted_features():
    kinds = (False, nn.LeakyReLU()), (True, nn.LeakyReLU()), (True, nn.LeakyReLU(inplace=True))
    return [kept_per_layer(*kind) for kind in (*kinds, (True, nn.ReLU()))]


RIGHT = {
    "one_by_one_against_three_by_three": counted_ratio,
    "bytes_of_layer": counted_bytes,
    "redi_with_small_kernels": remaining,
    "share_of_transposed": shares,
    "features_kept": counted_features,
    "fastest_possible": lambda macs, peak: 2 * macs / peak,
    "least_seconds": lambda flops, moved, peak, width: max(flops / peak, moved / width),
}
WRONG = [
    ("one_by_one_against_three_by_three", lambda c, scale: 1 / 9, "far fewer positions"),
    ("one_by_one_against_three_by_three", lambda c, scale: scale / 9, "and.*height"),
    ("one_by_one_against_three_by_three", lambda c, scale: 9 / scale**2, "the other layer"),
    ("bytes_of_layer", lambda *a: layer_bytes(*a) / 4, "four bytes"),
    ("bytes_of_layer", lambda i, o, k, g, h, w: layer_bytes(i, o, k, 1, h, w), "own group"),
    ("bytes_of_layer", lambda i, o, k, g, h, w: 4 * (i + o) * h * w, "weights"),
    ("bytes_of_layer", without_end(0), "written"),
    ("bytes_of_layer", without_end(1), "written"),
    ("redi_with_small_kernels", lambda parts: remaining(parts, parts), "Only two"),
    ("redi_with_small_kernels", lambda parts: remaining(parts, factor=3 / 5), "two sides"),
    ("redi_with_small_kernels", lambda parts: remaining(parts, ("fuse",)), "second 5x5"),
    ("redi_with_small_kernels", lambda parts: sum(parts.values()), "lose"),
    ("share_of_transposed", lambda o: (split(o)[0] / split(o)[1], shares(o)[1]), "over the MACs"),
    ("share_of_transposed", lambda ops: (shares(ops)[0], 4 * shares(ops)[0]), "in its total"),
    ("share_of_transposed", lambda ops: (shares(ops)[0], 0.5), "by 4"),
    ("features_kept", lambda: (1, 2, 1, 1), "who needs its input"),
    ("features_kept", lambda: (0, 1, 1, 1), "What does LeakyReLU need"),
    ("features_kept", lambda: (0, 2, 2, 1), "no input left"),
    ("features_kept", lambda: (0, 2, 1, 2), "slope was 0"),
    ("fastest_possible", lambda macs, peak: macs / peak, "two operations"),
    ("fastest_possible", lambda macs, peak: 2000 * macs / peak, "In seconds"),
    ("fastest_possible", lambda macs, peak: peak / (2 * macs), "pictures a second"),
    ("least_seconds", lambda f, m, p, b: f / p + m / b, "You add"),
    ("least_seconds", lambda f, m, p, b: min(f / p, m / b), "before both"),
    ("least_seconds", lambda f, m, p, b: f / p, "before both"),
    ("least_seconds", lambda f, m, p, b: 2 * max(f / p, m / b), "wait for"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
