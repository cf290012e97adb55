"""From a network to a file that others can run: ONNX, or a program of torch.export.

A file holds one unit of a network (`models.export_units`), weight normalisation folded. Padding to
multiples and cropping back is left to the caller (`blocks.padding.run_padded`): an exported graph
would freeze it at the size of its example. Built in notebooks/14_export_and_int8, section 1."""

import contextlib
import dataclasses
import inspect
import io
import json
import logging
import warnings
import zipfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from .. import __version__, models
from ..blocks.binary import binary_layers
from ..errors import DataError, OptionError
from ..io.files import atomic_write
from ..models import WHOLE_NETWORK, ExportUnit
from .engines import folded, need, onnx_call

OPSET = 18  # of ONNX: old enough for runtimes of 2023, new enough for reflection
TOLERANCE = 1e-4  # that a file may differ from PyTorch
AXES = "height", "width"
HEADER = "lowlight.json"  # what a .pt2 calls what `read_about` reads
DRAWS = 3  # of a binary network, see `verify`


def units(model) -> dict[str, ExportUnit]:
    """What a network of `models.build` becomes, {name: unit}: of a copy on the CPU."""
    if not isinstance(model, nn.Module) or models.spec_of(model).options is None:
        raise OptionError("only networks of models.build can be exported")
    return models.export_units(folded(model).cpu().float())


def to_onnx(model, path=None, outputs=None, stage=None):
    """Write a network as ONNX, float32, height and width free.

    Args:
        path: the file, overwritten if it is there; None returns the onnx.ModelProto instead.
        outputs: of a network with several: the names of those wanted, in any order; default all.
        stage: the name in `units`, where a network is several; default "network".
    OptionError: onnx is not installed; outputs or a stage that do not fit.

    >>> from lowlight_lib import models
    >>> file = to_onnx(models.build("pairlie", width=4), outputs=("L", "R"))
    >>> [o.name for o in file.graph.output], read_about(file)["multiple"]
    (['L', 'R'], 1)
    """
    onnx = need("onnx", "onnxscript")[0]
    unit, about = _unit(model, outputs, stage)
    with quiet(), torch.no_grad():
        args, free = _free(unit)
        made: Any = torch.onnx.export(
            unit.module, args, dynamo=True, dynamic_shapes=free, opset_version=OPSET,
            input_names=unit.inputs, output_names=unit.outputs, external_data=False, verbose=False,
        )  # fmt: skip
    proto = made.model_proto
    # They name inner sizes by products such as 16*height; runtimes find them anew.
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        for dim, name in zip(value.type.tensor_type.shape.dim[2:], AXES, strict=False):
            dim.dim_param = name
    onnx.checker.check_model(proto, full_check=True)
    set_about(proto, about)
    return proto if path is None else write(path, proto.SerializeToString())


def to_program(model, path, outputs=None, stage=None):
    """Write a program of torch.export (.pt2): `torch.export.load(path).module()` is the network."""
    (unit, about), buffer = _unit(model, outputs, stage), io.BytesIO()
    with quiet(), torch.no_grad():
        args, free = _free(unit)
        program = torch.export.export(unit.module, args, dynamic_shapes=free)
        torch.export.save(program, buffer, extra_files={HEADER: _to_json(about)})
    return write(path, buffer.getvalue())


def verify(model, file, outputs=None, stage=None, sizes=None) -> float:
    """Compare a file with PyTorch on the same inputs, at two sizes; the largest difference.

    Of a binary network the best of several drawn inputs counts: rounding flips signs in some of
    them, a wrong graph is wrong in all. Outputs and stage are as exported, the file as of
    `read_about`, sizes (height, width). DataError: they differ by more than `TOLERANCE`."""
    unit, _ = _unit(model, outputs, stage)
    m = max(unit.multiple, 8)
    run, worst = open_file(file), 0.0
    for h, w in sizes or [(2 * m, 3 * m), (4 * m, m)]:
        found = []
        for seed in range(DRAWS if binary_layers(unit.module) else 1):
            args = unit.draw(h, w, torch.Generator().manual_seed(seed))
            with torch.no_grad():
                pairs = zip(run(*args), tree_leaves(unit.module(*args)), strict=True)
            found.append(np.max([np.abs(a - b.numpy()).max() for a, b in pairs]))
        worst = float(np.max([worst, np.min(found)]))  # numpy's let no NaN pass by
    if not worst <= TOLERANCE:
        said = f"differs from PyTorch by {worst:.2g}, more than {TOLERANCE:g}"
        raise DataError(said, file=_path(file), todo="try other versions of torch and onnx")
    return worst


