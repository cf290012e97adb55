"""Get PairLIE's training pictures: python data_scripts/get_pairs.py ROOT [--dry-run].

Says the licence and how to get them by hand, and checks what is there.
"""

import argparse
import sys
from pathlib import Path

from lowlight_lib.data.check import check
from lowlight_lib.errors import LowlightError
from lowlight_lib.io.downloads import fetch_all, read_manifest

MANIFEST = Path(__file__).with_name("manifests") / "pairs.toml"


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="data root; pairs/ belongs into it")
    parser.add_argument("--dry-run", action="store_true", help="touch nothing, say what would be")
    given = parser.parse_args(argv)
    folder = given.root / "pairs"
    if not folder.is_dir() or given.dry_run:
        fetch_all(read_manifest(MANIFEST), given.root, dry_run=given.dry_run)
    if given.dry_run:
        return 0
    report = check(given.root, only=["pairs"])
    print(report)
    return report.exit_code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LowlightError as e:
        sys.exit(f"error: {e}")
