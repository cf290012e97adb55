"""The command line: thin, every command a call of the library.

lowlight restore | train | test | cost | bench | export | data | course
(or python -m lowlight_lib.cli)
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from .. import __version__, allocator
from ..errors import LowlightError
from . import course, data
from .bench import bench
from .cost import cost
from .export import PRECISIONS, export
from .restore import restore
from .test import test
from .train import train

app = typer.Typer(
    help="Efficient low-light raw imaging: restore dark raw files, train and test networks, "
    "run the course.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.add_typer(course.app, name="course")


for command in (restore, train, test, cost, bench, export):
    app.command()(command)


def _version(show: bool):
    if show:
        print(__version__)
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[bool, typer.Option(
        "--version", callback=_version, is_eager=True, help="Print the version.")] = False,
):  # fmt: skip
    pass


def _spread(argv):
    """`--m 1 5 8` -> `--m 1 --m 5 --m 8`, which is how the parser takes several values.

    The same for `--precision float32 int8`.
    """
    out, many = [], None
    for word in argv:
        if many and (word in PRECISIONS if many == "--precision" else _is_number(word)):
            out += [word] if out[-1] == many else [many, word]
            continue
        many = word if word in ("--m", "--precision") else None
        out.append(word)
    return out


def _renamed(argv):
    """Names of version 0.1, which torchrun took for its own, as they are now; with a warning."""
    names = {"train": ("--run",), "test": ("--run", "--m")}.get(argv[0] if argv else "", ())
    out = []
    for word in argv:
        name, equals, value = word.partition("=")
        if name in names:
            new = {"--run": "--run-dir", "--m": "--brightness"}[name]
            print(f"warning: {name} is called {new} now", file=sys.stderr)
            word = new + equals + value
        out.append(word)
    return out


def _is_number(word):
    try:
        float(word)
        return True
    except ValueError:
        return False


def main(argv=None) -> None:
    """Run a command line: errors on purpose are one line on stderr and exit code 1, no traceback.

    Args:
        argv: its words, without the program's own name; default those of this process.
    """
    allocator.keep_pages()
    for stream in (sys.stdout, sys.stderr):  # a file's name may not fit the console's encoding
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    words = _spread(_renamed(sys.argv[1:] if argv is None else argv))
    with warnings.catch_warnings():
        warnings.showwarning = lambda what, *_: print(f"warning: {what}", file=sys.stderr)
        try:
            app(args=words, prog_name="lowlight")
        except LowlightError as e:
            rank = os.environ.get("RANK", "0")  # under torchrun: which of the processes
            where = "error" if rank == "0" else f"error in process {rank}"
            print(f"{where}: {e}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)
