"""What an exported network is worth: its score, its size and its speed, row by row.

Built in notebooks/13_deploy, section 3.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import torch

from .. import models
from ..blocks.padding import run_padded
from ..errors import OptionError
from ..evaluation import test
from .engines import OnnxRuntimeEngine, OpenVinoEngine, precisions
from .export import NETWORK, read_about
from .quantise import int8_kernels

ENGINES = ("onnxruntime", "openvino")
INPUTS, ROUNDS = 3, 5  # timed: so many of the inputs, so often


def compare(
    model, files, data_root, *, limit=None, gamma=None, engines=None, rounds=ROUNDS, progress=True
) -> list[dict]:
    """Score and time files of one network, and the network itself in PyTorch, on the same images.

    Times are taken after the scores, in turns, one call of each row after the other: on a machine
    that others use too, ratios then say something. What is timed is the network's call alone.

    Args:
        model: the network that the files are of.
        files: {precision: {"network": path or onnx.ModelProto}}.
        data_root: the folder that holds LOL/ or SID/.
        limit: only the first so many images.
        gamma: of photographs; default the protocol's.
        engines: of "onnxruntime", "openvino"; default those installed.
        rounds: of timing.
    Returns:
        Rows: engine, precision, psnr, ssim, bytes, seconds (median of a call), images_per_s,
        mpixel_per_s, images, kernels (of convolutions, by ONNX Runtime).
    Raises:
        OptionError: brve, which is no one file. And as of `evaluation.test`.
    """
    check_stills(models.spec_of(model).key)
    if engines is None:
        engines = [e for e in ENGINES if find_spec(e)]
    if rounds < 1:
        raise OptionError(f"times need at least one round, got {rounds}")
    key, rows, calls = models.spec_of(model).key, [], []
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    todo = [("torch", "float32", _Watched(model.eval()), weights, None)]
    for precision, parts in files.items():
        size = sum(_size(f) for f in parts.values())
        kernels = int8_kernels(parts[NETWORK])
        for engine in engines:
            if engine == "openvino" and precision not in precisions(engine):
                continue  # it would compute in float32 and say float16
            file = parts[NETWORK]
            run = (
                OnnxRuntimeEngine(file, shared=True)
                if engine == "onnxruntime"
                else OpenVinoEngine(file, precision)
            )
            network = _Watched(FileNetwork(run, read_about(file)))
            its = kernels if engine == "onnxruntime" else None
            todo.append((engine, precision, network, size, its))
    options = {} if gamma is None else {"gamma": gamma}
    for engine, precision, network, size, kernels in todo:
        with tempfile.TemporaryDirectory() as folder:
            [row] = test(
                key, data_root, folder, network=network, limit=limit, pictures=False,
                progress=progress, **options,
            )  # fmt: skip
        rows.append(
            {"engine": engine, "precision": precision, "psnr": row["psnr"], "ssim": row["ssim"]}
            | {"bytes": size, "images": row["images"], "kernels": kernels}
        )
        calls.append(network)
    times = [[] for _ in rows]
    for x in calls[0].seen:
        for network in calls:
            network.call(x)  # an engine may compile for each size
        for _ in range(rounds):
            for network, its in zip(calls, times, strict=True):
                began = time.perf_counter()
                network.call(x)
                its.append((time.perf_counter() - began, x.numel() / x.shape[-3]))
    for row, its in zip(rows, times, strict=True):
        row["seconds"] = statistics.median(s for s, _ in its)
        row["images_per_s"] = len(its) / sum(s for s, _ in its)
        row["mpixel_per_s"] = statistics.median(p / s for s, p in its) / 1e6
    return rows


def check_stills(key) -> None:
    """OptionError for brve."""
    if key == "brve":
        raise OptionError(
            "brve's three files are not scored here",
            todo="use deploy.runtime.prepare(network) and evaluation.test(..., network=...)",
        )


def as_text(rows) -> str:
    """The table as `lowlight export --evaluate` prints it."""
    lines = ["engine       precision    PSNR    SSIM    size MB   latency s  images/s  Mpixel/s"]
    for r in rows:
        lines.append(
            f"{r['engine']:12} {r['precision']:9} {r['psnr']:7.3f} {r['ssim']:7.4f} "
            f"{r['bytes'] / 1e6:10.3f} {r['seconds']:11.4f} {r['images_per_s']:9.3f} "
            f"{r['mpixel_per_s']:9.3f}"
        )
    for r in rows:
        if r["precision"] == "int8" and r["kernels"]:
            of = next(
                (o for o in rows if (o["engine"], o["precision"]) == (r["engine"], "float32")), None
            )
            ratio = f", {of['seconds'] / r['seconds']:.2f} times its float32" if of else ""
            kernels = ", ".join(f"{n} {op}" for op, n in r["kernels"].items())
            lines.append(f"int8 in {r['engine']}: {kernels}{ratio}")
    return "\n".join(lines)


class _Watched:
    """A network that remembers some of its inputs; its other attributes are the network's."""

    def __init__(self, call):
        self.call, self.seen = call, []

    def __call__(self, x):
        if len(self.seen) < INPUTS:
            self.seen.append(x)
        with torch.no_grad():
            return self.call(x)

    def __getattr__(self, name):
        return getattr(self.call, name)


class FileNetwork:
    """An exported file as a callable: pads to its multiple, computes, crops.

    Args:
        engine: of `deploy.engines`.
        about: what `read_about` says of the file; it becomes attributes, which `restore` looks at.
    Shapes: (1, C, H, W) -> the picture (1, 3, H, W), or a list of PairLIE's outputs in the file.
    """

    def __init__(self, engine, about):
        self.engine = engine
        names = ("multiple", "halo", "amplifies_itself", "cfa", "trained_on", "white_balance")
        self.spec = models.SYSTEMS[about["key"]].spec.replace(
            **{name: about[name] for name in names if name in about}
        )
        self._one = self.spec.task is not models.Task.PHOTO

    def __call__(self, x):
        out = run_padded(self.engine, x, self.spec.multiple, self.spec.cell)
        return out[0] if self._one else out


def _size(file):
    return Path(file).stat().st_size if isinstance(file, (str, Path)) else file.ByteSize()
