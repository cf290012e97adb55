"""Set-up on Colab: install what the library needs and the machine lacks, and nothing else.

A second torch or numpy under a running notebook breaks it, so those that are there stay.
"""

import importlib
import importlib.metadata
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import cast

from .. import __version__
from ..errors import LowlightError

# Equal in the set-up cell of every notebook; a test checks it.
REPO_URL = "https://github.com/lowlightlab/lowlight-lab"
TAG = f"v{__version__}"

# What Colab has; and what runs, tests and prints notebooks, which Colab does itself.
_NEVER_INSTALLED = ("torch", "numpy", "matplotlib")
_NEVER_INSTALLED += ("jupyterlab", "papermill", "nbconvert", "latex2mathml", "nbval")
# What the running kernel is made of: exchanged under its feet it needs a restart.
_KERNEL = ("ipykernel", "ipython", "ipywidgets", "jupyter-client", "pyzmq", "tornado")


def install_missing(extra=None) -> list[str]:
    """Install what this clone of the library requires and is not there, in one silent call of pip.

    A constraints file holds torch, numpy, matplotlib and the running kernel at their versions.
    Requirements of an extra count if it is `extra`, such as "deploy". Returns what was installed,
    [] for a library that pip has installed. LowlightError, with pip's message: pip failed.
    """
    clone, missing = Path(__file__).parents[2] / "pyproject.toml", []
    if clone.exists():
        project = tomllib.loads(clone.read_text(encoding="utf-8"))["project"]
        extras = project["optional-dependencies"][extra] if extra else []
        for requirement in project["dependencies"] + extras:
            name = cast(re.Match, re.match(r"[\w.-]+", requirement))[0]
            if name not in _NEVER_INSTALLED and _version(name) is None:
                missing.append(requirement)
    if not missing:
        return []
    print("Installing what is missing:", ", ".join(missing), flush=True)
    held = [f"{n}=={v}\n" for n in (*_NEVER_INSTALLED, *_KERNEL) if (v := _version(n))]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, "constraints.txt")
        constraints.write_text("".join(held), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "install", "-q", "-c", str(constraints), *missing]
        # Silent: pip warns in red of packages of Colab that the course never meets.
        done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        what = f"pip could not install {', '.join(missing)}: {done.stderr.strip()}"
        raise LowlightError(what, todo="often a fresh runtime helps")
    importlib.invalidate_caches()
    return missing


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
