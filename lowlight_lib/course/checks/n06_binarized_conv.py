"""Exercises of notebook 06."""

import math
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ...blocks.binary import sign_ste
from .common import answer_of, exercise

_LIGHTS = [(0.3, 0.3, 0.1), (0.35, 0.3, 0.1), (0.2, 0.3, 0.1), (0.5, 0.2, 0.2)]


@exercise("06.1", 2, lambda x, t, s: math.erf((x - t) / s / 2**0.5), _LIGHTS, absolute=0.01)
def mean_of_bits(answer, truth, x, t, sigma):
    """Right: straight near the threshold, flat far from it. Noise turns a step into a slope."""
    u = (x - t) / sigma
    yield x - t, "That is how far the light is from the threshold. How large is the noise?"
    yield u, "Linear near the threshold, but never above 1: which probability bends like that?"
    yield (1 + math.erf(u / 2**0.5)) / 2, "So often the bit is +1. Otherwise it is -1, not 0."
    yield math.erf(u), "Nearly: look up again what erf(u) counts, and mind the root of 2."
    yield True, "How probable is +1, how probable -1? The mean is their difference."


@exercise("06.2", 2, lambda x, kind: sign_ste(x, kind), absolute=1e-5)
def sign_with_gradient(function):
    """Right: forwards exactly a sign, backwards the slope of a smooth stand-in."""
    x = torch.tensor([-2.0, -0.9, -0.5, 0.0, 0.25, 0.7, 1.5])
    kinds: Any = ((2, "clip"), (3, "quadratic"))
    for step, kind in kinds:
        v = x.clone().requires_grad_()
        y, signs = answer_of(function, v, kind), torch.sign(x)
        said = tuple(getattr(y, "shape", ()))
        assert said == x.shape, f"Step 1: x has shape {tuple(x.shape)}, your result {said}."
        k = int((y.detach() - signs).abs().argmax())
        assert torch.allclose(y, signs), f"""Step 1, forwards: for x = {x[k]:.3g} you give
            {y[k]:.3g}. What comes out has to be a sign, 0 at 0."""
        assert y.requires_grad, f"Step {step}: no gradient finds its way from your result to x."
        received = torch.linspace(1, 3, len(x))
        [g] = torch.autograd.grad(y, v, received, allow_unused=True)
        [truth] = torch.autograd.grad(sign_ste(v, kind), v, received)
        assert g is not None and g.abs().max() > 0, f"""Step {step}: the gradient is zero
            everywhere, as that of torch.sign. Which function's slope should pass instead?"""
        assert kind == "clip" or not torch.allclose(g, received * (x.abs() <= 1)), """Step 3: "clip"
            is right, and "quadratic" gives the same. It should favour what is close to flipping."""
        yield f'Step {step}, "{kind}":', g, truth
        beyond = bool(g[x.abs() > 1].any())
        yield beyond, "beyond ±1 your gradient is not 0. The stand-in is flat there."
        k = int((g - truth).abs().argmax())
        yield {
            """that is the slope alone. Times what arrives from behind, as the chain rule
            says.""": truth / received,
            f"""at x = {x[k]:.3g} you pass on {g[k] / received[k]:.3g} times what arrives. Take the
            derivative of the stand-in there.""": True,
        }


def pack_signs(signs):
    bits = np.packbits(np.asarray(signs) > 0, -1, "little")
    missing = -bits.shape[-1] % 8
    padded = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, missing)])
    return np.ascontiguousarray(padded).view("<u8").astype(np.uint64)


@exercise("06.3", 2, pack_signs)
def _(function):
    """Right, for every length from 1 to 200 and for whole frames of vectors."""
    rng = np.random.default_rng(0)
    for step, shape in [(1, (64,)), *((2, (n,)) for n in range(1, 201)), (3, (2, 3, 70))]:
        signs = rng.choice([-1, 1], shape)
        answer, truth = np.asarray(answer_of(function, signs.copy())), pack_signs(signs)
        fits = answer.shape == truth.shape
        assert fits, f"""Step {step}: signs of shape {shape} make words of shape {truth.shape},
            yours have {answer.shape}."""
        yield f"Step {step}:"
        kind = answer.dtype
        yield kind != np.uint64, f"yours are {kind}; a float64 has 53 bits."
        yield (answer == pack_signs(-signs)).all(), "you wrote 1 for -1, and 0 for +1."
        rest = np.arange(64 * truth.shape[-1]).reshape(-1, 64) >= shape[-1]
        filled = truth | pack_signs(np.where(rest, 1, -1))[..., 0]
        ones = step > 1 and bool((answer != truth).any() and (answer == filled).all())
        yield ones, "the places that no sign fills hold ones. Make them 0, then they never differ."
        backwards = step == 1 and bool((answer == pack_signs(signs[..., ::-1])).all())
        assert not backwards, """Step 1: your first sign is in the highest bit. It belongs in the
            lowest, which is worth 1."""
        assert (answer == truth).all(), f"""Step {step}: for signs of shape {shape} some words are
            others. Try four signs, as in the docstring, and look at bin(word)."""


