"""The promise of the course profile, kept by really training: minutes, so not part of CI."""

import json

import numpy as np
import pytest

from lowlight_lib import evaluation, recipes
from lowlight_lib.data.photos import LolDataset
from lowlight_lib.restore.photo import decompose_photo
from lowlight_lib.training import checkpoint, train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cores")]


@pytest.mark.parametrize("key", ["sid", "llpacknet", "redi"])
def test_course_training_earns_three_decibels(key, mini_root, tmp_path):
    done = train.fit(recipes.find(key, "course"), mini_root, tmp_path, progress=False)
    [row] = evaluation.test(key, mini_root, tmp_path, done.checkpoint, progress=False)
    assert row["images"] == 12
    assert row["psnr"] - row["baseline_psnr"] >= 3.0
    assert row["ssim"] > row["baseline_ssim"]
    [auto] = evaluation.test(
        key, mini_root, tmp_path, done.checkpoint, amplification="auto", m=12, progress=False
    )
    assert auto["psnr"] > auto["baseline_psnr"] + 2
    assert len(json.loads((tmp_path / "results.json").read_text())) == 2


def test_course_training_of_video_earns_three_decibels_and_steadiness(mini_root, tmp_path):
    done = train.fit(recipes.find("brve", "course"), mini_root, tmp_path, progress=False)
    [row] = evaluation.test("brve", mini_root, tmp_path, done.checkpoint, progress=False)
    assert row["images"] == 9
    assert row["psnr"] - row["baseline_psnr"] >= 3.0
    assert row["strred"] < row["baseline_strred"]


def test_course_training_from_pairs_earns_five_decibels_and_one_reflectance(mini_root, tmp_path):
    done = train.fit(recipes.find("pairlie", "course"), mini_root, tmp_path, progress=False)
    how = {"gamma": 0.1, "progress": False}
    [row] = evaluation.test("pairlie", mini_root, tmp_path, done.checkpoint, **how)
    assert row["images"] == 6
    assert row["psnr"] - row["baseline_psnr"] >= 5.0
    assert row["ssim"] > row["baseline_ssim"]
    network, tests = checkpoint.load("pairlie", done.checkpoint), LolDataset(mini_root)
    for i in (0, 2, 4):  # each scene is there twice, in two exposures
        low = [tests.input(k) for k in (i, i + 1)]
        reflectance = [decompose_photo(network, a)["R"] for a in low]
        assert matched_distance(*reflectance) < matched_distance(*low)


def matched_distance(a, b):
    """RMS difference of two pictures, each divided by its mean."""
    return np.sqrt(np.mean((a / a.mean() - b / b.mean()) ** 2))
