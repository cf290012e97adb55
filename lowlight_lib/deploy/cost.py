"""What a network costs in parameters, MACs, memory, time: built in notebooks/10_what_it_costs."""

import dataclasses
import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch

from ..restore.window import device_of, out_of_memory
from . import counting


@dataclass(frozen=True)
class Cost:
    """Cost of one forward pass."""

    params: int  # as built (weight normalisation included)
    effective_params: int  # binary weights counted as 1/32
    macs: int  # of convolutions and matrix products; resampling, additions, activations count 0
    binary_macs: int  # those of `macs` that are binary
    ops: float  # macs, binary ones as 1/64
    peak_bytes: int  # most bytes of tensors alive at once, input and weights not counted
    seconds: float | None  # median of warm passes on the network's device; None if only counted


def count(model, input_shape, *, training=False) -> Cost:
    """What follows from shapes alone: all of `Cost` but the seconds, at once and for any size.

    Of `binary_layers` the convolutions that they run themselves are binary, and a `weight` counts
    1/32. `training`: with the backward pass and what is kept for it."""
    with out_of_memory(input_shape):
        ops = counting.trace(model, input_shape, training=training)
    macs = sum(op.macs for op in ops)
    binary = sum(op.macs for op in ops if op.binary)
    params, effective = counting.parameters(model)
    peak = max((op.live for op in ops), default=0)
    return Cost(params, effective, macs, binary, macs - binary + binary / 64, peak, None)


def measure(model, input_shape, repeats=3) -> Cost:
    """Count, and time a network, put into eval mode; OptionError: no memory for the input."""
    found, device = count(model.eval(), input_shape), device_of(model)
    with torch.inference_mode(), out_of_memory(input_shape):
        x = torch.rand(input_shape, device=device)

        def call():
            model(x)
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        times = timed(call, repeats)
    return dataclasses.replace(found, seconds=statistics.median(times))


def timed(call, repeats) -> list[float]:
    """Seconds of each of so many calls, after one that is not counted."""
    return in_turns({"": call}, repeats + 1)[""][1:]


def in_turns(calls, rounds) -> dict:
    """Times of functions, each called once a round, after the others: {name: seconds, a round}."""
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - began)
    return times


def spread(seconds) -> dict[str, float]:
    """Of some times "p10", "seconds" (the median) and "p90"."""
    p10, median, p90 = np.percentile(seconds, (10, 50, 90)).tolist()
    return {"seconds": median, "p10": p10, "p90": p90}


def summary(found) -> str:
    """What `lowlight cost` prints of a `Cost` as a dict, perhaps with a process and modules."""
    lines = [f"parameters        {found['params']:,}", f"MACs              {_giga(found['macs'])}"]
    if found["binary_macs"]:
        binary, ops = _giga(found["binary_macs"]), _giga(found["ops"])
        lines.append(f"binary MACs       {binary}, as 1/64 {ops}")
        lines.append(f"weights as bits   {found['effective_params']:,}")
    lines.append(f"activation peak   {found['peak_bytes'] / 2**20:.0f} MiB")
    if "process_peak_bytes" in found:
        before, peak = found["process_before_bytes"] / 2**20, found["process_peak_bytes"] / 2**20
        lines.append(f"process peak      {peak:.0f} MiB, {peak - before:.0f} of them for the pass")
    for name, billions in found.get("as_published", {}).items():
        lines.append(f"{name:26}{billions:.3f} G")
    if found["seconds"] is not None:
        lines.append(f"time              {found['seconds']:.3f} s")
    for name, macs in found.get("by_module", {}).items():
        lines.append(f"  {name:16}{_giga(macs):>10}{macs / found['macs']:8.1%}")
    return "\n".join(lines)


def _giga(macs):
    return f"{macs / 1e9:.2f} G"
