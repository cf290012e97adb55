"""The command line, as a newcomer types it and as files go wrong."""

import json
import os
import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest
from support import tiny

from lowlight_lib import __version__, models
from lowlight_lib.sensor.raw import write_dng
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


def test_help_explains_every_command(lowlight):
    code, out, _ = lowlight("--help")
    assert code == 0
    for command in ("restore", "train", "test", "cost", "bench", "data", "course"):
        assert command in out
        code, text, _ = lowlight(command, "--help")
        assert code == 0
        assert len(text.splitlines()) > 8


def test_restore_writes_full_size_upright_pictures(lowlight, dark, weights, tmp_path):
    out = tmp_path / "out"
    code, text, err = lowlight("restore", *dark, "-o", out, "--checkpoint", weights)
    assert (code, err) == (0, "")
    assert sorted(p.name for p in out.iterdir()) == ["a_redi.png", "b_redi.png"]
    a, b = (iio.imread(out / f"{n}_redi.png") for n in "ab")
    assert a.shape == (61, 75, 3)
    assert b.shape == (75, 61, 3)
    assert a.dtype == np.uint8
    assert "a.dng" in text
    assert "amplified" in text


@pytest.mark.parametrize(
    "words", [("eager",), ("torch",), ("torch", "--precision", "bfloat16")], ids=" ".join
)
def test_restore_by_other_engines(lowlight, dark, weights, tmp_path, words):
    common = ("restore", dark[0], "--checkpoint", weights, "--amplification", 2)
    assert lowlight(*common, "-o", tmp_path / "usual")[0] == 0
    code, _, err = lowlight(*common, "-o", tmp_path / "out", "--backend", *words)
    assert (code, err) == (0, "")
    a, b = (iio.imread(tmp_path / f / "a_redi.png").astype(int) for f in ("usual", "out"))
    assert abs(a - b).max() <= (1 if len(words) == 1 else 8)


def test_restore_by_no_such_engine(lowlight, dark, weights, tmp_path):
    words = ("restore", dark[0], "-o", tmp_path, "--checkpoint", weights)
    code, _, err = lowlight(*words, "--backend", "bitpacked")
    assert code == 1 and "bitpacked is for binary networks" in err
    code, _, err = lowlight(*words, "--backend", "cuda")
    assert code == 1 and "use auto, bitpacked, openvino, onnxruntime, torch" in err


def test_several_m_give_a_picture_each(lowlight, dark, weights, tmp_path):
    out = tmp_path / "out"
    words = ("restore", dark[0], "-o", out, "--checkpoint", weights, "--amplification", "2")
    code, text, _ = lowlight(*words, "--m", 1, 5, 8)
    assert code == 0
    assert sorted(p.name for p in out.iterdir()) == [f"a_redi_m{m}.png" for m in (1, 5, 8)]
    for factor in ("2 times", "10 times", "16 times"):
        assert factor in text


def test_brightness_defaults(lowlight, dark, weights, tmp_path):
    """A given amplification is used as it is; an estimated one with the authors' m = 5."""
    words = ("restore", dark[0], "--checkpoint", weights)
    _, given, _ = lowlight(*words, "-o", tmp_path / "1", "--amplification", 7)
    assert "amplified 7 times" in given
    _, auto, _ = lowlight(*words, "-o", tmp_path / "2")
    _, five, _ = lowlight(*words, "-o", tmp_path / "3", "--m", 5)
    assert auto.split("amplified")[1].split()[0] == five.split("amplified")[1].split()[0]


def test_a_bare_array_is_not_taken_for_a_camera_file(lowlight, shared, weights, tmp_path):
    """LibRaw knows some cameras by the size of their files, and would make an orange mess."""
    source = shared / "samples" / "dsc1339_512x768_u16_rggb.raw"
    code, _, err = lowlight("restore", source, "-o", tmp_path / "o", "--checkpoint", weights)
    assert code == 1
    assert "--black, --white and --cfa" in err


def test_nothing_is_overwritten_without_force(lowlight, dark, weights, tmp_path):
    out = tmp_path / "out"
    words = ("restore", *dark, "-o", out, "--checkpoint", weights)
    lowlight(*words)
    (out / "a_redi.png").write_bytes(b"mine")
    (out / "b_redi.png").unlink()
    code, _, err = lowlight(*words)
    assert code == 1
    assert (out / "a_redi.png").read_bytes() == b"mine"
    assert (out / "b_redi.png").exists()  # the other one was done
    assert "a_redi.png: exists already" in err
    assert lowlight(*words, "--force")[0] == 0
    assert (out / "a_redi.png").read_bytes() != b"mine"


