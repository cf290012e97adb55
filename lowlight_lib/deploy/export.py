"""From a network to a file that others can run: ONNX, or a program of torch.export.

TorchScript (`torch.jit`) is deprecated by PyTorch and is not written here.

A file holds one unit of a network (`models.export_units`), weight normalisation folded, any height
and width that are multiples of what the unit asks for. Padding to that multiple and cropping back
is the caller's work, with `blocks.padding.run_padded`, as the networks do it themselves: how much
to pad is a decision in Python, which an exported graph would freeze at the size of its example.
What the caller has to know (the network's spec, names, multiple) is in the file: `read_about`.
Built in notebooks/13_deploy, section 1.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import json
import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .. import __version__, models
from ..blocks.binary import binary_layers
from ..errors import DataError, OptionError
from ..io.files import atomic_write
from ..models import WHOLE_NETWORK, ExportUnit
from .engines import folded, need, onnx_session

OPSET = 18  # of ONNX: old enough for runtimes of 2023, new enough for reflection
TOLERANCE = 1e-4  # that a file may differ from PyTorch
HEADER = "lowlight.json"  # what a .pt2 calls what `read_about` reads
DRAWS = 3  # of a binary network, see `verify`


def units(model) -> dict[str, ExportUnit]:
    """What a network becomes, {name: unit}: of a copy on the CPU, in the form that is exported.

    Raises:
        OptionError: the network is not of `models.build`, or cannot say what its stages are.
    """
    if not isinstance(model, nn.Module) or models.spec_of(model).options is None:
        raise OptionError("only networks of models.build can be exported")
    return models.export_units(folded(model).cpu().float())


def to_onnx(model, path=None, example=None, outputs=None, stage=None):
    """Write a network as ONNX, float32, height and width free.

    Args:
        model: of `models.build`; left as it was.
        path: the file, overwritten if it is there; None returns the onnx.ModelProto instead.
        example: an input, or a tuple of them (of a stage), batch 1, sides multiples of the
            network's; default a small one. Its size does not end up in the file, its batch does.
        outputs: of a network with several, such as PairLIE's "L", "R", "X": the names of those
            wanted, in any order; default all.
        stage: the unit, where a network is several: of brve "extract", "align" or "reconstruct",
            of LLPackNet's first form "amplifier" or, by default, the rest, "network".
    Returns:
        Path, or onnx.ModelProto.
    Raises:
        OptionError: onnx is not installed, an example, outputs or a stage that do not fit.
        OutputError: it cannot be written.

    >>> from lowlight_lib import models
    >>> file = to_onnx(models.build("pairlie", width=4), outputs=("L", "R"))
    >>> [o.name for o in file.graph.output], read_about(file)["multiple"]
    (['L', 'R'], 1)
    """
    onnx = need("onnx", "onnxscript")[0]
    unit, about = _unit(model, outputs, stage)
    args = _example(unit, example)
    with quiet(), torch.no_grad():
        proto = torch.onnx.export(
            unit.module, args, dynamo=True, dynamic_shapes=_free(unit), opset_version=OPSET,
            input_names=unit.inputs, output_names=unit.outputs, external_data=False, verbose=False,
        ).model_proto  # fmt: skip
    # They name what they know of inner sizes by products such as 16*height; runtimes find it anew.
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, name in ((2, "height"), (3, "width")):
            if axis < len(value.type.tensor_type.shape.dim):
                value.type.tensor_type.shape.dim[axis].dim_param = name
    onnx.checker.check_model(proto, full_check=True)
    set_about(proto, about)
    return proto if path is None else write(path, proto.SerializeToString())


def to_program(model, path=None, example=None, outputs=None, stage=None):
    """Export as a program of torch.export (.pt2), which PyTorch loads without this library.

    `torch.export.load(path).module()` is the network. Arguments and errors as of `to_onnx`;
    without a path the torch.export.ExportedProgram.
    """
    unit, about = _unit(model, outputs, stage)
    args = _example(unit, example)
    with quiet(), torch.no_grad():
        program = torch.export.export(unit.module, args, dynamic_shapes=_free(unit))
    if path is None:
        return program
    buffer = io.BytesIO()
    with quiet():
        torch.export.save(program, buffer, extra_files={HEADER: _to_json(about)})
    return write(path, buffer.getvalue())


def verify(model, file, outputs=None, stage=None, sizes=None, tolerance=TOLERANCE) -> float:
    """Compare a file with PyTorch on the same inputs, at two sizes; the largest difference.

    A binary network is chaotic in the last digit: a sum within 1e-7 of a threshold flips a sign,
    and the flip grows. So it is compared stage by stage with equal inputs, and of several drawn
    inputs the best counts: rounding flips signs in some of them, a wrong graph is wrong in all.

    Args:
        model, outputs, stage: as they were exported.
        file: path of a .onnx or a .pt2, or an onnx.ModelProto.
        sizes: (height, width) pairs, multiples of the network's; default two that differ.
        tolerance: absolute.
    Raises:
        DataError: they differ by more.
    """
    unit, _ = _unit(model, outputs, stage)
    m = max(unit.multiple, 8)
    sizes = sizes or [(2 * m, 3 * m), (4 * m, m)]
    draws = DRAWS if binary_layers(unit.module) else 1
    run, worst = open_file(file), 0.0
    for h, w in sizes:
        found = []
        for seed in range(draws):
            with torch.no_grad():
                args = unit.draw(h, w, torch.Generator().manual_seed(seed))
                wanted = unit.module(*args)
            wanted = [wanted] if torch.is_tensor(wanted) else wanted
            pairs = zip(run(*args), wanted, strict=True)
            found.append(max(float(np.abs(a - b.numpy()).max()) for a, b in pairs))
        worst = max(worst, min(found))
    if not worst <= tolerance:  # NaN too
        raise DataError(
            f"differs from PyTorch by {worst:.2g}, more than {tolerance:g}",
            file=file if isinstance(file, (str, Path)) else None,
            todo="do not use it; try other versions of torch and onnx",
        )
    return worst


def open_file(file):
    """A callable, tensors -> list of arrays, of a .onnx, a .pt2 or an onnx.ModelProto."""
    if isinstance(file, (str, Path)) and Path(file).suffix == ".pt2":
        with quiet():
            program = torch.export.load(file).module()

        def call(*args):
            with torch.no_grad():
                out = program(*args)
            return [y.numpy() for y in ([out] if torch.is_tensor(out) else out)]

        return call
    session = onnx_session(file)
    names = [i.name for i in session.get_inputs()]
    return lambda *args: session.run(None, dict(zip(names, map(np.asarray, args), strict=True)))


def read_about(file) -> dict:
    """What a file of ours says of itself.

    Args:
        file: path of a .onnx or a .pt2, or an onnx.ModelProto.
    Returns:
        "spec": `models.Spec` of the network. "stage": name of the unit; "inputs", "outputs": its
        names; "multiple": of which height and width have to be multiples. "precision"; "library",
        "torch": versions.
    Raises:
        DataError: it is not a file of ours.
    """
    onnx = need("onnx")[0]
    path = file if isinstance(file, (str, Path)) else None
    try:
        if path and Path(path).suffix == ".pt2":
            text = {HEADER: ""}
            with quiet():
                torch.export.load(path, extra_files=text)
            about = json.loads(text[HEADER])
        else:
            proto = onnx.load(path, load_external_data=False) if path else file
            about = json.loads({p.key: p.value for p in proto.metadata_props}["lowlight"])
        return about | {"spec": _spec(about)}
    except FileNotFoundError as e:
        raise DataError("does not exist", file=path, todo="check the name") from e
    except Exception as e:  # protobuf's errors are not one family
        raise DataError("is no ONNX file of ours", file=path, todo="lowlight export") from e


def set_about(proto, about) -> None:
    """Write what `read_about` reads, in place."""
    del proto.metadata_props[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = "lowlight", _to_json(about)


def write(path, data) -> Path:
    """Bytes to a file, whole or not at all."""
    with atomic_write(path) as f:
        f.write(data)
    return Path(path)


@contextlib.contextmanager
def quiet():
    """Without what exporters and quantisers print and log for their own developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", None)]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


