"""The one path of a picture, and the scores beside the baseline."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from support import tiny
from support.networks import demosaic
from support.results import FIELDS

from lowlight_lib import evaluation, models
from lowlight_lib.data.sid import SidDataset
from lowlight_lib.errors import DataError, LowlightError, OptionError, ShapeError
from lowlight_lib.evaluation import metrics
from lowlight_lib.evaluation.stills import amplified
from lowlight_lib.io import pictures
from lowlight_lib.models import with_spec
from lowlight_lib.restore import restore
from lowlight_lib.restore.still import find_amplification, open_mosaic
from lowlight_lib.restore.window import run
from lowlight_lib.sensor import cfa, isp
from lowlight_lib.sensor.raw import write_dng
from lowlight_lib.training import checkpoint


@pytest.mark.parametrize("name", list(cfa.BAYER))
@pytest.mark.parametrize("shape", [(40, 50), (41, 51)])
def test_every_bayer_order_gives_the_right_colours(name, shape):
    """A grey-free scene of one colour: each filter sees its own part of it."""
    colour = np.array([0.2, 0.5, 0.8])
    cell = cfa.from_name(name)
    dn = 512 + colour[cfa.tile(cell, shape)] * 1000
    raw = tiny.raw_of(np.rint(dn).astype(np.uint16), cell, white_level=1512)
    done = restore(raw, with_spec(demosaic, "sid"), amplification=1.0)
    assert done.image.shape == (*shape, 3)
    assert done.image.dtype == np.float32
    # 1/1000 is the rounding of the mosaic; the last line of an odd size has only half a cell
    assert np.abs(done.image[:-1, :-1] - colour).max() < 2e-3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_come_out_upright(orientation, make_raw):
    raw = make_raw((24, 32), orientation=orientation)
    flat = restore(raw, with_spec(demosaic, "sid"), amplification=1.0, upright=False).image
    done = restore(raw, with_spec(demosaic, "sid"), amplification=1.0).image
    assert np.array_equal(done, pictures.upright(flat, orientation))
    assert done.shape[:2] == ((24, 32) if orientation < 5 else (32, 24))


def test_amplification_is_what_was_asked_for(make_raw):
    raw = make_raw(white_level=16383, black_level=512)
    dark = dataclasses.replace(raw, mosaic=(raw.mosaic // 100 + 512).astype(np.uint16))
    seen = []

    def network(x):
        seen.append(x)
        return demosaic(x)

    done = restore(dark, with_spec(network, "sid"), amplification=20, m=2)
    assert done.amplification == 40
    assert torch.equal(seen[0][0, 0], torch.from_numpy(dark.normalized() * np.float32(40)))
    auto1, auto5 = (restore(dark, with_spec(demosaic, "sid"), m=m).amplification for m in (1, 5))
    assert auto5 == pytest.approx(5 * auto1, rel=1e-6)  # neither end of [1, 300] is reached
    assert set(done.seconds) == {"read", "amplify", "network", "picture"}


@pytest.mark.parametrize("bad", ["full", -1, 0, float("nan"), float("inf"), None])
def test_wrong_amplification(bad, make_raw):
    with pytest.raises(OptionError, match="amplification"):
        find_amplification(make_raw(), bad)
    with pytest.raises(OptionError, match="m is above 0"):
        find_amplification(make_raw(), "auto", m=0)


def test_tiles_equal_the_whole_for_a_local_network(make_raw):
    raw = make_raw((203, 301))
    whole = restore(raw, with_spec(demosaic, "redi"), amplification=1.0).image
    tiled = restore(raw, with_spec(demosaic, "redi"), amplification=1.0, tile=64).image
    assert np.array_equal(whole, tiled)
    with pytest.raises(OptionError, match="at least 32"):
        restore(raw, with_spec(demosaic, "redi"), amplification=1.0, tile=16)


def test_tiles_of_a_real_network_are_close_to_the_whole():
    """REDI's halo is shorter than its field of 544 pixels: close, not equal."""
    torch.manual_seed(0)
    net = models.build("redi").eval()
    x = torch.rand(1, 1, 640, 704)
    whole, tiled = run(net, x), run(net, x, tile=320)
    assert (
        metrics.psnr(whole, tiled) > 60
    )  # the weights are random here; the whole field is 544 pixels


def test_tiles_of_sid_are_exact():
    """Its halo covers the receptive field, so only float32 sums in another order differ."""
    torch.manual_seed(0)
    net = models.build("sid").eval()
    x = torch.rand(1, 1, 448, 480)
    whole, tiled = run(net, x), run(net, x, tile=160)
    assert (whole - tiled).abs().max() < 1e-4 * whole.abs().max()


def test_bare_mosaics(tmp_path):
    def opened(array, white=1023):
        np.save(tmp_path / "a.npy", array)
        return open_mosaic(tmp_path / "a.npy", 512, white, "RGGB")

    a = np.full((20, 22), 700.0)
    raw = opened(a)
    assert raw.mosaic.dtype == np.uint16
    assert raw.mosaic[0, 0] == 700
    for words, bad in (
        ("2-D array", (a[0], a[None], a.astype(complex), a[:1])),
        (r"not 0\.\.65535", (a * 1000, -a)),
        ("whole numbers", (a * np.nan, a / np.inf + np.inf, a / 1023)),
    ):  # fmt: skip
        for array in bad:
            with pytest.raises(ShapeError, match=words):
                opened(array)
    with pytest.raises(LowlightError, match="not above black"):
        opened(a, white=512)


# ---- scores


def test_psnr_and_protocols():
    a = np.full((32, 32, 3), 0.5, np.float32)
    b = a + np.float32(0.1)
    # 8-bit values 128 and 153; 25/255 apart
    assert metrics.score(b, a)[0] == pytest.approx(-20 * np.log10(25 / 255), abs=1e-3)
    assert metrics.score(b, a, "float")[0] == pytest.approx(20, abs=1e-3)
    assert metrics.score(b, a, "truncate")[0] == pytest.approx(-20 * np.log10(26 / 255), abs=1e-3)
    assert metrics.score(a, a)[0] == np.inf
    assert metrics.score(a, a)[1] == pytest.approx(1)
    with pytest.raises(ShapeError):
        metrics.score(a, a[1:])
    with pytest.raises(ShapeError, match="11 pixels"):
        metrics.score(a[:8], a[:8])
    with pytest.raises(OptionError, match="protocol"):
        metrics.score(a, a, "best")


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
    from lowlight_lib import recipes
    from lowlight_lib.training import train

    tiny.make_sid(tmp_path)
    r = recipes.find("redi", "smoke").replace(crop=32, steps=2, levels=(500, 16000))
    done = train.fit(r, tmp_path, tmp_path / "run", progress=False)
    [row] = evaluation.test("redi", sid, tmp_path / "run", done.checkpoint, limit=1, progress=False)
    assert (row["profile"], row["levels"]) == ("smoke", (500, 16000))
    assert row["seconds_train"] == pytest.approx(done.seconds, abs=1)


def test_out_of_memory_says_what_to_do(make_raw):
    def greedy(x):
        raise RuntimeError("[enforce fail] not enough memory: you tried to allocate 9 bytes")

    def broken(x):
        raise RuntimeError("unsupported memory format")

    with pytest.raises(OptionError, match="--tile"):
        restore(make_raw(), with_spec(greedy, "sid"), amplification=1.0)
    with pytest.raises(RuntimeError, match="memory format"):  # a bug stays a bug
        restore(make_raw(), with_spec(broken, "sid"), amplification=1.0)
