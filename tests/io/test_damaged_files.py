"""Damaged photographs, lists, manifests, archives, logs and profiles: our error, or a result."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from support.damage import outcomes

from lowlight_lib.data.sid import read_list
from lowlight_lib.io.downloads import read_manifest, unpack
from lowlight_lib.io.pictures import read_photo
from lowlight_lib.recipes import find
from lowlight_lib.sensor import cameras
from lowlight_lib.training import state

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
LIST = b"./Sony/short/00001_00_0.1s.ARW ./Sony/long/00001_00_10s.ARW ISO200 F8\r\n" * 3
MANIFEST = b'licence = "free"\n[[file]]\nname = "a/b.zip"\nsize = 12\nurls = ["https://a.b/c"]\n'
LOG = b'{"step": 2, "steps": 9, "loss": 0.5, "lr": 1e-3}\n{"step": 4, "steps": 9, "loss": 0.25}\n'


def picture(suffix, pixels=PIXELS, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, suffix, **options)
    return buffer.getvalue()


def photo(path):
    x = read_photo(path)
    assert x.dtype == np.float32 and x.shape[2] == 3 and 0 <= x.min() <= x.max() <= 1


def pairs(path):
    for pair in read_list(path, path.parent):
        assert path.parent.resolve() in pair.input.parents and 0 < pair.ratio <= 300


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("x/Sony/short/a.ARW", b"pixels" * 20)
        z.writestr("x/Sony/long/b.ARW", b"pixels" * 20)
    return buffer.getvalue()


def unpacked(path):
    out = path.parent / "out"
    unpack(path, out, ("Sony/short", "Sony/long"))
    assert all(p.name in ("out", path.name) for p in path.parent.iterdir())
    assert all(p.read_bytes() == b"pixels" * 20 for p in out.rglob("*.*RW") if len(p.name) == 5)


def log(path):
    for entry in state.read_metrics(path.parent):
        assert type(entry["step"]) is int and np.isfinite(entry["loss"])


def run_directory(path):
    run = state.RunDirectory(path.parent, find("redi", "smoke"))
    run.check()


PROFILE = (cameras._PROFILES / "canon_5d4.toml").read_bytes()
FORMATS = {
    "a.png": (photo, picture("PNG")),
    "deep.png": (photo, picture("PNG", PIXELS[..., 0].astype(np.uint16) * 257)),
    "a.jpg": (photo, picture("JPEG")),
    "a.tif": (photo, picture("TIFF")),
    "packed.tif": (photo, picture("TIFF", compression="tiff_lzw")),
    "a.webp": (photo, picture("WEBP")),
    "a.bmp": (photo, picture("BMP")),
    "list.txt": (pairs, LIST),
    "manifest.toml": (read_manifest, MANIFEST),
    "a.zip": (unpacked, archive()),
    "metrics.jsonl": (log, LOG),
    "config.json": (run_directory, json.dumps(state._config(find("redi", "smoke"))).encode()),
    "camera.toml": (cameras.find_camera, PROFILE),
}


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_an_error_of_ours_or_does_no_harm(tmp_path, name, count=60, seed=0):
    read, whole = FORMATS[name]
    (tmp_path / name).write_bytes(whole)
    read(tmp_path / name)
    found = outcomes(read, tmp_path / name, whole, count, np.random.default_rng(seed))
    assert sum(found.values()) == count
    print(name, dict(found))


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_much_damage(tmp_path, name):
    test_damage_is_an_error_of_ours_or_does_no_harm(tmp_path, name, count=2000, seed=1)
