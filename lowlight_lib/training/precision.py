"""The arithmetic of a training: float32, or on a GPU mixed precision.

Convolutions and matrix products are then computed in 16 bits; the weights, the loss and the
optimiser stay in float32. Gradients below 6e-8 would vanish in float16: so the loss is multiplied
by a large number before, and the gradients divided by it after.

Source: Micikevicius et al., "Mixed Precision Training", ICLR 2018.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import OptionError


def choose(amp: bool, device: torch.device) -> str:
    """Name of the format to train in: "float32", or with `amp` what the GPU is fast in; OptionError
    without one, where mixed precision would be slower and worse."""
    if not amp:
        return "float32"
    if device.type != "cuda":
        what = f"mixed precision is for GPUs, and this run is on {str(device)!r}"
        raise OptionError(what, todo="leave --amp (amp=true) away")
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


class Precision:
    """A format, and its `scaler`, which for float16 makes the loss large and the gradients small
    again, and leaves out a step whose gradients overflow."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.name, self.device = name, device
        self.scaler = torch.amp.GradScaler(device.type, enabled=name == "float16")

    def predict(self, model: nn.Module, x: Tensor) -> Any:
        """What the model makes of x, in float32 where its layers computed in 16 bits."""
        if self.name == "float32":
            return model(x)
        with torch.autocast(self.device.type, getattr(torch, self.name)):
            y = model(x)
        return y.float() if torch.is_tensor(y) else type(y)(*(t.float() for t in y))
