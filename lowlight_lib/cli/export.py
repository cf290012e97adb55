"""`lowlight export`: a network as files for other runtimes, checked, and on request scored."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import DataError, OptionError, OutputError
from .options import DEFAULT_DATA, Force, Gamma, Json, Key, Limit, Weights, need_weights

PRECISIONS = ("float32", "float16", "int8")


class FileFormat(StrEnum):
    """Of an exported network."""

    onnx = "onnx"
    program = "program"
    torchscript = "torchscript"


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
    format_: Annotated[FileFormat, typer.Option(
        "--format", help="onnx, or program: a .pt2 of torch.export. torchscript is deprecated by "
        "PyTorch and refused: use one of these.")] = FileFormat.onnx,
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
    from .. import models
    from ..deploy import calibration as calibrations
    from ..deploy.export import units
    from ..training import checkpoint as checkpoints

    _ = models.SYSTEMS[key]
    kind = format_.value
    if kind == "torchscript":
        raise OptionError("TorchScript is deprecated by PyTorch", todo="--format program, or onnx")
    precisions = list(dict.fromkeys(p for word in precision for p in word.split(",")))
    if unknown := [p for p in precisions if p not in PRECISIONS]:
        raise OptionError(f"unknown precision {unknown[0]!r}", todo=f"use {', '.join(PRECISIONS)}")
    small = [p for p in precisions if p != "float32"]
    if small:
        calibrations.check_key(key)
    if kind == "program" and (small or evaluate):
        raise OptionError("a program is float32, and not scored here", todo="--format onnx")
    if evaluate:
        from ..deploy.bench import check_stills

        check_stills(key)
    if calibration and "int8" not in precisions:
        raise OptionError("--calibration is for int8", todo="add --precision int8")
    network = checkpoints.load(key, need_weights(checkpoint))
    stages = tuple(units(network))
    names = _names(key, out, precisions, stages, SUFFIXES[kind])
    npz = next(iter(names.values())).parent / f"{key}-calibration.npz"
    if "int8" not in precisions or (calibration and calibration.suffix.lower() == ".npz"):
        npz = None
    for path in (*names.values(), *([npz] if npz else [])):
        if path.exists() and not force:
            raise OutputError("exists already", file=path, todo="use --force, or another -o")
    if evaluate and not evaluate.is_dir():
        raise DataError("is no folder", file=evaluate, todo="check --evaluate")
    inputs = None
    if "int8" in precisions:
        inputs = calibrations.calibration_set(key, calibration or DEFAULT_DATA)
    chosen = None if outputs is None else [n.strip() for n in outputs.split(",")]
    if npz:
        calibrations.write_calibration(npz, key, inputs)
        if not as_json:
            print(f"{npz}: {len(inputs)} inputs")
    write = _write_program if kind == "program" else _write_onnx
    written = []
    for stage in stages:
        written += write(network, key, chosen, stage, precisions, names, inputs)
        if not as_json:
            for row in written[-len(precisions) :]:
                print(_line(row))
    found = {"model": key, "files": written}
    if evaluate:
        from ..deploy.bench import compare, comparison_table

        files = {p: {s: names[p, s] for s in stages} for p in precisions}
        found["table"] = compare(
            network, files, evaluate, limit=limit, gamma=gamma, progress=not as_json
        )
        if not as_json:
            print(comparison_table(found["table"]))
    if as_json:
        print(json.dumps(found))


def _write_onnx(network, key, outputs, stage, precisions, names, inputs):
    from ..deploy import quantise
    from ..deploy.export import to_onnx, verify, write

    proto = to_onnx(network, None, outputs=outputs, stage=stage)
    difference = verify(network, proto, outputs, stage)
    rows = []
    for precision in precisions:
        made, row = proto, {"stage": stage, "precision": precision}
        if precision == "float32":
            row["max_difference"] = difference
        elif precision == "float16":
            made = quantise.to_float16(proto)
        else:
            made = quantise.to_int8(proto, inputs)
            row["kernels"] = quantise.int8_kernels(made)
        path = write(names[precision, stage], made.SerializeToString())
        rows.append({"file": str(path), "bytes": path.stat().st_size} | row)
    return rows


def _write_program(network, key, outputs, stage, precisions, names, inputs):
    import tempfile

    from ..deploy.export import to_program, verify, write

    with tempfile.TemporaryDirectory() as folder:
        made = to_program(network, Path(folder) / "a.pt2", outputs=outputs, stage=stage)
        difference = verify(network, made, outputs, stage)
        path = write(names["float32", stage], made.read_bytes())
    row = {"file": str(path), "bytes": path.stat().st_size, "stage": stage}
    return [row | {"precision": "float32", "max_difference": difference}]


def _names(key, out, precisions, stages, suffix):
    """{(precision, stage): path}."""
    if out.suffix in (".onnx", ".pt2", ".pt", ".ts"):
        if out.suffix != suffix:
            raise OptionError(f"the file is a {suffix}, not {out.suffix}", file=out)
        if len(precisions) * len(stages) > 1:
            raise OptionError("one name for several files", file=out, todo="give a folder")
        return {(precisions[0], stages[0]): out}
    return {
        (p, s): out / f"{'-'.join([key, *([s] if len(stages) > 1 else []), p])}{suffix}"
        for p in precisions
        for s in stages
    }


def _line(row):
    text = f"{row['file']}: {row['bytes'] / 1e6:.3f} MB"
    if "max_difference" in row:
        text += f", at most {row['max_difference']:.1e} from PyTorch"
    if "kernels" in row:
        text += ", convolutions: " + ", ".join(f"{n} {op}" for op, n in row["kernels"].items())
    return text
