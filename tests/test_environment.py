"""One truth for what the project needs: pyproject.toml, environment.yml and the lock agree."""

import importlib.util
import re
import tomllib

import pytest
import yaml

import lowlight_lib


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def split(requirement):
    """Name and bounds: scikit_image >= 0.24 is (scikit-image, >=0.24)."""
    name, bounds = re.fullmatch(r"\s*([\w.\[\],-]+?)\s*((?:[<>=!~].*)?)", requirement).groups()
    return normal(name), bounds.replace(" ", "")


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def locked(root):
    lines = (root / "requirements.lock").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    pins = [re.fullmatch(r"([\w.-]+)==([\w.!+-]+)", line) for line in lines]
    assert all(pins), [line for line, pin in zip(lines, pins, strict=True) if not pin]
    return {normal(pin[1]): pin[2] for pin in pins}


@pytest.fixture(scope="module")
def helper(root):
    spec = importlib.util.spec_from_file_location("constraints", root / ".ci" / "constraints.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_conda_environment_has_the_names_and_bounds_of_pyproject(root, project):
    conda = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    by_pip = [d["pip"] for d in conda if isinstance(d, dict)]
    assert len(by_pip) == 1
    core = dict(map(split, project["dependencies"]))
    assert dict(map(split, by_pip[0])) == core and len(by_pip[0]) == len(core)
    by_conda = dict(split(d) for d in conda if isinstance(d, str))
    assert by_conda == {"python": project["requires-python"].replace(" ", ""), "pip": ""}


def test_the_lock_pins_whatever_is_asked_for_within_its_bounds(project, locked):
    from packaging.requirements import Requirement

    extras = project["optional-dependencies"]
    asked = project["dependencies"] + extras["dev"] + extras["deploy"]
    for requirement in map(Requirement, asked):
        version = locked.get(normal(requirement.name))
        assert version is not None, f"{requirement.name} is not in requirements.lock"
        assert requirement.specifier.contains(version), f"{requirement}: locked at {version}"
    assert locked["torch"] == "2.13.0"
    assert "lowlight-lab" not in locked


def test_one_version_is_said_once_and_repeated_truly(root, project):
    assert project["dynamic"] == ["version"], "it is that of lowlight_lib.__version__"
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == lowlight_lib.__version__
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\S+)\] - (\S+)$", changes, re.MULTILINE)
    released = citation.get("date-released", "unreleased")
    assert newest.groups() == (lowlight_lib.__version__, str(released))


def test_a_fitting_torch_is_kept_and_the_lock_gives_way(helper):
    lines = ["numpy==2.4.6", "sympy==1.14.0", "torch==2.13.0"]
    needs = ["sympy==1.13.1; python_version >= '3.9'", "typing_extensions>=4.10"]
    kept = ["numpy==2.4.6", "sympy==1.14.0"]
    assert helper.constraints(lines, "2.13.0", needs) == [*kept, "torch==2.13.0"]
    assert helper.constraints(lines, "2.13.0+cpu", needs) == [*kept, "torch==2.13.0+cpu"]
    # another version brings its own sympy
    assert helper.constraints(lines, "2.6.0+cu124", needs) == ["numpy==2.4.6", "torch==2.6.0+cu124"]
    assert helper.constraints(lines, "2.5.1", needs) == lines  # too old: the lock wins


def test_the_kept_torch_has_the_bound_of_pyproject(helper, project):
    assert dict(map(split, project["dependencies"]))["torch"] == ">=" + ".".join(
        map(str, helper.LOWEST_TORCH)
    )


def test_the_helper_reads_the_lock_as_it_is(helper, root, locked):
    text = (root / "requirements.lock").read_text(encoding="utf-8")
    lines = dict(line.split("==") for line in helper.main(text))
    torch = lines.pop("torch")
    assert torch.partition("+")[0] == locked["torch"] or len(lines) < len(locked) - 1
    assert {normal(n): v for n, v in lines.items()}.items() <= locked.items()
