"""What all tests share: the reference material beside the repository, and small raw images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from support import ROOT

from lowlight_lib import allocator
from lowlight_lib.sensor import cfa
from lowlight_lib.sensor.raw import RawImage

# One thread: the networks of the tests are small, and threads that wait for each other on a busy
# machine cost more than they bring.
torch.set_num_threads(1)
allocator.keep_pages()  # as the programs of this project do
settings.register_profile("same", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("same")  # the same examples every time, however slow the machine


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference pictures, released weights and camera files, which are not part of the project."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the reference material in ../shared, which is not there")
    return folder


@pytest.fixture(scope="session")
def make_raw():
    """make_raw(shape, cfa_name, seed=0, **fields) -> a RawImage with random pixels."""

    def make(shape=(24, 32), cfa_name="RGGB", seed=0, white_level=1023, **fields):
        rng = np.random.default_rng(seed)
        mosaic = rng.integers(0, int(white_level) + 1, shape).astype(np.uint16)
        return RawImage(mosaic, cfa.from_name(cfa_name), white_level=white_level, **fields)

    return make


@pytest.fixture(scope="session")
def mini_root() -> Path:
    """The mini data, made once in datasets/mini, as `make reproduce` does."""
    from lowlight_lib.data import mini

    return mini.ensure(ROOT / "datasets" / "mini", progress=False)


@pytest.fixture
def lowlight(capsys):
    """lowlight(*words) -> (exit code, stdout, stderr), in this process."""

    from lowlight_lib.cli.main import main

    def call(*words):
        code = 0
        try:
            main([str(w) for w in words])
        except SystemExit as e:
            code = e.code or 0
        out = capsys.readouterr()
        assert "Traceback" not in out.err
        return code, out.out, out.err

    return call


@pytest.fixture
def cores():
    """A number of threads that leaves some for every branch; the other tests run on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield 4
    torch.set_num_threads(before)
