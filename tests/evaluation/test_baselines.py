"""The rival: the best denoiser of the training split, its strength fitted there once."""

import dataclasses

import numpy as np
import pytest
from support import tiny
from support.networks import demosaic

from lowlight_lib import evaluation
from lowlight_lib.evaluation import baselines
from lowlight_lib.evaluation.baselines import METHODS, Rival, brighten, denoise, noise_of
from lowlight_lib.evaluation.metrics import psnr
from lowlight_lib.models import Task


def noisy(sigma, shape=(96, 128)):
    clean = tiny.picture(5, shape)
    return clean, np.float32(clean + np.random.default_rng(1).normal(0, sigma, clean.shape))


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.3])
def test_the_noise_is_found_whatever_is_below_it(sigma):
    noise = np.random.default_rng(0).normal(0, sigma, (200, 200, 3)).astype(np.float32)
    y, x = np.mgrid[:200, :200].astype(np.float32)
    plane = (0.3 + 0.002 * x - 0.001 * y)[..., None]
    assert noise_of(plane + 0 * noise) < 1e-5
    for picture in (noise, noise + plane, (noise + plane)[..., 0]):
        assert noise_of(picture) == pytest.approx(sigma, rel=0.02)  # 40,000 pixels: 0.5 %


@pytest.mark.parametrize("method", METHODS[1:])
def test_every_method_takes_noise_away_and_keeps_the_mean(method):
    clean, x = noisy(0.1)
    best = max(psnr(denoise(x, Rival(method, s)).clip(0, 1), clean) for s in baselines.STRENGTHS)
    assert best > psnr(x.clip(0, 1), clean) + 2
    done = denoise(x, Rival(method, 1.0))
    assert done.dtype == np.float32 and done.shape == x.shape
    assert done.mean() == pytest.approx(x.clip(0, 1).mean(), abs=0.02)  # one takes 8 bits
    assert np.array_equal(denoise(x, Rival()), x)
    flat = np.full((16, 16, 3), 0.25, np.float32)
    assert np.abs(denoise(flat, Rival(method, 4.0)) - flat).max() < 1 / 255


def test_a_photograph_gets_the_mean_of_the_targets_or_a_flat_histogram():
    dark = tiny.picture(2, (64, 64)) * np.float32(0.1)
    assert brighten(dark, "gain", 0.3).mean() == pytest.approx(0.3, abs=0.01)
    grey = brighten(dark, "equalise", 0.3).mean(-1)
    assert np.std(grey) > 3 * np.std(dark.mean(-1))
    assert brighten(dark, None, 0.3) is dark


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_a_clip_in_pieces_is_the_clip_as_a_whole(frames):
    x = np.random.default_rng(0).random((7, 4, 16, 20), np.float32)
    rival = Rival("gaussian", 1.0, frames)
    whole = rival.clip(x.__getitem__, 0, 7, 7)
    parts = [rival.clip(x.__getitem__, a, min(a + 2, 7), 7) for a in range(0, 7, 2)]
    assert np.array_equal(np.concatenate(parts), whole)
    mean = x[max(0, 3 - frames // 2) : 4 + frames // 2].mean(0)
    plain = dataclasses.replace(rival, method="none").clip(x.__getitem__, 3, 4, 7)
    assert np.array_equal(plain[0], mean)


def test_what_moves_is_not_averaged_and_what_stands_is():
    rng = np.random.default_rng(0)
    still = np.tile(rng.random((1, 4, 24, 24), np.float32), (3, 1, 1, 1))
    moving = np.stack([np.roll(still[0], 5 * t, -1) for t in range(3)])
    for clean, frames in ((still, 3), (moving, 1)):
        dark = np.float32(clean + rng.normal(0, 0.1, clean.shape))
        found = baselines.fit([(dark, clean)], Task.RAW_VIDEO)
        assert found.frames >= frames if frames > 1 else found.frames == 1


def test_the_rival_is_never_worse_than_the_baseline_on_what_it_was_fitted_on():
    clean, x = noisy(0.1)
    for dark in (x, clean):
        found = baselines.fit([(dark, clean)], Task.RAW_STILL)
        gain = psnr(found.picture(dark), clean) - psnr(dark.clip(0, 1), clean)
        assert gain > 2 if dark is x else (found.method, str(found)) == ("none", "plain")


def test_it_is_fitted_on_the_training_split_once_and_stands_in_the_row(tmp_path, monkeypatch):
    root = tmp_path / "data"
    for split, first in (("train", 1), ("test", 10001)):
        tiny.make_sid(root, split=split, first=first)
    call = {"network": demosaic, "progress": False, "pictures": False}
    [row] = evaluation.test("redi", root, tmp_path, **call)
    assert row["rival"] and row["scenes"] == len({r["scene"] for r in row["per_image"]}) == 3
    mean = np.mean([r["rival_psnr"] for r in row["per_image"]])
    assert row["rival_psnr"] == pytest.approx(mean)
    [kept] = (root / "cache").glob("rival-sid-*.json")
    monkeypatch.setattr(baselines, "fit", None)  # not asked again
    [again] = evaluation.test("sid", root, tmp_path, **call)
    assert (again["rival"], again["rival_psnr"]) == (row["rival"], row["rival_psnr"])
    monkeypatch.undo()
    for damage in ("[]", "{", '{"method": "magic"}', '{"strength": -1}', '{"strength": "much"}'):
        kept.write_text(damage)
        [again] = evaluation.test("redi", root, tmp_path, **call)
        assert again["rival"] == row["rival"]


def test_without_a_training_split_there_is_none(tmp_path):
    tiny.make_sid(tmp_path, split="test", first=10001)
    call = {"network": demosaic, "progress": False, "pictures": False}
    [row] = evaluation.test("redi", tmp_path, tmp_path, **call)
    assert row["rival"] is row["rival_psnr"] is row["rival_ssim"] is None
