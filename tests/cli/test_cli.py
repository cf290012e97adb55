"""The command line, as a newcomer types it and as files go wrong."""

import dataclasses
import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import typer
from support import tiny
from support.mosaics import COLOURS, of_colour
from torch.distributed.run import get_args_parser

from lowlight_lib import __version__, models
from lowlight_lib.cli.main import app
from lowlight_lib.io import files
from lowlight_lib.sensor import cameras, isp
from lowlight_lib.sensor.raw import read_raw, write_dng
from lowlight_lib.training import checkpoint


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "redi.safetensors"
    checkpoint.save(models.build("redi"), path)
    return path


@pytest.fixture
def dark(tmp_path):
    """Two dark DNGs of odd sizes, one of them turned."""
    rng = np.random.default_rng(0)
    paths = []
    for name, orientation in (("a", 1), ("b", 6)):
        mosaic = rng.integers(512, 700, (61, 75)).astype(np.uint16)
        paths.append(tmp_path / f"{name}.dng")
        write_dng(paths[-1], tiny.raw_of(mosaic, orientation=orientation))
    return paths


@pytest.fixture
def restore(lowlight, weights, tmp_path):
    """restore(*words) -> (exit code, stdout, stderr), of REDI into the folder restore.out."""

    def call(*words, out="out"):
        call.out = tmp_path / out
        return lowlight("restore", "-o", call.out, "--checkpoint", weights, *words)

    call.names = lambda: sorted(p.name for p in call.out.iterdir())
    call.out = tmp_path / "out"
    return call


def test_help_explains_every_command(lowlight):
    code, out, _ = lowlight("--help")
    assert code == 0
    for command in ("restore", "train", "test", "cost", "bench", "data", "course", "calibrate"):
        assert command in out
        code, text, _ = lowlight(command, "--help")
        assert code == 0 and len(text.splitlines()) > 8


def test_restore_writes_full_size_upright_pictures(restore, dark):
    code, text, err = restore(*dark)
    assert (code, err, restore.names()) == (0, "", ["a_redi.png", "b_redi.png"])
    a, b = (iio.imread(restore.out / name) for name in restore.names())
    assert a.shape == (61, 75, 3) and b.shape == (75, 61, 3) and a.dtype == np.uint8
    assert "a.dng" in text and "amplified" in text


@pytest.mark.parametrize(
    "words", [("eager",), ("torch",), ("torch", "--precision", "bfloat16")], ids=" ".join
)
def test_restore_by_other_engines(restore, dark, words):
    pictures = []
    for more in ((), ("--backend", *words)):
        code, _, err = restore(dark[0], "--amplification", 2, "--force", *more)
        assert (code, err) == (0, "")
        pictures.append(iio.imread(restore.out / "a_redi.png").astype(int))
    assert np.ptp(pictures, axis=0).max() <= (1 if len(words) == 1 else 8)


def test_several_m_give_a_picture_each(restore, dark):
    code, text, _ = restore(dark[0], "--amplification", 2, "--m", 1, 5, 8, 5)
    assert code == 0 and restore.names() == [f"a_redi_m{m}.png" for m in (1, 5, 8)]
    assert all(f"amplified {factor} times" in text for factor in (2, 10, 16))


def test_brightness_defaults(restore, dark):
    """A given amplification is used as it is; an estimated one with the authors' m = 5."""
    assert "amplified 7 times" in restore(dark[0], "--amplification", 7, out="1")[1]
    auto, five = restore(dark[0], out="2")[1], restore(dark[0], "--m", 5, out="3")[1]
    assert auto.split("amplified")[1].split()[0] == five.split("amplified")[1].split()[0]


def test_a_bare_array_is_not_taken_for_a_camera_file(restore, shared):
    """LibRaw knows some cameras by the size of their files, and would make an orange mess."""
    code, _, err = restore(shared / "samples" / "dsc1339_512x768_u16_rggb.raw")
    assert code == 1 and "--black, --white and --cfa" in err


def test_nothing_is_overwritten_without_force(restore, dark):
    restore(*dark)
    mine = restore.out / "a_redi.png"
    mine.write_bytes(b"mine")
    (restore.out / "b_redi.png").unlink()
    code, _, err = restore(*dark)
    assert code == 1 and mine.read_bytes() == b"mine" and "a_redi.png: exists already" in err
    assert len(restore.names()) == 2  # the other one was done
    assert restore(*dark, "--force")[0] == 0 and mine.read_bytes() != b"mine"


