"""How fast and how good each form of a network is, against PyTorch as it is, in one run: times are
taken in turns, so that whatever else the machine does disturbs all alike.
Built in notebooks/14_export_and_int8, section 3, and 15_engines_and_bits, section 3."""

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from .. import allocator, models
from ..blocks.binary import binary_layers
from ..errors import OptionError
from ..evaluation import test
from ..evaluation.results import commit, weights_id
from ..models import WHOLE_NETWORK, Task
from ..restore.window import out_of_memory
from ..training import checkpoint as checkpoints
from .cost import count, in_turns, spread
from .engines import as_bytes, folded, precisions
from .export import write
from .memory import process_peak, with_system_allocator
from .quantise import int8_kernels
from .runtime import BACKENDS, export_files, prepare

_PEAKS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_SIDES = {"full": (1024, 1024), "medium": (512, 512), "small": (128, 160)}  # where no card says
_PEAK_SIDE = {"full": 2048, "medium": 1024, "small": 256}
INPUTS, ROUNDS = 3, 5  # that `compare` times: so many of the inputs, so often


def bench(
    keys=None, size="full", weights=None, backends=None, quantised=None, repeats=5, *,
    memory=True, progress=True,
) -> list[dict]:  # fmt: skip
    """Time networks by every engine there is, eager PyTorch beside it in every round.

    Eager is the network as it was loaded, in a process that keeps its pages (see `allocator`), and
    "system", in a process beside this one, where the C library has its own ways. In each round
    every form runs once, and a matrix product.

    Args:
        keys, backends: default all systems, and of `runtime.BACKENDS` all that are installed.
        weights: {key: file of weights}; the others are drawn, seed 0.
        quantised: {key: .onnx} quantised networks, for rows of precision "int8".
        memory: measure each in a process of its own, too.
    Returns:
        Rows: what ran, of which "weights" are "drawn" or the file's name; "seconds" (the median),
        "p10", "p90", "ratio" (eager's median through it), "gmacs" (of a call), "gflops" (binary
        ones too), "peak_gflops" (of the matrix product, or None), "share" (of it); "memory_bytes"
        (the most a process had), "memory_added_bytes" (the call's part), or None; "max_difference"
        and "psnr" (dB, peak 1) to eager's output. A form that does not run has "error" instead.
    OptionError: unknown names, a size, too little memory. CheckpointError: of `weights`."""
    weights, quantised = weights or {}, quantised or {}
    keys = list(keys or models.SYSTEMS)
    for key in (*keys, *weights, *quantised):
        _ = models.SYSTEMS[key]
    for what, found, known in (("size", [size], _SIDES), ("backend", backends or [], BACKENDS)):
        if unknown := sorted({*found} - {*known}):
            raise OptionError(f"unknown {what} {unknown[0]!r}", todo=f"use {', '.join(known)}")
    if repeats < 1:
        raise OptionError(f"repeats are at least 1, got {repeats}")
    allocator.keep_pages()
    rows = []
    for key in keys:
        with tempfile.TemporaryDirectory() as folder:
            case = _Case(key, size, weights.get(key), quantised.get(key), Path(folder), progress)
            rows += case.rows(backends or BACKENDS, repeats, memory)
    return rows


def table(rows) -> str:
    """Rows of `bench` as text, a line each."""
    lines = [f"{'':34}  ratio      p50      p10      p90  GFLOP/s  of peak    MiB  max diff   PSNR"]
    for row in rows:
        r = {key: float("nan") if value is None else value for key, value in row.items()}
        line = r.get("error") or (
            f"{r['ratio']:7.2f}{r['seconds']:9.4f}{r['p10']:9.4f}{r['p90']:9.4f}"
            f"{r['gflops']:9.1f}{r['share']:9.0%}"
            f"{r['memory_bytes'] / 2**20:7.0f}{r['max_difference']:10.1e}{r['psnr']:7.1f}"
        ).replace("nan%", "   -").replace("nan", "  -")
        lines.append(f"{r['model']:10}{r['backend']:13}{r['precision']:11}{line}")
    return "\n".join(lines)


