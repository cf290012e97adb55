"""`lowlight calibrate`: from a folder of raw files to a profile and a page."""

import hashlib
import json
import re

import imageio.v3 as iio
import numpy as np
import pytest
from support import calibration as simulated

from lowlight_lib.sensor.cameras import CAMERAS, read_profile
from lowlight_lib.training import checkpoint
from lowlight_lib.weights import path


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    root = tmp_path_factory.mktemp("frames")
    return simulated.folder_of(root, CAMERAS["nikon_d850"], (400, 1600), shape=(192, 256))


def test_a_profile_and_a_page(lowlight, frames, tmp_path):
    out = tmp_path / "my cam.toml"
    code, text, _ = lowlight("calibrate", frames, "-o", out)
    assert code == 0 and "ISO 400: K 1.6" in text and "histograms" in text
    assert "note: the lines in ln K rest on 2 ISO" in text
    assert read_profile(out).model == "Nikon D850"
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2 and "Nikon D850" in page
    assert not re.search(r'(src|href)="(?!data:)', page)  # opens without a server or a network
    assert page.count('alt="') == 2 and "rest on 2 ISO" in page
    code, _, err = lowlight("calibrate", frames, "-o", out)
    assert code == 1 and "exists already" in err
    assert lowlight("calibrate", frames, "-o", out, "--force")[0] == 0


def test_what_cannot_be_calibrated_leaves_nothing(lowlight, frames, tmp_path):
    code, _, err = lowlight("calibrate", frames, "-o", tmp_path / "mycam.json")
    assert code == 1 and "NAME.toml" in err
    code, _, err = lowlight("calibrate", tmp_path, "-o", tmp_path / "mycam.toml")
    assert code == 1 and "holds no raw files" in err and not list(tmp_path.iterdir())


def test_from_a_profile_to_a_picture(lowlight, frames, tmp_path):
    """Calibrate, make data of photographs, fine-tune, restore: all take the profile."""
    mine, data, run = (tmp_path / name for name in ("mine.toml", "data", "run"))
    assert lowlight("calibrate", frames, "-o", mine)[0] == 0
    mine.write_text(mine.read_text("utf-8").replace("Nikon D850", "Mine"), "utf-8")
    (tmp_path / "photos").mkdir()
    for k in range(5):
        pixels = np.random.default_rng(k).integers(0, 256, (96, 128, 3), np.uint8)
        iio.imwrite(tmp_path / f"photos/{k}.png", pixels)
    made = lowlight("data", "mini", data, "--camera", mine, "--photos", tmp_path / "photos")
    assert made[0] == 0, made
    words = ("--profile", "smoke", "--data", data, "--run-dir", run, "--steps", 2)
    assert lowlight("train", "redi", "--from", "shipped", *words)[0] == 0
    begun = json.loads((run / "config.json").read_text())["start"]
    assert begun == hashlib.sha256(path("redi").read_bytes()).hexdigest()
    weights = run / "weights.safetensors"
    assert checkpoint.load("redi", weights).spec.trained_on == "Mine"

    own = sorted((data / "SID/Sony/short").iterdir())[0]
    other = tmp_path / "other.dng"
    simulated.write(other, simulated.wall((64, 96)) * 2000 + 2048, CAMERAS["canon_5d4"])
    for source, same in ((own, True), (other, False)):
        pictures = []
        for k, colours in enumerate((("--trained-on", mine), ("--no-colour-match",))):
            how = ("-o", tmp_path / f"out{k}", "--checkpoint", weights, "--amplification", 5)
            assert lowlight("restore", source, *how, *colours)[0] == 0
            pictures.append(iio.imread(tmp_path / f"out{k}/{source.stem}_redi.png"))
        assert np.array_equal(*pictures) == same  # files of the camera itself need no match
    code, _, err = lowlight("restore", own, "--checkpoint", weights, "--trained-on", run / "x.toml")
    assert code == 1 and "cannot be read" in err
