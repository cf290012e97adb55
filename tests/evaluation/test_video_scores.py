"""Raw video: scores and their means, clips in pieces and tiles, pictures and videos, bad input."""

import json
import shutil
import tracemalloc

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lowlight_lib import models
from lowlight_lib.cli import main as cli
from lowlight_lib.errors import DataError, OptionError, OutputError, ShapeError
from lowlight_lib.evaluation import test as score
from lowlight_lib.evaluation.metrics import PROTOCOLS, find_protocol, score_raw
from lowlight_lib.evaluation.results import read_rows
from lowlight_lib.evaluation.strred import strred
from lowlight_lib.io.movies import Frames
from lowlight_lib.models import Task
from lowlight_lib.restore import clip
from lowlight_lib.training import checkpoint

SCENES = {35: ("100", "320"), 42: ("100",)}  # of LLRVD's test split; the groups are unequal
T, H, W = 5, 45, 50


def steady(x):
    """A network for these tests: the mean over the time."""
    return x.mean(0, keepdim=True).expand_as(x)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """LLRVD with three small clips, and SMOID with one."""
    top, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)

    def save(name, array):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)

    for scene, ratios in SCENES.items():
        light = rng.random((1, H, W, 4)) * np.ones((T, 1, 1, 1))
        save(f"LLRVD/ratio_gt/{scene}/gt.npy", np.rint(512 + light * 14848).astype(np.uint16))
        for ratio in ratios:
            dark = light / float(ratio) * 14848 + rng.normal(0, 8, light.shape)
            dark = np.rint(512 + dark).clip(0).astype(np.uint16)
            save(f"LLRVD/ratio_noisy_all/{scene}/{ratio}/lq.npy", dark)
    light = rng.random((1, 4, 12, 13))
    for name, gain in (("Dark/RAW/raw_input", 2.5), ("Bright/RAW/raw_target", 1)):
        save(f"SMOID/_Scene6/Gain30Gain0/{name}.npy", (light * 65535 / gain).astype(np.uint16))
    return top


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "brve.safetensors"
    checkpoint.save(models.build("brve", channels=8).eval(), path)
    return path


def test_raw_scores_are_per_plane_and_frame():
    rng = np.random.default_rng(1)
    target = rng.uniform(0.3, 0.7, (2, 4, 12, 15)).astype(np.float32)
    frames = target + np.float32([0.1, 0.01, 0.001, 0])[:, None, None]
    psnr, ssim = score_raw(frames, target)
    np.testing.assert_allclose(psnr, np.mean([20, 40, 60, 100]), atol=0.01)  # equal: 100 dB
    one = np.mean([structural_similarity(frames[1, c], target[1, c], data_range=1.0)
                   for c in range(4)])  # fmt: skip
    np.testing.assert_allclose(ssim[1], one, rtol=1e-5)
    together = score_raw(frames * 2, target, "raw_video_released")[0]  # neither clipped nor apart
    whole = peak_signal_noise_ratio(target[0], frames[0] * 2, data_range=1.0)
    np.testing.assert_allclose(together[0], whole, rtol=1e-5)
    ones = np.ones_like(target)
    np.testing.assert_array_equal(score_raw(ones + 9, target), score_raw(ones, target))
    assert find_protocol("default", Task.RAW_VIDEO) is PROTOCOLS["raw_video"]
    for name, task in (("truncate", Task.RAW_VIDEO), ("raw_video", Task.RAW_STILL)):
        with pytest.raises(OptionError, match="no protocol"):
            find_protocol(name, task)
    for pair in ((target[:1], target), (target[:, :3],) * 2, (target[..., :6],) * 2):
        with pytest.raises(ShapeError, match="packed frames"):
            score_raw(*pair)


