"""Smaller numbers for an exported network: float16, and int8 by static quantisation.

    int8:  q = clip(round(x / s) + z, 0, 255)        activations: s, z of a tensor
           q = clip(round(w / s_o), -127, 127)       weights: s_o of an output channel

What s covers is chosen by entropy (KL) calibration, see `best_cut`; the rest is ONNX Runtime's.
Source: Migacz, "8-bit Inference with TensorRT", GTC 2017.
Built in notebooks/14_export_and_int8, sections 2 and 3."""

import copy
import json
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np

from .. import models
from ..errors import OptionError
from .calibration import check_key
from .engines import need, onnx_call, onnx_session
from .export import quiet, read_about, set_about

BINS, LEVELS = 2048, 128  # of the histograms of magnitudes; steps for one of the two signs

# What is computed on integers: the convolutions, and what lies between them.
TYPES = ["Conv", "Relu", "Pad", "LeakyRelu", "Concat", "Reshape", "Transpose", "Add"]
TYPES += ["DepthToSpace"]


def to_float16(proto):
    """The network with float16 weights and sums; what goes in and out stays float32.

    `proto` is an onnx.ModelProto of `export.to_onnx`, left as it was. OptionError: a system that is
    not quantised (see `calibration.check_key`), or a package is missing."""
    about = read_about(proto)
    check_key(about["spec"].key)
    float16 = need("onnxruntime.transformers.float16")[0]
    with quiet():
        made = float16.convert_float_to_float16(copy.deepcopy(proto), keep_io_types=True)
    set_about(made, about | {"precision": "float16"})
    return made


def to_int8(proto, calibration, keep=None):
    """The network with int8 weights and uint8 activations, in QuantizeLinear and DequantizeLinear,
    which runtimes turn into integer kernels (see `int8_kernels`).

    `calibration` are inputs (1, C, h, w), see `calibration.calibration_set`; convolutions whose
    names begin as one of `keep`, by default of the system's card, stay in float32. Errors as of
    `to_float16`."""
    about = read_about(proto)
    check_key(key := about["spec"].key)
    if not len(calibration):
        raise OptionError("int8 needs inputs to calibrate on", todo="--calibration DATA_ROOT")
    keep = cast(Any, models.SYSTEMS[key].int8).keep if keep is None else tuple(keep)
    ort = "onnxruntime.quantization"
    shapes, q, calibrate, qdq = need(
        "onnx.shape_inference", ort, f"{ort}.calibrate", f"{ort}.qdq_quantizer"
    )
    with quiet():
        model = shapes.infer_shapes(proto)
        layers = convolutions(model)
        stays = [node for node, name in layers.items() if keep and name.startswith(keep)]
        # Called MinMax because it then takes ranges as they are: ours.
        found = calibrate.TensorsData(q.CalibrationMethod.MinMax, ranges(model, calibration))
        kinds = q.QuantType.QInt8, q.QuantType.QUInt8  # weights, activations
        quantiser = qdq.QDQQuantizer(model, True, False, *kinds, found, [], stays, TYPES, {})
        made = quantiser.quantize_model()
        _pad_integers(made)
        quantiser.model.topological_sort()
    set_about(made, about | {"precision": "int8", "float_layers": [layers[n] for n in stays]})
    return made


def ranges(proto, calibration) -> dict[str, tuple[float, float]]:
    """What integers shall cover: {input or result of `TYPES` of operations: (lowest, highest)}."""
    constant = {"", *(i.name for i in proto.graph.initializer)}
    nodes = [node for node in proto.graph.node if node.op_type in TYPES]
    names = dict.fromkeys(name for node in nodes for name in (*node.input, node.output[0]))
    names = [name for name in names if name not in constant]
    first = _watch(proto, names)(calibration[0])
    names = [n for n, y in zip(names, first, strict=True) if y.dtype == np.float32]  # no shapes
    run = _watch(proto, names)
    ends = np.array([[(y.min(), y.max()) for y in run(x)] for x in calibration])
    low, high = ends[..., 0].min(0), ends[..., 1].max(0)
    counts = np.zeros((len(names), BINS), np.int64)
    top = np.maximum(np.maximum(-low, high), 1e-12).astype(np.float64)
    for x in calibration:  # again, for nobody keeps all that flows through
        for i, y in enumerate(run(x)):
            # Not the zeros that a ReLU leaves: they are exact in any range, and so many that a cut
            # which keeps them apart from their neighbours would always win.
            places = (np.abs(y[y != 0]) * np.float32(BINS / top[i])).astype(np.int32)
            counts[i] += np.bincount(places.clip(max=BINS - 1), minlength=BINS)
    found = {}
    for i, name in enumerate(names):
        # Numbers of one sign have all 256 steps for them, others about half on either side.
        cut = best_cut(counts[i], LEVELS if low[i] < 0 < high[i] else 2 * LEVELS) * top[i] / BINS
        found[name] = np.float32(max(low[i], -cut)), np.float32(min(high[i], cut))
    return found


