"""Binary convolution with bits: XOR, population count, and what can be done on the way.

A sum of n products of signs is n - 2 popcount(a XOR w): three instructions for 64 channels.
Activations are channels-last, (N, H, W, C) float32, with C filled up to a multiple of `LANES` by
channels that stay zero. A layer is two passes over its rows:

    front   row of the input -> its bits, statistics for the attention, real 1x1 convolution
    back    bits -> sums, times a scale per channel, RPReLU, plus what is in the output already

Borders are padded with zeros, which no bit can say. The bits there are 0 (as if -1), and
`PackedConv.borders` puts right what that adds, for each kind of border pixel once.

Zeros among the activations (and NaN) count 0 as well: they are -1 in one plane of bits and +1 in
another, which is read only if there are any; the mean is exact.
Built in notebooks/15_engines_and_bits, section 2."""

import numpy as np
from numba import prange

from .. import vectors
from ..vectors import LANES, REAL_TILE, TILE, binary, kernel, one_binary, one_product, products

PLAIN, PLAN, UP = 0, 1, 2  # where a row comes from, see `_fetch`
NOTHING, COPY, MIX, POOL = 0, 1, 2, 3  # what `front` puts into the output


@kernel()
def _put(values, out, add):
    values, out = values.reshape(-1), out.reshape(-1)  # one long loop
    for i in range(out.size):
        out[i] = out[i] + values[i] if add else values[i]


