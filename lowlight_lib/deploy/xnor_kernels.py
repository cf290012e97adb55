"""Binary convolution with bits: XOR, population count, and whatever can be done on the way.

A sign is one bit, and 64 channels of a pixel are one word. Where two signs differ their product is
-1, elsewhere +1, so that a sum of n products is n - 2 popcount(a XOR w): one XOR, one population
count and one addition for 64 multiply-accumulates.

Activations are channels-last, (N, H, W, C) float32, with C filled up to a multiple of `LANES` by
channels that stay zero. A layer is two passes over its rows:

    front   row of the input -> its bits, statistics for the attention, real 1x1 convolution
    back    bits -> sums, times a scale per channel, RPReLU, plus what is in the output already

**Borders.** A convolution pads with zeros, which no bit can say. The bits there are 0 (as if -1),
and what that adds by mistake depends on the place only: `PackedConv.borders` puts it right, for
each kind of border pixel once, so that the inner loop does not know borders.

**Zeros among the activations** count 0 as well. They are kept in two planes of bits, in one as -1,
in the other as +1; the mean of both sums is exact. The second plane is read only if there are any.

Compiled at the first call and kept on disk, by kind of CPU.
Built in notebooks/13_deploy, section 5.
"""

from __future__ import annotations

import functools

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8  # outputs done at a time: activations have a multiple of it as channels
TILE = 4  # pixels whose signs are compared at a time
PLAIN, PLAN, UP = 0, 1, 2  # where a row comes from, see `_fetch`
NOTHING, COPY, MIX, POOL = 0, 1, 2, 3  # what `front` puts into the output


def kernel(**options):
    """njit, cached on disk: beside this file, else in the user's cache, else not at all.

    "contract" lets a product and a sum be one instruction; all else is as in IEEE 754.
    """
    options |= {"nogil": True, "fastmath": {"contract"}}

    def compiled(f):
        try:
            return njit(cache=True, **options)(f)
        except RuntimeError:  # nowhere to write
            return njit(**options)(f)

    return compiled


# ---------------------------------------------------------------------------------------------
# The inner loops, in LLVM's own instructions: so they are vectors whatever the compiler makes out.

_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_INTS, _WORDS = (ir.VectorType(ir.IntType(bits), LANES) for bits in (32, 64))


def _at(context, builder, array_type, array, index, vector=None):
    """Pointer into a C-contiguous array at a flat index, to an element or to LANES of them."""
    pointer = builder.gep(context.make_array(array_type)(context, builder, array).data, [index])
    return builder.bitcast(pointer, vector.as_pointer()) if vector else pointer


def _all_lanes(builder, value, vector):
    """A vector with that value in each lane."""
    none = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(none, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, none, ir.Constant(_INTS, [0] * LANES))


@intrinsic
def signs(typingctx, x, i, threshold, j):
    """(bits of x + threshold > 0, bits of x + threshold >= 0) of LANES floats from i and j on."""

    def codegen(context, builder, signature, args):
        a, b = (
            _at(context, builder, signature.args[k], args[k], args[k + 1], _FLOATS) for k in (0, 2)
        )
        z = builder.fadd(builder.load(a, align=4), builder.load(b, align=4))
        bits = []
        for comparison in (">", ">="):
            one = builder.fcmp_ordered(comparison, z, ir.Constant(_FLOATS, [0.0] * LANES))
            bits.append(builder.zext(builder.bitcast(one, ir.IntType(LANES)), ir.IntType(64)))
        return context.make_tuple(builder, signature.return_type, bits)

    return types.UniTuple(types.uint64, 2)(x, types.intp, threshold, types.intp), codegen


