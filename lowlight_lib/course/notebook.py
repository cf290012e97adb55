"""What each notebook does first: it checks its profile and says where data and results are.

Its parameters say where, and by default the variables LOWLIGHT_DATA and LOWLIGHT_OUT. Without them
both are in the clone of the project around the current folder, or where there is none, as with a
student's copy, in ~/.cache/lowlight-lab, and on Colab in /content.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .. import allocator
from ..errors import OptionError


def set_up(profile, data_root=None, out_dir=None, *, number=0, mini=None) -> tuple[str, str]:
    """Settle a notebook's parameters, print the folders, and make the mini data if they are meant.

    Args:
        profile: "smoke", "course" or "paper".
        data_root: "" is datasets/mini; None where the notebook needs no data.
        out_dir: "" is runs/notebooks/NUMBER; None where it writes nothing.
        number: the notebook's.
        mini: which mini sets it needs, as for `data.mini.ensure`.
    Returns:
        (data_root, out_dir), each "" where it was None.
    Raises:
        OptionError, OutputError: no such profile, no home folder; the mini data cannot be written.
    """
    check_profile(profile)
    allocator.keep_pages()
    if data_root == "":
        data_root = str(_home() / "datasets" / "mini")
    if out_dir == "":
        out_dir = str(_home() / "runs" / "notebooks" / f"{number:02}")
    for what, folder in (("Data", data_root), ("Results", out_dir)):
        if folder:
            print(f"{what} in {folder}")
    if data_root and Path(data_root).parts[-2:] == ("datasets", "mini"):
        from ..data import mini as mini_data

        if not Path(data_root).exists():
            print("The mini data are made there now, once: in seconds, or a minute or two.")
        mini_data.ensure(data_root, progress=False, sets=mini)
    return data_root or "", out_dir or ""


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
        is_clone = (folder / "notebooks").is_dir() and (folder / "lowlight_lib/course").is_dir()
        if is_clone and os.access(folder, os.W_OK):
            return Path(os.path.relpath(folder, here))
    if "google.colab" in sys.modules:
        return Path("/content")
    try:
        return Path.home() / ".cache" / "lowlight-lab"
    except RuntimeError as e:  # an unknown user
        raise OptionError("no home folder", todo="set LOWLIGHT_DATA and LOWLIGHT_OUT") from e
