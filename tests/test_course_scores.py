"""The promise of the course profile, kept by really training: minutes, so not part of CI."""

import json

import pytest

from lowlight_lib.training import evaluate, recipe, train


@pytest.mark.slow
@pytest.mark.parametrize("key", ["sid", "llpacknet", "redi"])
def test_course_training_earns_three_decibels(key, mini_root, tmp_path):
    import torch

    torch.set_num_threads(2)
    done = train.fit(recipe.RECIPES[key]["course"], mini_root, tmp_path, progress=False)
    [row] = evaluate.test(key, mini_root, tmp_path, done.checkpoint, progress=False)
    assert row["images"] == 12
    assert row["psnr"] - row["baseline_psnr"] >= 3.0
    assert row["ssim"] > row["baseline_ssim"]
    [auto] = evaluate.test(
        key, mini_root, tmp_path, done.checkpoint, amplification="auto", m=12, progress=False
    )
    assert auto["psnr"] > auto["baseline_psnr"] + 2
    assert len(json.loads((tmp_path / "results.json").read_text())) == 2


@pytest.mark.slow
def test_course_training_of_video_earns_three_decibels_and_steadiness(mini_root, tmp_path):
    import torch

    torch.set_num_threads(2)
    done = train.fit(recipe.RECIPES["brve"]["course"], mini_root, tmp_path, progress=False)
    [row] = evaluate.test("brve", mini_root, tmp_path, done.checkpoint, progress=False)
    assert row["images"] == 9
    assert row["psnr"] - row["baseline_psnr"] >= 3.0
    assert row["strred"] < row["baseline_strred"]


@pytest.mark.slow
def test_course_training_from_pairs_earns_five_decibels(mini_root, tmp_path):
    numbers = recipe.RECIPES["pairlie"]["course"]
    done = train.fit(numbers, mini_root, tmp_path, progress=False)
    [row] = evaluate.test(
        "pairlie", mini_root, tmp_path, done.checkpoint, gamma=0.1, progress=False
    )
    assert row["images"] == 6
    assert row["psnr"] - row["baseline_psnr"] >= 5.0
    assert row["ssim"] > row["baseline_ssim"]
