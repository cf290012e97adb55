"""Inner loops written with vectors, `LANES` channels of a pixel at a time, and how they are run.

Loops over 24, 48 or 96 channels are too short for a compiler to make vectors of them, so they are
said in LLVM's own instructions, which become whatever the CPU has: AVX-512, AVX2, NEON.
Indices are flat, into C-contiguous arrays. Built in notebooks/15_engines_and_bits, section 2."""

import contextlib
import inspect
import os
import threading
import zlib
from collections.abc import Callable
from operator import mul
from pathlib import Path
from typing import Any

import numba
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

if not any(name.startswith("NUMBA_THREADING_LAYER") for name in os.environ):
    # TBB's threads, which numba prefers and OpenVINO brings along, are slower and complain
    # whenever a program is started; numba's own take more than twice as long.
    numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
_PARALLEL = threading.RLock()  # numba's simplest thread pool takes one caller at a time
# numba does not see that the vectors in a kernel have changed: the name it keeps one by says which.
VECTORS = f"{zlib.crc32(Path(__file__).read_bytes()):x}"

LANES = 8  # channels at a time: their signs are a byte, and the names of instructions say it
TILE = 4  # pixels whose signs are compared at a time: one load of weights for all of them
REAL_TILE = 8  # the same of a matrix product

FLOATS = ir.VectorType(ir.FloatType(), LANES)
_BYTE, _INT, _WORD = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_INTS, _WORDS = ir.VectorType(_INT, LANES), ir.VectorType(_WORD, LANES)


def kernel(**options):
    """njit, cached on disk: beside the function's file, else in the user's cache, else not."""
    options |= {"nogil": True, "fastmath": {"contract"}}  # see `Lanes`

    def compiled(f):
        f.__qualname__ = f"{f.__qualname__}_{VECTORS}"
        try:
            return numba.njit(cache=True, **options)(f)
        except RuntimeError:  # nowhere to write
            return numba.njit(**options)(f)

    return compiled


@contextlib.contextmanager
def threads_of_torch():
    """In it kernels run on as many threads as PyTorch would; yields how many."""
    wanted = torch.get_num_threads()
    others = numba.get_num_threads()  # starts its threads, and tells OpenMP to use them all:
    if torch.get_num_threads() != wanted:  # PyTorch would, too
        torch.set_num_threads(wanted)
    parts = min(wanted, numba.config.NUMBA_NUM_THREADS)
    with _PARALLEL:
        numba.set_num_threads(parts)
        yield parts
        numba.set_num_threads(others)


def _operator(name):
    def apply(self, other):
        whole = isinstance(self.value.type.element, ir.IntType)
        emit = getattr(self.builder, name if whole else f"f{name}")
        value = emit(self.value, other.value, flags=() if whole else ["contract"])
        return Lanes(self.builder, value)

    return apply


class Lanes:
    """`LANES` numbers while code is emitted: what is written with +, *, > is what will run.
    "contract" lets a product and a sum be one instruction; all else is as in IEEE 754."""

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    __add__, __sub__, __mul__, __xor__ = map(_operator, ("add", "sub", "mul", "xor"))

    def __gt__(self, other):
        return Lanes(self.builder, self.builder.fcmp_ordered(">", self.value, other.value))

    def not_below(self, other):
        """At least as much, or not a number."""
        return Lanes(self.builder, self.builder.fcmp_unordered(">=", self.value, other.value))

    def call(self, name):
        kind = self.value.type
        f = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(kind, [kind]), name)
        return Lanes(self.builder, self.builder.call(f, [self.value]))

    def to_bits(self):
        """Answers of a comparison as one byte."""
        return self.builder.bitcast(self.value, _BYTE)


class _Code(dict):
    """The arguments of an intrinsic, by name, while its code is emitted."""

    def __init__(self, names, context, builder, signature, args):
        super().__init__(zip(names.split(), args, strict=True))
        self._context, self.builder = context, builder
        self._types = dict(zip(names.split(), signature.args, strict=True))

    def plus(self, start, *terms):
        """start + a * b + c + ..., of indices and numbers."""
        for term in terms:
            pair = term if isinstance(term, tuple) else (term, 1)
            pair = [ir.Constant(start.type, v) if isinstance(v, int) else v for v in pair]
            start = self.builder.add(start, self.builder.mul(*pair))
        return start

    def array(self, name):
        return self._context.make_array(self._types[name])(self._context, self.builder, self[name])

    def at(self, name, index, kind=None):
        pointer = self.builder.gep(self.array(name).data, [index])
        return self.builder.bitcast(pointer, kind.as_pointer()) if kind else pointer

    def one(self, name, index):
        return self.builder.load(self.at(name, index))

    def load(self, name, index, kind=FLOATS):
        return Lanes(self.builder, self.builder.load(self.at(name, index, kind), align=4))

    def store(self, lanes, name, index):
        self.builder.store(lanes.value, self.at(name, index, lanes.value.type), align=4)

    def all(self, value, kind):
        """One number in every lane."""
        none, places = ir.Constant(kind, ir.Undefined), ir.Constant(_INTS, [0] * LANES)
        first = self.builder.insert_element(none, value, ir.Constant(_INT, 0))
        return Lanes(self.builder, self.builder.shuffle_vector(first, none, places))

    def number(self, value, kind=FLOATS):
        return Lanes(self.builder, ir.Constant(kind, [value] * LANES))

    def either(self, condition, a, b):
        return Lanes(self.builder, self.builder.select(condition.value, a.value, b.value))

    def variables(self, count, start):
        """Places for `Lanes`, which end up in registers."""
        return [cgutils.alloca_once_value(self.builder, start.value) for _ in range(count)]

    def get(self, place):
        return Lanes(self.builder, self.builder.load(place))

    def add_to(self, place, lanes):
        self.builder.store((self.get(place) + lanes).value, place)


