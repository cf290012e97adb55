"""`lowlight calibrate`: from a folder of raw files to a profile and a page."""

import re

import pytest
from support import calibration as simulated

from lowlight_lib.sensor.cameras import CAMERAS, read_profile


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
