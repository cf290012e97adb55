"""What several commands ask for, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import OptionError
from ..models import SYSTEMS

DEFAULT_DATA = Path("datasets/mini")

Profile = Annotated[str, typer.Option(
    help="smoke (a minute), course (a laptop), paper (text) or released (its code).")]  # fmt: skip
Key = Annotated[str, typer.Argument(help=f"Which system: {', '.join(SYSTEMS)}.",
                                    show_default=False)]  # fmt: skip
Weights = Annotated[Path | None, typer.Option(
    "--checkpoint", help="Weights: the authors' .pth or a .safetensors of ours.",
    show_default=False)]  # fmt: skip
DataRoot = Annotated[Path, typer.Option(
    "--data", envvar="LOWLIGHT_DATA", help="Folder that holds SID/ and its like.")]  # fmt: skip
RootArgument = Annotated[Path, typer.Argument(help="Data root; the sets are in it.")]
RunDir = Annotated[Path | None, typer.Option(
    "--run-dir", help="Results and pictures go there; a training that is started again goes on "
    "where it was.")]  # fmt: skip
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]
Backend = Annotated[str, typer.Option(
    help="What computes: eager (the network as it is), torch, onnxruntime, openvino, for binary "
    "networks bitpacked, or auto, which is bitpacked or torch.")]  # fmt: skip
Precision = Annotated[str, typer.Option(help="float32; faster and less exact: bfloat16, float16.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N images or clips.")]
Gamma = Annotated[float | None, typer.Option(
    help="Photographs: brightness, the illumination to this power; 1 leaves it, 0 takes it away.",
    show_default="0.2, or the protocol's")]  # fmt: skip
Tile = Annotated[int | None, typer.Option(
    help="Work in tiles of N pixels of the network's input, to save memory.",
    show_default="1024 for photographs, 256 for video, none for SMOID's")]  # fmt: skip
ResultOnly = Annotated[bool, typer.Option(
    "--result-only", help="Clips: the mp4 shows the result, and no other view.")]  # fmt: skip
Force = Annotated[bool, typer.Option("--force", help="Write over files that are there.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def need_weights(checkpoint) -> Path:
    """The file of weights; OptionError where none is given."""
    if checkpoint is None:
        todo = "train some with `lowlight train`, or get the authors' by "
        todo += "data_scripts/get_weights.py and read NOTICE"
        raise OptionError("no weights given: --checkpoint is missing", todo=todo)
    return checkpoint


def number_or_auto(text):
    """What --amplification may say: "auto", or a number."""
    try:
        return text if text == "auto" else float(text)
    except ValueError as e:
        raise OptionError(f"--amplification is auto or a number, not {text!r}") from e


def split_assignment(text) -> tuple[str, str]:
    """ "NAME=VALUE" -> ("NAME", "VALUE")."""
    name, equals, value = text.partition("=")
    if not equals:
        raise OptionError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value.strip()
