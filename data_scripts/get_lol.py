"""Get the LOL data set: python data_scripts/get_lol.py ROOT [--dry-run].

Says the licence and how to get the archive by hand (or fetches it from a mirror of your own),
unpacks it (--unpack), and checks what is there. May be called again; what is there stays.
"""

import argparse
import sys
from pathlib import Path

from lowlight_lib.data.check import check
from lowlight_lib.data.photos import LOL_SPLITS
from lowlight_lib.errors import LowlightError
from lowlight_lib.io.downloads import fetch_all, read_manifest, unpack

MANIFEST = Path(__file__).with_name("manifests") / "lol.toml"


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="data root; LOL/ is made in it")
    parser.add_argument("--dry-run", action="store_true", help="touch nothing, say what would be")
    parser.add_argument("--mirror", action="append", default=[], metavar="URL",
                        help="folder of a server that has the archive")  # fmt: skip
    parser.add_argument("--unpack", action="store_true", help="unpack LOL/LOLdataset.zip, checked")
    given = parser.parse_args(argv)
    items, folder = read_manifest(MANIFEST), given.root / "LOL"
    if not all((folder / split).is_dir() for split in LOL_SPLITS.values()) or given.unpack:
        fetch_all(items, given.root, mirrors=given.mirror, dry_run=given.dry_run)
    if given.dry_run:
        return 0
    archive = given.root / items[0].name
    if given.unpack and archive.exists():
        folders = [f"{split}/{side}" for split in LOL_SPLITS.values() for side in ("low", "high")]
        new = unpack(archive, folder, folders)
        print(f"{archive} unpacked, {new} new files; you may delete it")
    report = check(given.root, only=["lol"])
    print(report)
    return report.exit_code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LowlightError as e:
        sys.exit(f"error: {e}")
