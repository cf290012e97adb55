"""Binary branches in training: four sweeps over memory instead of some fifty.

Autograd makes a tensor of every step of `blocks.binary.BinaryBranch.branch`, and reads it again on
the way back. Here all but the convolution is four loops, which numba compiles: of each frame and
channel, over its n pixels i,

    z_i = x_i + beta,  q_i = sign z_i,  y = conv(q),  u_i = s y_i + before
    s = sigmoid(conv1d(mean |z|, mean z, d)),  d = sqrt(var z + 1e-6);   without attention 1
    out_i = after + (u_i if u_i > 0 else slope u_i)

With g_i the gradient of out_i, and a sum over frames where a parameter has one value for all:

    du_i = g_i if u_i > 0 else slope g_i,  dy_i = s du_i,  ds = sum du_i y_i
    dafter = sum g_i,  dslope = sum g_i min(u_i, 0),  dbefore = sum du_i,  dbias = s dbefore

dq and the weights' gradient (none where |w| > 1) are PyTorch's. ds s (1 - s) goes back through
conv1d to the three statistics, where it is a, b and c, and

    dz_i = sign'(z_i) dq_i + a q_i / n + b / n + c (z_i - mean) / (d (n - 1)),  dbeta = sum dz_i
"""

from functools import partial
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks.binary import BinaryBranch


def fuse(network: nn.Module) -> None:
    """Compute a network's binary branches so, in place, where it learns on a CPU."""
    for module in network.modules():
        if isinstance(module, BinaryBranch):
            module.branch = partial(_branch, module)


def _branch(block: BinaryBranch, x: Tensor) -> Tensor:
    if not (block.training and torch.is_grad_enabled() and x.device.type == "cpu"):
        return type(block).branch(block, x)
    conv, act = block.conv, (block.act.before, block.act.slope, block.act.after)
    mix = None if block.attention is None else block.attention.conv.weight
    how = conv.stride, block.gradient == "quadratic"
    y: Tensor = _Branch.apply(x, block.threshold, mix, conv.weight, conv.bias, *act, *how)  # type: ignore[assignment]
    return y


