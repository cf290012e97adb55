"""Binarized convolution: from the sign of a number to the distribution-aware block of BRVE.

sign(0) is **0, as in the released network**: a convolution pads its binarised input with zeros, and
every faster kernel here does the same. `zero=1` is the other common rule, +1, and another network.
Source: Zhang, Zhang, Yuan, Fu, "Binarized Low-light Raw Video Enhancement", CVPR 2024.
Built in notebooks/06_binarized_conv and 07_binary_networks.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import OptionError, ShapeError

Gradient = Literal["clip", "quadratic"]
Layer = Callable[..., nn.Module]  # a class of layers, or a function that makes one


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gradient, zero):
        ctx.save_for_backward(x)
        ctx.gradient = gradient
        return torch.sign(x) if zero == 0 else torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        if ctx.gradient == "clip":
            return g * (x.abs() <= 1), None, None
        return g * (2 - 2 * x.abs()).clamp(min=0), None, None


def sign_ste(x: Tensor, gradient: Gradient = "quadratic", zero: Literal[0, 1] = 0) -> Tensor:
    """Sign, with a gradient made up for it: that of a smooth function which looks like it.

        forward     sign(x), and `zero` (0 or 1) where x is 0
        backward    "clip":       1              where |x| <= 1, else 0    (of clamp(x, -1, 1))
                    "quadratic":  2 - 2 |x|      where |x| <= 1, else 0    (of x (2 - |x|))

    OptionError for another gradient or zero. Built in notebooks/06_binarized_conv, section 2.
    Source: Bengio et al., 2013; "quadratic": Liu et al., "Bi-Real Net", ECCV 2018, equation 4.

    >>> x = torch.tensor([-2.0, -0.25, 0.0, 0.25], requires_grad=True)
    >>> sign_ste(x).tolist()
    [-1.0, -1.0, 0.0, 1.0]
    >>> sign_ste(x).sum().backward(); x.grad.tolist()
    [0.0, 1.5, 2.0, 1.5]
    """
    if gradient not in ("clip", "quadratic") or zero not in (0, 1):
        raise OptionError(f"no sign with gradient {gradient!r} and zero {zero!r}")
    return _Sign.apply(x, gradient, zero)


class _BinaryWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, alpha):
        ctx.save_for_backward(w)
        return alpha.view(-1, 1, 1, 1) * torch.sign(w)

    @staticmethod
    def backward(ctx, g):
        (w,) = ctx.saved_tensors
        return g * (w.abs() <= 1), None


class BinaryConv2d(nn.Module):
    """A convolution with binary weights: alpha_o sign(W), alpha_o = mean |W| of output channel o.

    Its input should be signs (`sign_ste`). Computed in float; `deploy.bitpacked` does it with bits.
    Gradient: alpha is held fixed, and each weight gets that of its binary stand-in where |w| <= 1,
    none elsewhere, as in the released network.
    Shapes: (N, c_in, H, W) -> (N, c_out, ceil(H / stride), ceil(W / stride)), kernel odd.
    Source: Rastegari et al., "XNOR-Net", ECCV 2016, equation 6.
    Built in notebooks/06_binarized_conv, sections 3 and 4.
    """

    binary = True  # deploy.cost counts its multiply-accumulates as binary
    # The scales (c_out,) that bits were saved with, for eval mode: a new mean could differ a digit.
    alpha: Tensor | None

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, bias: bool = False
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel // 2
        self.weight = nn.Parameter(torch.empty(c_out, c_in, kernel, kernel))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # nn.Conv2d's own
        self.bias = nn.Parameter(torch.zeros(c_out)) if bias else None
        self.register_buffer("alpha", None, persistent=False)

    def forward(self, signs: Tensor) -> Tensor:
        weight = _BinaryWeight.apply(self.weight, self.scale())
        return F.conv2d(signs, weight, self.bias, self.stride, self.padding)

    def scale(self) -> Tensor:
        """alpha: (c_out,), held fixed."""
        if self.alpha is not None and not self.training:
            return self.alpha
        return self.weight.detach().abs().mean((1, 2, 3))

    def as_bits(self) -> tuple[Tensor, Tensor]:
        """(bits, alpha): uint8 (c_out, ceil(c_in k k / 8)), 1 for +; float32 (c_out,)."""
        w = self.weight.detach().cpu().flatten(1).numpy()
        if not w.all():
            raise OptionError(f"{(w == 0).sum()} binary weights are exactly 0: no bit says that")
        return torch.from_numpy(np.packbits(w > 0, axis=1)), self.scale().float().cpu()

    def from_bits(self, bits: Tensor | None, alpha: Tensor | None) -> Tensor:
        """The weight that `as_bits` was made of, +-alpha; ShapeError for another layer's."""
        c_out, n = self.weight.shape[0], self.weight[0].numel()
        if bits is None or alpha is None or bits.dtype != torch.uint8:
            raise ShapeError("bits are uint8, with a scale for each output channel")
        if bits.shape != (c_out, -(-n // 8)) or alpha.shape != (c_out,):
            shapes = [tuple(t.shape) for t in (bits, alpha, self.weight)]
            raise ShapeError("{} and {} for {}".format(*shapes))
        signs = torch.from_numpy(np.unpackbits(bits.numpy(), axis=1, count=n)).float() * 2 - 1
        return (signs * alpha[:, None]).view(self.weight.shape)


class RPReLU(nn.Module):
    """PReLU with a learned shift before and after, each per channel: p(x + before) + after.

    Shapes: (N, C, H, W) -> the same. Source: Liu et al., "ReActNet", ECCV 2020, equation 5.
    Built in notebooks/07_binary_networks, section 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.slope = nn.Parameter(torch.full((channels,), 0.25))
        self.after = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x + self.before, self.slope) + self.after


class DistributionAwareAttention(nn.Module):
    """DACA: a factor per channel, read from the distribution that the sign is about to erase.

        s = sigmoid(conv1d([mean |z|, mean z, std z]))      over the channels, kernel of ECA

    The deviation is sqrt(var + 1e-6), var being unbiased.
    Shapes: (N, C, H, W) -> (N, C, 1, 1) in (0, 1). Built in notebooks/07_binary_networks,
    section 2.
    Source: BRVE, section 3.3; the kernel's size from Wang et al., "ECA-Net", CVPR 2020, equation 9.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        k = int((math.log2(channels) + 1) / 2)
        k += 1 - k % 2  # the next odd number
        self.conv = nn.Conv1d(3, 1, k, padding=k // 2, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        n = z.shape[2] * z.shape[3]
        mean = z.mean((2, 3))
        var = z.var((2, 3)) if n > 1 else torch.zeros_like(mean)
        seen = torch.stack([z.abs().mean((2, 3)), mean, (var + 1e-6).sqrt()], 1)  # (N, 3, C)
        return torch.sigmoid(self.conv(seen)).transpose(1, 2)[..., None]  # (N, C, 1, 1)


class BinaryBranch(nn.Module):
    """What `DABC2d` and `BinaryTransition` have in common, beside which each has its skip.

        z = x + beta;    branch(x) = RPReLU(s * conv(sign z)),    s = attention(z), or 1 without

    `training.fused` computes it faster, with the same gradients.
    """

    def __init__(self, c_in, conv: BinaryConv2d, attention: bool, gradient: Gradient) -> None:
        super().__init__()
        self.gradient: Gradient = gradient
        self.threshold = nn.Parameter(torch.zeros(1, c_in, 1, 1))
        self.conv = conv
        self.attention = DistributionAwareAttention(c_in) if attention else None
        self.act = RPReLU(len(conv.weight))

    def branch(self, x: Tensor) -> Tensor:
        z = x + self.threshold
        y = self.conv(sign_ste(z, self.gradient))
        return self.act(y if self.attention is None else self.attention(z) * y)


class DABC2d(BinaryBranch):
    """The distribution-aware binary convolution, with its residual: x + branch(x).

    Without `attention` its s is 1 (an ablation). Shapes: (N, channels, H, W) -> the same.
    Source: BRVE, section 3.3 and figure 3. Built in notebooks/07_binary_networks, section 3.
    """

    def __init__(
        self, channels: int, kernel: int = 3, *, attention=True, gradient: Gradient = "quadratic"
    ) -> None:
        super().__init__(channels, BinaryConv2d(channels, channels, kernel), attention, gradient)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class BinaryTransition(BinaryBranch):
    """Where the number of channels or the size changes no identity fits: a real 1x1 is the skip.

        out = RPReLU(conv(sign(x + beta))) + conv_1x1(x)

    With "down" the convolution has stride 2 and a bias, and the skip averages 2x2 pixels first;
    with "up" the input is enlarged twofold first. `real_skip` False (an ablation): no 1x1.
    Shapes: (N, c_in, H, W) -> (N, c_out, H', W'), H' = H, H / 2 (H even) or 2 H.
    Source: BRVE's released code. Built in notebooks/07_binary_networks, section 4.
    """

    def __init__(
        self, c_in, c_out, resize=None, *, real_skip=True, gradient: Gradient = "quadratic"
    ) -> None:
        if resize not in (None, "down", "up"):
            raise OptionError(f"resize is None, 'down' or 'up', not {resize!r}")
        down = resize == "down"
        conv = BinaryConv2d(c_in, c_out, 3, stride=2 if down else 1, bias=down)
        super().__init__(c_in, conv, False, gradient)
        self.resize = resize
        self.skip = nn.Conv2d(c_in, c_out, 1) if real_skip else None

    def forward(self, x: Tensor) -> Tensor:
        if self.resize == "up":
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        y = self.branch(x)
        if self.skip is None:
            return y
        return y + self.skip(F.avg_pool2d(x, 2) if self.resize == "down" else x)


class BinaryUNet(nn.Module):
    """Three scales, each frame by itself, a residual around it all: stages 0 and 2 of BRVE.

    `transition` and `block` make the layers: (c_in, c_out, resize) and (channels) -> Module.
    Shapes: (N, c, H, W), H and W multiples of 4 -> the same. Source: BRVE, figure 2.
    """

    def __init__(self, c: int, transition: Layer, block: Layer) -> None:
        super().__init__()
        widths = (c, 2 * c, 4 * c)
        levels = list(zip(widths, (1, 3, 3), strict=True))
        self.encoders = nn.ModuleList(row(block, w, n) for w, n in levels)
        self.decoders = nn.ModuleList(row(block, w, n) for w, n in levels)
        self.downs = nn.ModuleList(transition(w, 2 * w, "down") for w in widths[:2])
        self.ups = nn.ModuleList(transition(2 * w, w, "up") for w in widths[:2])
        self.skips = nn.ModuleList(block(w) for w in widths[:2])

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W)
        y, kept = self.encoders[0](x), []
        for down, encode in zip(self.downs, self.encoders[1:], strict=True):
            kept.append(y)
            y = encode(down(y))
        y = self.decoders[2](y)
        for i in (1, 0):
            y = self.decoders[i](self.ups[i](y) + self.skips[i](kept[i]))
        return x + y


def binary_layers(network: nn.Module) -> dict[str, Any]:
    """{name: module} of those with binary weights, which say so by an attribute `binary = True`."""
    return {name: m for name, m in network.named_modules() if getattr(m, "binary", False)}


def row(block: Layer, width: int, n: int) -> nn.Sequential:
    """n blocks of that width, one after the other."""
    return nn.Sequential(*(block(width) for _ in range(n)))
