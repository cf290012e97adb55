"""Pictures that are written: PNG and TIFF of 16 bits, JPEG."""

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from support import tiny

from lowlight_lib.errors import OptionError, OutputError
from lowlight_lib.io import files


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
