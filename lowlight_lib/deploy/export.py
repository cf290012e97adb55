"""From a network to a file that others can run: ONNX, or a program of torch.export.

TorchScript (`torch.jit`) is deprecated by PyTorch and is not written here.

A file holds the network alone, weight normalisation folded, any height and width that are multiples
of what the network asks for. Padding to that multiple and cropping back is the caller's work, with
`blocks.padding.pad_to_multiple`, as the networks do it themselves: how much to pad is a decision in
Python, which an exported graph would freeze at the size of its example. What the caller has to know
(system, options, multiple, names) is in the file: `read_about`.
Built in notebooks/13_deploy, section 1.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .. import __version__, models
from ..blocks.amplifier import LearnedAmplifier
from ..blocks.dense import fold_weight_norm
from ..errors import DataError, OptionError
from ..io.files import atomic_write
from .engines import need, onnx_session

OPSET = 18  # of ONNX: old enough for runtimes of 2023, new enough for reflection
TOLERANCE = 1e-4  # that a file may differ from PyTorch
DRAWS = 3  # of a binary network, see `verify`
NETWORK, STAGES = "network", ("extract", "align", "reconstruct")
SPLIT = ("L", "R", "X")  # what PairLIE can put out


@dataclass(frozen=True)
class Part:
    """What becomes one file: a whole network, or a stage of one.

    Attributes:
        module: takes and gives tensors, in eval mode; a copy.
        inputs, outputs, channels: names in the file, and channels of each input.
        about: what goes into the file, see `read_about`.
        draw: (height, width, generator) -> inputs as they come in use, for verifying.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    channels: tuple[int, ...]
    about: dict
    draw: object


def parts(model, outputs=None) -> dict[str, Part]:
    """The files that a network becomes: {"network": Part}, or for brve one for each stage.

    A whole clip unrolled would take minutes to export, and could not go on: `BrveStream` calls
    extract for each frame, align for each window of three, reconstruct for each finished frame.

    Args:
        model: of `models.build`; left as it was.
        outputs: of PairLIE, any of "L", "R", "X" in any order; default all.
    Raises:
        OptionError: a network of nobody, outputs that it does not have.
    """
    spec = models.spec_of(model)
    if spec.options is None:
        raise OptionError("only networks of models.build can be exported")
    key, options = spec.key, spec.options
    names = tuple(SPLIT if outputs is None and key == "pairlie" else outputs or ())
    known = SPLIT if key == "pairlie" else ()
    if outputs is not None and (not names or {*names} - {*known} or len({*names}) < len(names)):
        raise OptionError(
            f"{key} has no outputs {','.join(names) or 'of no name'}",
            todo=f"choose of {','.join(SPLIT)}, each once" if known else "leave outputs out",
        )
    net = _ready(model)
    about = {"format": 1, "key": key, "options": options, "multiple": spec.multiple}
    about |= {"halo": spec.halo, "precision": "float32"}
    about |= {"library": __version__, "torch": torch.__version__}
    about["amplifies_itself"] = spec.amplifies_itself
    for name in ("cfa", "trained_on", "white_balance"):
        if getattr(spec, name):
            about[name] = getattr(spec, name)

    def part(stage, module, inputs, outs, channels, draw):
        more = {"stage": stage, "inputs": inputs, "outputs": outs}
        return Part(module, inputs, outs, channels, about | more, draw)

    if key != "brve":
        inputs = ("image",) if spec.channels == 3 else ("mosaic",)
        whole = _Chosen(net, names) if names else net
        c = (spec.channels,)
        return {NETWORK: part(NETWORK, whole, inputs, names or ("picture",), c, _draw(*c))}

    width = net.conv_in.out_channels

    def features(h, w, generator):
        return net.extract(torch.rand(3, 4, h, w, generator=generator))

    def window(h, w, generator):
        return [*features(h, w, generator)[1].split(1)]

    def known_of_a_frame(h, w, generator):
        frames = torch.rand(3, 4, h, w, generator=generator)
        first, deep = net.extract(frames)
        return [frames[:1], first[:1], deep[:1], net.align([*deep.split(1)])[0]]

    sides = ("left", "middle", "right")
    made = (
        ("extract", ("frames",), ("first", "deep"), (4,), _draw(4)),
        ("align", sides, tuple(f"aligned_{s}" for s in sides), (width,) * 3, window),
        ("reconstruct", ("frames", "first", "deep", "aligned"), ("enhanced",),
         (4, width, width, width), known_of_a_frame),
    )  # fmt: skip
    return {name: part(name, Stage(net, name), *rest) for name, *rest in made}


