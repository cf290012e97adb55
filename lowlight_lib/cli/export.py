"""`lowlight export`: a network as files for other runtimes, checked, and on request scored."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ..errors import DataError, OptionError, OutputError
from .options import DEFAULT_DATA, Force, Gamma, Json, Key, Limit, Weights, need_weights

PRECISIONS = ("float32", "float16", "int8")
SUFFIXES = {"onnx": ".onnx", "program": ".pt2"}


def export(
    key: Key,
    out: Annotated[Path, typer.Option("-o", "--out", show_default=False,
        help="Folder for KEY-PRECISION.onnx, or the name of a file for one.")],
    checkpoint: Weights = None,
    precision: Annotated[list[str], typer.Option(
        help="float32, float16, int8; several: --precision float32 int8. The last two for pairlie "
        "and redi.")] = ["float32"],  # noqa: B006
    outputs: Annotated[str | None, typer.Option(
        help="pairlie: which of L,R,X.", show_default="all")] = None,
    format_: Annotated[str, typer.Option(
        "--format", help="onnx, or program: a .pt2 of torch.export.")] = "onnx",
    calibration: Annotated[Path | None, typer.Option(
        help="int8: inputs to choose ranges from: a data root, whose training pictures are taken, "
        "a folder of pictures, or a calibration.npz.", show_default="the mini data")] = None,
    evaluate: Annotated[Path | None, typer.Option(
        metavar="ROOT", help="Score and time all files on the test pictures there; not for clips.",
        show_default=False)] = None,
    limit: Limit = None,
    gamma: Gamma = None,
    force: Force = False,
    as_json: Json = False,
):  # fmt: skip
    """Write a network as ONNX, float32 or smaller, or as a program; every file is checked.

    A float32 file agrees with PyTorch within 1e-4 at two sizes, or there is none. Height and width
    are free, multiples of what the file says; brve becomes three files, one for each stage.
    """
    from ..deploy import bench
    from ..deploy import calibration as calibrations
    from ..deploy.export import units
    from ..training import checkpoint as checkpoints

    say = (lambda text: None) if as_json else print
    if format_ not in SUFFIXES:
        todo = "use onnx or program; TorchScript is deprecated by PyTorch"
        raise OptionError(f"unknown format {format_!r}", todo=todo)
    precisions = list(dict.fromkeys(p for word in precision for p in word.split(",")))
    if unknown := [p for p in precisions if p not in PRECISIONS]:
        raise OptionError(f"unknown precision {unknown[0]!r}", todo=f"use {', '.join(PRECISIONS)}")
    if small := precisions != ["float32"]:
        calibrations.check_key(key)
    if format_ == "program" and (small or evaluate):
        raise OptionError("a program is float32, and not scored here", todo="--format onnx")
    if evaluate:
        bench.check_stills(key)
        if not evaluate.is_dir():
            raise DataError("is no folder", file=evaluate, todo="check --evaluate")
    int8 = "int8" in precisions
    if calibration and not int8:
        raise OptionError("--calibration is for int8", todo="add --precision int8")
    network = checkpoints.load(key, need_weights(checkpoint))
    stages = tuple(units(network))
    names = _names(key, out, precisions, stages, SUFFIXES[format_])
    paths = [path for files in names.values() for path in files.values()]
    given = calibration is not None and calibration.suffix.lower() == ".npz"
    npz = [paths[0].with_name(f"{key}-calibration.npz")] if int8 and not given else []
    for path in (*paths, *npz):
        if path.exists() and not force:
            raise OutputError("exists already", file=path, todo="use --force, or another -o")
    inputs = calibrations.calibration_set(key, calibration or DEFAULT_DATA) if int8 else None
    for path in npz:
        calibrations.write_calibration(path, key, inputs)
    chosen, found = outputs and [n.strip() for n in outputs.split(",")], {"model": key, "files": []}
    for stage in stages:
        for row in _write(network, chosen, stage, {p: names[p][stage] for p in names}, inputs):
            found["files"].append(row)
            say(", ".join(f"{name} {value}" for name, value in row.items()))
    if evaluate:
        how = {"limit": limit, "progress": not as_json}
        how |= {} if gamma is None else {"gamma": gamma}
        found["table"] = bench.compare(network, names, evaluate, **how)
        say(bench.comparison_table(found["table"]))
    if as_json:
        print(json.dumps(found))


def _write(network, outputs, stage, files, inputs):
    """Check a stage, write it as {precision: path}, and yield what became of each."""
    from ..deploy import quantise
    from ..deploy.engines import as_bytes
    from ..deploy.export import to_onnx, to_program, verify, write

    with tempfile.TemporaryDirectory() as folder:
        if next(iter(files.values())).suffix == ".pt2":
            made = to_program(network, Path(folder, "a.pt2"), outputs=outputs, stage=stage)
        else:
            made = to_onnx(network, outputs=outputs, stage=stage)
        difference = verify(network, made, outputs, stage)
        for precision, path in files.items():
            file, more = made, {"max_difference": difference}
            if precision == "float16":
                file, more = quantise.to_float16(made), {}
            elif precision == "int8":
                file = quantise.to_int8(made, inputs)
                more = {"kernels": quantise.int8_kernels(file)}
            write(path, as_bytes(file))
            row = {"file": str(path), "bytes": path.stat().st_size, "stage": stage}
            yield row | {"precision": precision} | more


def _names(key, out, precisions, stages, suffix):
    """{precision: {stage: path}}."""
    if out.suffix in (".onnx", ".pt2"):
        if out.suffix != suffix:
            raise OptionError(f"the file is a {suffix}, not {out.suffix}", file=out)
        if len(precisions) * len(stages) > 1:
            raise OptionError("one name for several files", file=out, todo="give a folder")
        return {precisions[0]: {stages[0]: out}}
    stem = {s: f"{key}-{s}" if len(stages) > 1 else key for s in stages}
    return {p: {s: out / f"{stem[s]}-{p}{suffix}" for s in stages} for p in precisions}