def traced_peak(work):
    tracemalloc.start()
    work()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_memory_does_not_grow_with_the_clip(root, tmp_path):
    seen, size = set(), (10, 4, 65, 90)

    def network(v):
        seen.add(tuple(v.shape))
        return v

    def enhance(frames):
        def read(some):
            return np.zeros((some.stop - some.start, *size[1:]), np.float32)

        for _, y in clip.enhance(network, read, frames, piece=10, tile=64, overlap=8):
            del y

    one = 4 * np.prod(size)  # bytes of a piece
    assert traced_peak(lambda: enhance(200)) < traced_peak(lambda: enhance(20)) + one / 2 < 4 * one
    assert seen == {(10, 4, 64, 64)}

    def test(frames):  # too small for ST-RRED, which keeps no frames
        for name in ("ratio_gt/35/gt", "ratio_noisy_all/35/100/lq"):
            path = tmp_path / str(frames) / "LLRVD" / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.full((frames, 40, 90, 4), 900, np.uint16))
        where = tmp_path / str(frames)
        return lambda: score("brve", where, where, network=network, dataset="llrvd", piece=10,
                             pictures=False, progress=False)  # fmt: skip

    test(1)()  # so that everything is imported
    one = 4 * np.prod((10, 4, 40, 90))
    assert traced_peak(test(30)) < traced_peak(test(10)) + one / 2 < 7 * one


def test_a_row_is_the_mean_over_ratios_of_means_over_clips(root, tmp_path):
    [row] = score("brve", root, tmp_path, network=steady, dataset="llrvd", progress=False)
    assert read_rows(tmp_path / "results.json") == [json.loads(json.dumps(row))]
    assert (row["images"], row["frames"], row["protocol"]) == (3, 15, "raw_video")
    assert list(row["per_group"]) == ["100", "320"]
    assert [g["clips"] for g in row["per_group"].values()] == [2, 1]
    for name in ("psnr", "ssim", "strred", "baseline_psnr", "baseline_ssim", "baseline_strred"):
        by_clip = {r["name"]: r[name] for r in row["per_image"]}
        first = np.mean([by_clip["35/100"], by_clip["42/100"]])
        assert row["per_group"]["100"][name] == pytest.approx(first)
        assert row[name] == pytest.approx((first + by_clip["35/320"]) / 2)
    assert row["psnr"] > row["baseline_psnr"] + 3 and row["strred"] < row["baseline_strred"]

    stored = [np.load(root / f"LLRVD/{n}.npy").astype(float) for n in
              ("ratio_noisy_all/35/320/lq", "ratio_gt/35/gt")]  # fmt: skip
    dark, target = (((a - 512) / 14848).transpose(0, 3, 1, 2) for a in stored)
    dark = (dark * 320).clip(0, 1)
    [one] = [r for r in row["per_image"] if r["name"] == "35/320"]
    mse = np.square(dark - target).mean((2, 3))
    assert one["baseline_psnr"] == pytest.approx(-10 * np.log10(mse).mean(), abs=1e-4)
    whole = [strred(target[:, c], dark[:, c])[1] for c in range(4)]
    assert one["baseline_strred"] == pytest.approx(np.mean(whole), rel=1e-4)

    frames = sorted((tmp_path / "pictures" / "35_320").iterdir())
    assert [f.name for f in frames] == [f"{t:08d}.png" for t in range(T)]
    assert iio.imread(frames[0]).shape == (H, W, 3)
    movie = iio.imread(tmp_path / "pictures" / "35_320.mp4", plugin="FFMPEG")
    assert movie.shape == (T, H + 1, 3 * W, 3)  # side by side, padded to even sides
    meta = iio.immeta(tmp_path / "pictures" / "35_320.mp4", plugin="FFMPEG")
    assert meta["codec"] == "h264" and meta["pix_fmt"].startswith("yuv420p")


