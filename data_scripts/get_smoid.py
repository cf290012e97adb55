"""Get SMOID, raw videos of moving objects in the dark: python data_scripts/get_smoid.py ROOT.

Nothing of it can be fetched by a script: there are three links to Google Drive, which wants a
person and a browser. This says from where, shows what has to lie where, and then checks what is
there.
"""

import argparse
import sys
from pathlib import Path

from lowlight_lib.data.check import check
from lowlight_lib.errors import LowlightError

BY_HAND = """\
SMOID: raw videos of a rig of two cameras behind one lens, 103 scenes at three gains each, 309 pairs
of clips of 300 frames (Jiang & Zheng, ICCV 2019; split of Zhang et al., CVPR 2024, "BRVE").
Terms: neither repository names any for the clips; ask the authors, and cite both papers.

BRVE's authors write that it "is currently not available" with them. What there is, by hand:
  1. three links, given in a thread of the data set's own repository
     https://github.com/MichaelHYJiang/Learning-to-See-Moving-Objects-in-the-Dark/issues/8
       https://drive.google.com/uc?id=1qES6teQUprs-cgL-nACzFighjm_Dho0L
       https://drive.google.com/uc?id=1wiz5XPricNj-sFwqfj7tVI1IomlyO6xM
       https://drive.google.com/uc?id=1UFah1QWltNDzUlsQ4HCMnuiyAAUh-9EE
     The repository's own script calls them example data of camera 1, of camera 2, and outdoor, so
     they are not the whole set; in 2025 a user found the archives empty or damaged. Ask the authors
     for the rest.
  2. put it, or a link to it, here:

     {folder}/
       _Scene1/Gain0Gain0/Dark/RAW/raw_input.npy       (T, 4, 240, 320) uint16, planes G2, R, G1, B
       _Scene1/Gain0Gain0/Bright/RAW/raw_target.npy
       _Scene1/Gain15Gain0/...                          the same at the other two gains
       _Scene1/Gain30Gain0/...
       ... and so on to _Scene103

  3. call this again, or `lowlight data check {root}`.
"""


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="data root; SMOID/ lies in it")
    given = parser.parse_args(argv)
    folder = given.root / "SMOID"
    if not folder.is_dir():
        print(BY_HAND.format(folder=folder, root=given.root))
        return 1
    report = check(given.root)
    print(report)
    return report.exit_code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LowlightError as e:
        sys.exit(f"error: {e}")
