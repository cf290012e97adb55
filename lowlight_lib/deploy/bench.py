"""How fast each network is by each engine, against PyTorch as it is, in one run.

    lowlight bench --out runs/bench.json --checkpoint redi=W

The file is a list of rows, one for each model, backend and precision (see `bench`).
Built in notebooks/13_deploy, section 6.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from .. import models
from ..data.scenes import dead_leaves
from ..errors import OptionError
from ..evaluation.results import commit, weights_id
from ..restore.window import out_of_memory
from ..sensor import cfa, isp, noise
from ..training import checkpoint as checkpoints
from .cost import count
from .engines import folded, precisions
from .export import NETWORK, write
from .memory import process_peak
from .roofline import peak_flops
from .runtime import BACKENDS, prepare, to_files

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_PEAK_SIDE = {"full": 2048, "medium": 1024, "small": 256}


def bench(
    keys=None, size="full", weights=None, backends=None, quantised=None, repeats=5, *,
    memory=True, progress=True,
) -> list[dict]:  # fmt: skip
    """Time networks by every engine there is, eager PyTorch beside it in every round.

    Eager is the network as it was loaded: weight normalisation unfolded, contiguous, inference
    mode, the same threads. In each round every form runs once, after the others and a matrix
    product, so that whatever else the machine does disturbs all alike.

    Args:
        keys: systems; default all.
        size: "full", "medium" or "small", see `models.Card`.
        weights: {key: file of weights}; the others are drawn, seed 0, and so say little about
            what a precision costs in quality.
        backends: of `runtime.BACKENDS`; default all that are installed.
        quantised: {key: .onnx} quantised networks, for rows of precision "int8".
        repeats: rounds.
        memory: measure each in a process of its own, too.
        progress: say on stderr what runs.
    Returns:
        Rows: "model", "backend", "precision"; "input" (its shape), "size", "weights" ("drawn" or
        the file's name), "weights_id", "threads", "repeats"; "seconds" (the median), "ratio"
        (eager's median through it), "gmacs" (of one call), "gflops" (2 MACs a second, binary ones
        too), "peak_gflops" (of the matrix product in the same rounds, the median; None for
        precisions without one), "share" (of it); "memory_bytes" (the most a process had with the
        call, None if not measured), "memory_added_bytes" (what the call added); "max_difference"
        and "psnr" (dB, peak 1; None where equal) to eager's output on the same input;
        "torch", "commit". A form that does not run has "error" instead of its figures.
    Raises:
        OptionError: unknown names, a size, too little memory. CheckpointError: of `weights`.
    """
    weights, quantised = weights or {}, quantised or {}
    keys = list(keys or models.SYSTEMS)
    for key in (*keys, *weights, *quantised):
        _ = models.SYSTEMS[key]
    if size not in _PEAK_SIDE:
        raise OptionError(f"unknown size {size!r}", todo=f"use {', '.join(_PEAK_SIDE)}")
    if unknown := sorted({*(backends or ())} - {*BACKENDS}):
        raise OptionError(f"unknown backend {unknown[0]!r}", todo=f"use {', '.join(BACKENDS)}")
    if repeats < 1:
        raise OptionError(f"repeats are at least 1, got {repeats}")
    rows = []
    for key in keys:
        with tempfile.TemporaryDirectory() as folder:
            case = _Case(key, size, weights.get(key), quantised.get(key), Path(folder), progress)
            rows += case.rows(backends or BACKENDS, repeats, memory)
    return rows


def table(rows) -> str:
    """Rows as text, a line each."""
    lines = [
        f"{'':34}{'ratio':>7}{'seconds':>9}{'GFLOP/s':>9}{'of peak':>9}{'MiB':>7}{'max diff':>10}"
        f"{'PSNR':>7}"
    ]
    for r in rows:
        name = f"{r['model']:10}{r['backend']:13}{r['precision']:11}"
        if "error" in r:
            lines.append(f"{name}{r['error']}")
            continue
        share = "-" if r["share"] is None else f"{r['share']:.0%}"
        mib = "-" if r["memory_bytes"] is None else f"{r['memory_bytes'] / 2**20:.0f}"
        psnr = "-" if r["psnr"] is None else f"{r['psnr']:.1f}"
        lines.append(
            f"{name}{r['ratio']:7.2f}{r['seconds']:9.4f}{r['gflops']:9.1f}{share:>9}{mib:>7}"
            f"{r['max_difference']:10.1e}{psnr:>7}"
        )
    return "\n".join(lines)


def scene(shape, seed=0) -> torch.Tensor:
    """A dark picture as a network gets it: dead leaves at a hundredth of the light.

    Through the A7S II model, amplified 100 times, repeated up to the size. For 4 channels a clip
    of packed frames that moves by two pixels a frame; for 3 an sRGB photograph at a fifth.

    Args:
        shape: (N, C, H, W), N = 1, or for 4 channels the frames.
    """
    t, c, h, w = shape
    picture = dead_leaves(seed, (512, 512), 600)
    if c == 3:
        x = (0.2 * picture + np.random.default_rng(seed).normal(0, 0.01, picture.shape)).clip(0, 1)
        x = x.transpose(2, 0, 1)[None]
    else:
        light = isp.undevelop(picture, noise.SONY_A7S2)
        frames = [np.roll(light, 2 * i, 1) for i in range(t)]
        rng = np.random.default_rng(seed)
        black, white = (float(np.max(v)) for v in (noise.SONY_A7S2.black_level,
                                                   noise.SONY_A7S2.white_level))  # fmt: skip
        dark = np.stack([noise.expose(f, 100, noise.SONY_A7S2, 800, rng) for f in frames])
        x = 100 * (dark.astype(np.float32) - black) / (white - black)
        x = cfa.pack_mosaic(x).clip(0, 1) if c == 4 else x[:, None]
    times = [1, 1, -(-h // x.shape[2]), -(-w // x.shape[3])]
    return torch.from_numpy(np.tile(x, times)[..., :h, :w].astype(np.float32))


class _Case:
    """One system: its network, its input, its exported files."""

    def __init__(self, key, size, weights, quantised, folder, progress):
        self.key, self.size, self.folder, self.progress = key, size, folder, progress
        self.shape = models.SYSTEMS[key].bench[size]
        torch.manual_seed(0)
        self.net = checkpoints.load(key, weights) if weights else models.build(key).eval()
        self.quantised, self.x, self.made = quantised, scene(self.shape), None
        self.macs = count(folded(self.net), self.shape).macs
        self.about = {
            "input": list(self.shape), "size": size,
            "weights": Path(weights).name if weights else "drawn",
            "weights_id": weights_id(weights), "threads": torch.get_num_threads(),
            "torch": torch.__version__, "commit": commit(),
        }  # fmt: skip

    def rows(self, backends, repeats, memory):
        forms, errors = {("eager", "float32"): self.net}, []
        for backend in backends:
            if backend == "bitpacked" and self.key != "brve":
                continue
            try:
                can = precisions(backend)
            except ImportError as e:
                errors.append(self._row(backend, "float32") | {"error": f"no {e.name}"})
                continue
            for precision in can:
                if precision == "int8" and self.quantised is None:
                    continue
                if backend == "onnxruntime" and precision == "float16":
                    continue  # slower than float32 on a CPU
                if self.key == "brve" and precision != "float32":
                    continue  # signs of rounded numbers: another network
                self._say(f"preparing {self.key} for {backend}, {precision}")
                try:
                    file = self._file(backend, precision)
                    forms[backend, precision] = prepare(
                        self.net, self.x, backend, precision, file=file
                    )
                except OptionError as e:
                    errors.append(self._row(backend, precision) | {"error": e.what})
        with torch.inference_mode(), out_of_memory(self.shape):
            outputs = {name: _flat(form(self.x)) for name, form in forms.items()}
            wanted = outputs["eager", "float32"]
            found = [
                self._row(*name) | {"repeats": repeats} | _difference(outputs.pop(name), wanted)
                for name in forms
            ]
            del wanted
            self._time(found, forms, repeats)
        for row in found:
            row |= {"memory_bytes": None, "memory_added_bytes": None}
            if memory:
                row |= self._memory(row["backend"], row["precision"])
        return found + errors

    def _time(self, rows, forms, repeats):
        times = {name: [] for name in forms}
        peaks = {p: [] for p in _DTYPES}
        for i in range(repeats):
            self._say(f"timing {self.key}, {i + 1} of {repeats}")
            for p, dtype in _DTYPES.items():
                peaks[p].append(peak_flops(dtype, (_PEAK_SIDE[self.size],), 1) / 1e9)
            for name, form in forms.items():
                began = time.perf_counter()
                form(self.x)
                times[name].append(time.perf_counter() - began)
        eager = statistics.median(times["eager", "float32"])
        for row in rows:
            p = row["precision"]
            seconds = statistics.median(times[row["backend"], p])
            gflops = 2e-9 * self.macs / seconds
            peak = statistics.median(peaks[p]) if p in peaks else None
            row |= {
                "seconds": seconds, "ratio": eager / seconds, "gmacs": self.macs / 1e9,
                "gflops": gflops, "peak_gflops": peak, "share": peak and gflops / peak,
            }  # fmt: skip

    def _row(self, backend, precision):
        return {"model": self.key, "backend": backend, "precision": precision, **self.about}

    def _file(self, backend, precision):
        """The exported network, written once for all engines and processes; None for others."""
        if precision == "int8":
            return str(self.quantised)
        if backend not in ("openvino", "onnxruntime"):
            return None
        if self.made is None:
            files = to_files(self.net)
            several = isinstance(files, dict)
            self.made = {
                stage: str(write(self.folder / f"{stage}.onnx", file.SerializeToString()))
                for stage, file in (files if several else {NETWORK: files}).items()
            }
        return self.made if self.key == "brve" else self.made[NETWORK]

    def _memory(self, backend, precision):
        self._say(f"memory of {self.key} by {backend}, {precision}")
        how = None
        if backend != "eager":
            how = {"backend": backend, "precision": precision,
                   "file": self._file(backend, precision)}  # fmt: skip
        try:
            peak = process_peak(self.key, self.shape, how=how)
        except OptionError as e:
            self._say(str(e))
            return {}
        return {"memory_bytes": peak.peak, "memory_added_bytes": peak.added}

    def _say(self, what):
        if self.progress:
            print(what, file=sys.stderr)


def _flat(out):
    return torch.cat([y.flatten() for y in ([out] if torch.is_tensor(out) else out)])


def _difference(y, wanted):
    error = y - wanted
    mse = error.square().mean(dtype=torch.float64).item()
    psnr = -10 * float(np.log10(mse)) if mse else None
    return {"max_difference": error.abs().max().item(), "psnr": psnr}
