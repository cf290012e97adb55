"""The notebooks' set-up cell, in a real venv without pip, into which torch and numpy are linked.

Its `pip` is a stand-in that records how it was called and installs by linking too.
"""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import nbformat
import pytest
from support.notebook_files import NOTEBOOKS, is_setup

from lowlight_lib.course import colab

STAND_IN_PIP = """
import json, os, sys
sys.path.insert(0, os.environ["STAND_IN"])
import linking

arguments = sys.argv[1:]
names = [a for a in arguments[1:] if not a.startswith("-")]
held = ""
if "-c" in arguments:
    names.remove(file := arguments[arguments.index("-c") + 1])
    held = open(file).read()
with open(os.environ["CALLS"], "a") as f:
    f.write(json.dumps({"arguments": arguments, "names": names, "held": held}) + "\\n")
if os.environ.get("PIP_FAILS") and held:
    sys.exit("no such version")
for name in names:
    if name.startswith("git+"):
        linking.link_project()
    else:
        linking.link_with_requirements(name)
"""

LINKING = """
import importlib.metadata, os, pathlib, re, sys, sysconfig

HERE = pathlib.Path(os.environ["SITE"])
THERE = os.environ["FROM"].split(os.pathsep)


def normal(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[\\w.-]+", requirement)[0]).lower()


AVAILABLE = {normal(d.metadata["Name"]): d for d in importlib.metadata.distributions(path=THERE)}


def link(source):
    target = HERE / source.name
    if not target.exists():
        target.symlink_to(source)


def link_with_requirements(requirement, seen=None):
    seen = set() if seen is None else seen
    name = normal(requirement)
    if name in seen or name not in AVAILABLE:  # not there: for another system, or an option
        return
    seen.add(name)
    distribution = AVAILABLE[name]
    for file in distribution.files or ():
        if file.parts[0] not in ("..", "__pycache__"):
            link(pathlib.Path(distribution.locate_file(file.parts[0])))
    for needed in distribution.requires or ():
        if "extra" not in needed.partition(";")[2]:
            link_with_requirements(needed, seen)


def link_project():
    root = pathlib.Path(os.environ["PROJECT"])
    link(root / "lowlight_lib")
    info = HERE / "lowlight_lab-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(os.environ["METADATA"])
"""


def setup_cell():
    """The set-up cell that the notebooks have; that it is the same in all is another test's."""
    path = min(NOTEBOOKS.glob("*.ipynb"))
    return next(c.source for c in nbformat.read(path, as_version=4).cells if is_setup(c))


@pytest.fixture(scope="module")
def bare(tmp_path_factory, root):
    """run(program, **environment) in a fresh environment; returns (process, pip's calls)."""
    top = tmp_path_factory.mktemp("bare")
    venv.create(top / "env", with_pip=False, symlinks=os.name != "nt")
    scheme = {"base": str(top / "env"), "platbase": str(top / "env")}
    site = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
    python = Path(sysconfig.get_path("scripts", "venv", vars=scheme)) / Path(sys.executable).name
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lines = ["Metadata-Version: 2.1", "Name: lowlight-lab", "Version: 0.1.0"]
    lines += [f"Requires-Dist: {r}" for r in project["dependencies"]]
    for extra, requirements in project["optional-dependencies"].items():
        lines += [f'Requires-Dist: {r}; extra == "{extra}"' for r in requirements]
    calls, stand_in = top / "calls.jsonl", top / "stand_in"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP"))}
    environment |= {
        "CALLS": str(calls),
        "FROM": os.pathsep.join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}),
        "METADATA": "\n".join(lines) + "\n",
        "PROJECT": str(root),
        "SITE": str(site),
        "STAND_IN": str(stand_in),
    }

    def run(program, **more):
        calls.write_text("")
        command, env = [python, "-I", "-c", program], environment | more
        done = subprocess.run(command, cwd=top, env=env, capture_output=True, text=True)
        return done, [json.loads(line) for line in calls.read_text().splitlines()]

    stand_in.mkdir()
    (stand_in / "linking.py").write_text(LINKING)
    done, _ = run(LINK + "for name in ('torch', 'numpy'): linking.link_with_requirements(name)")
    if "symlink privilege" in done.stderr:
        pytest.skip("this Windows does not let us make links")
    assert done.returncode == 0, done.stderr
    (site / "pip").mkdir()
    (site / "pip" / "__init__.py").touch()
    (site / "pip" / "__main__.py").write_text(STAND_IN_PIP)
    run.project, run.site = project, site
    return run


