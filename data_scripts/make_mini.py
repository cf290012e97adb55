"""Make the mini data: python data_scripts/make_mini.py [ROOT], or `lowlight data mini ROOT`."""

import sys

from lowlight_lib.data import mini

if __name__ == "__main__":
    root = sys.argv[1] if len(sys.argv) > 1 else "datasets/mini"
    print(mini.ensure(root))