def test_same_stems_keep_apart(lowlight, dark, weights, tmp_path):
    other = tmp_path / "sub" / "a.dng"
    other.parent.mkdir()
    other.write_bytes(dark[0].read_bytes())
    twin = tmp_path / "a.nef"
    twin.write_bytes(dark[0].read_bytes())
    out = tmp_path / "out"
    code, _, _ = lowlight(
        "restore", dark[0], other, twin, dark[0], "-o", out, "--checkpoint", weights
    )
    assert code == 0
    assert len(list(out.iterdir())) == 3  # the file given twice is done once
    upper = tmp_path / "sub" / "A.dng"  # the same name to Windows and macOS
    other.rename(upper)
    out = tmp_path / "out2"
    code, _, _ = lowlight("restore", dark[0], upper, "-o", out, "--checkpoint", weights)
    assert code == 0
    assert len({p.name.casefold() for p in out.iterdir()}) == 2


def test_names_that_the_console_cannot_show(dark, weights, tmp_path):
    odd = tmp_path / "\u5199\u771f.dng"
    odd.write_bytes(dark[0].read_bytes())
    command = [
        sys.executable,
        "-m",
        "lowlight_lib.cli",
        "restore",
        odd,
        dark[1],
        "-o",
        tmp_path / "o",
    ]
    done = subprocess.run(
        [*map(str, command), "--checkpoint", str(weights)],
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "o").iterdir())) == 2


def test_the_same_m_twice_is_one_picture(lowlight, dark, weights, tmp_path):
    code, _, _ = lowlight(
        "restore", dark[0], "-o", tmp_path / "o", "--checkpoint", weights, "--m", 2, 2
    )
    assert code == 0
    assert len(list((tmp_path / "o").iterdir())) == 1


def test_one_bad_file_does_not_stop_the_others(lowlight, dark, weights, tmp_path):
    empty, text, cut = (tmp_path / n for n in ("empty.dng", "text.NEF", "cut.dng"))
    empty.write_bytes(b"")
    text.write_text("not a raw file\n" * 100)
    cut.write_bytes(dark[0].read_bytes()[:4000])
    missing = tmp_path / "gone.ARW"
    files = (empty, dark[0], text, cut, missing, dark[1], tmp_path)
    code, _, err = lowlight("restore", *files, "-o", tmp_path / "out", "--checkpoint", weights)
    assert code == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_redi.png", "b_redi.png"]
    for f in (empty, text, cut, missing, tmp_path):
        assert f"error: {f}" in err
    assert "5 of 7 files failed" in err


def test_npy_mosaics_need_their_levels(lowlight, weights, tmp_path):
    path = tmp_path / "m.npy"
    np.save(path, np.random.default_rng(0).integers(60, 1023, (40, 44)))
    words = ("restore", path, "-o", tmp_path / "out", "--checkpoint", weights)
    code, _, err = lowlight(*words)
    assert code == 1
    assert "--black, --white and --cfa" in err
    code, _, err = lowlight(*words, "--black", 64, "--white", 1023, "--cfa", "bggr")
    assert (code, err) == (0, "")
    assert iio.imread(tmp_path / "out" / "m_redi.png").shape == (40, 44, 3)
    code, _, err = lowlight(*words, "--black", 64, "--white", 1023, "--cfa", "RGBW", "--force")
    assert code == 1
    assert "RGBW" in err
    path.write_bytes(b"PK\x03\x04 broken zip")
    code, _, err = lowlight(*words, "--black", 0, "--white", 9, "--cfa", "RGGB", "--force")
    assert code == 1
    assert "m.npy" in err
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    code, _, err = lowlight(*words, "--black", 0, "--white", 9, "--cfa", "RGGB", "--force")
    assert code == 1
    assert "m.npy" in err


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--amplification", "bright"), "auto or a number"),
        (("--amplification", "-3"), "above 0"),
        (("--model", "sidd"), "unknown model"),
        (("--tile", "5"), "at least 32"),
        (("--m", "0"), "m is above 0"),
    ],
)
def test_wrong_options_are_one_clear_line(lowlight, dark, weights, tmp_path, words, match):
    code, _, err = lowlight(
        "restore", dark[0], "-o", tmp_path / "out", "--checkpoint", weights, *words
    )
    assert code == 1
    assert match in err
    assert not list(tmp_path.glob("out/*"))


def test_weights_are_asked_for_and_checked(lowlight, dark, weights, tmp_path):
    words = ("restore", dark[0], "-o", tmp_path / "out")
    for more, match in (
        ((), "--checkpoint"),
        (("--checkpoint", tmp_path / "no.pth"), "does not exist"),
        (("--checkpoint", weights, "--model", "sid"), "weights of 'redi'"),
    ):
        code, _, err = lowlight(*words, *more)
        assert code == 1
        assert match in err


