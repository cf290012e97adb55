"""Get LLRVD, the raw videos of BRVE: python data_scripts/get_llrvd.py ROOT.

Nothing of it can be fetched by a script: it lies on Baidu Disk alone, which wants a person and a
browser. This says from where, shows what has to lie where, and then checks what is there.
"""

import argparse
import sys
from pathlib import Path

from lowlight_lib.data.check import check
from lowlight_lib.errors import LowlightError

BY_HAND = """\
LLRVD: real low-light raw videos, 70 scenes at three amplification ratios each, 210 pairs of clips
(Sony A7R IV; Fu et al., IEEE TMM 2023; split and levels of Zhang et al., CVPR 2024, "BRVE").
Terms: the authors' repository (https://github.com/zhanggengchen/BRVE, its code MIT) names none for
the clips; ask them before you pass any on, and cite both papers.

By hand, for no script can:
  1. open https://pan.baidu.com/s/1b-BU7ZKOm_k7374quZ5Zgw?pwd=xydx (code: xydx) and download;
     the size is not published, so leave plenty of space;
  2. put it, or a link to it, here:

     {folder}/
       ratio_gt/1/gt.npy                  (T, H, W, 4) uint16, planes R, G1, G2, B
       ratio_noisy_all/1/125/lq.npy       the same clip in the dark; the folder is the ratio, one of
       ratio_noisy_all/1/160/lq.npy       100, 125, 160, 200, 250, 320, three of them a scene
       ratio_noisy_all/1/250/lq.npy
       ISP_info/1/1.npy, 2.npy, ...       one file a frame: white balance and colour matrix
       ... and so on to scene 70

  3. call this again, or `lowlight data check {root}`.

Do not open the files of ISP_info with numpy's allow_pickle=True: that runs whatever is in them.
This library reads them without.
"""


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="data root; LLRVD/ lies in it")
    given = parser.parse_args(argv)
    folder = given.root / "LLRVD"
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