def _tile(pixels, vector, term, add):
    """A function for the kernels: sums of `pixels` times LANES outputs, kept in registers.

        out[k + p out_step + o] += sum over c: term(x[i + p step + places[c]], w[j + c LANES + o])

    Indices are flat. A number of a pixel goes to all lanes, the weights are LANES in a row.
    """

    @intrinsic
    def tile(typingctx, x, i, step, places, w, j, out, k, out_step):
        def codegen(context, builder, signature, args):
            def at(which, index, vector=None):
                return _at(context, builder, signature.args[which], args[which], index, vector)

            def plus(start, step, n):
                return builder.add(start, builder.mul(step, ir.Constant(step.type, n)))

            _, i, step, places, _, j, _, k, out_step = args
            nought = ir.Constant(vector, [0] * LANES)
            sums = [cgutils.alloca_once(builder, vector) for _ in range(pixels)]
            for s in sums:
                builder.store(nought, s)
            starts = [plus(i, step, p) for p in range(pixels)]
            count = context.make_array(signature.args[3])(context, builder, places).nitems
            with cgutils.for_range(builder, count) as loop:
                place = builder.load(at(3, loop.index))
                weights = builder.load(at(4, plus(j, loop.index, LANES), vector), align=4)
                for s, start in zip(sums, starts, strict=True):
                    value = builder.load(at(0, builder.add(start, place)))
                    value = _all_lanes(builder, value, vector)
                    builder.store(term(builder, builder.load(s), value, weights), s)
            for p, s in enumerate(sums):
                add(builder, functools.partial(at, 6, plus(k, out_step, p)), builder.load(s))
            return context.get_dummy_value()

        size = types.intp
        return types.void(x, size, size, places, w, size, out, size, size), codegen

    return tile


def _times(builder, total, x, w):
    return builder.fadd(total, builder.fmul(x, w, flags=["contract"]), flags=["contract"])


def _differs(builder, total, x, w):
    popcount = ir.FunctionType(_WORDS, [_WORDS])
    popcount = cgutils.get_or_insert_function(builder.module, popcount, "llvm.ctpop.v8i64")
    return builder.add(total, builder.call(popcount, [builder.xor(x, w)]))


def _add_floats(builder, out, total):
    total = builder.fadd(builder.load(out(_FLOATS), align=4), total)
    builder.store(total, out(_FLOATS), align=4)


def _add_ints(builder, out, total):
    total = builder.add(builder.load(out(_INTS), align=4), builder.trunc(total, _INTS))
    builder.store(total, out(_INTS), align=4)


add_products = _tile(LANES, _FLOATS, _times, _add_floats)  # a matrix product
add_differing = _tile(TILE, _WORDS, _differs, _add_ints)  # the same of signs: XOR and popcount


# ---------------------------------------------------------------------------------------------
# Front: a row of the input, once


@kernel()
def _put(values, out, add):
    """Write values into `out` (W, C), or add them."""
    for i in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[i, k] = out[i, k] + values[i, k] if add else values[i, k]


