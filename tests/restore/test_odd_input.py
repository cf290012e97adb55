"""What people hand to `restore` by mistake: said in a sentence, and the other files go on."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support import tiny

from lowlight_lib import models
from lowlight_lib.errors import LowlightError, OptionError, ShapeError
from lowlight_lib.models import with_spec
from lowlight_lib.restore import restore, window
from lowlight_lib.restore.clip import enhance, open_raw_clip
from lowlight_lib.sensor.raw import RawImage, write_dng
from lowlight_lib.training import checkpoint

MOSAIC = np.random.default_rng(0).integers(512, 700, (40, 52)).astype(np.uint16)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "redi.safetensors"
    checkpoint.save(models.build("redi"), path)
    return path


@pytest.mark.parametrize("value", [0.3, 200.4])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_a_clip_of_fractions_is_no_clip_of_a_sensor(value, kind, tmp_path):
    np.save(tmp_path / "c.npy", np.full((2, 8, 8, 4), value, kind))
    with pytest.raises(ShapeError, match=r"c\.npy: holds fractions.*--white"):
        open_raw_clip(tmp_path / "c.npy", 0, 15360).read()
    np.save(tmp_path / "c.npy", np.full((2, 8, 8, 4), 200, kind))
    assert open_raw_clip(tmp_path / "c.npy", 0, 400).read().max() == pytest.approx(0.5)


@pytest.mark.parametrize("amplification", [1e300, 1e30, 1e-30, 1e-300, np.inf, np.nan, 0, -1])
def test_amplifications_that_leave_nothing(amplification):
    network = with_spec(lambda x: x.repeat(1, 3, 1, 1), "redi")
    with pytest.raises(OptionError, match="amplification"):
        restore(RawImage(MOSAIC, white_level=1023), network, amplification=amplification)
    with pytest.raises(OptionError, match="amplification"):
        restore(RawImage(MOSAIC, white_level=1023), network, amplification=1e5, m=1e5)


@pytest.mark.parametrize("levels", [(0, 1e-45), (0, 1e300), (0, np.inf), (np.nan, 1), (-1e300, 1)])
def test_levels_without_room_are_refused_for_clips(levels, tmp_path):
    np.save(tmp_path / "c.npy", np.zeros((2, 8, 8, 4), np.uint16))
    with pytest.raises(LowlightError, match="white level"):
        open_raw_clip(tmp_path / "c.npy", *levels)


def test_tiny_tiles_do_not_take_for_ever():
    seen = []

    def network(x):
        seen.append(x.shape)
        return x

    x = np.zeros((1, 3, 40, 52), np.float32)
    import torch

    window.run(with_spec(network, "pairlie"), torch.from_numpy(x), 1)
    assert len(seen) <= 4
    with pytest.raises(OptionError, match="overlap"):
        list(enhance(network, lambda s: x, 1, tile=33, overlap=32))


def test_all_files_are_tried_whatever_the_others_are(lowlight, weights, tmp_path):
    good = tmp_path / "good.npy"
    np.save(good, MOSAIC)
    bad = {
        "header.npy": b"\x93NUMPY\1\0\x10\0{'descr': '((((((", "empty.npy": b"",
        "huge.npy": b"\x93NUMPY\1\0\x4f\0{'descr': '<u2', 'fortran_order': False, "
        b"'shape': (10**9,)}".ljust(79) + b"\n",
        "zip.npz": b"PK\3\4broken", "text.dng": b"no raw file",
    }  # fmt: skip
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.npy")
        os.mkfifo(tmp_path / "pipe.dng")
        bad |= {"pipe.npy": None, "pipe.dng": None}
    files = [tmp_path / name for name in bad]
    words = ["--checkpoint", weights, "--black", 512, "--white", 1023, "--cfa", "RGGB"]
    code, out, err = lowlight("restore", *files, good, "-o", tmp_path / "out", *words)
    assert code == 1 and "good.npy ->" in out
    for name in bad:
        assert f"error: {tmp_path / name}: " in err
    assert f"{len(bad)} of {len(bad) + 1} files failed, the others are done" in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_for_the_output_stops_no_picture(weights, tmp_path):
    for name in ("a", "b"):
        write_dng(tmp_path / f"{name}.dng", tiny.raw_of(MOSAIC))
    command = [sys.executable, "-m", "lowlight_lib.cli", "restore", *tmp_path.glob("*.dng")]
    command += ["-o", tmp_path / "out", "--checkpoint", weights]
    with open("/dev/full", "w") as full:
        done = subprocess.run(list(map(str, command)), stdout=full, stderr=subprocess.PIPE)
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert done.returncode == 1
    assert b"standard output: cannot be written (no space left" in done.stderr
    assert b"Traceback" not in done.stderr