def emitted(names, returns=types.void) -> Callable[..., Any]:
    """An intrinsic with these arguments (integers as intp), of what emits its code."""

    def made(emit):
        def code(context, *rest):
            result = emit(_Code(names, context, *rest))
            return context.get_dummy_value() if result is None else result

        def define(_, *given):
            given = [types.intp if isinstance(t, types.Integer) else t for t in given]
            return returns(*given), code

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind) for name in ("typing", *names.split())]
        define.__signature__ = inspect.Signature(parameters)
        return intrinsic(define)

    return made


def _signs(statistics):
    """Of LANES channels of a row of pixels: threshold, sign, packing, and perhaps sums (3, step).

        z = row[i + p step] + threshold[k], p < pixels
        low[j + p jump], high[...] = bits of z > 0, bits of not z < 0: a byte each
        sums[0, k], [1, k], [2, k] += |z|, z - pivot[k], (z - pivot[k])^2

    Returns 0 if no z is exactly 0 or not a number."""

    @emitted("row i step pixels threshold k pivot low high j jump sums", types.uint8)
    def emit(c):
        b, step = c.builder, c["step"]
        threshold, pivot = (c.load(name, c["k"]) for name in ("threshold", "pivot"))
        totals = c.variables(3 if statistics else 0, c.number(0.0))
        different = cgutils.alloca_once_value(b, ir.Constant(_BYTE, 0))
        with cgutils.for_range(b, c["pixels"]) as loop:
            z = c.load("row", c.plus(c["i"], (step, loop.index))) + threshold
            above = (z > c.number(0.0)).to_bits()
            at_least = z.not_below(c.number(0.0)).to_bits()
            to = c.plus(c["j"], (c["jump"], loop.index))
            b.store(above, c.at("low", to))
            b.store(at_least, c.at("high", to))
            b.store(b.or_(b.load(different), b.xor(above, at_least)), different)
            values = z.call("llvm.fabs.v8f32"), z - pivot, (z - pivot) * (z - pivot)
            for total, value in zip(totals, values, strict=False):
                c.add_to(total, value)
        for n, total in enumerate(totals):
            place = c.plus(c["k"], (step, n))
            c.store(c.load("sums", place) + c.get(total), "sums", place)
        return b.load(different)

    return emit


def sums(c, pixels, term, kind=FLOATS, vectors=1):
    """[[sum over n of term(x[i + p step + places[n]], w[j + (n vectors + v) LANES])], v], p], w a
    vector of outputs; without `places` over all n below step."""
    totals = [c.variables(vectors, c.number(0, kind)) for _ in range(pixels)]
    starts = [c.plus(c["i"], (c["step"], p)) for p in range(pixels)]
    count = c.array("places").nitems if "places" in c else c["step"]
    with cgutils.for_range(c.builder, count) as n:
        place = c.one("places", n.index) if "places" in c else n.index
        there = c.plus(c["j"], (n.index, vectors * LANES))
        weights = [c.load("w", c.plus(there, v * LANES), kind) for v in range(vectors)]
        for start, its in zip(starts, totals, strict=True):
            x = c.all(c.one("x", c.plus(start, place)), kind)
            for total, weight in zip(its, weights, strict=True):
                c.add_to(total, term(x, weight))
    return [[c.get(total) for total in its] for its in totals]


def _to_out(c, lanes, index):
    """Into `out`, on top of what is there if `add`."""
    add = Lanes(c.builder, cgutils.as_bool_bit(c.builder, c["add"]))
    c.store(lanes + c.either(add, c.load("out", index), c.number(0.0)), "out", index)


def _products(pixels):
    """A matrix product of some pixels: out[o + p wide + k] (+)= bias[k] + sum of x w."""

    @emitted("x i step w j bias k out o wide add")
    def emit(c):
        for p, [total] in enumerate(sums(c, pixels, mul)):
            _to_out(c, total + c.load("bias", c["k"]), c.plus(c["o"], (c["wide"], p)))

    return emit


def _binary(pixels):
    """A binary convolution of some pixels and what a layer makes of it, from bits to `out`.

        t = (start[k of the pixel's kind] - 2 popcounts) scale[s] + before[k]
        out[o + p wide] (+)= (t > 0 ? t : slope[k] t) + after[k]

    The row of `start` for a pixel is kinds[q + p] + kind."""

    @emitted("x i step places w j start kinds q kind scale s before slope after k out o wide add")
    def emit(c):
        scale, one = c.load("scale", c["s"]), c.number(1.0)
        before, slope, after = (c.load(name, c["k"]) for name in ("before", "slope", "after"))
        differ = sums(c, pixels, lambda x, w: (x ^ w).call("llvm.ctpop.v8i64"), _WORDS)
        for p, [total] in enumerate(differ):
            row = c.plus(c.one("kinds", c.plus(c["q"], p)), c["kind"])
            first = c.load("start", c.plus(c["k"], (row, c["wide"])), _INTS)
            total = Lanes(c.builder, c.builder.trunc(total.value, _INTS))
            t = c.builder.sitofp((first - (total + total)).value, FLOATS)
            t = Lanes(c.builder, t) * scale + before
            t = t * c.either(t > c.number(0.0), one, slope) + after
            _to_out(c, t, c.plus(c["o"], (c["wide"], p)))

    return emit


@emitted("source i target j")
def move(c):
    """target[j] = source[i], LANES floats."""
    c.store(c.load("source", c["i"]), "target", c["j"])


signs, signs_and_sums = _signs(False), _signs(True)
products, one_product = _products(REAL_TILE), _products(1)
binary, one_binary = _binary(TILE), _binary(1)
