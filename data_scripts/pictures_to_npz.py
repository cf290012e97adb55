"""Pictures as npz for accelerators: python data_scripts/pictures_to_npz.py IN OUT [--list FILE].

Each picture of the folder IN becomes OUT/NAME.npz with `input_0`, uint8 (3, H, W).
`lowlight export pairlie --calibration OUT` takes such a folder, and what is made of it
`lowlight test pairlie --predictions DIR`, with --by-order where files have other names.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from lowlight_lib.errors import DataError, LowlightError
from lowlight_lib.io.files import atomic_write, files_in, to_integers
from lowlight_lib.io.pictures import PHOTOS, read_photo


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path, help="folder of pictures, as LOL/eval15/low")
    parser.add_argument("out", type=Path, help="folder for the npz files")
    parser.add_argument("--list", type=Path, help="a file that names them, one a line, in order")
    parser.add_argument("--channels-last", action="store_true", help="(H, W, 3), not (3, H, W)")
    given = parser.parse_args(argv)
    files, made = files_in(given.pictures, PHOTOS), []
    if not files:
        raise DataError("holds no picture", file=given.pictures, todo="check the name")
    for file in files:
        target = given.out / f"{file.stem}.npz"
        if target in made:
            raise DataError("is there with another suffix too", file=file, todo="rename one")
        pixels = to_integers(read_photo(file), 8)
        made.append(target)
        with atomic_write(made[-1]) as f:
            np.savez(f, input_0=pixels if given.channels_last else pixels.transpose(2, 0, 1))
    if given.list:
        with atomic_write(given.list, "w") as f:
            f.writelines(f"{path}\n" for path in made)
    print(f"{len(made)} files in {given.out}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LowlightError as e:
        sys.exit(f"error: {e}")
