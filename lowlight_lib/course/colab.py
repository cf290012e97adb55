"""Set-up on Colab: install what the library needs and the machine lacks, and nothing else.

A second torch or numpy under a running notebook breaks it, so those that are there stay.
"""

import importlib
import importlib.metadata
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import cast

from ..errors import LowlightError

# Equal in the set-up cell of every notebook; a test checks it.
REPO_URL = "https://github.com/lowlightlab/lowlight-lab"

# What Colab has. jupyterlab would bring a second server.
_NEVER_INSTALLED = ("torch", "numpy", "matplotlib", "jupyterlab")
# What the running kernel is made of: exchanged under its feet it needs a restart.
_KERNEL = ("ipykernel", "ipython", "ipywidgets", "jupyter-client", "pyzmq", "tornado")


def install_missing(extra=None) -> list[str]:
    """Install the requirements of this library that are not there, in one call of pip.

    A constraints file holds torch, numpy, matplotlib and the running kernel at their versions.
    Requirements of an extra count if it is `extra`, such as "deploy". Returns what was installed;
    LowlightError: pip failed.
    """
    missing = []
    for requirement in importlib.metadata.requires("lowlight-lab") or ():
        bare, _, marker = requirement.partition(";")
        name = cast(re.Match, re.match(r"[\w.-]+", bare))[0]
        if of := re.search(r"""extra\s*==\s*["']([\w.-]+)""", marker):
            requirement = bare  # with its marker pip would leave it out
        wanted = name not in _NEVER_INSTALLED and (not of or of[1] == extra)
        if wanted and _version(name) is None:
            missing.append(requirement)
    if not missing:
        return []
    print("Installing what is missing:", ", ".join(missing), flush=True)
    held = [f"{n}=={v}\n" for n in (*_NEVER_INSTALLED, *_KERNEL) if (v := _version(n))]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, "constraints.txt")
        constraints.write_text("".join(held), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "install", "-q", "-c", str(constraints), *missing]
        if subprocess.run(pip).returncode:
            todo = "read pip's message above; often a fresh runtime helps"
            raise LowlightError("pip could not install " + ", ".join(missing), todo=todo)
    importlib.invalidate_caches()
    return missing


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