class _Branch(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, threshold, mix, weight, bias, before, slope, after, stride, quadratic):
        x = x.contiguous()
        signs, binary = torch.empty_like(x), weight.abs().mean((1, 2, 3), True) * weight.sign()
        xs, qs = _planes(x, signs)
        mixes = np.empty((3, 0), xs.dtype) if mix is None else mix.detach()[0].numpy()
        seen = np.empty((len(x), 3, x.shape[1]), xs.dtype)  # the statistics
        s = np.ones((len(x), len(weight)), xs.dtype)
        front: Any = (xs, *_rows(threshold), qs, mixes, seen, s)
        _front(*front)
        y = F.conv2d(signs, binary, bias, stride, weight.shape[-1] // 2)
        out = torch.empty_like(y)
        back = *_planes(y), *_rows(before, slope, after), s
        _back(*back, *_planes(out))
        ctx.save_for_backward(x, threshold, weight, before, slope)  # an error if they have changed
        ctx.made = signs, binary, y, front, back
        ctx.how = stride, quadratic, bias is not None
        return out

    @staticmethod
    def backward(ctx, g):
        x, threshold, weight, before, _ = ctx.saved_tensors
        signs, binary, y, front, back = ctx.made
        stride, quadratic, biased = ctx.how
        dy, sums, mixes = torch.empty_like(y), torch.zeros(4, y.shape[1], dtype=y.dtype), front[3]
        ds, dmix, pad = np.empty_like(back[-1]), np.zeros_like(mixes), weight.shape[-1] // 2
        _back_grad(*back, *_planes(g.contiguous(), dy), sums.numpy(), ds)
        dq, dw, _ = torch.ops.aten.convolution_backward(
            dy, signs, binary, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1,
            [True, True, False],
        )  # fmt: skip
        dw.masked_fill_(weight.abs() > 1, 0)
        dx, dbeta = torch.empty_like(x), torch.zeros_like(threshold)
        _front_grad(*front, ds, quadratic, *_planes(dq, dx), *_rows(dbeta), dmix)
        dbefore, dslope, dafter, dbias = sums
        act = dbefore.view_as(before), dslope, dafter.view_as(before)
        dmix = torch.from_numpy(dmix)[None] if dmix.size else None
        return dx, dbeta, dmix, dw, dbias if biased else None, *act, None, None


def _planes(*tensors) -> list:  # (N, C, H, W) -> (N, C, H * W)
    return [t.detach().numpy().reshape(*t.shape[:2], -1) for t in tensors]


def _rows(*tensors) -> list:
    return [t.detach().numpy().reshape(-1) for t in tensors]


def _sweep(f: Any) -> Any:
    # Sums may be in any order: otherwise they would be of one number at a time.
    options = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        return njit(f, cache=True, **options)
    except RuntimeError:  # nowhere to write
        return njit(f, **options)


@_sweep
def _front(x, beta, signs, mix, seen, s):
    frames, channels, pixels = x.shape
    number, k = x.dtype.type, mix.shape[1]
    zero, one, n = number(0), number(1), number(pixels)
    for f in range(frames):
        for c in range(channels):
            size = mean = var = zero
            for i in range(pixels):
                z = x[f, c, i] + beta[c]
                signs[f, c, i] = one if z > 0 else -one if z < 0 else zero
                size += abs(z)
                mean += z
            mean /= n
            for i in range(pixels if k else 0):
                off = x[f, c, i] + beta[c] - mean
                var += off * off
            seen[f, 0, c], seen[f, 1, c] = size / n, mean
            seen[f, 2, c] = np.sqrt(var / max(n - one, one) + number(1e-6))
        for c in range(channels if k else 0):
            total = zero
            for m in range(max(0, k // 2 - c), min(k, channels + k // 2 - c)):
                for j in range(3):
                    total += mix[j, m] * seen[f, j, c + m - k // 2]
            s[f, c] = one / (one + np.exp(-total))


@_sweep
def _back(y, before, slope, after, s, out):
    for f in range(y.shape[0]):
        for c in range(y.shape[1]):
            for i in range(y.shape[2]):
                u = s[f, c] * y[f, c, i] + before[c]
                out[f, c, i] = after[c] + (u if u > 0 else slope[c] * u)


@_sweep
def _back_grad(y, before, slope, after, s, g, dy, sums, ds):
    zero = y.dtype.type(0)
    for f in range(y.shape[0]):
        for c in range(y.shape[1]):
            d_before = d_slope = d_after = d_s = zero
            for i in range(y.shape[2]):
                u, du = s[f, c] * y[f, c, i] + before[c], g[f, c, i]
                d_after += du
                d_slope += du * min(u, zero)
                du = du if u > 0 else slope[c] * du
                d_before += du
                d_s += du * y[f, c, i]
                dy[f, c, i] = s[f, c] * du
            ds[f, c] = d_s
            sums[0, c] += d_before
            sums[1, c] += d_slope
            sums[2, c] += d_after
            sums[3, c] += d_before * s[f, c]


@_sweep
def _front_grad(x, beta, signs, mix, seen, s, ds, quadratic, dq, dx, dbeta, dmix):
    frames, channels, pixels = x.shape
    number, k = x.dtype.type, mix.shape[1]
    zero, one, two, n = number(0), number(1), number(2), number(pixels)
    for f in range(frames):
        d_seen = np.zeros((3, channels), x.dtype)
        for c in range(channels if k else 0):
            inner = ds[f, c] * s[f, c] * (one - s[f, c])
            for m in range(max(0, k // 2 - c), min(k, channels + k // 2 - c)):
                for j in range(3):
                    dmix[j, m] += inner * seen[f, j, c + m - k // 2]
                    d_seen[j, c + m - k // 2] += inner * mix[j, m]
        for c in range(channels):
            of_size, of_mean, total = d_seen[0, c] / n, d_seen[1, c] / n, zero
            of_d = d_seen[2, c] / (seen[f, 2, c] * max(n - one, one))
            for i in range(pixels):
                z = x[f, c, i] + beta[c]
                of_sign = two * max(one - abs(z), zero)
                if not quadratic:
                    of_sign = one if abs(z) <= one else zero
                z = of_sign * dq[f, c, i] + of_d * (z - seen[f, 1, c])
                z += of_size * signs[f, c, i] + of_mean
                dx[f, c, i] = z
                total += z
            dbeta[c] += total