def test_pieces_and_factors_change_what_they_should(root, tmp_path):
    def run(**options):
        return score("brve", root, tmp_path, network=lambda v: v, dataset="llrvd", progress=False,
                     pictures=False, **options)[0]  # fmt: skip

    whole, pieces = run(), run(piece=3)
    for name in ("psnr", "ssim", "strred"):  # pairs of frames do not follow the pieces
        assert whole[name] == pytest.approx(pieces[name])
        assert whole[name] == pytest.approx(whole[f"baseline_{name}"])
    assert len(read_rows(tmp_path / "results.json")) == 2  # rows of different tests
    assert run(limit=1)["images"] == 1 and not (tmp_path / "pictures").exists()
    assert run(amplification=50)["psnr"] < whole["psnr"]
    assert {r["amplification"] for r in run(amplification="auto")["per_image"]} != {100, 320}
    released = run(protocol="raw_video_released")
    assert released["psnr"] < whole["psnr"] and released["ssim"] == pytest.approx(whole["ssim"])


def test_a_clip_too_short_for_strred_has_the_other_scores(root, tmp_path):
    [row] = score("brve", root, tmp_path, network=steady, dataset="smoid", progress=False)
    assert row["strred"] is None and row["per_group"]["30"]["baseline_strred"] is None
    assert row["psnr"] > 60 and row["per_image"][0]["name"] == "_Scene6/Gain30Gain0"
    assert (tmp_path / "pictures" / "_Scene6_Gain30Gain0.mp4").stat().st_size > 0


def test_smoid_is_shown_and_seen_as_published(root, tmp_path):
    """Frames of 240x320 whole, in full size by demosaicing, at 15 frames a second."""
    seen = []

    def network(v):
        seen.append(tuple(v.shape[2:]))
        return v

    gain = tmp_path / "SMOID/_Scene6/Gain30Gain0"
    for name in ("Dark/RAW/raw_input", "Bright/RAW/raw_target"):
        (gain / name).parent.mkdir(parents=True)
        np.save(gain / f"{name}.npy", np.full((2, 4, 240, 320), 9000, np.uint16))
    quiet = {"network": network, "progress": False}
    [row] = score("brve", tmp_path, tmp_path, dataset="smoid", result_only=True, **quiet)
    assert set(seen) == {(240, 320)} and row["tile"] is None and row["result_only"]
    film = tmp_path / "pictures/_Scene6_Gain30Gain0.mp4"
    assert iio.imread(film, plugin="FFMPEG").shape == (2, 480, 640, 3)
    assert iio.immeta(film, plugin="FFMPEG")["fps"] == 15
    dark = clip.open_raw_clip(gain / "Dark/RAW/raw_input.npy", 0, 65535)
    done = clip.restore_clip(dark, network, tmp_path / "out", "a", 2.0, alone=True)
    assert set(seen) == {(240, 320)}
    assert iio.imread(done.movie, plugin="FFMPEG").shape == (2, 240, 320, 3)
    [row] = score("brve", tmp_path, tmp_path, dataset="smoid", tile=128, pictures=False, **quiet)
    assert row["tile"] == 128 and (128, 128) in seen
    [row] = score("brve", root, tmp_path, dataset="llrvd", **quiet)
    assert row["tile"] == 256
    assert iio.immeta(tmp_path / "pictures/35_100.mp4", plugin="FFMPEG")["fps"] == 10