def test_same_stems_keep_apart(restore, dark, tmp_path):
    other, twin = tmp_path / "sub" / "a.dng", tmp_path / "a.nef"
    other.parent.mkdir()
    for path in (other, twin):
        path.write_bytes(dark[0].read_bytes())
    assert restore(dark[0], other, twin, dark[0])[0] == 0
    assert len(restore.names()) == 3  # the file given twice is done once
    upper = other.rename(tmp_path / "sub" / "A.dng")  # the same name to Windows and macOS
    assert restore(dark[0], upper, out="out2")[0] == 0
    assert len({name.casefold() for name in restore.names()}) == 2


def test_names_that_the_console_cannot_show(dark, weights, tmp_path):
    odd = tmp_path / "\u5199\u771f.dng"
    odd.write_bytes(dark[0].read_bytes())
    command = [sys.executable, "-m", "lowlight_lib.cli", "restore", odd, dark[1]]
    done = subprocess.run(
        [*map(str, command), "-o", str(tmp_path / "o"), "--checkpoint", str(weights)],
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "o").iterdir())) == 2


def test_one_bad_file_does_not_stop_the_others(restore, dark, tmp_path):
    empty, text, cut = (tmp_path / n for n in ("empty.dng", "text.NEF", "cut.dng"))
    empty.write_bytes(b"")
    text.write_text("not a raw file\n" * 100)
    cut.write_bytes(dark[0].read_bytes()[:4000])
    missing, folder = tmp_path / "gone.ARW", tmp_path / "none"
    folder.mkdir()
    code, _, err = restore(empty, dark[0], text, cut, missing, dark[1], folder)
    assert code == 1 and "5 of 7 files failed" in err
    assert restore.names() == ["a_redi.png", "b_redi.png"]
    for f in (empty, text, cut, missing, folder):
        assert f"error: {f}" in err


def test_a_folder_is_its_raw_files_and_pictures_lie_beside_them(lowlight, weights, dark, tmp_path):
    (tmp_path / "text.NEF").write_text("not a raw file\n" * 100)
    for other in ("._a.dng", "c.jpg", "notes.txt"):  # hidden, for another system, for people
        (tmp_path / other).touch()
    (tmp_path / "d.dng").mkdir()
    words = ("restore", tmp_path, "--checkpoint", weights)
    code, out, err = lowlight(*words)
    assert code == 1 and "text.NEF" in err and "1 of 3 files failed, the others are done" in err
    assert [p.name for p in sorted(tmp_path.glob("*.png"))] == ["a_redi.png", "b_redi.png"]
    assert out.index("a.dng ->") < out.index("b.dng ->")
    (tmp_path / "text.NEF").unlink()
    first, second = tmp_path / "a_redi.png", tmp_path / "b_redi.png"
    first.write_bytes(b"mine")
    second.unlink()
    code, out, err = lowlight(*words, "--skip-existing")
    assert (code, err) == (0, "") and "1 were there" in out and "a.dng ->" not in out
    assert first.read_bytes() == b"mine" and second.exists()
    code, out, err = lowlight(*words, "--skip-existing")
    assert (code, out, err) == (0, "2 were there\n", "")
    assert "give one of them" in lowlight(*words, "--skip-existing", "--force")[2]


def test_a_folder_that_cannot_be_listed_is_that_inputs_error(restore, dark, tmp_path, monkeypatch):
    closed, listed = tmp_path / "closed", Path.iterdir
    closed.mkdir()

    def iterdir(folder):
        if folder == closed:
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    code, out, err = restore(closed, dark[0])
    assert code == 1 and f"error: {closed}: cannot be looked into" in err and "a.dng ->" in out
    assert "1 of 2 files failed, the others are done" in err


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bars_are_for_terminals(restore, dark, weights, tmp_path, lowlight, monkeypatch):
    assert restore(*dark)[2] == ""
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    restore(*dark, "--force")
    assert "2/2" in shown.getvalue() and "file" in shown.getvalue()
    tiny.write_photo(tmp_path / "p.png", tiny.picture(0, (40, 66)), 0.2)
    checkpoint.save(models.build("pairlie"), tmp_path / "pairlie.safetensors")
    words = ("restore", tmp_path / "p.png", "--model", "pairlie", "--tile", 32)
    assert lowlight(*words, "--checkpoint", tmp_path / "pairlie.safetensors")[0] == 0
    assert "/6" in shown.getvalue() and "tile" in shown.getvalue()
    # A result lies where the photographs are, and is none.
    words = ("restore", tmp_path, *words[2:], "--skip-existing", "--checkpoint")
    code, out, _ = lowlight(*words, tmp_path / "pairlie.safetensors")
    assert (code, out) == (0, "1 were there\n")


