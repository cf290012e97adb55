"""The allocator is asked by programs, never by an import, and nobody's results change."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from lowlight_lib import allocator


def run(code, **environment):
    """What Python prints in a process of its own."""
    command, env = [sys.executable, "-c", code], os.environ | environment
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


FAULTS = """
import resource
from concurrent.futures import ThreadPoolExecutor
from lowlight_lib import allocator
{before}
def faults(_):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        b"x" * 80_000_000  # pages, and huge ones where the system makes them
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([*{map}(faults, range(2))][1])
"""
HERE, THREAD = "map", "ThreadPoolExecutor(1).map"
KEEP = "assert allocator.keep_pages()"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives pages back")
@pytest.mark.parametrize("where", [HERE, THREAD])
def test_freed_blocks_are_used_again(where):
    clean = {name: "" for name in allocator.ENVIRONMENT}
    plain, asked = (FAULTS.format(before=before, map=where) for before in ("", KEEP))
    as_it_comes = int(run(plain, **clean))
    assert as_it_comes > 20 * 15  # an import alone changes nothing: a huge page has 2 MB
    assert int(run(asked, **clean)) < as_it_comes / 5
    assert int(run(plain, **clean | allocator.ENVIRONMENT)) < as_it_comes / 5


@pytest.mark.parametrize("wish, library", [("system", "glibc"), (None, "")])
def test_who_asks_for_it_and_other_c_libraries_are_left_alone(monkeypatch, wish, library):
    monkeypatch.delenv("LOWLIGHT_MALLOC", raising=False)
    if wish:
        monkeypatch.setenv("LOWLIGHT_MALLOC", wish)
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: (library, ""))
    monkeypatch.setattr(ctypes, "CDLL", None)  # so that asking would fail
    assert not allocator.keep_pages()
