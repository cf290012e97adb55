"""The command line, `lowlight` or python -m lowlight_lib.cli: every command calls the library."""

from __future__ import annotations

import os
import re
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import Annotated

import typer

from .. import __version__, allocator
from ..errors import LowlightError
from ..io.files import output_error
from . import course, data
from .bench import bench
from .calibrate import calibrate
from .cost import cost
from .demo import demo
from .export import PRECISIONS, export
from .restore import restore
from .test import test
from .train import train

_RENAMED = {"train": {"--run": "--run-dir"}, "test": {"--run": "--run-dir", "--m": "--brightness"}}
_NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?")

app = typer.Typer(
    help="Efficient low-light raw imaging: restore dark raw files, train and test networks, "
    "run the course.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
app.add_typer(data.app, name="data")
app.add_typer(course.app, name="course")
for command in (restore, demo, train, test, cost, bench, export, calibrate):
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


def _as_parsed(argv):
    """Words as the parser takes them: `--m 1 5` -> `--m 1 --m 5`, and so for --precision.

    Names of version 0.1, which torchrun took for its own, become those of now, with a warning.
    """
    renamed = _RENAMED.get(argv[0], {}) if argv else {}
    out, many = [], None
    for word in argv:
        if many and (word in PRECISIONS if many == "--precision" else _NUMBER.fullmatch(word)):
            out += [word] if out[-1] == many else [many, word]
            continue
        name, equals, value = word.partition("=")
        if name in renamed:
            print(f"warning: {name} is called {renamed[name]} now", file=sys.stderr)
        out.append(renamed.get(name, name) + equals + value)
        many = out[-1] if out[-1] in ("--m", "--precision") else None
    return out


class _Stream:
    """Standard output, or errors, whose disk may be full: the work goes on, and `lost` says so."""

    def __init__(self, stream):
        self._stream, self.lost = stream, None
        if hasattr(stream, "reconfigure"):  # a file's name may not fit the console's encoding
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as e:
            self.lost = e
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        return len(text)


def main(argv=None) -> None:
    """Run a command line: errors on purpose are one line on stderr and exit code 1."""
    allocator.keep_pages()
    out, err = _Stream(sys.stdout), _Stream(sys.stderr)
    with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err):  # type: ignore
        warnings.showwarning = lambda what, *_: print(f"warning: {what}", file=sys.stderr)
        try:
            app(args=_as_parsed(sys.argv[1:] if argv is None else argv), prog_name="lowlight")
        except LowlightError as e:
            rank = os.environ.get("RANK") or "0"  # under torchrun: which of the processes
            where = "error" if rank == "0" else f"error in process {rank}"
            print(f"{where}: {e}", file=sys.stderr)
            sys.exit(1)
        finally:
            if lost := out.lost or err.lost:
                if not isinstance(lost, BrokenPipeError):  # as after `| head`
                    print(f"error: {output_error('standard output', lost)}", file=sys.stderr)
                sys.exit(1)