# ---------------------------------------------------------------------------------------------
# helpers


class _Chosen(nn.Module):
    """A network with the outputs wanted; what only the others need is not in the file."""

    def __init__(self, net, places):
        super().__init__()
        self.net, self.places = net, places

    def forward(self, image):
        out = self.net(image)
        return tuple(out[i] for i in self.places)


def _to_json(about):
    return json.dumps(about | {"spec": about["spec"].to_json()})


def _spec(about):
    if "spec" in about:
        return models.Spec.from_json(about["spec"])
    # Format 1, of version 0.1.
    names = ("options", "multiple", "halo", "amplifies_itself", "cfa", "trained_on")
    found = {name: about[name] for name in names if name in about}
    if "white_balance" in about:
        found["white_balance"] = tuple(about["white_balance"])
    return models.SYSTEMS[about["key"]].spec.replace(**found)


def _unit(model, outputs, stage):
    """(unit, what goes into its file); with several outputs its module gives a plain tuple."""
    found = units(model)
    key = model.spec.key
    stage = WHOLE_NETWORK if stage is None and WHOLE_NETWORK in found else stage
    if stage not in found:
        what = "needs a stage" if stage is None else f"has no stage {stage!r}"
        several = len(found) > 1
        todo = f"use one of {', '.join(found)}" if several else "leave stage out"
        raise OptionError(f"{key} {what}", todo=todo)
    unit, spec = found[stage], model.spec
    known = unit.outputs if unit.result else ()
    names = known if outputs is None else tuple(outputs)
    if outputs is not None and (not names or {*names} - {*known} or len({*names}) < len(names)):
        raise OptionError(
            f"{key} has no outputs {','.join(names) or 'of no name'}",
            todo=f"choose of {','.join(known)}, each once" if known else "leave outputs out",
        )
    if stage == WHOLE_NETWORK:
        spec = spec.replace(amplifies_itself=unit.module.spec.amplifies_itself)
        if names:
            module = _Chosen(unit.module, [known.index(name) for name in names])
            unit = dataclasses.replace(unit, module=module, outputs=names)
    about = {"format": 2, "spec": spec, "stage": stage, "multiple": unit.multiple}
    about |= {"inputs": unit.inputs, "outputs": unit.outputs, "precision": "float32"}
    return unit, about | {"library": __version__, "torch": torch.__version__}


