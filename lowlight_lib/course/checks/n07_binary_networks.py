"""Exercises of notebook 07."""

import math
from typing import Any

import torch
from torch.nn import functional as F

from ...blocks.binary import BinaryTransition, DABC2d, DistributionAwareAttention
from .common import ANY, answer_of, exercise, hold


def attend(z, weight):
    attention = DistributionAwareAttention(z.shape[1])
    attention.conv.weight = torch.nn.Parameter(weight)
    attention.conv.padding = (weight.shape[2] // 2,)
    return attention(z)


def _z(n=2, c=16, h=6, w=7):
    torch.manual_seed(0)
    return 0.3 + torch.randn(n, c, h, w) * torch.linspace(0.2, 2, c).view(1, c, 1, 1)


@exercise("07.1", 2, attend)
@torch.no_grad()
def _(function):
    """Right: three numbers a channel, a word with the neighbours, and a factor from 0 to 1."""
    z, k = _z(), 3
    one = torch.zeros(1, 3, k)
    names = ("mean of |z|", "mean of z", "standard deviation of z")
    for row, name in enumerate(names):
        weight = one.clone()
        weight[0, row, 1] = 1
        truth, stats = attend(z, weight), z.flatten(2)
        biased = torch.sigmoid(stats.std(2, correction=0))[..., None, None]
        var = torch.sigmoid(stats.var(2))[..., None, None]
        whole = torch.sigmoid(torch.logit(truth).mean((0, 1), keepdim=True)).expand_as(truth)
        slips = [
            (torch.logit(truth), "a factor between 0 and 1 is missing its sigmoid."),
            (whole, "each item and each channel has a number of its own."),
        ]
        if row == 2:
            slips += [(var, "that is the variance; the square root is missing.")]
            slips += [(biased, "divide by one less than the number of pixels, as z.var does.")]
        hold(f"Step 1, only the {name} counts", answer_of(function, z, weight), truth, slips)
    for step, size in ((2, 3), (3, 5)):
        z, weight = _z(2, 16 if size == 3 else 32), torch.randn(1, 3, size)
        truth = attend(z, weight)
        seen = torch.logit(attend(z, weight.flip(2)))
        slips = [(torch.sigmoid(seen), "the kernel runs backwards along the channels.")]
        slips += [(attend(z, _middle(weight)), "channels do not hear their neighbours yet.")]
        said = f"Step {step}, {z.shape[1]} channels, kernel {size}"
        hold(said, answer_of(function, z, weight), truth, slips)


def _middle(weight):
    only = torch.zeros_like(weight)
    only[..., weight.shape[2] // 2] = weight[..., weight.shape[2] // 2]
    return only


def dabc(x, block):
    return DABC2d.forward(block, x)


@exercise("07.2", 3, dabc)
@torch.no_grad()
def _(function):
    """Right: this is the block of BRVE, which has 76 of them."""
    block: Any = DABC2d(16)
    x = _z(2, 16)
    for p in block.parameters():
        p.copy_(torch.randn_like(p) * 0.3)
    attention, s = block.attention, block.attention(x + block.threshold)
    z = x + block.threshold
    y = block.conv(torch.sign(z))
    slips = [
        (block.act(s * y), "the input is not added to the result yet."),
        (x + block.act(s * block.conv(z)), "the convolution reads real numbers: no sign yet."),
        (x + block.act(s * block.conv(torch.sign(x))), "the sign forgets the threshold."),
        (x + block.act(attention(x) * y), "the attention reads x, and should read what the sign "
         "is about to erase, threshold included."),
        (x + block.act(attention(torch.sign(z)) * y), "behind the sign there is nothing left for "
         "the attention to see."),
        (x + block.act(y), "the attention is missing."),
        (x + s * block.act(y), "the attention comes before the activation."),
        (block.act(x + s * y), "the input is added behind the activation, not in front of it."),
        (z + block.act(s * y), "x is added, not z: no threshold on the road past the signs."),
        (x + s * y, "the activation is missing."),
    ]  # fmt: skip
    hold("DABC", answer_of(function, x, block), block(x), slips)
    with torch.enable_grad():
        leaf, other = (x.clone().requires_grad_() for _ in range(2))
        answer_of(function, leaf, block).sum().backward()
        block(other).sum().backward()
    given, truth = leaf.grad, other.grad
    same = given is not None and truth is not None and given.allclose(truth, atol=1e-4)
    assert same, """The values are right. The gradient is not: use `sign_ste`, whose backward is the
        quadratic one."""


_BLOCKS = [(False, 3, 9, 11), (False, 5, 12, 9), (True, 3, 9, 11)]


@exercise("07.3", 1, lambda attention, kernel, h, w: h * w if attention else kernel**2, _BLOCKS)
def pixels_seen(answer, truth, attention, kernel, h, w):
    """Right: with attention every pixel sees the whole frame; tiles are never quite that."""
    yield kernel**2, "That is the window. But s goes into every output: from which pixels?"
    yield True, "Change one pixel after the other: which of them change the one in the middle?"


def down(x, layer):
    return BinaryTransition.forward(layer, x)


@exercise("07.4", 2, down)
@torch.no_grad()
def _(function):
    """Right: the bits halve the frame their way, and a real 1x1 carries the picture past them."""
    layer: Any = BinaryTransition(8, 16, "down")
    x = _z(2, 8, 6, 8)
    for p in layer.parameters():
        p.copy_(torch.randn_like(p) * 0.3)
    bits, mean = layer.act(layer.conv(torch.sign(x + layer.threshold))), F.avg_pool2d(x, 2)
    slips = [
        (bits, "that is the branch of bits alone. What carries the picture past them?"),
        (layer.skip(mean), "that is the skip alone."),
        (bits + layer.skip(x[..., ::2, ::2]), "the skip takes every second pixel and throws "
         "three of four away. It should take their mean."),
        (layer.act(layer.conv(torch.sign(x))) + layer.skip(mean), "the sign forgets the "
         "threshold."),
        (bits + layer.skip(F.max_pool2d(x, 2)), "the skip takes the mean of 2x2 pixels, not the "
         "largest."),
        (layer.conv(torch.sign(x + layer.threshold)) + layer.skip(mean), "the activation is "
         "missing."),
    ]  # fmt: skip
    hold("Down", answer_of(function, x, layer), layer(x), slips)


def _decisions():
    for n, sigma, d in ((2_000_000, 1.0, 0.01), (2_000_000, 0.5, 0.004)):
        yield n, 1 / (sigma * (2 * math.pi) ** 0.5), d


@exercise("07.5", 2, lambda n, density, d: n * density * d, _decisions, relative=0.05)
def expected_flips(answer, truth, n, density, d):
    """Right: the number of decisions counts, and so the size of the frame. One is enough."""
    twice = 2 * truth
    yield twice, "Twice as many as there are: half of them are pushed away from zero."
    yield True, "A sign changes where z lies close enough to zero: in an interval of which length?"


def bill(ops):
    found = [0.0, 0.0, 0.0]
    for name, macs, binary in ops:
        found[0 if binary else 1 if name.endswith("skip") else 2] += macs / (64 if binary else 1)
    return tuple(found)


_OPS = [("a.conv", 640, True), ("a.skip", 50, False), ("enter", 30, False), ("b.conv", 64, True)]


@exercise("07.6", 2, bill, lambda: [([*_OPS],), (_OPS[:2],), ([("skip.conv", 128, True)],)])
def _(answer, truth, ops):
    """Right. Amdahl's law: what is left real sets the price."""
    macs = [sum(m for _, m, b in ops if b), truth[1], truth[2]]
    yield macs, "A binary multiply-accumulate costs a 64th."
    yield [t / 64 for t in (macs[0], *truth[1:])], "Real ones keep their price."
    yield (ANY, truth[1] + truth[2], ANY), "In the second place only what ends in 'skip'."
    yield (ANY, ANY, truth[1] + truth[2]), "The skips have a place of their own: the second."
    yield (0, ANY, ANY), "Ask first whether it is binary, then for its name."
    yield True, "Go through the operations one by one. To which of the three sums does each go?"