def best_cut(counts, levels) -> int:
    """Where to cut a histogram off so that `levels` steps tell most of it: entropy calibration.

    Of all cuts n from `levels` up that of the least sum p log(p / q): p is the first n bins, the
    last of which also counts what lies beyond; q is the first n bins merged into `levels` steps,
    each spread evenly over its bins that are not empty.

    >>> best_cut(np.r_[np.arange(256, 0, -1), np.zeros(255), 1], 128)  # one outlier far out
    256
    """
    counts = np.asarray(counts, np.float64)
    best, least = len(counts), np.inf
    for n in range(levels, len(counts) + 1, max(1, levels // 16)):
        p = counts[:n].copy()
        there = p > 0
        step = np.arange(n) * levels // n  # of each bin
        share = np.bincount(step, p, levels) / np.maximum(np.bincount(step, there, levels), 1)
        q = np.where(there, share[step], 0)
        p[-1] += counts[n:].sum()
        used = p > 0
        p, q = p[used] / p.sum(), np.maximum(q[used] / max(q.sum(), 1), 1e-9)
        divergence = float((p * np.log(p / q)).sum())
        if divergence <= least:  # of equal ones the one that cuts less
            best, least = n, divergence
    return best


def convolutions(proto) -> dict[str, str]:
    """{node: layer} of the convolutions in a file, in its order; a layer as PyTorch names it."""
    found = {node.name: node.input[1] for node in proto.graph.node if node.op_type == "Conv"}
    return {node: re.sub(r"^net\.|\.weight(_.*)?$", "", w) for node, w in found.items()}


def layer_errors(proto, quantised, inputs) -> dict[str, float]:
    """Signal to quantisation noise of each convolution's result, {layer: dB}: over `inputs`,
    (1, C, h, w), 10 log10(sum y^2 / sum (y - y_q)^2), y in float32 and y_q in the quantised
    network, in which the errors of all layers before have piled up."""
    names, both = list(convolutions(proto).values()), []
    for p in (proto, quantised):
        layers = convolutions(p)
        place = {layers[n.name]: n.output[0] for n in p.graph.node if n.name in layers}
        both.append(_watch(p, [place[name] for name in names]))
    power, noise = np.zeros((2, len(names)))
    for x in inputs:
        for i, (y, y_q) in enumerate(zip(*(run(x) for run in both), strict=True)):
            y = y.astype(np.float64)
            power[i] += (y**2).sum()
            noise[i] += ((y - y_q) ** 2).sum()
    with np.errstate(divide="ignore"):
        return dict(zip(names, (10 * np.log10(power / noise)).tolist(), strict=True))


def int8_kernels(file) -> dict[str, int]:
    """The convolution kernels that ONNX Runtime runs: QLinearConv and ConvInteger on integers."""
    side = 4 * max(read_about(file)["multiple"], 8)
    with tempfile.TemporaryDirectory() as folder:
        session = onnx_session(file, profile=Path(folder) / "profile")
        given = session.get_inputs()[0]
        session.run(None, {given.name: np.zeros((1, given.shape[1], side, side), np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ops = [e["args"]["op_name"] for e in events if e["name"].endswith("_kernel_time")]
    return dict(Counter(op for op in ops if "Conv" in op))


def _pad_integers(proto):
    """DequantizeLinear -> Pad -> QuantizeLinear with one scale becomes a Pad of integers, in place:
    exact, and in float, as runtimes leave it, it costs more than the convolutions."""
    graph = proto.graph
    made_by = {o: n for n in graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    users = Counter(i for n in graph.node for i in n.input) + Counter(o.name for o in graph.output)
    for pad in [n for n in graph.node if n.op_type == "Pad"]:
        before = made_by.get(pad.input[0])
        after = [n for n in graph.node if pad.output[0] in n.input]
        if before is None or [n.op_type for n in after] != ["QuantizeLinear"]:
            continue
        [after] = after
        if _scale(proto, before) == _scale(proto, after):
            if users[pad.input[0]] == 1:
                graph.node.remove(before)
            graph.node.remove(after)
            pad.input[0], pad.output[0] = before.input[0], after.output[0]
    del graph.value_info[:]  # they say float of what are integers now


def _scale(proto, node):
    """(scale, zero point) of a QuantizeLinear or DequantizeLinear."""
    [onnx] = need("onnx.numpy_helper")
    values = {i.name: i for i in proto.graph.initializer}
    return [onnx.to_array(values[name]).tolist() for name in node.input[1:]]


def _watch(proto, names):
    """A callable, input -> the values of these tensors of a network."""
    [onnx] = need("onnx")
    model = copy.deepcopy(proto)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names)
    return onnx_call(model)
