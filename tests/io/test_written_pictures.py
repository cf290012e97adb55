"""Pictures that are written: PNG and TIFF of 16 bits, JPEG."""

import os
import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from PIL import Image
from support import tiny

from lowlight_lib.errors import OptionError, OutputError
from lowlight_lib.io import files, pictures


def test_pictures_in_three_formats(tmp_path):
    picture = tiny.picture(3, (40, 56)) * 1.2 - 0.1  # also outside [0, 1]
    clipped = np.clip(picture, 0, 1)
    for name in ("a.png", "a.TIFF", "a.tif", "a.jpg", "a.jpeg"):
        files.write_picture(tmp_path / name, picture)
    files.write_picture(tmp_path / "b.png", clipped)
    a, b = ((tmp_path / n).read_bytes() for n in ("a.png", "b.png"))
    assert a == b
    exact = tifffile.imread(tmp_path / "a.TIFF")
    assert exact.dtype == np.uint16
    np.testing.assert_array_equal(exact, np.rint(clipped * np.float32(65535)))
    with tifffile.TiffFile(tmp_path / "a.tif") as f:
        assert f.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
    jpeg = iio.imread(tmp_path / "a.jpg")
    assert jpeg.dtype == np.uint8 and jpeg.shape == (40, 56, 3)
    assert np.abs(jpeg / 255 - clipped).mean() < 0.01  # quality 95
    for bad in ("a.gif", "a"):
        with pytest.raises(OptionError, match=r"\.tiff"):
            files.write_picture(tmp_path / bad, picture)
    with pytest.raises(OutputError, match="cannot be written"):
        files.write_picture(tmp_path / "a.png" / "x.png", picture)


@pytest.mark.parametrize("size", [(1, 1), (128, 3), (129, 5), (400, 67)])
def test_a_png_holds_every_byte(tmp_path, size):
    """Strips of 128 lines are deflated by themselves and joined."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    pixels[:, : size[1] // 2] //= 64
    files.write_picture(tmp_path / "a.png", pixels / np.float32(255))
    with Image.open(tmp_path / "a.png") as opened:
        assert (opened.format, opened.mode) == ("PNG", "RGB")
    for seen in (iio.imread(tmp_path / "a.png"), pictures.read_pixels(tmp_path / "a.png")):
        np.testing.assert_array_equal(seen, pixels)
    with Image.open(tmp_path / "a.png") as opened:
        opened.verify()  # the checksums of its chunks


@pytest.mark.skipif(os.name == "nt", reason="limits of processes need POSIX")
@pytest.mark.parametrize("write", ["torch.save(torch.ones(9000), f)", "np.save(f, np.ones(9000))"])
@pytest.mark.parametrize("limit", [0, 4096, 20_000])
def test_a_disk_without_space_is_said_whoever_writes(tmp_path, write, limit):
    """PyTorch makes an error of its own of it, and NumPy one without a reason."""
    program = f"""
import resource, signal
import numpy as np, torch
from lowlight_lib.errors import OutputError
from lowlight_lib.io.files import atomic_write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
x = np.ones(9000) if "np." in {write!r} else torch.ones(9000)
try:
    with atomic_write({str(tmp_path / "x")!r}) as f:
        {write}
except OutputError as e:
    print(e)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"{tmp_path / 'x'}: cannot be written (" in done.stdout, done.stderr
    assert "(file too large)" in done.stdout or "(perhaps no space left: " in done.stdout
    assert not list(tmp_path.iterdir())


def test_an_error_that_is_no_disks_comes_through(tmp_path):
    with pytest.raises(RuntimeError, match="mine"), files.atomic_write(tmp_path / "x"):
        raise RuntimeError("mine")
    assert not list(tmp_path.iterdir())
