"""`lowlight restore` for other cameras and formats."""

import dataclasses

import imageio.v3 as iio
import numpy as np
import tifffile
from support.mosaics import COLOURS, of_colour
from support.networks import small

from lowlight_lib.sensor import cameras
from lowlight_lib.sensor.raw import write_dng
from lowlight_lib.training import checkpoint


def test_restore_matches_colours_and_writes_other_formats(tmp_path, lowlight):
    source, weights = tmp_path / "a.dng", tmp_path / "redi.safetensors"
    checkpoint.save(small("redi"), weights)
    camera = dataclasses.replace(cameras.CANON_700D, cfa_name="XTRANS")
    write_dng(source, of_colour(camera, COLOURS[1], (33, 40)))

    def call(name, *more):
        words = ("restore", source, "-o", tmp_path / name, "--checkpoint", weights)
        return lowlight(*words, "--amplification", 1, *more)

    code, _, err = call("0", "--trained-on", "kodak")
    assert code == 1 and "kodak" in err
    pictures = []
    for name, more in (
        ("1", ()),
        ("2", ("--trained-on", "Canon EOS 700D")),
        ("3", ("--no-colour-match",)),
    ):
        code, _, err = call(name, "--format", "tiff", *more)
        assert code == 0, err
        pictures.append(tifffile.imread(tmp_path / name / "a_redi.tiff"))
    assert pictures[0].shape == (33, 40, 3)
    assert np.array_equal(pictures[1], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])
    assert call("4", "--format", "jpg")[0] == 0
    assert iio.imread(tmp_path / "4" / "a_redi.jpg").shape == (33, 40, 3)