def test_ctrl_c_leaves_whole_files_only(dark, weights, lowlight, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "png", interrupted)
    words = ("restore", dark[0], "-o", tmp_path / "out", "--checkpoint", weights)
    assert lowlight(*words)[0] == 130
    assert not list((tmp_path / "out").iterdir())


def test_npy_mosaics_need_their_levels(restore, tmp_path):
    path = tmp_path / "m.npy"
    np.save(path, np.random.default_rng(0).integers(60, 1023, (40, 44)))
    levels = ("--black", 64, "--white", 1023, "--cfa")
    assert "--black, --white and --cfa" in restore(path)[2]
    code, _, err = restore(path, *levels, "bggr")
    assert (code, err) == (0, "")
    assert iio.imread(restore.out / "m_redi.png").shape == (40, 44, 3)
    assert "RGBW" in restore(path, *levels, "RGBW", "--force")[2]
    path.write_bytes(b"PK\x03\x04 broken zip")
    assert f"error: {path}" in restore(path, *levels, "RGGB", "--force")[2]
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    assert f"error: {path}" in restore(path, *levels, "RGGB", "--force")[2]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--amplification", "bright"), "auto or a number"),
        (("--amplification", "-3"), "above 0"),
        (("--model", "sidd"), "unknown model"),
        (("--model", "sid"), "weights of 'redi'"),
        (("--tile", "5"), "at least 32"),
        (("--m", "0"), "m is above 0"),
        (("--backend", "bitpacked"), "bitpacked is for binary networks"),
        (("--backend", "cuda"), "use auto, bitpacked, torch, openvino, onnxruntime"),
        (("--checkpoint", "no.pth"), "does not exist"),
    ],
)
def test_wrong_options_are_one_clear_line(restore, dark, words, match):
    code, _, err = restore(dark[0], *words)
    assert code == 1 and match in err
    assert not restore.out.exists() or not restore.names()


def test_weights_are_asked_for(lowlight, dark, tmp_path):
    code, _, err = lowlight("test", "redi", "--run-dir", tmp_path)
    assert code == 1 and "--checkpoint" in err and "data_scripts/get_weights.py" in err


def test_full_disk_leaves_nothing_half_written(restore, dark, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = restore(dark[0])
    assert code == 1 and "no space left" in err and not restore.names()


def test_train_and_test(lowlight, tmp_path):
    tiny.make_sid(tmp_path)
    tiny.make_sid(tmp_path, split="test", first=10001, scenes=2)
    run = tmp_path / "run"
    words = ("train", "redi", "--run-dir", run, "--profile", "smoke", "--data", tmp_path)
    code, out, _ = lowlight(*words, "--set", "crop=32", "--set", "steps=3")
    assert code == 0 and "3 steps" in out
    code, _, err = lowlight(*words, "--set", "crop=32", "--set", "steps=4")
    assert code == 1 and "another recipe" in err
    assert lowlight(*words, "--set", "steps")[0] == 1
    words = ("test", "redi", "--checkpoint", run / "weights.safetensors", "--data", tmp_path)
    code, out, _ = lowlight(*words)
    [row] = json.loads((run / "results.json").read_text())
    assert code == 0 and f"{row['psnr']:.2f} dB" in out
    assert (row["backend"], row["precision"]) == ("eager", "float32")
    code, _, err = lowlight(*words, "--exposure", 0.04)
    assert code == 1 and "holds no image with these options" in err
    every = ("--all-bursts", "--exposure", 0.1, "--run-dir", tmp_path / "all")
    assert row["first_of_burst"] and lowlight(*words, *every)[0] == 0
    [other] = json.loads((tmp_path / "all/results.json").read_text())
    assert (other["first_of_burst"], other["exposure"]) == (False, 0.1)
    code, _, err = lowlight(*words, "--backend", "torch", "--precision", "bfloat16")
    assert (code, err.count("warning")) == (0, 0)
    eager, fast = json.loads((run / "results.json").read_text())
    assert (fast["backend"], fast["precision"]) == ("torch", "bfloat16")
    assert eager == row and 0 < abs(fast["psnr"] - row["psnr"]) < 0.5
    assert fast["weights"] == row["weights"]


def test_restore_matches_colours_and_writes_other_formats(restore, tmp_path):
    camera = dataclasses.replace(cameras.CANON_700D, cfa_name="XTRANS")
    source = tmp_path / "x.dng"
    write_dng(source, of_colour(camera, COLOURS[1], (33, 40)))
    code, _, err = restore(source, "--trained-on", "kodak")
    assert code == 1 and "kodak" in err
    pictures = []
    for n, more in enumerate(((), ("--trained-on", "Canon EOS 700D"), ("--no-colour-match",))):
        words = (source, "--amplification", 1, "--format", "tiff", *more)
        assert restore(*words, out=f"{n}")[0] == 0
        pictures.append(tifffile.imread(restore.out / "x_redi.tiff"))
    assert pictures[0].shape == (33, 40, 3) and np.array_equal(pictures[1], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])
    assert restore(source, "--format", "jpg")[0] == 0
    assert iio.imread(restore.out / "x_redi.jpg").shape == (33, 40, 3)


