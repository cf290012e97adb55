"""`lowlight` and `python -m lowlight_lib.cli`, which is also what torchrun starts."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it in a word, also while it is imported."""
    try:
        from .main import main

        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
