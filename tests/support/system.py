"""Scripts beside the library, and what a system allows."""

import contextlib
import importlib.util

import pytest

from support import ROOT


def script(name):
    """data_scripts/NAME.py as a module."""
    path = ROOT / "data_scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def few_open_files(most):
    """At most so many file descriptors; skips where that cannot be asked for."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Dies:
    """A function that is interrupted when it is called for the third time."""

    def __init__(self, real):
        self.real, self.count = real, 0

    def __call__(self, *args, **options):
        self.count += 1
        if self.count == 3:
            raise KeyboardInterrupt("killed")
        return self.real(*args, **options)
