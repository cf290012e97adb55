"""Convolutions of 3x3 and 5x5 with fewer multiplications: Winograd's minimal filtering.

    y = A [sum over channels of (G w G^T) (B x B^T)] A^T        products in [] place by place

x is a tile of 6x6 pixels, y the 4x4 results (of a 3x3 kernel) or 2x2 (of a 5x5) that it has: 36
products for each pair of channels, where the sums as they are written take 144 or 100. Rounding is
about four times that of the plain sums, 1e-5 of a result's size. See docs/performance.md.
Source: Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
Tiles of 4x4 are built in notebooks/15_engines_and_bits, section 1."""

from functools import reduce
from operator import add, mul

import numpy as np
import torch
from numba import prange
from torch import nn

from .vectors import LANES, emitted, kernel, move, sums, threads_of_torch

SIDE = 6  # of a tile
POINTS = (0, 1, -1, 2, -2)  # and infinity: where the polynomials are multiplied
B = np.array([
    [4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
])  # fmt: skip
OUTPUTS, TILES = 2 * LANES, 6  # of a matrix product at a time: their sums stay in registers
CHUNK = 12  # tiles that are worked through at a time: what becomes of them stays in the cache


def fits(layer) -> bool:
    """Whether a module is a convolution that is faster this way."""
    return (
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size in ((3, 3), (5, 5))
        and layer.padding == tuple(k // 2 for k in layer.kernel_size)
        and (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
        and layer.padding_mode in ("zeros", "reflect")
        and layer.in_channels >= 2 * LANES
        and layer.in_channels % LANES == 0
    )


class WinogradConv2d(nn.Module):
    """What an `nn.Conv2d` that `fits` computes, in float32 on the CPU, without gradients: channels
    last, but of few channels plane by plane. Shapes: (N, C, H, W) -> (N, C', H, W)."""

    def __init__(self, layer) -> None:
        super().__init__()
        o, c, k, _ = layer.weight.shape
        apart = np.subtract.outer(POINTS, POINTS) + np.eye(len(POINTS))
        g = np.vander(POINTS, k, increasing=True) / apart.prod(1)[:, None]
        g = np.vstack([g, np.eye(k)[-1]])
        weight = layer.weight.detach().double().numpy()
        u = np.einsum("ai,ocij,bj->aboc", g, weight, g).reshape(SIDE**2, o, c)
        u = np.pad(u, ((0, 0), (0, -o % OUTPUTS), (0, 0))).reshape(SIDE**2, -1, OUTPUTS, c)
        # (outputs / OUTPUTS, places, C, OUTPUTS)
        self.weights = np.ascontiguousarray(u.transpose(1, 0, 3, 2), np.float32)
        self.bias = np.zeros(u.shape[1] * OUTPUTS, np.float32)
        if layer.bias is not None:
            self.bias[:o] = layer.bias.detach().numpy()
        self.outputs, self.kernel = o, k
        self.reflect = layer.padding_mode == "reflect"

    def forward(self, x):
        planes = self.outputs < OUTPUTS  # mostly pictures, whose pixels are then shuffled
        layout = torch.contiguous_format if planes else torch.channels_last
        out = torch.empty(len(x), self.outputs, *x.shape[2:], memory_format=layout)
        given, result = x.permute(0, 2, 3, 1).contiguous().numpy(), out.permute(0, 2, 3, 1).numpy()
        with threads_of_torch() as parts:
            convolve(given, self.weights, self.bias, self.kernel, self.reflect, result, parts)
        return out


def _both_ways(c, matrix, tile):
    """matrix tile matrix^T, of a list of rows of `Lanes`."""

    def combined(given):
        for row in matrix:
            pairs = ((f, v) for f, v in zip(row, given, strict=True) if f)
            yield reduce(add, (v if f == 1 else v * c.number(float(f)) for f, v in pairs))

    rows = [list(combined(row)) for row in tile]
    return zip(*(combined(column) for column in zip(*rows, strict=True)), strict=True)


def _load(c, name, i, line, step):
    places = range(SIDE)
    return [[c.load(name, c.plus(c[i], (line, a), (step, b))) for b in places] for a in places]


@emitted("x i line step v j far")
def _into(c):
    """v[j + far place] = B x B^T, of the tile whose corner is x[i]."""
    rows = _both_ways(c, B, _load(c, "x", "i", c["line"], c["step"]))
    for place, value in enumerate(value for row in rows for value in row):
        c.store(value, "v", c.plus(c["j"], (c["far"], place)))


def _out_of(kernel_side):
    n = SIDE + 1 - kernel_side
    a = np.vander(POINTS, n, increasing=True).T
    a = np.hstack([a, np.eye(n)[:, -1:]])

    @emitted("m j far bias k y i line step")
    def emit(c):
        """y[i] and on = A m A^T + bias."""
        bias = c.load("bias", c["k"])
        tile = _load(c, "m", "j", c.plus(c["far"], (c["far"], SIDE - 1)), c["far"])
        for row, values in enumerate(_both_ways(c, a, tile)):
            for column, value in enumerate(values):
                to = c.plus(c["i"], (c["line"], row), (c["step"], column))
                c.store(value + bias, "y", to)

    return emit


def _products(tiles):
    """m[o + p far + output] = sum over n of x[i + p step + n] w[j + ...]: OUTPUTS of `tiles`."""

    @emitted("x i step w j m o far")
    def emit(c):
        for p, its in enumerate(sums(c, tiles, mul, vectors=OUTPUTS // LANES)):
            for v, total in enumerate(its):
                c.store(total, "m", c.plus(c["o"], (c["far"], p), v * LANES))

    return emit


_out_of_3, _out_of_5 = _out_of(3), _out_of(5)
_many, _one = _products(TILES), _products(1)


@kernel()
def _place(i, size, reflect):
    """Where line i is, outside of 0 .. size - 1 too; -1 where there are zeros."""
    if reflect:
        return 2 * size - 2 - i if i >= size else abs(i)
    return i if 0 <= i < size else -1


@kernel()
def _patch(x, n, top, left, columns, reflect, patch):
    """SIDE rows of frame n, `columns` pixels each, into patch."""
    _, h, w, c = x.shape
    for a in range(SIDE):
        y = _place(top + a, h, reflect)
        for b in range(columns):
            i, j = _place(left + b, w, reflect), (a * patch.shape[1] + b) * c
            if y < 0 or i < 0:
                patch[a, b] = 0
                continue
            for k in range(0, c, LANES):
                move(x, ((n * h + y) * w + i) * c + k, patch, j + k)


@kernel(parallel=True)
def convolve(x, u, bias, side, reflect, out, parts):
    """Convolve (N, H, W, C) into `out` (N, H, W, C'), by `parts` jobs; u, bias as `WinogradConv2d`
    has them; side: of the kernel, 3 or 5; reflect: at the borders, else zeros."""
    (frames, h, w, c), outputs = x.shape, out.shape[3]
    blocks, places, wide = u.shape[0], u.shape[1], bias.shape[0]
    m = SIDE + 1 - side
    rows, across = -(-h // m), -(-w // m)
    for job in prange(parts):
        patch = np.zeros((SIDE, m * CHUNK + side - 1, c), np.float32)
        v = np.empty((places, CHUNK, c), np.float32)
        products = np.empty((places, CHUNK, wide), np.float32)
        done = np.empty((m, m * CHUNK, wide), np.float32)
        for r in range(frames * rows * job // parts, frames * rows * (job + 1) // parts):
            n, top = r // rows, r % rows * m
            for first in range(0, across, CHUNK):
                tiles, left = min(CHUNK, across - first), first * m
                pixels = tiles * m + side - 1
                _patch(x, n, top - side // 2, left - side // 2, pixels, reflect, patch)
                for t in range(tiles):
                    for k in range(0, c, LANES):
                        line = patch.shape[1] * c
                        _into(patch, t * m * c + k, line, c, v, t * c + k, CHUNK * c)
                whole = tiles - tiles % TILES
                for place in range(places):
                    i, o = place * CHUNK * c, place * CHUNK * wide
                    for block in range(blocks):
                        j, k = (block * places + place) * c * OUTPUTS, o + block * OUTPUTS
                        for t in range(0, whole, TILES):
                            _many(v, i + t * c, c, u, j, products, k + t * wide, wide)
                        for t in range(whole, tiles):
                            _one(v, i + t * c, c, u, j, products, k + t * wide, wide)
                for t in range(tiles):
                    for k in range(0, wide, LANES):
                        j, i, line = t * wide + k, t * m * wide + k, m * CHUNK * wide
                        if side == 3:
                            _out_of_3(products, j, CHUNK * wide, bias, k, done, i, line, wide)
                        else:
                            _out_of_5(products, j, CHUNK * wide, bias, k, done, i, line, wide)
                for a in range(min(m, h - top)):
                    for b in range(min(m * tiles, w - left)):
                        to = out[n, top + a, left + b]
                        for k in range(outputs):
                            to[k] = done[a, b, k]
