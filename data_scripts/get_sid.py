"""Get the See-in-the-Dark data set: python data_scripts/get_sid.py ROOT [--dry-run].

Fetches the list files, says how to get the archives (their authors ask that no script does it),
unpacks an archive that is there (--unpack), checks everything, and decodes the raw files into
memory-mapped arrays (--cache). May be called again at any point; what is there stays.
"""

import argparse
import shutil
import sys
from pathlib import Path

from lowlight_lib.data.check import check
from lowlight_lib.errors import LowlightError, OptionError, OutputError
from lowlight_lib.io.downloads import fetch_all, human, read_manifest, unpack

MANIFEST = Path(__file__).with_name("manifests") / "sid.toml"
SPLITS = ("train", "val", "test")
BY_HAND_ONLY = ("storage.googleapis.com/isl-datasets", "drive.google.com")


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="data root; SID/ is made in it")
    parser.add_argument("--camera", choices=("Sony", "Fuji", "both"), default="Sony")
    parser.add_argument("--dry-run", action="store_true", help="touch nothing, say what would be")
    parser.add_argument("--mirror", action="append", default=[], metavar="URL",
                        help="folder of a server to try first, archives included")  # fmt: skip
    parser.add_argument("--unpack", action="store_true", help="unpack SID/Sony.zip, checked")
    parser.add_argument("--cache", action="store_true", help="decode everything, once")
    given = parser.parse_args(argv)
    cameras = ("Sony", "Fuji") if given.camera == "both" else (given.camera,)
    for url in given.mirror:
        if any(place in url for place in BY_HAND_ONLY):
            raise OptionError(
                f"{url} is the authors' own: they ask that no script fetches from it",
                todo="download by hand, once, and serve the copy to your other machines",
            )
    items = [i for i in read_manifest(MANIFEST) if Path(i.name).name.startswith(cameras)]
    unpacked = {f"SID/{c}.zip" for c in cameras if (given.root / "SID" / c / "long").is_dir()}
    items = [i for i in items if i.name not in unpacked]  # an archive has done its duty
    fetch_all(items, given.root, mirrors=given.mirror, dry_run=given.dry_run)
    if given.dry_run:
        return 0
    for camera in cameras:
        archive = given.root / "SID" / f"{camera}.zip"
        if given.unpack and archive.exists():
            count = unpack(archive, archive.parent, [f"{camera}/short", f"{camera}/long"])
            print(f"{archive} unpacked, {count} new files; you may delete it")
    report = check(given.root)
    print(report)
    if given.cache and not report.errors:
        for camera in cameras:
            cache(given.root, camera)
    return report.exit_code


def cache(root, camera) -> None:
    """Decode every listed file of a camera into memory-mapped arrays, if there is space."""
    from lowlight_lib.data.sid import SidDataset
    from lowlight_lib.sensor.raw import read_raw

    splits = [SidDataset(root, split, camera=camera) for split in SPLITS]
    pixels = read_raw(splits[0].file(0)).mosaic.size
    pairs = [p for s in splits for p in s.pairs]
    inputs, targets = {p.input for p in pairs}, {p.target for p in pairs}
    needed = pixels * (2 * len(inputs) + 6 * len(targets))  # uint16: one value, or three
    place = splits[0].cache.folder
    place.mkdir(parents=True, exist_ok=True)
    have, free = sum(p.stat().st_size for p in place.rglob("*.npy")), shutil.disk_usage(place).free
    print(f"{camera}: {human(needed)} of arrays below {place}")
    if needed - have > free:
        todo = "free some space, or set LOWLIGHT_CACHE to a folder that has it"
        raise OutputError(f"has {human(free)} free", file=place, todo=todo)
    for split in splits:
        split.prepare()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LowlightError as e:
        sys.exit(f"error: {e}")
