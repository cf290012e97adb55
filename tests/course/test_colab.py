"""The notebooks' set-up cell, in real venvs, with a repository on this disk for the one it clones.

The quick tests link torch, numpy and what else is needed into a venv without pip; their `pip` is a
stand-in that records how it was called and installs by linking too. The slow one has Colab's
versions, a real pip, and whole notebooks.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from support.notebook_files import NOTEBOOKS, is_setup

from lowlight_lib.course import colab

STAND_IN_PIP = """
import json, os, sys
sys.path.insert(0, os.environ["STAND_IN"])
import linking

arguments = sys.argv[1:]
names = [a for a in arguments[1:] if not a.startswith("-")]
names.remove(file := arguments[arguments.index("-c") + 1])
with open(os.environ["CALLS"], "a") as f:
    f.write(json.dumps({"names": names, "held": open(file).read()}) + "\\n")
if os.environ.get("PIP_FAILS"):
    sys.exit("no such version")
print("a warning in red", file=sys.stderr)
for name in names:
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
"""

LINK = "import os, sys\nsys.path.insert(0, os.environ['STAND_IN'])\nimport linking\n"
ON_COLAB = "import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')\n"
WHERE = """
import importlib.util
print("FOUND", getattr(importlib.util.find_spec("lowlight_lib"), "origin", 0))
"""

# What Colab has before anybody installs anything, as far as it matters here.
COLAB_HAS = """
torch==2.13.0 numpy==2.0.2 matplotlib scikit-image scikit-learn opencv-python-headless imageio
imageio-ffmpeg tifffile tqdm psutil typer requests pooch jinja2 safetensors numba pandas
ipywidgets==7.7.1 ipykernel==6.17.1 ipython==7.34.0 setuptools<81
"""


def setup_cell():
    """The set-up cell that the notebooks have; that it is the same in all is another test's."""
    path = min(NOTEBOOKS.glob("*.ipynb"))
    return next(c.source for c in nbformat.read(path, as_version=4).cells if is_setup(c))


@pytest.fixture(scope="module")
def published(tmp_path_factory, root):
    """Environment variables that let git find, at the project's address, what lies here."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    there = tmp_path_factory.mktemp("published") / "repository"
    for part in ("lowlight_lib", "notebooks"):
        shutil.copytree(root / part, there / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", there)
    person = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    for order in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All"], ["tag", colab.TAG]):
        subprocess.run(["git", "-C", there, *person, *order], check=True)
    (there / "lowlight_lib" / "__init__.py").write_text("not_yet_tagged = True\n")
    subprocess.run(["git", "-C", there, *person, "commit", "-q", "-a", "-m", "More"], check=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{there.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": colab.REPO_URL,
    }


@pytest.fixture(scope="module")
def bare(tmp_path_factory, published, root):
    """run(program, **environment) in a fresh environment; returns (process, pip's calls)."""
    top = tmp_path_factory.mktemp("bare")
    venv.create(top / "env", with_pip=False, symlinks=os.name != "nt")
    scheme = {"base": str(top / "env"), "platbase": str(top / "env")}
    site = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
    python = Path(sysconfig.get_path("scripts", "venv", vars=scheme)) / Path(sys.executable).name
    calls, stand_in, content = top / "calls.jsonl", top / "stand_in", top / "content"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP"))}
    environment |= published
    environment |= {
        "CALLS": str(calls),
        "FROM": os.pathsep.join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}),
        "SITE": str(site),
        "STAND_IN": str(stand_in),
    }

    def run(program, **more):
        calls.write_text("")
        command, env = [python, "-I", "-c", program], environment | more
        done = subprocess.run(command, cwd=content, env=env, capture_output=True, text=True)
        return done, [json.loads(line) for line in calls.read_text().splitlines()]

    stand_in.mkdir()
    content.mkdir()
    (stand_in / "linking.py").write_text(LINKING)
    done, _ = run(LINK + "for name in ('torch', 'numpy'): linking.link_with_requirements(name)")
    if "symlink privilege" in done.stderr:
        pytest.skip("this Windows does not let us make links")
    assert done.returncode == 0, done.stderr
    (site / "pip").mkdir()
    (site / "pip" / "__init__.py").touch()
    (site / "pip" / "__main__.py").write_text(STAND_IN_PIP)
    run.project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    run.site, run.content = site, content
    return run


@pytest.fixture(scope="module")
def first_run(bare):
    """(process, pip's calls) of the set-up cell on Colab, which clones and installs."""
    before = {p.name for p in bare.site.iterdir()}
    assert "torch" in before and "rawpy" not in before and "lowlight_lib" not in before
    use = (
        "\nimport importlib\n"
        "for name in ('sensor.raw', 'sensor.isp', 'models', 'data.mini', 'evaluation',\n"
        "    'restore.still', 'course.checks', 'course.figures', 'course.widgets', 'cli'):\n"
        "    importlib.import_module('lowlight_lib.' + name)\n"
        "import ipywidgets, matplotlib.pyplot, skimage\n"
    )
    # Colab has matplotlib; here it is linked beforehand, by hand and not by the cell.
    matplotlib = LINK + "linking.link_with_requirements('matplotlib')\n"
    return bare(ON_COLAB + matplotlib + setup_cell() + use + WHERE)