def test_what_fails_loses_nothing(root, tmp_path, monkeypatch):
    def no_program():
        raise RuntimeError("No ffmpeg exe could be found")

    def run(network=steady, **options):
        return score("brve", root, tmp_path, network=network, dataset="llrvd", progress=False,
                     **options)  # fmt: skip

    run(pictures=False)
    before = (tmp_path / "results.json").read_bytes()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        run(save_path=tmp_path / "file" / "pictures")
    with pytest.raises(ShapeError, match=r"lq\.npy: the network made"):
        run(lambda v: v[:, :3])
    with pytest.raises(ShapeError, match="not finite"):
        run(lambda v: v * torch.nan)
    for wrong, words in (
        ({"protocol": "truncate"}, "no protocol"), ({"limit": 0}, "limit"),
        ({"tile": 8}, "tiles of 8"), ({"amplification": "much"}, "'auto' or a number"),
        ({"match_colour": True}, "match_colour: not for llrvd"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=words):
            run(**wrong)
    broken = shutil.copytree(root, tmp_path / "broken")
    last = broken / "LLRVD/ratio_noisy_all/42/100/lq.npy"
    np.save(last, np.full((T, H, W, 4), np.nan, np.float32))  # found when its turn comes
    for _ in range(2):
        with pytest.raises(DataError, match=r"42.100.lq\.npy"):
            score("brve", broken, tmp_path, network=steady, dataset="llrvd", progress=False)
        last.unlink(missing_ok=True)  # missing: found at once
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", no_program)
    with pytest.raises(OutputError, match="imageio-ffmpeg"):
        run()
    with pytest.raises(OptionError, match="seams: not for sid"):
        score("redi", root, tmp_path, network=steady, seams="blended")
    assert (tmp_path / "results.json").read_bytes() == before


def test_movies_are_whole_or_not_there(tmp_path):
    picture = np.random.default_rng(3).random((7, 11, 3))
    for count in (4, 2):  # the second, shorter one takes the first one's place
        with Frames(tmp_path, "a", suffix=".jpg") as frames:
            for _ in range(count):
                frames.add(picture, [picture, picture])
    assert len(list((tmp_path / "a").iterdir())) == 2
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(ShapeError, match="broken"), Frames(tmp_path, "a") as frames:
        frames.add(picture, [picture])
        raise ShapeError("broken")
    assert (tmp_path / "a.mp4").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.mp4"]
    (tmp_path / "b.mp4").mkdir()
    with pytest.raises(OutputError, match=r"b\.mp4"), Frames(tmp_path, "b") as frames:
        frames.add(picture, [picture])


def test_the_command_line_tests_video(root, weights, tmp_path, capsys):
    out, frames = tmp_path / "scores" / "result.json", tmp_path / "frames"
    words = f"test brve --checkpoint {weights} --run-dir {tmp_path} --data {root} --seed 0"
    words += f" --limit 1 --out {out} --save-path {frames} --tile 48 --dataset llrvd"
    cli.app(words.split(), standalone_mode=False)
    said = capsys.readouterr().out
    assert "1 clips" in said and "ST-RRED" in said and str(frames) in said
    [row] = read_rows(tmp_path / "results.json")
    means = {k: row[v] for k, v in (("PSNR", "psnr"), ("SSIM", "ssim"), ("ST-RRED", "strred"))}
    assert json.loads(out.read_text(encoding="utf-8")) == [
        {"scene": scene, "gain": gain, "eval_result": means}  # of one clip they are its scores
        for scene, gain in (("35", "100"), ("average", "100"), ("average", "average"))
    ]
    assert (row["seed"], row["tile"], row["checkpoint"]) == (0, 48, "brve.safetensors")
    assert (frames / "35_100.mp4").exists() and len(list((frames / "35_100").iterdir())) == T


def test_the_command_line_restores_clips(root, weights, tmp_path, capsys):
    clips = [root / "LLRVD/ratio_noisy_all/35/100/lq.npy",
             root / "SMOID/_Scene6/Gain30Gain0/Dark/RAW/raw_input.npy"]  # fmt: skip
    words = ["restore", *map(str, clips), "-o", str(tmp_path), "--model", "brve"]
    words += ["--checkpoint", str(weights), "--black", "0", "--white", "65535"]
    cli.app([*words, "--amplification", "40"], standalone_mode=False)
    assert iio.imread(tmp_path / "lq_brve.mp4", plugin="FFMPEG").shape == (T, H + 1, 2 * W, 3)
    assert len(list((tmp_path / "raw_input_brve").iterdir())) == 1
    assert "amplified 40 times" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(words)
    assert "exists already" in capsys.readouterr().err
    one = [words[0], *words[2:], "--force", "--format", "jpg"]
    cli.app(one, standalone_mode=False)  # the amplification is estimated
    assert (tmp_path / "raw_input_brve" / "00000000.jpg").exists()
    with pytest.raises(SystemExit):
        cli.main([*words[:-4], "--force"])
    assert "give --black and --white" in capsys.readouterr().err