def input_shape(key, size) -> tuple[int, ...]:
    """What `bench` times of a system: what its card says, else a usual size for its task."""
    card, (h, w) = models.SYSTEMS[key], _SIDES[size]
    n, part = (4, 8) if card.spec.task is Task.RAW_VIDEO else (1, 1)
    return card.bench.get(size, (n, card.spec.channels, h // part, w // part))


def scene(shape, seed=0) -> torch.Tensor:
    """Something like a network's input: soft patches, two pixels further each frame, and noise."""
    g, (n, c, h, w) = torch.Generator().manual_seed(seed), shape
    soft = F.interpolate(torch.rand(1, c, 16, 16, generator=g), (h, w), mode="bilinear")
    frames = torch.cat([soft.roll(2 * i, -1) for i in range(n)])
    return (0.3 * frames + 0.05 * torch.randn(shape, generator=g)).clip(0, 1)


class _Case:
    def __init__(self, key, size, weights, quantised, folder, progress):
        self.key, self.size, self.folder, self.progress = key, size, folder, progress
        self.shape, self.quantised = input_shape(key, size), quantised
        torch.manual_seed(0)
        self.net = checkpoints.load(key, weights) if weights else models.build(key).eval()
        self.x = scene(self.shape)
        self.macs = count(folded(self.net), self.shape).macs
        self.about = {
            "model": key, "input": list(self.shape), "size": size, "torch": torch.__version__,
            "weights": Path(weights).name if weights else "drawn", "commit": commit(),
            "weights_id": weights_id(weights), "threads": torch.get_num_threads(),
        }  # fmt: skip

    def rows(self, backends, repeats, memory):
        forms: dict[tuple[str, str], Callable] = {("eager", "float32"): self.net}
        rows, failed = [], []
        for name in self._wanted(backends):
            self._say("preparing {} for {}, {}".format(self.key, *name))
            try:
                forms[name] = prepare(self.net, self.x, *name, file=self._file(*name))
            except OptionError as e:
                failed.append(self._row(*name, error=e.what))
        with torch.inference_mode(), out_of_memory(self.shape):
            wanted = _flat(self.net(self.x))
            for name, form in forms.items():
                off = _flat(form(self.x)) - wanted
                mse, worst = off.square().mean(dtype=torch.float64).item(), off.abs().max().item()
                psnr = -10 * float(np.log10(mse)) if mse else None
                rows.append(self._row(*name, repeats=repeats, max_difference=worst, psnr=psnr))
            del wanted, off
            self._time(rows, forms, repeats)
        for row in rows:
            row |= {"memory_bytes": None, "memory_added_bytes": None}
            if memory and row["backend"] != "system":
                self._measure(row)
        return rows + failed

    def _wanted(self, backends):
        binary = bool(binary_layers(self.net))
        for backend in backends if binary else [b for b in backends if b != "bitpacked"]:
            # Signs of rounded numbers are another network; ONNX Runtime's float16 is slow.
            without = {"float16"} if backend == "onnxruntime" else set()
            without |= {"int8"} if self.quantised is None else set()
            its = precisions(backend)
            yield from ((backend, p) for p in (its[:1] if binary else its) if p not in without)

    def _time(self, rows, forms, repeats):
        side = _PEAK_SIDE[self.size]
        squares = {p: torch.rand(side, side).to(dtype) for p, dtype in _PEAKS.items()}
        calls: dict[object, Callable] = {p: lambda a=a: a @ a for p, a in squares.items()}
        in_turns(calls, 1)  # the first starts threads and chooses kernels
        calls |= {name: lambda form=form: form(self.x) for name, form in forms.items()}
        self._say(f"timing {self.key}, {repeats} rounds")
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OptionError):  # of a network of a script: no other has it
                if allocator.wanted():
                    call = stack.enter_context(with_system_allocator(self.key, self.shape))
                    calls["system", "float32"] = call
                    calls["pause"] = lambda: time.sleep(0.3)  # its threads still spin for a while
                    rows.insert(1, rows[0] | {"backend": "system", "max_difference": None})
            found = {name: spread(times) for name, times in in_turns(calls, repeats).items()}
        for row in rows:
            row |= found[row["backend"], row["precision"]] | {"gmacs": self.macs / 1e9}
            row["gflops"], square = 2 * row["gmacs"] / row["seconds"], found.get(row["precision"])
            row["ratio"] = found["eager", "float32"]["seconds"] / row["seconds"]
            row["peak_gflops"] = square and 2e-9 * side**3 / square["seconds"]
            row["share"] = square and row["gflops"] / row["peak_gflops"]

    def _row(self, backend, precision, **found):
        return self.about | {"backend": backend, "precision": precision, **found}

    def _file(self, backend, precision):
        """The exported network, written once for all engines and processes; None for others."""
        if precision == "int8":
            return str(self.quantised)
        return self._files if backend in ("openvino", "onnxruntime") else None

    @cached_property
    def _files(self):
        protos = export_files(self.net).items()
        return {n: str(write(self.folder / f"{n}.onnx", p.SerializeToString())) for n, p in protos}

    def _measure(self, row):
        name = backend, precision = row["backend"], row["precision"]
        self._say("memory of {} by {}, {}".format(self.key, *name))
        how = {"backend": backend, "precision": precision, "file": self._file(*name)}
        try:
            peak = process_peak(self.key, self.shape, how=None if backend == "eager" else how)
            row |= {"memory_bytes": peak.peak, "memory_added_bytes": peak.added}
        except OptionError as e:
            self._say(str(e))

    def _say(self, what):
        if self.progress:
            print(what, file=sys.stderr)


def _flat(out):
    return torch.cat([y.flatten() for y in tree_leaves(out)])


def compare(model, files, data_root, *, engines=None, rounds=ROUNDS, **options) -> list[dict]:
    """Score files of one network, and itself in PyTorch, on the same images; time their calls.

    Args:
        files: {precision: {unit: path or onnx.ModelProto}} of that network.
        engines: of "onnxruntime", "openvino", as far as they have a precision; default those here.
        options: of `evaluation.test`.
    Returns rows: engine, precision, psnr, ssim, bytes, seconds (median of a call), images_per_s,
        mpixel_per_s, images, kernels (of convolutions, by ONNX Runtime)."""
    key, inputs = models.spec_of(model.eval()).key, []
    check_stills(key)

    @torch.no_grad()
    def eager(x):
        inputs.extend([x] if len(inputs) < INPUTS else [])
        return model(x)

    engines = engines or [e for e in ("onnxruntime", "openvino") if find_spec(e)]
    size = sum(p.nbytes for p in model.parameters())
    forms: dict[tuple[str, str], tuple[Callable, int, dict | None]] = {}
    forms["torch", "float32"] = models.with_spec(eager, model.spec), size, None
    for precision, units in files.items():
        size = sum(len(as_bytes(file)) for file in units.values())
        for engine in (e for e in engines if precision in precisions(e)):
            its = int8_kernels(units[WHOLE_NETWORK]) if engine == "onnxruntime" else None
            fast = prepare(model, None, engine, precision, file=units)
            forms[engine, precision] = fast, size, its
    rows, times = [], {name: [] for name in forms}
    for (engine, precision), (network, size, kernels) in forms.items():
        with tempfile.TemporaryDirectory() as folder:
            [row] = test(key, data_root, folder, network=network, pictures=False, **options)
        about = {"engine": engine, "precision": precision, "bytes": size, "kernels": kernels}
        rows.append(about | {name: row[name] for name in ("psnr", "ssim", "images")})
    for x in inputs:
        calls = {name: lambda net=net, x=x: net(x) for name, (net, *_) in forms.items()}
        in_turns(calls, 1)  # an engine may compile for each size
        for name, seconds in in_turns(calls, rounds).items():
            times[name] += [(s, x.numel() / x.shape[-3]) for s in seconds]
    for row, its in zip(rows, times.values(), strict=True):
        row["seconds"] = statistics.median(s for s, _ in its)
        row["images_per_s"] = len(its) / sum(s for s, _ in its)
        row["mpixel_per_s"] = statistics.median(p / s for s, p in its) / 1e6
    return rows


def check_stills(key) -> None:
    """OptionError for a system that restores clips."""
    if models.SYSTEMS[key].spec.task is Task.RAW_VIDEO:
        todo = "use deploy.runtime.prepare(network) and evaluation.test(..., network=...)"
        raise OptionError(f"{key} restores clips, which are not scored here", todo=todo)


def comparison_table(rows) -> str:
    """Rows of `compare` as `lowlight export --evaluate` prints them."""
    lines = ["engine       precision    PSNR    SSIM    size MB   latency s  images/s  Mpixel/s"]
    for r in rows:
        lines.append(
            f"{r['engine']:12} {r['precision']:9} {r['psnr']:7.3f} {r['ssim']:7.4f} "
            f"{r['bytes'] / 1e6:10.3f} {r['seconds']:11.4f} {r['images_per_s']:9.3f} "
            f"{r['mpixel_per_s']:9.3f}"
        )
    exact = {r["engine"]: r["seconds"] for r in rows if r["precision"] == "float32"}
    for r in (r for r in rows if r["precision"] == "int8" and r["kernels"]):
        kernels = ", ".join(f"{n} {op}" for op, n in r["kernels"].items())
        lines.append(f"int8 in {r['engine']}: {kernels}")
        if of := exact.get(r["engine"]):
            lines[-1] += f", {of / r['seconds']:.2f} times its float32"
    return "\n".join(lines)
