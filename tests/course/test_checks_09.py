"""The checks of notebook 09: right answers pass, likely wrong ones are told what to think about."""

import math

from support.checks import refuses
from torch import nn

from lowlight_lib.course import checks
from lowlight_lib.deploy import cost, counting


def test_one_by_one_against_three_by_three(capsys):
    check = checks.one_by_one_against_three_by_three

    def counted(channels, scale):
        shapes = (1, channels, 64, 96), (1, channels, 64 // scale, 96 // scale)
        layers = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 3, padding=1)
        point, window = (cost.count(*pair).macs for pair in zip(layers, shapes, strict=True))
        return point / window

    check(counted)
    assert "7.1" in capsys.readouterr().out
    refuses(check, lambda channels, scale: 1 / 9, "far fewer positions")
    refuses(check, lambda channels, scale: scale / 9, "and.*height")
    refuses(check, lambda channels, scale: 9 / scale**2, "the other layer")
    refuses(check, lambda channels, scale: None, "return")


def bytes_of_layer(c_in, c_out, kernel, groups, height, width):
    return 4 * ((c_in + c_out) * height * width + c_out * c_in // groups * kernel**2)


def test_bytes_of_layer():
    check = checks.bytes_of_layer

    def counted(c_in, c_out, kernel, groups, *size):
        layer = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups, bias=False)
        [op] = counting.trace(layer, (1, c_in, *size))
        return sum(4 * math.prod(shape) for shape in (op.input, op.weight, op.output))

    check(counted)
    refuses(check, lambda *a: bytes_of_layer(*a) / 4, "four bytes")
    refuses(check, lambda i, o, k, g, h, w: bytes_of_layer(i, o, k, 1, h, w), "own group")
    refuses(check, lambda i, o, k, g, h, w: 4 * (i + o) * h * w, "weights")
    for end in (0, 1):  # forgets the input, forgets the output
        refuses(check, lambda *a, n=end: bytes_of_layer(*a) - 4 * a[n] * a[4] * a[5], "written")


def test_redi_with_small_kernels():
    check = checks.redi_with_small_kernels

    def remaining(parts, shrunk, factor):
        large = sum(parts[name] for name in shrunk)
        return sum(parts.values()) - large + large * factor

    both = ("lse", "fuse")
    check(lambda parts: remaining(parts, both, 9 / 25))
    refuses(check, lambda parts: remaining(parts, parts, 9 / 25), "Only two")
    refuses(check, lambda parts: remaining(parts, both, 3 / 5), "two sides")
    refuses(check, lambda parts: remaining(parts, ("fuse",), 9 / 25), "second 5x5")
    refuses(check, lambda parts: sum(parts.values()), "lose")


def test_share_of_transposed():
    check = checks.share_of_transposed

    def parts(ops):
        up = sum(op.macs for op in ops if op.kind == "transposed convolution")
        return up, sum(op.macs for op in ops) - up

    def right(ops):
        up, rest = parts(ops)
        return up / (up + rest), 4 * up / (4 * up + rest)

    check(right)
    refuses(check, lambda ops: (parts(ops)[0] / parts(ops)[1], right(ops)[1]), "over the MACs")
    refuses(check, lambda ops: (right(ops)[0], 4 * right(ops)[0]), "in its total")
    refuses(check, lambda ops: (right(ops)[0], 0.5), "by 4")
    refuses(check, lambda ops: (0.1,), "numbers of shape")


def kept_per_layer(training, act):
    """How many features one more convolution with its activation adds to the peak."""

    def peak(layers):
        chain = [(nn.Conv2d(8, 8, 3, padding=1, bias=False), act) for _ in range(layers)]
        net = nn.Sequential(*(layer for pair in chain for layer in pair))
        return cost.count(net, (1, 8, 64, 64), training=training).peak_bytes

    return round((peak(12) - peak(4)) / 8 / (4 * 8 * 64 * 64))


def test_features_kept():
    check = checks.features_kept
    kinds = (False, nn.LeakyReLU()), (True, nn.LeakyReLU()), (True, nn.LeakyReLU(inplace=True))
    check(lambda: [kept_per_layer(*kind) for kind in (*kinds, (True, nn.ReLU()))])
    refuses(check, lambda: (1, 2, 1, 1), "who needs its input")
    refuses(check, lambda: (0, 1, 1, 1), "What does LeakyReLU need")
    refuses(check, lambda: (0, 2, 2, 1), "no input left")
    refuses(check, lambda: (0, 2, 1, 2), "slope was 0")
    refuses(check, lambda: (0, 2), "numbers of shape")


def test_fastest_possible():
    check = checks.fastest_possible
    check(lambda macs, peak: 2 * macs / peak)
    refuses(check, lambda macs, peak: macs / peak, "two operations")
    refuses(check, lambda macs, peak: 2000 * macs / peak, "In seconds")
    refuses(check, lambda macs, peak: peak / (2 * macs), "pictures a second")


def test_least_seconds():
    check = checks.least_seconds
    check(lambda flops, moved, peak, bandwidth: max(flops / peak, moved / bandwidth))
    refuses(check, lambda f, m, p, b: f / p + m / b, "You add")
    refuses(check, lambda f, m, p, b: min(f / p, m / b), "before both")
    refuses(check, lambda f, m, p, b: f / p, "before both")
    refuses(check, lambda f, m, p, b: 2 * max(f / p, m / b), "wait for")
