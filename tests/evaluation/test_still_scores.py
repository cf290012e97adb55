"""Scores of raw stills beside the baseline, and the rows that hold them."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from support import tiny
from support.networks import demosaic
from support.results import FIELDS

from lowlight_lib import evaluation, models, recipes
from lowlight_lib.data.sid import SidDataset
from lowlight_lib.errors import DataError, OptionError, ShapeError
from lowlight_lib.evaluation import metrics
from lowlight_lib.evaluation.stills import amplified
from lowlight_lib.sensor import isp
from lowlight_lib.sensor.raw import write_dng
from lowlight_lib.training import checkpoint, train


def test_psnr_and_protocols():
    a = np.full((32, 32, 3), 0.5, np.float32)
    b = a + np.float32(0.1)
    # 8-bit values 128 and 153; 25/255 apart
    assert metrics.score(b, a)[0] == pytest.approx(-20 * np.log10(25 / 255), abs=1e-3)
    assert metrics.score(b, a, "float")[0] == pytest.approx(20, abs=1e-3)
    assert metrics.score(b, a, "truncate")[0] == pytest.approx(-20 * np.log10(26 / 255), abs=1e-3)
    assert metrics.score(a, a)[0] == np.inf
    assert metrics.score(a, a)[1] == pytest.approx(1)
    with pytest.raises(ShapeError, match="against a target"):
        metrics.score(a, a[1:])
    with pytest.raises(ShapeError, match="11 pixels"):
        metrics.score(a[:8], a[:8])
    with pytest.raises(OptionError, match="protocol"):
        metrics.score(a, a, "best")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_has_no_score(value):
    """It would be clipped to a colour, or score NaN dB."""
    good, bad = np.full((16, 16, 3), 0.5, np.float32), np.full((16, 16, 3), 0.5, np.float32)
    bad[3, 4, 1] = value
    for pair in ((good, bad), (bad, good), (torch.from_numpy(bad), good)):
        with pytest.raises(DataError, match="NaN or infinity"):
            metrics.score(*pair)
    raw = np.full((2, 4, 8, 8), 0.5, np.float32)
    with pytest.raises(DataError, match="NaN or infinity"):
        metrics.score_raw(raw, raw * value)


def test_scores_equal_scikit_image():
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    x = tiny.picture(0, (64, 80))
    y = np.clip(x + 0.1 * np.random.default_rng(0).standard_normal(x.shape), 0, 1)
    y = y.astype(np.float32)
    psnr, ssim = metrics.score(y, x, "float")
    assert psnr == pytest.approx(peak_signal_noise_ratio(x, y, data_range=1), abs=1e-3)
    ref = structural_similarity(
        x, y, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    assert ssim == pytest.approx(ref, abs=1e-5)  # float32 against float64


@pytest.mark.parametrize("key", ["redi", "llpacknet", "sid"])
def test_scores_as_the_released_code_for_stills_takes_them(key):
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    x = tiny.picture(0, (64, 80))
    y = np.clip(x + 0.1 * np.random.default_rng(0).standard_normal(x.shape), 0, 1)
    a, b = ((np.float32(v) * np.float32(255)).astype(np.uint8) for v in (y, x))
    found = metrics.score(np.float32(y), x, f"{key}_released")
    assert found[0] == pytest.approx(peak_signal_noise_ratio(b, a), abs=1e-3)
    assert found[1] == structural_similarity(b, a, channel_axis=-1)
    assert abs(found[1] - metrics.score(np.float32(y), x, "truncate")[1]) > 1e-4
    assert "7x7" in metrics.PROTOCOLS[f"{key}_released"].text
    assert metrics.score(x[:8], x[:8], f"{key}_released") == (np.inf, 1)
    with pytest.raises(ShapeError, match="7 pixels"):
        metrics.score(x[:6], x[:6], f"{key}_released")


@pytest.mark.parametrize("ratio", [1, 10])
def test_a_noise_free_mosaic_scores_over_35_db(tmp_path, ratio):
    """From DNG files on disk through the whole test: the baseline takes the target's very path.

    At ratio 1 the two files hold the same pixels. At ratio 10 the short one was rounded to whole
    DN, an error of at most 5 of 15871 after amplification, and still beats 35 dB.
    """
    camera, folder = tiny.CAMERA, tmp_path / "SID"
    light = isp.undevelop(tiny.picture(3, (96, 128)), camera)
    span = camera.white_level - camera.black_level
    for name, part in (("short/10001_00_1s", 1 / ratio), (f"long/10001_00_{ratio}s", 1)):
        path = folder / f"Sony/{name}.dng"
        path.parent.mkdir(parents=True)
        dn = np.rint(light * span * part + camera.black_level)
        write_dng(path, tiny.raw_of(dn.astype(np.uint16)))
    line = f"./Sony/short/10001_00_1s.dng ./Sony/long/10001_00_{ratio}s.dng ISO100 F8\n"
    (folder / "Sony_test_list.txt").write_text(line)
    [row] = evaluation.test("sid", tmp_path, tmp_path, network=demosaic, progress=False)
    assert row["per_image"][0]["ratio"] == ratio
    assert row["baseline_psnr"] > 35
    # A baseline by another curve, or half a stop off, would not get there.
    target = SidDataset(tmp_path, "test").target(0) / np.float32(65535)
    assert metrics.score(target**0.9, target)[0] < 35


def test_amplified_keeps_black_black_and_clips_at_white(make_raw):
    levels = np.array([[100, 200], [300, 400]])
    mosaic = np.tile(levels, (12, 12)).astype(np.uint16)
    raw = make_raw().__class__(mosaic, black_level=levels, white_level=1023)
    assert np.array_equal(amplified(raw, 300.0).mosaic, mosaic)
    bright = dataclasses.replace(raw, mosaic=mosaic + np.uint16(10))
    out = amplified(bright, 300.0).mosaic
    assert (out == 1023).all()  # 3000 above black
    assert np.array_equal(amplified(bright, 2.0).mosaic, mosaic + 20)


@pytest.fixture(scope="module")
def sid(tmp_path_factory):
    root = tmp_path_factory.mktemp("sid")
    tiny.make_sid(root, split="test", first=10001)
    return root


def test_results_have_the_promised_fields_and_add_up(sid, tmp_path):
    quiet = {"network": demosaic, "progress": False}
    [row] = evaluation.test("redi", sid, tmp_path, **quiet, profile="smoke")
    assert set(row) >= FIELDS
    assert row["images"] == 3 == len(row["per_image"])
    for k in ("psnr", "ssim", "baseline_psnr", "baseline_ssim"):
        assert row[k] == pytest.approx(np.mean([r[k] for r in row["per_image"]]))
    assert [row] == json.loads((tmp_path / "results.json").read_text())
    names = {p.name for p in (tmp_path / "pictures").iterdir()}
    views = ("input", "baseline", "result", "target")
    assert names == {f"{n:05d}_00_0.1s_{v}.png" for n in (10001, 10002, 10003) for v in views}
    evaluation.test("redi", sid, tmp_path, **quiet, amplification="auto")
    evaluation.test("redi", sid, tmp_path, **quiet, profile="smoke")
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [r["amplification"] for r in rows] == ["auto", "ratio"]  # replaced, not doubled


def test_the_baseline_does_not_depend_on_the_network(sid, tmp_path):
    def black(x):
        return torch.zeros(1, 3, *x.shape[-2:])

    rows = [
        evaluation.test("sid", sid, tmp_path / n.__name__, network=n, progress=False)[0]
        for n in (demosaic, black)
    ]
    assert rows[0]["baseline_psnr"] == rows[1]["baseline_psnr"]
    assert rows[0]["psnr"] > rows[1]["psnr"] + 1
    data = SidDataset(sid, "test")
    target = data.target(0) / np.float32(65535)
    by_hand = isp.develop(amplified(data.input(0), data.pairs[0].ratio))
    assert rows[0]["per_image"][0]["baseline_psnr"] == metrics.score(by_hand, target)[0]


def test_wrong_calls_of_test(sid, tmp_path):
    with pytest.raises(OptionError, match="checkpoint or a network"):
        evaluation.test("sid", sid, tmp_path)
    with pytest.raises(OptionError, match="unknown dataset"):
        evaluation.test("sid", sid, tmp_path, network=demosaic, dataset="sidd")
    for key, dataset in (("sid", "llrvd"), ("brve", "sid")):
        with pytest.raises(OptionError, match=f"{dataset}' is no data set for {key}"):
            evaluation.test(key, sid, tmp_path, network=demosaic, dataset=dataset)
    with pytest.raises(OptionError, match="unknown model"):
        evaluation.test("sidd", sid, tmp_path, network=demosaic)
    with pytest.raises(DataError, match="Sony_val_list"):
        evaluation.test("sid", sid, tmp_path, network=demosaic, split="val")
    (tmp_path / "results.json").write_text("[{")
    with pytest.raises(DataError, match="damaged"):
        evaluation.test("sid", sid, tmp_path, network=demosaic, progress=False, limit=1)
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(DataError, match="no list of results"):
        evaluation.test("sid", sid, tmp_path, network=demosaic, progress=False, limit=1)
    with pytest.raises(OptionError, match="limit"):
        evaluation.test("sid", sid, tmp_path, network=demosaic, limit=0)


def test_rows_of_different_tests_stay_apart(sid, tmp_path):
    """Two trainings whose files have the same name, and parts of a test, are other tests."""
    quiet = {"progress": False, "pictures": False}
    for seed in (1, 2):
        torch.manual_seed(seed)
        path = tmp_path / str(seed) / "weights.safetensors"
        checkpoint.save(models.build("redi"), path)
        for limit in (1, None):
            evaluation.test("redi", sid, tmp_path, path, limit=limit, **quiet)
    evaluation.test("redi", sid, tmp_path, path, **quiet, levels=(500, 16000))
    rows = json.loads((tmp_path / "results.json").read_text())
    assert len(rows) == 5
    assert len({(r["weights"], r["limit"], str(r["levels"])) for r in rows}) == 5


def test_a_row_knows_its_training(sid, tmp_path):
    tiny.make_sid(tmp_path)
    r = recipes.find("redi", "smoke").replace(crop=32, steps=2, levels=(500, 16000))
    done = train.fit(r, tmp_path, tmp_path / "run", progress=False)
    [row] = evaluation.test("redi", sid, tmp_path / "run", done.checkpoint, limit=1, progress=False)
    assert (row["profile"], row["levels"]) == ("smoke", (500, 16000))
    assert row["seconds_train"] == pytest.approx(done.seconds, abs=1)