def _example(unit, example):
    m = unit.multiple
    if example is None:
        h, w = 3 * max(m, 8), 4 * max(m, 8)
        return tuple(torch.rand(1, c, h, w) for c in unit.channels)
    args = (example,) if torch.is_tensor(example) else tuple(example)
    sides = args[0].shape[2:]
    if [tuple(a.shape) for a in args] != [(1, c, *sides) for c in unit.channels] or any(
        len(sides) != 2 or side % m or side < 2 * m for side in sides
    ):
        wanted = ", ".join(f"(1, {c}, H, W)" for c in unit.channels)
        raise OptionError(
            f"an example is {wanted}, H and W multiples of {m} from {2 * m} up, "
            f"got {', '.join(str(tuple(a.shape)) for a in args)}",
            todo="pad it (blocks.padding.pad_to_multiple), or leave it out",
        )
    return tuple(a.detach().cpu().float() for a in args)


def _free(unit):
    """Which axes may have any size: `dynamic_shapes` of torch.export."""
    m = unit.multiple
    # From 2 up: torch.export takes a size of 1 for a constant. The file runs at 1, too.
    h, w = (torch.export.Dim(name, min=2, max=65536) for name in ("height", "width"))
    free = tuple({2: h if m == 1 else m * h, 3: w if m == 1 else m * w} for _ in unit.channels)
    # *args are one argument.
    return (free,) if inspect.getfullargspec(unit.module.forward).varargs else free
