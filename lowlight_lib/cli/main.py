"""Where the command line begins: Ctrl-C ends it with a word, also while PyTorch is imported."""

import sys


def main(argv=None) -> None:
    """Run a command line: errors on purpose are one line on stderr and exit code 1."""
    try:
        from .app import run

        run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
