"""One run of the real thing for video: the smoke profile through papermill, headless."""

import json
import math

import imageio.v3 as iio
import pytest
from support.course import smoke_run
from support.results import FIELDS

pytestmark = pytest.mark.notebooks


@pytest.fixture(scope="module")
def run(tmp_path_factory, mini_root, root):
    out = tmp_path_factory.mktemp("runs") / "latest"
    smoke_run(root, out, mini_root, "11", 4)
    return out


def test_results_json_of_video(run):
    [row] = json.loads((run / "results.json").read_text())
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


def test_videos_and_frames_are_there_and_in_the_report(run):
    folder = run / "11_train_test_video"
    assert folder.with_suffix(".ipynb").exists()
    videos = sorted((folder / "pictures").glob("*.mp4"))
    assert len(videos) == 4
    frames = iio.imread(videos[0], plugin="FFMPEG")
    assert len(frames) == 10 and frames.shape[2] > 2.5 * frames.shape[1]  # three side by side
    pictures = sorted((folder / "pictures" / videos[0].stem).glob("*.png"))
    assert len(pictures) == 10 and iio.imread(pictures[0]).shape == (128, 160, 3)
    page = (run / "index.html").read_text()
    assert all(v.name in page for v in videos) and "<video" in page