@kernel()
def _fetch(x, n, y, mode, plan, row, blend):
    """Row y of frame n, as the layer sees it, into `row` (W, C); `blend` is room for work.

    PLAIN: as it is. UP: enlarged twofold, bilinearly. PLAN: runs of channels put together from
    other frames and places; a line of `plan` is (frame, first channel there, first channel here,
    channels, dy, dx): here[y, x] = there[y - dy, x - dx], zeros coming in from outside.
    """
    _, h, w, c = x.shape
    if mode == PLAIN:
        _put(x[n, y], row[:w], False)
    elif mode == UP:
        above, below = max((y - 1) // 2, 0), min((y + 1) // 2, h - 1)
        near = np.float32(0.25 if y % 2 else 0.75)  # how much of the row below
        for i in range(w):
            for k in range(c):
                blend[i, k] = (1 - near) * x[n, above, i, k] + near * x[n, below, i, k]
        for i in range(w):
            left, right = max(i - 1, 0), min(i + 1, w - 1)
            for k in range(c):
                here = np.float32(0.75) * blend[i, k]
                row[2 * i, k] = np.float32(0.25) * blend[left, k] + here
                row[2 * i + 1, k] = here + np.float32(0.25) * blend[right, k]
    else:
        for line in range(plan.shape[1]):
            frame, source, to, count, dy, dx = plan[n, line]
            for i in range(w):
                inside = 0 <= y - dy < h and 0 <= i - dx < w
                for k in range(count):
                    there = x[frame, y - dy, i - dx, source + k] if inside else np.float32(0)
                    row[i, to + k] = there


@kernel()
def _pack(row, threshold, pad, negative, positive):
    """Signs of row + threshold as bits, into both planes (W + 2 pad, words); are there zeros?

    The planes differ where there are: a zero is -1 in the one and +1 in the other.
    """
    c = threshold.shape[0]
    different = np.uint64(0)
    w = negative.shape[0] - 2 * pad
    negative[:pad] = negative[pad + w :] = positive[:pad] = positive[pad + w :] = 0
    for i in range(w):
        for word in range(negative.shape[1]):
            above = at_least = np.uint64(0)
            for k in range(64 * word, min(64 * word + 64, c), LANES):
                a, b = signs(row, i * c + k, threshold, k)
                above |= a << np.uint64(k % 64)
                at_least |= b << np.uint64(k % 64)
            negative[pad + i, word] = above
            positive[pad + i, word] = at_least
            different |= above ^ at_least
    return different != 0


@kernel()
def _add_statistics(row, w, threshold, pivot, sums, total):
    """Add a row's sums of |z|, z - pivot and (z - pivot)^2 to `total` (3, C), float64.

    Float32 within a row only, and relative to a pivot, the first row's mean: else a flat bright
    frame, whose mean is large and whose variance is nothing, would get one from rounding.
    """
    c = threshold.shape[0]
    sums[:] = 0
    for i in range(w):
        for k in range(c):
            z = row[i, k] + threshold[k]
            d = z - pivot[k]
            sums[0, k] += abs(z)
            sums[1, k] += d
            sums[2, k] += d * d
    for j in range(3):
        for k in range(c):
            total[j, k] += sums[j, k]


@kernel()
def _mix(row, weight, bias, places, made, out, add):
    """The real 1x1 convolution of a row, into (or added to) `out` (W, C)."""
    w, c, n = len(out), row.shape[1], weight.shape[0] * LANES
    made[:] = bias
    for block in range(weight.shape[0]):
        for i in range(0, w, LANES):
            to = i * n + block * LANES
            add_products(row, i * c, c, places, weight, block * c * LANES, made, to, n)
    _put(made, out, add)


@kernel()
def _average(row, second, pooled):
    """Add a row's half of the 2x2 means to `pooled`; the first of two rows starts it."""
    for i in range(pooled.shape[0] - LANES):
        for k in range(row.shape[1]):
            two = np.float32(0.25) * (row[2 * i, k] + row[2 * i + 1, k])
            pooled[i, k] = pooled[i, k] + two if second else two


@kernel(parallel=True)
def front(x, mode, plan, threshold, pad, bits, zeros, totals, skip, weight, bias, out, add):
    """First pass of a layer: bits, statistics, and the real part of the output.

    Args:
        x, mode, plan: input (N, H, W, C), and how its rows are seen: see `_fetch`.
        threshold: (C,), -1 in the channels that fill up; pad: kernel // 2.
        bits: (2, N, H' + 2 pad, W' + 2 pad, words) uint64, zero above and below; written.
        zeros: (N, parts) bool, was there an exact zero; written. Each part of a frame is a job.
        totals: (N, parts, 4, C) float64, sums for the attention and their pivot; written. C or 0.
        skip: NOTHING; COPY, the input; MIX, weight x + bias; POOL, that of 2x2 means.
        weight, bias: (outputs / LANES, C, LANES) and (outputs,).
        out, add: (N, H'', W'', C''), whether to add to what it holds.
    """
    _, frames, h, w, _ = bits.shape
    h, w, parts, c = h - 2 * pad, w - 2 * pad, zeros.shape[1], threshold.shape[0]
    for job in prange(frames * parts):
        n, part = job // parts, job % parts
        first, last = h * part // parts // 2 * 2, h * (part + 1) // parts // 2 * 2  # whole pairs
        last = h if part == parts - 1 else last
        row = np.zeros((w + LANES, c), np.float32)  # a few pixels more, for `_mix`
        blend, pooled = np.zeros_like(row), np.zeros((w // 2 + LANES, c), np.float32)
        made, sums = np.empty((w + LANES, bias.shape[0]), np.float32), np.empty((3, c), np.float32)
        pivot, found, places = np.zeros(c, np.float32), False, np.arange(c)
        if totals.shape[3]:
            _fetch(x, n, 0, mode, plan, row, blend)
            totals[n, part] = 0
            _add_statistics(row, w, threshold, pivot, sums, totals[n, part])
            pivot[:] = totals[n, part, 1] / w  # the mean of the first row
            totals[n, part, :3] = 0
            totals[n, part, 3] = pivot
        for y in range(first, last):
            _fetch(x, n, y, mode, plan, row, blend)
            found |= _pack(row, threshold, pad, bits[0, n, pad + y], bits[1, n, pad + y])
            if totals.shape[3]:
                _add_statistics(row, w, threshold, pivot, sums, totals[n, part])
            if skip == COPY:
                _put(row, out[n, y], add)
            elif skip == MIX:
                _mix(row, weight, bias, places, made, out[n, y], add)
            elif skip == POOL:
                _average(row, y % 2 == 1, pooled)
                if y % 2:
                    _mix(pooled, weight, bias, places, made, out[n, y // 2], add)
        zeros[n, part] = found


# ---------------------------------------------------------------------------------------------
# Back: sums of signs, and what a layer makes of them


@kernel()
def _finish(differ, planes, start, scale, before, slope, after, out, keep):
    """One pixel: from sums of signs to RPReLU(scale sum) in (or added to) `out` (C,)."""
    for o in range(scale.shape[0]):
        t = np.float32(np.int32(planes) * start[o] - np.int32(2) * differ[o])
        t = t * scale[o] + before[o]
        t = max(t, np.float32(0)) + slope[o] * min(t, np.float32(0)) + after[o]
        out[o] = out[o] + t if keep else t


@kernel()
def _attention(totals, count, channels, weight, scale):
    """Multiply `scale` by sigmoid(conv1d([mean |z|, mean z, std z])) of one frame."""
    reach = weight.shape[1] // 2
    seen = np.zeros((3, channels + 2 * reach))
    for k in range(channels):
        a, b, s = 0.0, 0.0, 0.0
        for part in range(totals.shape[0]):
            a, b, s = a + totals[part, 0, k], b + totals[part, 1, k], s + totals[part, 2, k]
        variance = max(s - b * b / count, 0.0) / (count - 1) if count > 1 else 0.0
        seen[0, reach + k] = a / count
        seen[1, reach + k] = totals[0, 3, k] + b / count
        seen[2, reach + k] = np.sqrt(variance + 1e-6)
    for k in range(channels):
        total = 0.0
        for j in range(3):
            for i in range(weight.shape[1]):
                total += weight[j, i] * seen[j, k + i]
        scale[k] /= 1 + np.exp(-total)


@kernel(parallel=True)
def back(
    bits, zeros, places, weights, start, kinds_y, kinds_x, stride, alpha, totals, attention,
    channels, before, slope, after, out, keep, parts,
):  # fmt: skip
    """Second pass of a layer: RPReLU(scale * (start - 2 differing)) into `out`.

    Args:
        bits, zeros, totals: of `front`. Up to TILE pixels behind `bits` are looked at as well.
        places: (words * kernel^2,), where the words of a window are, from its corner on.
        weights: (outputs / LANES, words * kernel^2, LANES) uint64; alpha: their scale, (outputs,).
        start: (kinds of pixels, outputs) int32; the kind of a pixel is kinds_y[y] + kinds_x[x].
        stride: 1 or 2.
        attention, channels: weights of DACA (3, size), or (3, 0) without it; true channels.
        before, slope, after: (outputs,), of RPReLU.
        out, keep: (N, H', W', C'), whether to add to what it holds.
        parts: number of jobs.
    """
    _, frames, height, _, words = bits.shape
    h, w, line = kinds_y.shape[0], kinds_x.shape[0], bits.shape[3] * words
    planes = 2 if zeros.any() else 1
    scale = np.empty((frames, alpha.shape[0]), np.float32)
    for n in range(frames):
        scale[n] = alpha / np.float32(planes)
        if attention.shape[1]:
            _attention(totals[n], h * w, channels, attention, scale[n])
    plane, step, n_out = frames * height * line, stride * words, alpha.shape[0]
    for job in prange(parts):
        differ = np.empty((TILE, n_out), np.int32)
        for r in range(frames * h * job // parts, frames * h * (job + 1) // parts):
            n, y = r // h, r % h
            for x in range(0, w, TILE):
                differ[:] = 0
                at = (n * height + y * stride) * line + x * step
                for p in range(planes):
                    for k in range(0, n_out, LANES):
                        j = k * places.shape[0]
                        add_differing(
                            bits, at + p * plane, step, places, weights, j, differ, k, n_out
                        )
                for i in range(min(TILE, w - x)):
                    kind, pixel = start[kinds_y[y] + kinds_x[x + i]], out[n, y, x + i]
                    _finish(differ[i], planes, kind, scale[n], before, slope, after, pixel, keep)
