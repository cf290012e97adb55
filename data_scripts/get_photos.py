"""Get freely licensed photographs: python data_scripts/get_photos.py FOLDER [--from PACKAGES].

Photographs to make training data of (`lowlight data mini ROOT --photos FOLDER`, and the `release`
recipes): FOLDER/train and FOLDER/test, by different photographers, as photos.toml lists them. They
come out of Debian's packages, by apt-get where there is one, and are reduced to half their pixels
and at most 3 megapixels, which takes the traces of JPEG away. May be called again; what is there
stays. Who took each, and its licence, is written to FOLDER/LICENCES.txt.
"""

import argparse
import hashlib
import io
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowlight_lib.errors import DataError, LowlightError
from lowlight_lib.io.files import atomic_write, make_folder, write_picture

LIST = Path(__file__).with_name("photos.toml")
MOST_PIXELS = 3_000_000
OTHER = "take the version of Debian 12"
BY_HAND = """\
There is no apt-get here. Get these packages by hand, from a Debian or Ubuntu system (`apt-get
download NAME`) or from https://packages.debian.org/NAME, about 600 MB in all:
  {packages}
Put the .deb files into a folder, or unpack them there (`dpkg-deb -x FILE.deb FOLDER`), and run
  python data_scripts/get_photos.py {folder} --from THAT_FOLDER"""


@dataclass(frozen=True)
class Photo:
    """One photograph of the list."""

    name: str
    split: str
    author: str
    licence: str
    package: str
    place: str  # in the package
    sha256: str
    first: int = 0  # byte of the file where the picture begins
    size: int | None = None  # bytes of it; None for the whole file

    def target(self, folder) -> Path:
        return Path(folder, self.split, f"{self.name}.png")


def read_list(path=LIST) -> list[Photo]:
    table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    return [
        Photo(name, who["split"], who["name"], who["licence"], who["package"], *file)
        for who in table["photographer"]
        for name, file in who["files"].items()
    ]


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="train/ and test/ are made in it")
    parser.add_argument("--from", dest="packages", type=Path, metavar="PACKAGES",
                        help="folder of .deb files, or of what was in them")  # fmt: skip
    given = parser.parse_args(argv)
    photos = read_list()
    wanted = [p for p in photos if not p.target(given.folder).exists()]
    packages = list(dict.fromkeys(p.package for p in wanted))
    if packages and not given.packages and not shutil.which("apt-get"):
        print(BY_HAND.format(packages="\n  ".join(packages), folder=given.folder))
        return 1
    write_licences(make_folder(given.folder), photos)
    errors = []
    for package in packages:
        of_it = [p for p in wanted if p.package == package]
        print(f"{package}: {len(of_it)} photographs")
        try:
            with tempfile.TemporaryDirectory(dir=given.folder) as place:
                source = given.packages or download(package, place)
                errors += get(of_it, source, given.folder)
        except DataError as e:
            errors.append(e)
    for error in errors:
        print(f"error: {error}")
    counts = [sum(p.split == s for p in photos if p.target(given.folder).exists())
              for s in ("train", "test")]  # fmt: skip
    print(f"{given.folder}: {counts[0]} photographs for training, {counts[1]} for testing")
    return int(bool(errors))


def write_licences(folder, photos) -> None:
    lines = [f"{p.split}/{p.name}.png: {p.author}, {p.licence}; {p.package}, {p.place}; reduced"
             for p in photos]  # fmt: skip
    with atomic_write(folder / "LICENCES.txt", "w") as f:
        f.write("\n".join(lines) + "\n")


def download(package, folder) -> Path:
    """Let apt-get bring a package into a folder, which is returned."""
    command = ["apt-get", "download", "-q", package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        what = f"apt-get cannot bring {package}: {done.stderr.strip()[-300:]}"
        raise DataError(what, todo="call `apt-get update`, or see --from")
    return Path(folder)


def get(photos, source, folder):
    """Write photographs of one package; yields an error for each that cannot be had."""
    files = read_files(source, photos[0].package, {p.place for p in photos})
    for photo in photos:
        try:
            if photo.place not in files:
                raise DataError(f"has no {photo.place}", file=photo.package, todo=OTHER)
            content = files[photo.place][photo.first :][: photo.size]
            if hashlib.sha256(content).hexdigest() != photo.sha256:
                raise DataError(f"has another {photo.place}", file=photo.package, todo=OTHER)
            write_picture(photo.target(folder), reduce(decode(content)))
        except DataError as e:
            yield e


def read_files(source, package, places) -> dict[str, bytes]:
    """Files of a package, as far as it has them; `source` holds it as .deb file or unpacked."""
    for unpacked in (source, source / package):
        if (unpacked / next(iter(places))).is_file():
            return {p: (unpacked / p).read_bytes() for p in places if (unpacked / p).is_file()}
    debs, found = sorted(Path(source).glob(f"{package}_*.deb")), {}
    if not debs:
        what = f"{source} holds no {package}_VERSION.deb, and nothing that was unpacked from it"
        raise DataError(what, todo="get the package, or leave --from out")
    try:
        with tarfile.open(fileobj=io.BytesIO(data_of(debs[-1])), mode="r|*") as tar:
            for member in tar:
                if (place := member.name.removeprefix("./")) in places and member.isfile():
                    found[place] = tar.extractfile(member).read()
    except (OSError, ValueError, EOFError, tarfile.TarError, lzma.LZMAError) as e:
        todo = f"unpack it by `dpkg-deb -x {debs[-1].name} FOLDER`, and give --from FOLDER"
        raise DataError(f"cannot be unpacked here ({e!s:.200})", file=debs[-1], todo=todo) from e
    return found


def data_of(deb) -> bytes:
    """The archive data.tar of a .deb file, which is an `ar` archive: a line, then for each file 60
    bytes, of which 16 are its name and 10 from the 48th on its size, and its bytes, even in number.
    """
    content = deb.read_bytes()
    place = 8 if content.startswith(b"!<arch>\n") else len(content)
    while place < len(content):
        name, size = content[place : place + 16], int(content[place + 48 : place + 58])
        if name.startswith(b"data.tar"):
            return content[place + 60 : place + 60 + size]
        place += 60 + size + size % 2
    raise ValueError("it is no .deb file")


def decode(content) -> np.ndarray:
    """uint8 (H, W, 3) of a picture's file."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def reduce(pixels) -> np.ndarray:
    """Half the pixels, and at most 3 megapixels, by area; float32 (H, W, 3) in [0, 1]."""
    import cv2

    h, w = pixels.shape[:2]
    scale = min(0.5, MOST_PIXELS / (h * w)) ** 0.5
    size = int(w * scale) // 2 * 2, int(h * scale) // 2 * 2
    return cv2.resize(pixels.astype(np.float32) / 255, size, interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LowlightError as e:
        sys.exit(f"error: {e}")