@kernel()
def _fetch(x, n, y, mode, plan, row, blend):
    """Row y of frame n, as the layer sees it, in `row` (W, C); `blend` is room for work.

    UP: enlarged twofold, bilinearly. PLAN, lines (frame, first channel there, first channel here,
    channels, dy, dx): here[y, x] = there[y - dy, x - dx], 0 from outside. PLAIN is not fetched."""
    _, h, w, c = x.shape
    if mode == UP:
        above = x[n, max((y - 1) // 2, 0)].reshape(-1)
        below = x[n, min((y + 1) // 2, h - 1)].reshape(-1)
        near = np.float32(0.25 if y % 2 else 0.75)  # how much of the row below
        flat = blend.reshape(-1)
        for i in range(w * c):
            flat[i] = (np.float32(1) - near) * above[i] + near * below[i]
        for i in range(w):
            left, right = max(i - 1, 0), min(i + 1, w - 1)
            for k in range(c):
                here = np.float32(0.75) * blend[i, k]
                row[2 * i, k] = np.float32(0.25) * blend[left, k] + here
                row[2 * i + 1, k] = here + np.float32(0.25) * blend[right, k]
    elif mode == PLAN:
        for line in range(plan.shape[1]):
            frame, source, to, count, dy, dx = plan[n, line]
            first, last = min(max(dx, 0), w), max(min(w + dx, w), 0)  # what comes from inside
            if not 0 <= y - dy < h:
                first = last = 0
            row[:first, to : to + count] = 0
            row[max(first, last) :, to : to + count] = 0
            if first < last:
                there, whole = x[frame, y - dy], count - count % LANES
                for i in range(first, last):
                    came, goes = (i - dx) * c + source, i * row.shape[1] + to
                    for k in range(0, whole, LANES):
                        vectors.move(there, came + k, row, goes + k)
                    for k in range(whole, count):
                        row[i, to + k] = there[i - dx, source + k]


@kernel()
def _pack(row, threshold, pad, low, high, statistics, pivot, sums):
    """Signs of row + threshold as bits, into both planes (W + 2 pad, bytes); are there zeros?
    If `statistics`, `sums` (3, C) become the row's sums of |z|, z - pivot and (z - pivot)^2."""
    (w, c), jump, different = row.shape, low.shape[1], 0
    low.reshape(-1)[:] = 0
    high.reshape(-1)[:] = 0
    sums.reshape(-1)[:] = 0
    for k in range(0, c, LANES):
        j = pad * jump + k // LANES
        if statistics:
            different |= vectors.signs_and_sums(
                row, k, c, w, threshold, k, pivot, low, high, j, jump, sums
            )
        else:
            different |= vectors.signs(row, k, c, w, threshold, k, pivot, low, high, j, jump, sums)
    return different != 0


@kernel()
def _mix(row, weight, bias, out, add):
    """The real 1x1 convolution of a row (W, C), into or on top of `out` (W, outputs)."""
    (w, c), n = row.shape, out.shape[1]
    whole = w - w % REAL_TILE
    for k in range(0, n, LANES):
        for i in range(0, whole, REAL_TILE):
            products(row, i * c, c, weight, k * c, bias, k, out, i * n + k, n, add)
        for i in range(whole, w):
            one_product(row, i * c, c, weight, k * c, bias, k, out, i * n + k, n, add)


@kernel()
def _average(row, second, pooled):
    """Add a row's half of the 2x2 means to `pooled`; the first of two rows starts it."""
    for i in range(pooled.shape[0]):
        for k in range(row.shape[1]):
            two = np.float32(0.25) * (row[2 * i, k] + row[2 * i + 1, k])
            pooled[i, k] = pooled[i, k] + two if second else two


@kernel(parallel=True)
def front(x, mode, plan, threshold, pad, bits, zeros, totals, skip, weight, bias, out, add):
    """First pass of a layer: bits, statistics, and the real part of the output.

    Args:
        x, mode, plan: input (N, H, W, C), see `_fetch`.
        threshold: (C,), -1 in the channels that fill up; pad: kernel // 2.
        bits: (2, N, H' + 2 pad, W' + 2 pad, bytes) uint8, zero above and below; written.
        zeros: (N, parts) bool, was there a zero (or NaN); written. Each part of a frame is a job.
        totals: (N, parts, 4, C or 0) float64, sums for the attention and their pivot; written.
        skip: NOTHING; COPY, the input; MIX, weight x + bias; POOL, that of 2x2 means.
        weight, bias: (outputs / LANES, C, LANES), (outputs,).
        out, add: (N, H'', W'', C''), on top of what it holds?"""
    _, frames, h, w, size = bits.shape
    h, w, parts, c = h - 2 * pad, w - 2 * pad, zeros.shape[1], threshold.shape[0]
    for job in prange(frames * parts):
        n, part = job // parts, job % parts
        first, last = h * part // parts // 2 * 2, h * (part + 1) // parts // 2 * 2  # whole pairs
        last = h if part == parts - 1 else last
        fetched = np.zeros((w, c), np.float32)  # what no line of a plan writes is 0
        pooled = np.empty((w // 2, c), np.float32)
        blend, found = np.empty_like(fetched), False
        pivot, sums, statistics = np.zeros(c, np.float32), np.empty((3, c), np.float32), False
        if totals.shape[3]:
            # Sums in float32 only within a row, and relative to the mean of the first: else a flat
            # bright frame, whose variance is nothing, would get one from rounding.
            _fetch(x, n, 0, mode, plan, fetched, blend)
            statistics, aside = True, np.empty((2, w + 2 * pad, size), np.uint8)
            row = x[n, 0] if mode == PLAIN else fetched
            _pack(row, threshold, pad, aside[0], aside[1], True, pivot, sums)
            totals[n, part] = 0
            for k in range(c):
                pivot[k] = totals[n, part, 3, k] = sums[1, k] / np.float32(w)
        for y in range(first, last):
            _fetch(x, n, y, mode, plan, fetched, blend)
            row = x[n, y] if mode == PLAIN else fetched
            low, high = bits[0, n, pad + y], bits[1, n, pad + y]
            found |= _pack(row, threshold, pad, low, high, statistics, pivot, sums)
            if statistics:
                for j in range(3):
                    for k in range(c):
                        totals[n, part, j, k] += sums[j, k]
            if skip == COPY:
                _put(row, out[n, y], add)
            elif skip == MIX:
                _mix(row, weight, bias, out[n, y], add)
            elif skip == POOL:
                _average(row, y % 2 == 1, pooled)
                if y % 2:
                    _mix(pooled, weight, bias, out[n, y // 2], add)
        zeros[n, part] = found


@kernel()
def _attention(totals, count, channels, weight, scale):
    """Multiply `scale` by sigmoid(conv1d([mean |z|, mean z, std z])) of one frame."""
    reach = weight.shape[1] // 2
    seen = np.zeros((3, channels + 2 * reach))
    for k in range(channels):
        a, b, s = totals[:, 0, k].sum(), totals[:, 1, k].sum(), totals[:, 2, k].sum()
        variance = max(s - b * b / count, 0.0) / (count - 1) if count > 1 else 0.0
        seen[0, reach + k] = a / count
        seen[1, reach + k] = totals[0, 3, k] + b / count
        seen[2, reach + k] = np.sqrt(variance + 1e-6)
    for k in range(channels):
        total = (weight * seen[:, k : k + weight.shape[1]]).sum()
        scale[k] /= 1 + np.exp(-total)


@kernel(parallel=True)
def back(
    bits, zeros, places, weights, start, kinds_y, kinds_x, stride, alpha, totals, attention,
    channels, before, slope, after, out, keep, parts,
):  # fmt: skip
    """Second pass of a layer: RPReLU(scale * (start - 2 differing)) into `out`.

    Args:
        bits, zeros, totals: of `front`, the bits as words (uint64).
        places: (words * kernel^2,), where the words of a window are, from its corner on.
        weights: (outputs / LANES, words * kernel^2, LANES) uint64; alpha: their scale, (outputs,).
        start: (kinds of pixels, outputs) int32; the kind of a pixel is kinds_y[y] + kinds_x[x].
        attention, channels: weights of DACA (3, size), or (3, 0) without it; true channels.
        out, keep: (N, H', W', C'), on top of what it holds? parts: number of jobs."""
    _, frames, height, width, words = bits.shape
    h, w = kinds_y.shape[0], kinds_x.shape[0]
    line, step, n_out = width * words, stride * words, alpha.shape[0]
    planes = 2 if zeros.any() else 1
    if planes == 2:  # as if there were twice as many places
        places = np.concatenate((places, places + frames * height * line))
        weights, start = np.concatenate((weights, weights), axis=1), start + start
    scale = np.empty((frames, n_out), np.float32)
    for n in range(frames):
        scale[n] = alpha / np.float32(planes)
        if attention.shape[1]:
            _attention(totals[n], h * w, channels, attention, scale[n])
    whole = w - w % TILE
    for job in prange(parts):
        for r in range(frames * h * job // parts, frames * h * (job + 1) // parts):
            n, y = r // h, r % h
            at, kind, row = (n * height + y * stride) * line, kinds_y[y], out[n, y]
            for k in range(0, n_out, LANES):
                j, s = k * places.shape[0], n * n_out + k
                for x in range(0, whole, TILE):
                    binary(
                        bits, at + x * step, step, places, weights, j, start, kinds_x, x, kind,
                        scale, s, before, slope, after, k, row, x * n_out + k, n_out, keep,
                    )  # fmt: skip
                for x in range(whole, w):
                    one_binary(
                        bits, at + x * step, step, places, weights, j, start, kinds_x, x, kind,
                        scale, s, before, slope, after, k, row, x * n_out + k, n_out, keep,
                    )  # fmt: skip