LINK = "import os, sys\nsys.path.insert(0, os.environ['STAND_IN'])\nimport linking\n"
ON_COLAB = "import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')\n"
IS_IT_THERE = "\nimport importlib.util as u\nprint('HAS', bool(u.find_spec('lowlight_lib')))\n"


# The order of these tests matters: the second one installs.


def test_anywhere_else_the_cell_does_nothing(bare):
    done, calls = bare(setup_cell() + IS_IT_THERE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "HAS False\n" and calls == []


def test_on_colab_the_cell_makes_the_library_work(bare):
    before = {p.name for p in bare.site.iterdir()}
    assert "torch" in before and "rawpy" not in before and "lowlight_lib" not in before
    use = (
        "\nimport importlib\n"
        "for name in ('sensor.raw', 'sensor.isp', 'models', 'data.mini', 'evaluation',\n"
        "    'restore.still', 'course.checks', 'course.figures', 'course.widgets', 'cli'):\n"
        "    importlib.import_module('lowlight_lib.' + name)\n"
        "import ipywidgets, matplotlib.pyplot, skimage\n"
        "print('WORKS')"
    )
    # Colab has matplotlib; here it is linked beforehand, by hand and not by the cell.
    matplotlib = LINK + "linking.link_with_requirements('matplotlib')\n"
    done, calls = bare(ON_COLAB + matplotlib + setup_cell() + use)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "WORKS"

    library, requirements = calls  # two calls, no more
    assert library["names"] == [f"git+{colab.REPO_URL}"]
    assert "--no-deps" in library["arguments"]
    asked, core = (
        {re.match(r"[\w.-]+", r)[0]: r for r in listed}
        for listed in (requirements["names"], bare.project["dependencies"])
    )
    assert not {"torch", "numpy", "matplotlib", "jupyterlab", "pytest"} & set(asked)
    assert {"rawpy", "papermill", "scikit-image"} <= set(asked)
    assert asked == {n: core[n] for n in asked}  # with the bounds of pyproject.toml
    assert "Installing what is missing: rawpy" in done.stdout
    held = dict(line.split("==") for line in requirements["held"].splitlines())
    for name in ("torch", "numpy", "matplotlib"):
        assert held[name] == importlib.metadata.version(name)


def test_a_second_time_nothing_is_installed(bare):
    program = ON_COLAB + setup_cell() + "\nfrom lowlight_lib.course import colab\n"
    done, calls = bare(program + "print(colab.install_missing())")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n" and calls == []


def test_only_the_missing_one_is_asked_for_and_a_failing_pip_is_reported(bare):
    for entry in bare.site.glob("tifffile*"):
        entry.unlink()
    program = "from lowlight_lib.course import colab\ncolab.install_missing()"
    done, calls = bare(program, PIP_FAILS="1")
    wanted = [r for r in bare.project["dependencies"] if r.startswith("tifffile")]
    assert [c["names"] for c in calls] == [wanted]
    assert done.returncode == 1
    assert f"LowlightError: pip could not install {wanted[0]}" in done.stderr


def test_an_extra_is_installed_where_a_notebook_asks_for_it(bare):
    program = "from lowlight_lib.course import colab\nprint(colab.install_missing(extra='deploy'))"
    done, calls = bare(program)
    assert done.returncode == 0, done.stderr
    asked = {r for r in calls[0]["names"] if not r.startswith("tifffile")}
    assert asked == set(bare.project["optional-dependencies"]["deploy"])
