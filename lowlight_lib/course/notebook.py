"""What each notebook does first: it checks its profile and says where data and results are.

Its parameters say where, by default LOWLIGHT_DATA and LOWLIGHT_OUT. Without them both are in the
clone of the project around the current folder, on Colab else in that folder, which is /content
there, and where there is neither, as with a student's copy, in ~/.cache/lowlight-lab.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .. import allocator
from ..errors import OptionError


def set_up(profile, data_root=None, out_dir=None, *, number=0, mini=None):
    """Settle a notebook's parameters, print the folders, and make the mini data if they are meant.

    Args:
        data_root, out_dir: "" is datasets/mini or runs/notebooks/NUMBER; None: it needs none.
        mini: which mini sets it needs, as for `data.mini.ensure`.
    Returns:
        (data_root, out_dir).
    Raises:
        OptionError: no such profile. OutputError: the mini data cannot be written.
    """
    allocator.keep_pages()
    check_profile(profile)
    data_root = str(_home() / "datasets/mini") if data_root == "" else data_root
    out_dir = str(_home() / f"runs/notebooks/{number:02}") if out_dir == "" else out_dir
    for what, folder in (("Data", data_root), ("Results", out_dir)):
        if folder:
            print(f"{what} in {folder}")
    if data_root and Path(data_root).parts[-2:] == ("datasets", "mini"):
        from ..data import mini as mini_data

        if not Path(data_root).exists():
            print("The mini data are made there now, once: in seconds, or a minute or two.")
        mini_data.ensure(data_root, progress=False, sets=mini)
    return data_root, out_dir


def check_profile(profile) -> None:
    """OptionError where there is no such profile."""
    from ..recipes import PROFILES

    if profile not in PROFILES:
        todo = f"choose {' or '.join(PROFILES)}"
        raise OptionError(f"there is no profile {profile!r}", todo=todo)


def _home():
    """The folder that has datasets/ and runs/."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "lowlight_lib/course").is_dir():
            return Path(os.path.relpath(folder, here))
    return here if "google.colab" in sys.modules else Path.home() / ".cache" / "lowlight-lab"