def to_onnx(model, path=None, example=None, outputs=None, stage=None):
    """Write a network as ONNX, float32, height and width free.

    Args:
        model: of `models.build`; left as it was.
        path: the file, overwritten if it is there; None returns the onnx.ModelProto instead.
        example: an input, or a tuple of them (of brve's stages), batch 1, sides multiples of the
            network's; default a small one. Its size does not end up in the file, its batch does.
        outputs: of PairLIE, see `parts`.
        stage: of brve "extract", "align" or "reconstruct", and needed there.
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
    part = _part(model, outputs, stage)
    args = _example(part, example)
    with _quiet(), torch.no_grad():
        proto = torch.onnx.export(
            part.module, args, dynamo=True, dynamic_shapes=_free(part), opset_version=OPSET,
            input_names=part.inputs, output_names=part.outputs, external_data=False, verbose=False,
        ).model_proto  # fmt: skip
    # They name what they know of inner sizes by products such as 16*height; runtimes find it anew.
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, name in ((2, "height"), (3, "width")):
            value.type.tensor_type.shape.dim[axis].dim_param = name
    onnx.checker.check_model(proto, full_check=True)
    set_about(proto, part.about)
    return proto if path is None else write(path, proto.SerializeToString())


def to_program(model, path=None, example=None, outputs=None, stage=None):
    """Export as a program of torch.export (.pt2), which PyTorch loads without this library.

    `torch.export.load(path).module()` is the network. Arguments and errors as of `to_onnx`;
    without a path the torch.export.ExportedProgram.
    """
    import io

    part = _part(model, outputs, stage)
    args = _example(part, example)
    with _quiet(), torch.no_grad():
        program = torch.export.export(part.module, args, dynamic_shapes=_free(part))
    if path is None:
        return program
    buffer = io.BytesIO()
    with _quiet():
        torch.export.save(program, buffer, extra_files={"lowlight.json": json.dumps(part.about)})
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
    part = _part(model, outputs, stage)
    m = part.about["multiple"]
    sizes = sizes or [
        (k * side, k * other) for k in [max(m, 8)] for side, other in ((2, 3), (4, 1))
    ]
    run, worst = open_file(file), 0.0
    for h, w in sizes:
        found = []
        for seed in range(DRAWS if stage else 1):
            with torch.no_grad():
                args = part.draw(h, w, torch.Generator().manual_seed(seed))
                wanted = part.module(*args)
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


def open_file(file, threads=0):
    """A callable, tensors -> list of arrays, of a .onnx, a .pt2 or an onnx.ModelProto."""
    if isinstance(file, (str, Path)) and Path(file).suffix == ".pt2":
        with _quiet():
            program = torch.export.load(file).module()

        def call(*args):
            with torch.no_grad():
                out = program(*args)
            return [y.numpy() for y in ([out] if torch.is_tensor(out) else out)]

        return call
    session = onnx_session(file, threads)
    names = [i.name for i in session.get_inputs()]
    return lambda *args: session.run(None, dict(zip(names, map(np.asarray, args), strict=True)))


def read_about(file) -> dict:
    """What a file of ours says of itself.

    key, options: for `models.build`. stage: "network" or one of brve's. inputs, outputs: names.
    multiple: of which height and width have to be multiples. halo: for tiles. precision, library,
    torch, and where a network has it amplifies_itself, cfa, trained_on, white_balance.

    Args:
        file: path of a .onnx, or an onnx.ModelProto.
    Raises:
        DataError: it is not a file of ours.
    """
    onnx = need("onnx")[0]
    path, proto = None, file
    try:
        if isinstance(file, (str, Path)):
            path, proto = file, onnx.load(file, load_external_data=False)
        return json.loads({p.key: p.value for p in proto.metadata_props}["lowlight"])
    except FileNotFoundError as e:
        raise DataError("does not exist", file=path, todo="check the name") from e
    except Exception as e:  # protobuf's errors are not one family
        raise DataError("is no ONNX file of ours", file=path, todo="lowlight export") from e


def set_about(proto, about) -> None:
    """Write what `read_about` reads, in place."""
    del proto.metadata_props[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = "lowlight", json.dumps(about)


def write(path, data) -> Path:
    """Bytes to a file, whole or not at all."""
    with atomic_write(path) as f:
        f.write(data)
    return Path(path)


class _Chosen(nn.Module):
    """PairLIE with the outputs wanted; what only the others need is not in the file."""

    def __init__(self, net, names):
        super().__init__()
        self.net, self.names = net, names

    def forward(self, image):
        split = self.net(image)
        return tuple(getattr(split, name) for name in self.names)


class Stage(nn.Module):
    """One stage of brve as a module of tensors."""

    def __init__(self, net, name):
        super().__init__()
        self.net, self.name = net, name

    def forward(self, *args):
        return self.net.align(args) if self.name == "align" else getattr(self.net, self.name)(*args)


class _CountingAmplifier(nn.Module):
    """`LearnedAmplifier` of the histogram in operations that ONNX has: counts above each edge."""

    def __init__(self, amplifier):
        super().__init__()
        self.amplifier = amplifier
        self.edges = amplifier.edges.tolist()[:-1]  # white belongs to the last bin

    def forward(self, mosaic):
        flat = mosaic.flatten(1)
        above = torch.stack([(flat >= edge).sum(1) for edge in self.edges], 1)
        counts = above - torch.cat([above[:, 1:], torch.zeros_like(above[:, :1])], 1)
        x = self.amplifier.out(self.amplifier.hidden(counts.to(flat.dtype) / flat.shape[1]))
        x = x.flatten()
        return torch.where(x > 0, x, torch.full_like(x, 1e-4))


def _ready(model):
    """A copy on the CPU, in eval mode, in the form that is exported."""
    net = fold_weight_norm(copy.deepcopy(model).cpu().float().eval()).requires_grad_(False)
    net.parallel = False  # of REDI: a graph has no threads
    amplifier = getattr(net, "amplifier", None)
    if isinstance(amplifier, LearnedAmplifier) and amplifier.kind == "histogram":
        net.amplifier = _CountingAmplifier(amplifier)
    return net


def _part(model, outputs, stage):
    found = parts(model, outputs)
    stage = NETWORK if stage is None and NETWORK in found else stage
    if stage not in found:
        what = "needs a stage" if stage is None else f"has no stage {stage!r}"
        todo = f"use one of {', '.join(found)}" if NETWORK not in found else "leave stage out"
        raise OptionError(f"{model.spec.key} {what}", todo=todo)
    return found[stage]


def _draw(channels):
    return lambda h, w, generator: [torch.rand(1, channels, h, w, generator=generator)]


def _example(part, example):
    m = part.about["multiple"]
    if example is None:
        h, w = 3 * max(m, 8), 4 * max(m, 8)
        return tuple(torch.rand(1, c, h, w) for c in part.channels)
    args = (example,) if torch.is_tensor(example) else tuple(example)
    shapes = [tuple(a.shape) for a in args]
    if [s[:2] for s in shapes] != [(1, c) for c in part.channels] or any(
        len(s) != 4 or s[2:] != shapes[0][2:] for s in shapes
    ):
        wanted = ", ".join(f"(1, {c}, H, W)" for c in part.channels)
        raise OptionError(f"an example is {wanted}, got {', '.join(map(str, shapes))}")
    if any(side % m or side < 2 * m for side in shapes[0][2:]):
        raise OptionError(
            f"the sides of an example, {shapes[0][2:]}, are not multiples of {m} of at least "
            f"{2 * m}",
            todo="pad it (blocks.padding.pad_to_multiple), or leave it out",
        )
    return tuple(a.detach().cpu().float() for a in args)


def _free(part):
    """Which axes may have any size: `dynamic_shapes` of torch.export."""
    m = part.about["multiple"]
    # From 2 up: torch.export takes a size of 1 for a constant. The file runs at 1, too.
    h, w = (torch.export.Dim(name, min=2, max=65536) for name in ("height", "width"))
    axes = {2: h if m == 1 else m * h, 3: w if m == 1 else m * w}
    free = tuple(dict(axes) for _ in part.channels)
    # *args of a stage are one argument.
    return (free,) if isinstance(part.module, Stage) else free


@contextlib.contextmanager
def _quiet():
    """Without what the exporter tells its own developers."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
