"""The library's shape: who may import whom, what stays light, how long a file is."""

import ast
import doctest
import importlib
import json
import subprocess
import sys

import pytest
from conftest import ROOT

LIBRARY = ROOT / "lowlight_lib"
FILES = sorted(LIBRARY.rglob("*.py"))

# From top to bottom: each layer may import those below it, and itself.
LAYERS = "cli course deploy evaluation training restore recipes data models blocks sensor".split()  # noqa: SIM905
LAYERS += ["io", "allocator", "errors"]
BELOW = {layer: set(LAYERS[k + 1 :]) for k, layer in enumerate(LAYERS)}
BELOW["recipes"] -= {"data"}  # numbers, whatever the data

HEAVY = ("torch", "matplotlib", "rawpy", "numba", "onnxruntime", "openvino", "skimage", "IPython")


def name_of(path):
    """lowlight_lib/sensor/raw.py -> "lowlight_lib.sensor.raw"."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module):
    """The part after "lowlight_lib": "sensor" for lowlight_lib.sensor.raw, "" for the package."""
    return [*module.split("."), ""][1]


def imports_of(path, source=None):
    """Full names of everything that a file imports, anywhere in it, its own package included."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found = set()
    for node in ast.walk(ast.parse(source or path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            # `from .. import models` imports the module, `from ..models import build` a name of it;
            # either way the first two parts say which layer.
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def forbidden(path, source=None):
    """What a file imports although its layer may not."""
    layer = layer_of(name_of(path))
    if not layer:  # the package's face imports nothing of its own
        return {m for m in imports_of(path, source) if m.startswith("lowlight_lib")}
    ours = {m for m in imports_of(path, source) if m.split(".")[0] == "lowlight_lib"}
    # `from lowlight_lib import __version__` gives a word, not a layer.
    return {m for m in ours if layer_of(m) not in BELOW[layer] | {layer, "__version__", ""}}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_downwards(path):
    assert layer_of(name_of(path)) in {*BELOW, ""}, "a part that the plan does not have"
    assert not forbidden(path)


@pytest.mark.parametrize(
    "where, line, caught",
    [
        ("sensor/raw.py", "from ..models import build", True),
        ("sensor/raw.py", "from .. import blocks", True),
        ("sensor/raw.py", "from ..errors import RawFileError", False),
        ("models/sid.py", "def f():\n    from lowlight_lib.data import cache", True),
        ("models/sid.py", "from ..blocks.padding import pad_to_multiple", False),
        ("data/sid.py", "import lowlight_lib.restore.still", True),
        ("training/checkpoint.py", "from ..deploy import cost", True),
        ("errors.py", "from .sensor import raw", True),
        ("__init__.py", "from . import sensor", True),
        ("models/__init__.py", "from ..training import checkpoint", True),
        ("models/__init__.py", "from . import sid", False),
    ],
)
def test_the_check_itself_sees_what_it_should(where, line, caught):
    assert bool(forbidden(LIBRARY / where, line)) == caught


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_blocks_and_errors_need_little(path):
    allowed = {
        "blocks": {"torch", "numpy", "lowlight_lib", "__future__", *sys.stdlib_module_names},
        "errors": set(),
    }.get(layer_of(name_of(path)))
    if allowed is not None:
        assert {m.split(".")[0] for m in imports_of(path)} <= allowed


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_star_imports(path):
    assert not [m for m in imports_of(path) if m.endswith(".*")]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_stay_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    limit = 200 if path.parent.name == "models" and path.name != "spec.py" else 400
    assert lines <= limit, f"{lines} lines; split it"


@pytest.mark.parametrize("module", ["lowlight_lib", "lowlight_lib.errors", "lowlight_lib.models"])
def test_the_face_is_light(module):
    """In a fresh interpreter, for here everything is imported already."""
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert module in loaded
    assert not {m.split(".")[0] for m in loaded} & set(HEAVY)


def has_examples(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return any(line.lstrip().startswith(">>> ") and "+SKIP" not in line for line in lines)


@pytest.mark.parametrize("path", [*filter(has_examples, FILES)], ids=name_of)
def test_examples_in_docstrings(path):
    result = doctest.testmod(importlib.import_module(name_of(path)))
    assert result.attempted > 0 and result.failed == 0