def test_module_and_script_are_the_same_program(root):
    done = subprocess.run(
        [sys.executable, "-m", "lowlight_lib.cli", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, __version__)


def test_released_weights_restore_a_real_file(restore, shared):
    """Nikon D1, BGGR: full size, no colour exchanged, no trace of the 2x2 cells."""
    source = shared / "samples" / "nikon_d1_bggr.nef"
    weights = shared / "checkpoints" / "redi_sid_official.pth"
    code, _, err = restore(source, "--checkpoint", weights, "--amplification", 1)
    assert (code, err) == (0, "")
    picture = iio.imread(restore.out / "nikon_d1_bggr_redi.png").astype(float)
    assert picture.shape == (1324, 2012, 3)
    truth = isp.develop(source)
    for c in range(3):  # each channel looks most like its own, whatever the cast
        alike = np.corrcoef(picture[..., c].ravel(), truth[..., c].ravel())[0, 1]
        assert alike > 0.8
    # A wrong phase leaves combs: neighbours would differ more than those two apart.
    grey = picture.mean(2)
    for axis in (0, 1):
        step1, step2 = (np.abs(np.diff(grey, n, axis)).mean() for n in (1, 2))
        assert step2 < 2 * step1


def test_the_shipped_weights_restore_where_no_others_are_named(lowlight, dark, tmp_path):
    code, _, err = lowlight("restore", dark[0], "-o", tmp_path)
    assert (code, err) == (0, "") and (tmp_path / "a_redi.png").exists()
    code, _, err = lowlight("restore", dark[0], "-o", tmp_path, "--model", "sid")
    assert code == 1 and "no weights of sid are shipped" in err and "get_weights.py" in err


def test_the_demo_needs_no_file(lowlight, tmp_path):
    code, text, err = lowlight("demo", "-o", tmp_path)
    assert (code, err) == (0, "") and "amplified 100 times" in text
    night, target = (iio.imread(tmp_path / f"night_{n}.png") / 255 for n in ("redi", "target"))
    assert night.shape == target.shape
    assert ((night - target) ** 2).mean() < 0.02  # 17 dB; amplified alone it has 15
    assert read_raw(tmp_path / "night.dng").iso == 1600
    code, _, err = lowlight("demo", "-o", tmp_path)
    assert code == 1 and "exists already" in err
    assert lowlight("demo", "-o", tmp_path, "--force")[0] == 0
    code, _, err = lowlight("demo", "-o", tmp_path / "x", "--model", "pairlie")
    assert code == 1 and "takes no raw stills" in err


def test_options_of_before_still_work_and_say_their_new_name(lowlight, tmp_path):
    code, _, err = lowlight("train", "redi", "--run", tmp_path, "--data", tmp_path / "nothing")
    assert code == 1 and "--run is called --run-dir now" in err and "does not exist" in err
    _, _, err = lowlight("test", "redi", "--m=3", f"--run={tmp_path}")
    assert "--m is called --brightness now" in err and "no weights given" in err


def test_no_option_of_train_and_test_begins_one_of_torchruns():
    """torchrun would take it for an abbreviation of its own, and stop."""
    theirs = [o for a in get_args_parser()._actions for o in a.option_strings]
    for command in ("train", "test"):
        ours = [o for p in typer.main.get_command(app).commands[command].params for o in p.opts]
        assert "--run-dir" in ours
        assert not [o for o in ours if o[:2] == "--" and any(t.startswith(o) for t in theirs)]