def conv_by_bits(x, w, n):
    (h, wide, _), (d, k) = x.shape, w.shape[:2]
    out = np.zeros((d, h, wide), np.int64)
    for i, j in np.ndindex(k, k):
        dy, dx = i - k // 2, j - k // 2
        top, bottom, left, right = max(0, -dy), min(h, h - dy), max(0, -dx), min(wide, wide - dx)
        read = x[top + dy : bottom + dy, left + dx : right + dx]
        differ = np.bitwise_count(read ^ w[:, i, j, None, None]).sum(-1, dtype=np.int64)
        out[:, top:bottom, left:right] += n - 2 * differ
    return out


@exercise("06.4", 3, conv_by_bits, relative=0)
def _(function):
    """Right: the same whole numbers as PyTorch's convolution, border included, from bits alone."""
    rng = np.random.default_rng(0)
    for step, n, k in ((1, 40, 1), (2, 40, 3), (3, 40, 3), (3, 64, 5), (4, 150, 3)):
        x, w = rng.choice([-1.0, 1.0], (n, 9, 11)), rng.choice([-1.0, 1.0], (3, n, k, k))
        truth = _sums(x, w)
        packed = pack_signs(x.transpose(1, 2, 0)), pack_signs(w.transpose(0, 2, 3, 1))
        answer = np.asarray(answer_of(function, *packed, n)).astype(np.int64)
        said = f"Step {step} ({n} channels, kernel {k}x{k}):"
        assert answer.shape == truth.shape, f"{said} shape {answer.shape}, expected {truth.shape}."
        if step > 1:
            yield said, answer, None
            yield {
                """you turn the kernel by 180 degrees, as in signal processing. In networks w[d, 0,
                0] meets the pixel up and left.""": _sums(x, w[..., ::-1, ::-1].copy()),
                """right inside. At the border you let words of zeros take part: they are the bits
                of -1. Which taps should count there?""": _sums(x, w, -1.0),
                """right inside. But at the border you read pixels from the opposite side. `np.roll`
                does that.""": _sums(x, w, "around"),
            }
        r = k // 2 if step == 2 else 0
        answer, truth = (a[:, r : 9 - r, r : 11 - r] for a in (answer, truth))
        yield said, answer, truth
        differ = (n * k * k - truth) // 2
        yield differ, "so many signs differ. What is the sum of products?"
        yield n * k * k - differ, "so many agree. What do the others take away?"
        overflow = ((answer - truth) % 256 == 0).all()
        yield overflow, "off by multiples of 256: uint8 runs over."
        for at in map(tuple, np.argwhere(answer != truth).tolist()):
            raise AssertionError(f"""{said} at (filter, row, column) = {at} you say {answer[at]};
                the products of the signs there sum to {truth[at]}.""")


def _sums(x, w, pad: Any = 0.0):
    how: Any = {"mode": "circular"} if pad == "around" else {"value": pad}
    frame = F.pad(torch.from_numpy(x)[None], (w.shape[-1] // 2,) * 4, **how)
    return F.conv2d(frame, torch.from_numpy(w))[0].numpy().astype(np.int64)


def share_at_border(h, w, kernel):
    r = kernel // 2
    return 1 - max(h - 2 * r, 0) * max(w - 2 * r, 0) / (h * w)


_FRAMES = [(128, 128, 3), (16, 16, 5), (6, 9, 5), (8, 8, 1), (3, 4, 5), (3, 3, 5)]


@exercise("06.5", 1, share_at_border, _FRAMES)
def _(answer, truth, h, w, kernel):
    """Right: at 16 x 16 with 5x5 kernels, 44% of all outputs."""
    r = kernel // 2
    yield 1 - truth, "That is the share that never sees the border; we ask for the other."
    yield 2 * r * (h + w) / (h * w), "You have counted the corners twice."
    yield 100 * truth, "As a share between 0 and 1, please."
    inside = 1 - (h - 2 * r) * (w - 2 * r) / (h * w)
    yield inside, "A kernel larger than the frame: none is inside, and never fewer than none."
    yield 1 - (h - r) * max(w - r, 0) / (h * w), "There is a border on both sides."
    yield True, "How many rows and columns have a window that lies inside?"


def steps_until_flip(w, lr, gradients, correct=True):
    m, v = 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        a, b = (1 - 0.9**t, 1 - 0.999**t) if correct else (1, 1)
        w -= lr * m / a / (math.sqrt(v / b) + 1e-8)
        if w <= 0:
            return t
    return 0


def _gradients():
    noisy = np.random.default_rng(0).normal(0.3, 1, 3000)
    yield from ((0.3, 0.001, [g] * 400) for g in (1.0, 1e-4))
    yield from ((0.1, 0.001, (size * noisy).tolist()) for size in (1.0, 1e-3))
    yield 0.3, 0.001, [1.0] * 50


@exercise("06.6", 2, steps_until_flip, _gradients, absolute=1.5)
def _(answer, truth, w, lr, gradients):
    """Right: three hundred steps, however faint the gradient. Noise makes the walk longer."""
    plain = next((t for t, s in enumerate(np.cumsum(gradients), 1) if lr * s >= w), 0)
    yield plain, "That is plain gradient descent. Adam divides by the root of the mean square."
    raw = steps_until_flip(w, lr, gradients, correct=False)
    yield raw, "Both means start at 0 and are too small at first: divide by 1 - beta ** t."
    yield truth == 0, "It never flips here: there are too few gradients. What do you return then?"
    yield abs(answer - truth) < 20, "Close. Is the step counted in which w is no longer positive?"
    yield True, "Update m and v with each gradient, then w; stop when w is no longer positive."
