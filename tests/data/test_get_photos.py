"""data_scripts/get_photos.py: photographs out of Debian packages, and the list of them."""

import hashlib
import io
import re
import tarfile

import numpy as np
import pytest
from PIL import Image
from support import tiny
from support.system import script

from lowlight_lib.io.files import files_in
from lowlight_lib.io.pictures import PHOTOS, read_photo

PLACES = ("usr/share/a.png", "usr/share/b.bin")


@pytest.fixture
def get_photos(monkeypatch):
    module = script("get_photos")
    monkeypatch.setattr(module, "read_list", lambda: photos(module))
    return module


def contents():
    """Two pictures, the second somewhere in a larger file."""
    files = []
    for n in (0, 1):
        file = io.BytesIO()
        pixels = np.rint(255 * tiny.picture(n, (60, 80))).astype(np.uint8)
        Image.fromarray(pixels).save(file, "PNG")
        files.append(file.getvalue())
    return files


def photos(module):
    sums = [hashlib.sha256(c).hexdigest() for c in contents()]
    first = module.Photo("a", "train", "Anna", "CC0-1.0", "walls", PLACES[0], sums[0])
    size = len(contents()[1])
    return [first, module.Photo("b", "test", "Ben", "MIT", "walls", PLACES[1], sums[1], 7, size)]


def make_deb(path, suffix="xz", damage=b""):
    a, b = contents()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{suffix}") as tar:
        for place, content in zip(PLACES, (a + damage, b"1234567" + b + b"tail"), strict=True):
            member = tarfile.TarInfo(f"./{place}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    members = {
        "debian-binary": b"2.0\n",
        "control.tar": b"odd",
        f"data.tar.{suffix}": data.getvalue(),
    }
    with open(path, "wb") as f:
        f.write(b"!<arch>\n")
        for name, content in members.items():
            f.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode())
            f.write(content + b"\n" * (len(content) % 2))


@pytest.mark.parametrize("kind", ["xz", "gz", "unpacked"])
def test_photographs_come_out_of_a_package(get_photos, tmp_path, capsys, kind):
    packages, out = tmp_path / "packages", tmp_path / "out"
    packages.mkdir()
    if kind == "unpacked":
        (packages / "walls/usr/share").mkdir(parents=True)
        for place, content in zip(PLACES, contents(), strict=True):
            (packages / "walls" / place).write_bytes(7 * b"x" * place.endswith("bin") + content)
    else:
        make_deb(packages / "walls_1.0_all.deb", kind)
    arguments = [str(out), "--from", str(packages)]
    assert get_photos.main(arguments) == 0
    assert "1 photographs for training, 1 for testing" in capsys.readouterr().out
    found = read_photo(out / "train/a.png")
    assert found.shape == (42, 56, 3)  # half the pixels, by area
    wanted = read_photo_of(contents()[0])
    assert abs(found.mean() - wanted.mean()) < 1e-2 and files_in(out / "test", PHOTOS)
    assert "test/b.png: Ben, MIT; walls, usr/share/b.bin" in (out / "LICENCES.txt").read_text()
    (packages / "walls_1.0_all.deb").unlink(missing_ok=True)
    before = (out / "train/a.png").stat().st_mtime_ns
    assert get_photos.main(arguments) == 0  # what is there stays, and needs no package
    assert (out / "train/a.png").stat().st_mtime_ns == before


def read_photo_of(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image) / 255


def test_another_picture_is_not_taken(get_photos, tmp_path, capsys):
    make_deb(tmp_path / "walls_2.0_all.deb", damage=b"!")
    assert get_photos.main([str(tmp_path / "out"), "--from", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "error: walls: has another usr/share/a.png" in said
    assert "0 photographs for training, 1 for testing" in said


def test_packages_that_cannot_be_had(get_photos, tmp_path, capsys, monkeypatch):
    out = str(tmp_path / "out")
    (tmp_path / "walls_1_all.deb").write_bytes(b"!<arch>\n" + b"x" * 100)
    for folder, text in (
        (tmp_path, "cannot be unpacked here"),
        (tmp_path / "no", "holds no walls_"),
    ):
        assert get_photos.main([out, "--from", str(folder)]) == 1
        assert text in capsys.readouterr().out
    monkeypatch.setattr(get_photos.shutil, "which", lambda name: None)
    assert get_photos.main([out]) == 1
    assert "There is no apt-get here" in capsys.readouterr().out
    monkeypatch.setattr(get_photos.shutil, "which", lambda name: name)
    failed = get_photos.subprocess.CompletedProcess([], 100, "", "E: no such package")
    monkeypatch.setattr(get_photos.subprocess, "run", lambda *_, **__: failed)
    assert get_photos.main([out]) == 1
    assert "apt-get cannot bring walls: E: no such package" in capsys.readouterr().out


def test_the_list_is_split_by_photographer():
    found = script("get_photos").read_list()
    by_split = {s: [p for p in found if p.split == s] for s in ("train", "test")}
    assert len(by_split["train"]) >= 30 and len(by_split["test"]) >= 10
    assert len(found) == sum(map(len, by_split.values())) == len({p.name for p in found})
    assert not {p.author for p in by_split["train"]} & {p.author for p in by_split["test"]}
    for p in found:
        assert re.fullmatch("[0-9a-f]{64}", p.sha256) and re.fullmatch(r"[a-z0-9_]+", p.name)
        assert p.licence and p.place.startswith("usr/share/") and ".." not in p.place
