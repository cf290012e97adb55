"""Get the authors' released weights: python data_scripts/get_weights.py [redi llpacknet pairlie].

Says every licence first, tries the mirrors in turn, goes on where a connection broke, and verifies
size and hash. With --dry-run it only says what it would do.
"""

import argparse
import sys
from pathlib import Path

from lowlight_lib.errors import LowlightError
from lowlight_lib.io.downloads import fetch_all, read_manifest

MANIFEST = Path(__file__).with_name("manifests") / "weights.toml"


def main(argv=None) -> int:
    items = {Path(item.name).stem: item for item in read_manifest(MANIFEST)}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("keys", nargs="*", metavar="KEY", help=f"of {', '.join(items)}; all")
    parser.add_argument("-o", "--out", type=Path, default=Path("datasets/weights"))
    parser.add_argument("--dry-run", action="store_true", help="touch nothing, say what would be")
    parser.add_argument("--mirror", action="append", default=[], metavar="URL",
                        help="folder of a server to try first; repeat for several")  # fmt: skip
    given = parser.parse_args(argv)
    if "sid" in given.keys:
        parser.error("SID's released weights are TensorFlow's, of another order of planes, and load"
                     " in no PyTorch network: train with `lowlight train sid`")  # fmt: skip
    unknown = sorted(set(given.keys) - set(items))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(items)}")
    chosen = [items[key] for key in dict.fromkeys(given.keys or items)]
    lacking = fetch_all(chosen, given.out, mirrors=given.mirror, dry_run=given.dry_run)
    if not (lacking or given.dry_run):
        key = Path(chosen[0].name).stem
        print(f"use them: lowlight test {key} --checkpoint {given.out / chosen[0].name}")
    return int(lacking > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LowlightError as e:
        sys.exit(f"error: {e}")
