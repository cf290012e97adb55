"""How much light is missing? The amplification factor from the dark mosaic alone.

Fixed (`estimate_amplification`, REDI's formula) or learned (`LearnedAmplifier`, LLPackNet's).
Built in notebooks/03_amplifier.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import OptionError, ShapeError
from ..sensor.cfa import tile
from .padding import pad_to_multiple

BINS = 128  # n in equation 5
SMALLEST, LARGEST = 1.0, 300.0
_MOST_PLANES = 64  # of the mosaic, one a black level
_STRIP = 1 << 20  # pixels counted at a time: bincount needs 8 bytes for each


def bin_edges() -> np.ndarray:
    """The 128 edges b_k = (2^(8k/127) - 1) / 255 of the intensity bins: fine in the dark."""
    return (2 ** (8 * np.arange(BINS) / (BINS - 1)) - 1) / 255


def bin_weights() -> np.ndarray:
    """The 127 weights w_k = 10^(-5k/126), float32: 1 in the darkest bin, 1e-5 in the brightest."""
    return (10 ** (-5 * np.arange(BINS - 1) / (BINS - 2))).astype(np.float32)


def estimate_amplification(
    mosaic: ArrayLike, black_level: ArrayLike, white_level: float, m: float = 1.0
) -> float:
    """The factor that brings a dark mosaic to a well-exposed level, without knowing the exposure.

        a = clip( 0.01 m * sum_i w(x_i) / sum_i w(x_i) x_i , 1, 300 ),   x = signal in [0, 1]

    Dark pixels count most, so a lamp in the picture does not make it "bright"; a saturated one lies
    outside the last bin and counts nothing. The result is the released code's to the last bit.

    Args:
        mosaic: (H, W), integer or float, in DN.
        black_level: DN; a number, or a cell of them that repeats.
        m: brightness wanted; the paper uses 0.1 to 0.9, its released code 1 to 9.
    Raises ShapeError: not a 2-D array of numbers, or white not above black.
    Source: Lamba & Mitra, "Restoring Extremely Dark Images in Real Time", CVPR 2021, equation 5.
    """
    mosaic = np.asarray(mosaic)
    black = np.atleast_2d(np.asarray(black_level, np.float32))
    if mosaic.ndim != 2 or mosaic.size == 0 or mosaic.dtype.kind not in "uif":
        raise ShapeError(f"a mosaic is a 2-D array of numbers, got {mosaic.dtype} {mosaic.shape}")
    if not white_level > black.max():
        raise ShapeError(f"white level {white_level} is not above black level {black.max():g}")
    if mosaic.dtype.kind == "f" and not np.isfinite(mosaic).all():
        raise ShapeError("the mosaic holds NaN or infinity")
    black = black[:1, :1] if (black == black[0, 0]).all() else black
    rows, columns = black.shape
    if black.size <= _MOST_PLANES:
        planes = [(mosaic[i::rows, j::columns], black[i, j]) for i, j in np.ndindex(rows, columns)]
    else:  # a level a line, say
        planes = [(mosaic, tile(black, mosaic.shape))]
    weight, light = sum((_weighted_sums(*p, white_level) for p in planes), start=np.zeros(2))
    if light == 0:  # nothing but black: as bright as allowed; nothing but white: as it is
        return LARGEST if weight > 0 else SMALLEST
    # Rounded where the released code rounds, so that the float32 value is the same.
    factor = np.float32(0.01 * weight / light) * np.float32(m)
    return float(np.clip(factor, SMALLEST, LARGEST))


def _weighted_sums(plane, black, white):
    """(sum w(x), sum w(x) x) over one plane; products in float32, sums in float64."""
    step = max(1, _STRIP // max(1, plane.shape[-1]))
    strips = [slice(r, r + step) for r in range(0, plane.shape[0], step)]
    if plane.dtype == np.uint16 and not np.ndim(black):  # count each of the 65,536 values once
        counts = np.zeros(65536, np.int64)
        for strip in strips:
            counts += np.bincount(plane[strip].ravel(), minlength=65536)
        w, x = _weigh(np.arange(65536), black, white)
        return np.array([(counts * w.astype(np.float64)).sum(), (counts * (w * x)).sum()])
    sums = np.zeros(2)  # fractions, large integers, many levels: too many values for a table
    for strip in strips:
        w, x = _weigh(plane[strip], black[strip] if np.ndim(black) else black, white)
        sums += w.sum(dtype=np.float64), (w * x).sum(dtype=np.float64)
    return sums


def _weigh(values, black, white):
    span = np.float32(white) - np.float32(black)
    x = np.maximum(values.astype(np.float32) - np.float32(black), 0) / span
    weights = np.append(bin_weights(), np.float32(0))  # the last for x >= 1, outside every bin
    return weights[np.searchsorted(bin_edges(), x, side="right") - 1], x


class LearnedAmplifier(nn.Module):
    """LLPackNet's amplifier of 2020: a small network that looks at the dark mosaic.

        histogram:  counts over 63 bins / pixels -> Linear 63-128 -> Linear 128-1
        conv:       planes R, G1, G2, B -> conv 3x3 4-16 -> global mean -> 1x1 16-128 -> 1x1 128-1

    and a result of 0 or less becomes 1e-4. There is no non-linearity between the two last layers
    (of "conv" that is our reading: its layers and 2,897 parameters are known). It goes before any
    network for stills: `restore(raw, network, amplification=amplifier)`.
    Shapes: normalised mosaic (N, 1, H, W), RGGB, not amplified -> factors (N,).
    Source: Lamba et al., BMVC 2020, section 3.3 and released ablations.
    """

    edges: Tensor

    def __init__(self, kind: Literal["histogram", "conv"] = "histogram") -> None:
        super().__init__()
        if kind not in ("histogram", "conv"):
            raise OptionError(f"no amplifier {kind!r}", todo="use histogram or conv")
        self.kind = kind
        if kind == "histogram":
            edges = (2 ** (8 * torch.arange(64, dtype=torch.float64) / 63) - 1) / 255
            self.register_buffer("edges", edges.float(), persistent=False)
            self.hidden, self.out = nn.Linear(63, 128), nn.Linear(128, 1)
        else:
            self.look = nn.Conv2d(4, 16, 3, padding=1)
            self.hidden, self.out = nn.Conv2d(16, 128, 1), nn.Conv2d(128, 1, 1)
        # Ours: begin at a factor of about 1. From PyTorch's own beginning half of all seeds would
        # start below 0, where the 1e-4 lets no gradient back.
        nn.init.constant_(self.out.get_parameter("bias"), 1.0)

    def histogram(self, mosaic: Tensor) -> Tensor:
        """Shares of the pixels in the 63 bins: (N, 1, H, W) -> (N, 63). It has no gradient."""
        flat = mosaic.detach().flatten(1)
        if torch.compiler.is_compiling():  # ONNX cannot search, but count what is above an edge
            above = torch.stack([(flat >= edge).sum(1) for edge in self.edges[:-1]], 1)
            counts = above - F.pad(above[:, 1:], (0, 1))
        else:
            inside = torch.searchsorted(self.edges, flat.contiguous(), right=True) - 1
            inside = inside.clamp(max=62)  # white belongs to the last bin
            # Counted in integers: in float32 a bin stops growing at 2^24.
            counts = torch.zeros(len(flat), 63, dtype=torch.int32, device=flat.device)
            counts.scatter_add_(1, inside.clamp(min=0), (inside >= 0).to(torch.int32))
        return counts.to(flat.dtype) / flat.shape[1]

    def forward(self, mosaic: Tensor) -> Tensor:
        if self.kind == "histogram":
            x = self.histogram(mosaic)
        else:
            planes = F.pixel_unshuffle(pad_to_multiple(mosaic, 2), 2)  # (N, 4, H/2, W/2)
            x = self.look(planes).mean((2, 3), keepdim=True)
        x = self.out(self.hidden(x)).flatten()
        return torch.where(x > 0, x, torch.full_like(x, 1e-4))
