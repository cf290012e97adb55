"""What nbval's run of all notebooks leaves behind, in the smoke profile.

`make test` has nbval run them before, with their results in LOWLIGHT_OUT.
"""

import json
import math
import os
from pathlib import Path

import imageio.v3 as iio
import pytest
from support.results import FIELDS, check_stills, rows_of

from lowlight_lib.course import report

pytestmark = pytest.mark.notebooks


@pytest.fixture(scope="module")
def left():
    """The folder of what nbval's run of all notebooks has left."""
    if "LOWLIGHT_OUT" not in os.environ:
        pytest.skip("needs what nbval leaves in LOWLIGHT_OUT, as in make test")
    return Path(os.environ["LOWLIGHT_OUT"])


def default_rows(left, model):
    """The rows by the default protocol; the notebook scores by published ones, too."""
    return [r for r in rows_of(left, model) if r["protocol"] == "default"]


def test_what_the_trainings_leave(left):
    check_stills(rows_of(left, "redi"), "redi", 4)
    [pairs] = default_rows(left, "pairlie")
    assert set(pairs) >= FIELDS | {"gamma"}
    assert (pairs["dataset"], pairs["profile"], pairs["images"]) == ("lol", "smoke", 15)
    assert 5 < pairs["baseline_psnr"] < 10 and 5 < pairs["psnr"] < 40  # dark against bright
    views = [iio.imread(left / "pictures" / f"16_{v}.png") for v in ("input", "result", "target")]
    assert {v.shape for v in views} == {(512, 512, 3)} and views[0].mean() < views[2].mean() / 2
    assert all((left / "pictures" / v / "16.png").exists() for v in "ILRD")


def test_the_bench_of_a_run_is_of_its_own_weights(left):
    """What the notebook on deployment leaves for the scoreboard."""
    rows = json.loads((left / "bench.json").read_text(encoding="utf-8"))
    assert {r["model"] for r in rows} == {"pairlie", "brve"}
    [pairs] = default_rows(left, "pairlie")
    ours = [r for r in rows if r["model"] == "pairlie" and "error" not in r]
    assert {r["weights_id"] for r in ours} == {pairs["weights"]}
    assert {"float32", "int8"} <= {r["precision"] for r in ours}
    assert {r["backend"] for r in rows if r["model"] == "brve"} >= {"eager", "bitpacked"}
    for name in ("pairlie.onnx", "pairlie_int8.onnx", "calibration.npz"):
        assert (left / name).stat().st_size > 0


def test_what_the_training_on_video_leaves(left):
    [row] = rows_of(left, "brve")
    more = {"strred", "baseline_strred", "frames", "per_group", "per_image"}
    assert set(row) >= FIELDS | more
    assert (row["model"], row["dataset"], row["split"], row["images"], row["frames"]) == (
        "brve", "llrvd", "test", 4, 40,
    )  # fmt: skip
    assert row["protocol"] == "raw_video"
    scores = ("psnr", "ssim", "strred", "baseline_psnr", "baseline_ssim", "baseline_strred")
    assert all(math.isfinite(row[k]) for k in scores)
    # Twelve steps restore nothing, but they do not break it either.
    assert abs(row["psnr"] - row["baseline_psnr"]) < 3 and 15 < row["baseline_psnr"] < 35
    groups = row["per_group"].values()
    assert sum(g["clips"] for g in groups) == 4
    for k in scores:  # of each ratio first, then of the ratios
        assert row[k] == pytest.approx(sum(g[k] for g in groups) / len(groups))


def test_videos_and_frames_are_there_and_in_the_report(left):
    videos = sorted((left / "pictures").glob("*.mp4"))
    assert len(videos) == 4
    frames = iio.imread(videos[0], plugin="FFMPEG")
    assert len(frames) == 10 and frames.shape[2] > 2.5 * frames.shape[1]  # three side by side
    pictures = sorted((left / "pictures" / videos[0].stem).glob("*.png"))
    assert len(pictures) == 10 and iio.imread(pictures[0]).shape == (128, 160, 3)
    page = report.write_index(left).read_text(encoding="utf-8")
    assert all(v.name in page for v in videos) and "<video" in page