def test_anywhere_else_the_cell_does_nothing(bare):
    before = list(bare.content.iterdir())
    done, calls = bare(setup_cell() + WHERE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "FOUND 0\n" and calls == [] and list(bare.content.iterdir()) == before


def test_on_colab_the_cell_makes_the_tagged_library_work_without_a_red_line(bare, first_run):
    done, calls = first_run
    assert done.returncode == 0 and done.stderr == "", done.stderr
    clone = bare.content / "lowlight-lab"
    assert done.stdout.endswith(f"FOUND {clone / 'lowlight_lib' / '__init__.py'}\n")
    assert "not_yet_tagged" not in (clone / "lowlight_lib" / "__init__.py").read_text()

    [requirements] = calls
    asked, core = (
        {re.match(r"[\w.-]+", r)[0]: r for r in listed}
        for listed in (requirements["names"], bare.project["dependencies"])
    )
    kept, has = {"torch", "numpy", "matplotlib"}, {"jinja2"}  # which torch requires
    runners = {"jupyterlab", "papermill", "nbconvert", "latex2mathml", "nbval"}
    assert set(core) - set(asked) == kept | has | runners
    assert asked == {n: core[n] for n in asked}  # with the bounds of pyproject.toml
    assert "Installing what is missing: rawpy" in done.stdout
    held = dict(line.split("==") for line in requirements["held"].splitlines())
    for name in kept:
        assert held[name] == importlib.metadata.version(name)


def test_a_second_time_the_clone_that_is_there_is_taken_and_nothing_installed(bare, first_run):
    clone, moved = bare.content / "lowlight-lab", "lowlight_lib/course/colab.py"
    (clone / moved).write_text((clone / moved).read_text() + "\nMINE = True\n")
    program = ON_COLAB + setup_cell() + "\nprint(colab.install_missing(), colab.MINE)\n"
    done, calls = bare(program, GIT_CONFIG_VALUE_0="nowhere")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout == "[] True\n" and calls == []


def in_clone(program):
    return "import sys\nsys.path.insert(0, 'lowlight-lab')\n" + program


def test_only_the_missing_one_is_asked_for_and_a_failing_pip_is_reported(bare, first_run):
    for entry in bare.site.glob("tifffile*"):
        entry.unlink()
    program = "from lowlight_lib.course import colab\ncolab.install_missing()"
    done, calls = bare(in_clone(program), PIP_FAILS="1")
    wanted = [r for r in bare.project["dependencies"] if r.startswith("tifffile")]
    assert [c["names"] for c in calls] == [wanted]
    assert done.returncode == 1
    said = f"LowlightError: pip could not install {wanted[0]}: no such version"
    assert said in done.stderr


def test_an_extra_is_installed_where_a_notebook_asks_for_it(bare, first_run):
    program = "from lowlight_lib.course import colab\nprint(colab.install_missing(extra='deploy'))"
    done, calls = bare(in_clone(program))
    assert done.returncode == 0, done.stderr
    asked = {r for r in calls[0]["names"] if not r.startswith("tifffile")}
    assert asked == set(bare.project["optional-dependencies"]["deploy"])


@pytest.fixture(scope="module")
def colab_python(tmp_path_factory):
    """A Python 3.12 with Colab's versions, whose every program imports google.colab first.

    COLAB_PYTHON names one that is there already; it takes 5 GB and minutes to make.
    """
    if given := os.environ.get("COLAB_PYTHON"):
        return Path(given)
    found = shutil.which("python3.12")
    if found is None:
        pytest.skip("needs python3.12 on the PATH, which is what Colab has")
    env = tmp_path_factory.mktemp("colab") / "env"
    subprocess.run([found, "-m", "venv", env], check=True)
    python = env / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *COLAB_HAS.split()], check=True)
    [site] = env.glob("lib/python3.12/site-packages")
    (site / "google" / "colab").mkdir(parents=True)
    (site / "google" / "colab" / "__init__.py").touch()
    (site / "as_on_colab.pth").write_text("import google.colab\n")
    return python


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The folder in which Colab opens notebooks, the same for those that are run one by one."""
    return tmp_path_factory.mktemp("colab") / "content"


@pytest.mark.slow
@pytest.mark.parametrize("number", ["00", "01", "11"])
def test_whole_notebooks_run_on_colab(number, content, colab_python, published, monkeypatch):
    for name in os.environ:
        if name.startswith(("LOWLIGHT_", "PYTHON")):
            monkeypatch.delenv(name)
    for name, value in published.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOWLIGHT_PROFILE", "smoke")
    before = versions(colab_python)
    content.mkdir(exist_ok=True)
    [path] = NOTEBOOKS.glob(f"{number}_*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": content}})
    client.create_kernel_manager()
    order = [str(colab_python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    monkeypatch.setattr(client.km, "_kernel_spec", KernelSpec(argv=order, language="python"))
    client.execute()

    setup = next(c for c in notebook.cells if is_setup(c))
    said = "".join(o.text for o in setup.outputs if o.name == "stdout")
    assert [o.name for o in setup.outputs] == ["stdout"] * ("Installing" in said)
    errors = [o for c in notebook.cells for o in c.get("outputs", ()) if o.get("name") == "stderr"]
    assert errors == []
    assert {p.name for p in content.iterdir()} <= {"lowlight-lab", "datasets", "runs"}
    assert (content / "datasets" / "mini" / "SID").is_dir()
    assert (content / "runs" / "notebooks" / "11").is_dir() == (number == "11")
    after = versions(colab_python)
    assert after == after | before and "rawpy" in after  # what was there has its version still
    runners = {"pytest", "nbval", "papermill", "jupyterlab", "lowlight-lab"}
    assert not runners & (set(after) - set(before))


def versions(python):
    order = [python, "-I", "-m", "pip", "list", "--format=json"]
    done = subprocess.run(order, capture_output=True, text=True, check=True)
    return {row["name"]: row["version"] for row in json.loads(done.stdout)}