def open_file(file):
    """A callable, tensors -> list of arrays, of a .onnx, a .pt2 or an onnx.ModelProto."""
    if (path := _path(file)) and path.suffix == ".pt2":
        with quiet():
            program = torch.export.load(path).module()
        return torch.no_grad()(lambda *args: [y.numpy() for y in tree_leaves(program(*args))])
    return onnx_call(file)


def read_about(file) -> dict:
    """What a .onnx, .pt2 or onnx.ModelProto of ours says of itself: "spec", a `models.Spec`;
    "stage", "inputs", "outputs": names of the unit; "multiple" of height and width; "precision";
    "library", "torch": versions. DataError: it is not ours."""
    onnx, path = need("onnx")[0], _path(file)
    try:
        if path and path.suffix == ".pt2":
            # Not by torch.export.load, which computes expressions that a file holds.
            with zipfile.ZipFile(path) as z:
                [name] = [n for n in z.namelist() if n.endswith(f"/{HEADER}")]
                about = json.loads(z.read(name))
        else:
            proto = onnx.load(path, load_external_data=False) if path else cast(Any, file)
            about = json.loads({p.key: p.value for p in proto.metadata_props}["lowlight"])
        about |= {"spec": _spec(about)}
        names = [*about.get("inputs", ()), *about.get("outputs", ())]
        models.Spec.from_json(about["spec"].replace(multiple=about["multiple"]).to_json())
        if not all(isinstance(n, str) for n in (*names, about["stage"], about["precision"])):
            raise ValueError("names are text")
        return about
    except FileNotFoundError as e:
        raise DataError("does not exist", file=path, todo="check the name") from e
    except Exception as e:  # protobuf's errors are not one family
        raise DataError("is no ONNX file of ours", file=path, todo="lowlight export") from e


def set_about(proto, about) -> None:
    """Write what `read_about` reads, in place."""
    del proto.metadata_props[:]
    proto.metadata_props.add(key="lowlight", value=_to_json(about))


def write(path, data) -> Path:
    """Bytes to a file, whole or not at all."""
    with atomic_write(path) as f:
        f.write(data)
    return Path(path)


@contextlib.contextmanager
def quiet():
    """Without what exporters and quantisers print and log for their own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _path(file):
    return Path(file) if isinstance(file, (str, Path)) else None


class _Chosen(nn.Module):
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
    names = {f.name for f in dataclasses.fields(models.Spec)} - {"key", "task"}
    found = {k: tuple(v) if isinstance(v, list) else v for k, v in about.items() if k in names}
    return models.SYSTEMS[about["key"]].spec.replace(**found)


def _unit(model, outputs, stage) -> tuple[Any, dict]:
    """(unit, what goes into its file); with several outputs its module gives a plain tuple."""
    found, spec = units(model), model.spec
    stage = WHOLE_NETWORK if stage is None and WHOLE_NETWORK in found else stage
    if stage not in found:
        what = "needs a stage" if stage is None else f"has no stage {stage!r}"
        raise OptionError(f"{spec.key} {what}", todo=f"use one of {', '.join(found)}")
    unit = found[stage]
    known = unit.outputs if unit.result else ()
    names = known if outputs is None else tuple(outputs)
    if outputs is not None and (not names or {*names} - {*known} or len({*names}) < len(names)):
        todo = f"choose of {','.join(known)}, each once" if known else "leave outputs out"
        raise OptionError(f"{spec.key} has no outputs {','.join(names) or 'of no name'}", todo=todo)
    if stage == WHOLE_NETWORK:
        spec = spec.replace(amplifies_itself=unit.module.spec.amplifies_itself)
        if names:
            module = _Chosen(unit.module, [known.index(name) for name in names])
            unit = dataclasses.replace(unit, module=module, outputs=names)
    about = {"format": 2, "spec": spec, "stage": stage, "multiple": unit.multiple}
    about |= {"inputs": unit.inputs, "outputs": unit.outputs, "precision": "float32"}
    return unit, about | {"library": __version__, "torch": torch.__version__}


def _free(unit):
    """Inputs to export with, and which of their axes may have any size."""
    m, side = unit.multiple, max(unit.multiple, 8)
    args = tuple(unit.draw(3 * side, 4 * side, torch.Generator().manual_seed(0)))
    # From 2 up: torch.export takes a size of 1 for a constant. The file runs at 1, too.
    h, w = (torch.export.Dim(name, min=2, max=65536) for name in AXES)
    free = tuple({2: h if m == 1 else m * h, 3: w if m == 1 else m * w} for _ in unit.channels)
    # *args are one argument.
    return args, (free,) if inspect.getfullargspec(unit.module.forward).varargs else free
