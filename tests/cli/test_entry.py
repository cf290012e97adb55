"""What the command line promises whatever the command: output that fails stops no work, Ctrl-C."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import tiny

from lowlight_lib import models
from lowlight_lib.sensor.raw import write_dng
from lowlight_lib.training import checkpoint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("which", ["stdout", "stderr"])
def test_a_full_disk_under_the_output_does_not_stop_the_work(root, tmp_path, which):
    checkpoint.save(models.build("redi"), tmp_path / "w.safetensors")
    for name in "ab":
        mosaic = np.random.default_rng(0).integers(512, 700, (32, 48)).astype(np.uint16)
        write_dng(tmp_path / f"{name}.dng", tiny.raw_of(mosaic))
    command = [sys.executable, "-m", "lowlight_lib.cli", "restore", tmp_path / "missing.dng"]
    command += [*sorted(tmp_path.glob("?.dng")), "-o", tmp_path]
    command += ["--checkpoint", tmp_path / "w.safetensors"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with open("/dev/full", "w") as full:
        streams[which] = full
        done = subprocess.run(
            [*command, tmp_path / "w.safetensors"], cwd=root, text=True, **streams
        )
    assert done.returncode == 1 and len(list(tmp_path.glob("*.png"))) == 2
    if which == "stdout":
        assert "error: standard output: cannot be written (no space left" in done.stderr
        assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    else:
        assert done.stdout.count(" -> ") == 2


@pytest.mark.parametrize("module", ["typer", "torch"])
def test_ctrl_c_while_it_is_imported_is_one_word(root, module):
    program = f"""
import sys
class Interrupts:
    def find_spec(self, name, *rest):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
sys.argv[1:] = ["cost", "redi"]
from lowlight_lib.cli.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.returncode == 130 and done.stdout == ""
    assert done.stderr.strip() in ("interrupted", "")  # typer says nothing, and ends with 130 too