def test_full_disk_leaves_nothing_half_written(lowlight, dark, weights, tmp_path, monkeypatch):
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = lowlight("restore", dark[0], "-o", tmp_path / "out", "--checkpoint", weights)
    assert code == 1
    assert "no space left" in err
    assert not list((tmp_path / "out").iterdir())


def test_train_test_and_cost(lowlight, tmp_path):
    tiny.make_sid(tmp_path)
    tiny.make_sid(tmp_path, split="test", first=10001, scenes=2)
    run = tmp_path / "run"
    words = ("train", "redi", "--run-dir", run, "--profile", "smoke", "--data", tmp_path)
    code, out, _ = lowlight(*words, "--set", "crop=32", "--set", "steps=3")
    assert code == 0
    assert "3 steps" in out
    code, _, err = lowlight(*words, "--set", "crop=32", "--set", "steps=4")
    assert code == 1
    assert "another recipe" in err
    assert lowlight(*words, "--set", "steps")[0] == 1
    code, out, _ = lowlight(
        "test", "redi", "--checkpoint", run / "weights.safetensors", "--data", tmp_path
    )
    assert code == 0
    [row] = json.loads((run / "results.json").read_text())
    assert f"{row['psnr']:.2f} dB" in out
    assert (row["backend"], row["precision"]) == ("eager", "float32")
    words = ("test", "redi", "--checkpoint", run / "weights.safetensors", "--data", tmp_path)
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
    code, out, _ = lowlight("cost", "redi", "--shape", 1, 1, 64, 96, "--json")
    assert code == 0
    cost = json.loads(out)
    # 41.23 GMac at 2048x4096; convolutions scale with the area of whole 32x32 blocks
    assert cost["macs"] == pytest.approx(41.23e9 * 64 * 96 / (2048 * 4096), rel=1e-3)
    assert cost["params"] == 784_768
    assert 0 < cost["seconds"] < 60
    # at least the widest pair of features alive at once: 192 + 32 channels at 1/8, in float32
    assert 4 * (192 + 32) * 64 * 96 / 64 < cost["peak_bytes"] < 1e9
    assert lowlight("cost", "redi", "--shape", 1, 3, 64, 64)[0] == 1
    code, _, err = lowlight("cost", "sid", "--shape", 1, 1, 10**6, 10**6)
    assert code == 1
    assert "memory" in err
    assert lowlight("cost", "nothing")[0] == 1


def test_module_and_script_are_the_same_program(root):
    done = subprocess.run(
        [sys.executable, "-m", "lowlight_lib.cli", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, __version__)


def test_released_weights_restore_a_real_file(lowlight, shared, tmp_path):
    """Nikon D1, BGGR: full size, no colour exchanged, no trace of the 2x2 cells."""
    source = shared / "samples" / "nikon_d1_bggr.nef"
    weights = shared / "checkpoints" / "redi_sid_official.pth"
    code, _, err = lowlight(
        "restore", source, "-o", tmp_path, "--checkpoint", weights, "--amplification", "1"
    )
    assert (code, err) == (0, "")
    picture = iio.imread(tmp_path / "nikon_d1_bggr_redi.png").astype(float)
    assert picture.shape == (1324, 2012, 3)
    from lowlight_lib.sensor import isp

    truth = isp.develop(source)
    for c in range(3):  # each channel looks most like its own, whatever the cast
        alike = [
            np.corrcoef(picture[..., c].ravel(), truth[..., k].ravel())[0, 1] for k in range(3)
        ]
        assert alike[c] > 0.8
    # A wrong phase leaves combs: neighbours would differ more than those two apart.
    grey = picture.mean(2)
    for axis in (0, 1):
        step1, step2 = (np.abs(np.diff(grey, n, axis)).mean() for n in (1, 2))
        assert step2 < 2 * step1


def test_options_of_before_still_work_and_say_their_new_name(lowlight, tmp_path):
    code, _, err = lowlight("train", "redi", "--run", tmp_path, "--data", tmp_path / "nothing")
    assert code == 1 and "--run is called --run-dir now" in err and "does not exist" in err
    _, _, err = lowlight("test", "redi", "--m=3", f"--run={tmp_path}")
    assert "--m is called --brightness now" in err and "no weights given" in err


def test_no_option_of_train_and_test_begins_one_of_torchruns():
    """torchrun would take it for an abbreviation of its own, and stop."""
    import typer
    from torch.distributed.run import get_args_parser

    from lowlight_lib.cli.main import app

    theirs = [o for a in get_args_parser()._actions for o in a.option_strings]
    for command in ("train", "test"):
        ours = [o for p in typer.main.get_command(app).commands[command].params for o in p.opts]
        assert "--run-dir" in ours
        assert not [o for o in ours if o[:2] == "--" and any(t.startswith(o) for t in theirs)]
