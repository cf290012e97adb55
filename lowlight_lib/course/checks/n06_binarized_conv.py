"""Checks of notebook 06."""

import math

from .common import Judge


def mean_of_bits(function) -> None:
    """Exercise 06/1.1: function(x, t, sigma) -> expected value of sign(x + noise - t)."""
    for x, t, sigma in ((0.3, 0.3, 0.1), (0.35, 0.3, 0.1), (0.2, 0.3, 0.1), (0.5, 0.2, 0.2)):
        u = (x - t) / sigma
        truth = math.erf(u / 2**0.5)
        hint = Judge(function, (x, t, sigma), truth, relative=0, absolute=0.01)
        hint[x - t] = "That is how far the light is from the threshold. How large is the noise?"
        hint[u] = "Linear near the threshold, but never above 1: which probability bends like that?"
        hint[(1 + truth) / 2] = "So often the bit is +1. Otherwise it is -1, not 0."
        hint[math.erf(u)] = "Nearly: look up again what erf(u) counts, and mind the root of 2."
        hint[...] = f"It is {truth:.3f}. How probable is +1, how probable -1?"
    print("Right: straight near the threshold, flat far from it. Noise turns a step into a slope.")


def steps_until_flip(function) -> None:
    """Exercise 06/2.1: function(w, lr, gradient) -> steps of Adam until w changes its sign."""
    for w, lr, gradient in ((0.3, 0.001, 1e-6), (0.3, 0.001, 1.0), (0.05, 0.002, 1e-3)):
        truth = math.floor(w / lr) + 1
        hint = Judge(function, (w, lr, gradient), truth, absolute=1 + 0.02 * truth)
        hint[w / (lr * gradient)] = "So it is with plain gradient descent. Adam divides by a root."
        hint[...] = f"Adam takes {truth} steps. How far does one of them go?"
    print("Right: Adam walks at one pace, however faint the gradient. Then all at once: a flip.")


def share_at_border(function) -> None:
    """Exercise 06/4.1: function(h, w, kernel) -> share of outputs that the padding can change."""
    for h, w, kernel in ((128, 128, 3), (16, 16, 5), (6, 9, 5), (8, 8, 1), (3, 4, 5), (3, 3, 5)):
        r = kernel // 2
        truth = 1 - max(h - 2 * r, 0) * max(w - 2 * r, 0) / (h * w)
        inside = 1 - (h - 2 * r) * (w - 2 * r) / (h * w)
        hint = Judge(function, (h, w, kernel), truth, relative=0)
        hint[1 - truth] = "That is the share that never sees the border; we ask for the other."
        hint[2 * r * (h + w) / (h * w)] = "You have counted the corners twice."
        hint[100 * truth] = "As a share between 0 and 1, please."
        hint[inside] = "The kernel is larger than the frame: there are not fewer than none inside."
        hint[1 - (h - r) * max(w - r, 0) / (h * w)] = "There is a border on both sides."
        hint[...] = "How many rows and columns have a window that lies inside?"
    print(f"Right: at 16 x 16 with 5x5 kernels, {1 - (12 / 16) ** 2:.0%} of all outputs.")


def pixels_seen(function) -> None:
    """Exercise 06/6.1: function(attention, kernel, h, w) -> input pixels that an output sees."""
    for attention, kernel, h, w in ((False, 3, 9, 11), (False, 5, 12, 9), (True, 3, 9, 11)):
        truth = h * w if attention else kernel**2
        hint = Judge(function, (attention, kernel, h, w), truth, relative=0)
        hint[kernel**2] = "That is the window. But s goes into every output: from which pixels?"
        hint[...] = f"Change one pixel after the other: {truth} of them change the middle."
    print("Right: with attention every pixel sees the whole frame; tiles are never quite that.")


def expected_flips(function) -> None:
    """Exercise 06/8.1: function(n, density, d) -> expected number of signs that differ."""
    for n, sigma, d in ((2_000_000, 1.0, 0.01), (2_000_000, 0.5, 0.004)):
        density = 1 / (sigma * (2 * math.pi) ** 0.5)
        truth = n * density * d
        hint = Judge(function, (n, density, d), truth, relative=0.05)
        hint[2 * truth] = "Twice as many as there are: half of them are pushed away from zero."
        hint[...] = f"Of {n:,} about {truth:,.0f} change. In an interval of which length?"
    print("Right: the number of decisions counts, and so the size of the frame. One is enough.")


def times_cheaper_with_bits(function) -> None:
    """Exercise 06/9.1: function(macs, binary_macs) -> real cost over cost with bits at 1/64."""
    for macs, bits in ((1000, 990), (100, 0)):
        ops, share = macs - bits + bits / 64, bits / macs
        hint = Judge(function, (macs, bits), macs / ops, relative=1e-6)
        hint[64 * share] = f"The rest does not vanish: what do the other {1 - share:.1%} cost?"
        hint[64] = "That holds for the bits alone."
        hint[ops / macs] = "That is upside down. It is the old cost over the new one."
        hint[...] = "Old cost: all MACs. New cost: real ones as before, bits at 1/64."
    print("Right. Amdahl's law: what is left real sets the price.")
