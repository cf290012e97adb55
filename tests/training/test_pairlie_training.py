"""PairLIE in use: trained on pairs, tested on LOL by named protocols, applied to any photograph."""

import json

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image
from support import tiny

from lowlight_lib import evaluation, models, recipes
from lowlight_lib.blocks.retinex import pair_loss, recompose
from lowlight_lib.data.photos import LolDataset, PairsDataset
from lowlight_lib.errors import DataError, OptionError, ShapeError
from lowlight_lib.evaluation import metrics, results
from lowlight_lib.evaluation.photos import read_prediction
from lowlight_lib.models import with_spec
from lowlight_lib.restore import restore
from lowlight_lib.sensor.raw import write_dng
from lowlight_lib.training import checkpoint, train

SMOKE = recipes.find("pairlie", "smoke").replace(crop=16, log_every=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tiny.make_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return models.build("pairlie", width=8).eval()


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "pairlie.safetensors"
    checkpoint.save(network, path)
    return path


def split(network, picture):
    """L (H, W, 1), R and X (H, W, 3) of a whole picture (H, W, 3)."""
    with torch.no_grad():
        parts = network(torch.from_numpy(picture).permute(2, 0, 1)[None])
    return [p[0].permute(1, 2, 0).numpy() for p in parts]


# ---- training


@pytest.mark.parametrize("name", ["pairlie", "pairlie_symmetric", "pairlie_fork", "pairlie_short"])
def test_the_loss_of_the_loop_is_that_of_two_exposures(root, tmp_path, name):
    r = SMOKE.replace(loss=name, steps=1)
    train.fit(r, root, tmp_path, progress=False)
    torch.manual_seed(r.seed)
    model = models.build("pairlie", **r.options)
    batch = PairsDataset(root).batch(0, seed=r.seed, size=2, crop=16, flips=(0, 0))
    x, y = map(torch.from_numpy, batch)
    weights = {"pairlie_fork": (0.5, 1, 5), "pairlie_short": (4, 1, 500)}.get(name, (1, 1, 500))
    wanted = pair_loss(x, y, model(x), model(y), weights, symmetric="symm" in name)
    [entry] = train.read_metrics(tmp_path)
    assert entry["loss"] == pytest.approx(wanted.item(), rel=1e-5)


def test_a_short_training_brightens_other_scenes(root, tmp_path):
    r = SMOKE.replace(steps=150, lr=3e-3, log_every=10, checkpoint_every=100)
    done = train.fit(r, root, tmp_path, progress=False)
    [row] = evaluation.test("pairlie", root, tmp_path, done.checkpoint, progress=False)
    assert row["psnr"] > row["baseline_psnr"] + 3
    assert (row["dataset"], row["split"], row["profile"], row["images"]) == (
        "lol", "test", "smoke", 2,
    )  # fmt: skip
    assert row["seconds_train"] > 0 and row["amplification"] is None
    again = train.fit(r, root, tmp_path, progress=False)
    assert again.seconds == pytest.approx(done.seconds, abs=1)


def test_what_does_not_go_together_is_refused(root, tmp_path):
    for key, changes, words in (
        ("pairlie", {"loss": "l1"}, "'l1' does not go with 'pairs'"),
        ("redi", {"loss": "pairlie"}, "'pairlie' does not go with 'sid'"),
        ("pairlie", {"dataset": "sid"}, "no data set for pairlie.*pairs or lol"),
        ("redi", {"dataset": "lol"}, "no data set for redi.*sid"),
        ("redi", {"dataset": "LOL"}, "unknown dataset 'LOL'"),
    ):
        r = recipes.find(key, "smoke").replace(**changes)
        with pytest.raises(OptionError, match=words):
            train.fit(r, root, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    train.fit(SMOKE.replace(dataset="lol", steps=1), root, tmp_path / "lol", progress=False)


# ---- scores


def by_hand(prediction, target, truncated):
    """PSNR of float pictures, without any of our code."""
    a = prediction.astype(np.float64) * 255
    a = np.floor(a) if truncated == "truncate" else np.rint(a) if truncated == "round" else a
    return -10 * np.log10(np.mean((a / 255 - target.astype(np.float64)) ** 2))


def test_protocols_have_their_gamma_and_rounding(root, network, tmp_path):
    data = LolDataset(root)
    L, R, _ = split(network, data.input(0))
    rows = {}
    for name, gamma, rounding in (
        ("default", 0.2, "round"), ("pairlie_released", 0.14, "truncate"),
        ("pairlie_vendor", 0.2, "none"),
    ):  # fmt: skip
        options = {"network": network, "protocol": name, "limit": 1, "progress": False}
        [row] = evaluation.test("pairlie", root, tmp_path, **options)
        wanted = [
            by_hand(p, data.target(0), rounding) for p in (recompose(L, R, gamma), data.input(0))
        ]
        got = [row["psnr"], row["baseline_psnr"]]
        assert got == pytest.approx(wanted, abs=2e-3)  # a pixel more or less at a rounding edge
        assert row["gamma"] == gamma and row["protocol"] == name
        rows[name] = row
        text = metrics.PROTOCOLS[name].text
        assert name == "default" or f"gamma {gamma}" in text
        assert "11x11" in text and ("8 bits" in text or "no rounding" in text)
    assert len({r["psnr"] for r in rows.values()}) == 3
    [row] = evaluation.test("pairlie", root, tmp_path, network=network, gamma=0.5, progress=False)
    assert row["gamma"] == 0.5 and row["psnr"] < rows["default"]["psnr"]
    assert len(results.read_rows(tmp_path / "results.json")) == 4
    for wrong in ({"protocol": "raw_video"}, {"gamma": -1}, {"gamma": float("nan")},
                  {"amplification": 100}, {"seams": "blended"}, {"dataset": "pairs"}):  # fmt: skip
        with pytest.raises(OptionError):
            evaluation.test("pairlie", root, tmp_path, network=network, progress=False, **wrong)


def test_light_paint_and_noise_are_written_as_released(root, network, tmp_path):
    options = {"network": network, "protocol": "pairlie_released", "progress": False}
    evaluation.test("pairlie", root, tmp_path, save_path=tmp_path / "seen", **options)
    low = LolDataset(root).input(0)
    L, R, X = split(network, low)
    wanted = {"I": recompose(L, R, 0.14), "L": L[..., 0], "R": R, "D": low - X}
    assert (low - X).min() < -0.02  # D has something below 0
    for view, values in wanted.items():
        pixels = iio.imread(tmp_path / "seen" / view / "101.png")
        assert pixels.dtype == np.uint8 and pixels.shape == values.shape
        seen = pixels.astype(np.int8) if view == "D" else pixels.astype(int)
        difference = np.abs(seen - np.trunc(255 * values.astype(np.float64)))
        assert difference.max() <= 1 and difference.mean() < 1e-2  # tiles: another last digit
    names = {p.name for p in (tmp_path / "seen").glob("*.png")}
    assert names == {f"{n}_{v}.png" for n in (101, 102) for v in ("input", "result", "target")}


def test_pictures_made_elsewhere(root, network, weights, tmp_path, lowlight):
    [ours] = evaluation.test("pairlie", root, tmp_path / "ours", weights, progress=False)
    made = tmp_path / "made"
    made.mkdir()
    for scene in LolDataset(root).pairs:
        L, R, _ = split(network, LolDataset(root).picture(scene.files[0]))
        planes = [np.moveaxis(a, -1, 0)[None] for a in (L, R)]
        if scene.name == "101":  # as vendors' tools write it
            np.savez(made / "101.npz", output_0=planes[0], output_1=planes[1].astype(np.float16))
        else:
            np.savez(made / "102.npz", picture=recompose(L, R, 0.2))
    (made / "notes.txt").write_text("nothing")
    run = tmp_path / "run"
    words = ("test", "pairlie", "--predictions", made, "--data", root)
    code, out, err = lowlight(*words, "--run", run, "--out", run / "scores.json")
    assert code == 0, err
    [row] = json.loads((run / "scores.json").read_text())
    assert row["psnr"] == pytest.approx(ours["psnr"], abs=0.01) and f"{row['psnr']:.2f}" in out
    assert row["baseline_psnr"] == ours["baseline_psnr"] and row["predictions"] == "made"
    pngs = tmp_path / "ours/pictures/I"  # our own, rounded down
    code, out, err = lowlight(*words[:3], pngs, *words[4:], "--run", run, "--protocol", "float")
    assert code == 0 and len(results.read_rows(run / "results.json")) == 2, err
    code, _, err = lowlight(*words, "--run", run, "--checkpoint", weights)
    assert code == 1 and "no weights with them" in err
    assert lowlight("test", "pairlie", "--data", root)[0] == 1
    tiny.write_photo(made / "102.png", tiny.picture(0, (40, 48)))
    assert "is there as 102.png too" in lowlight(*words, "--run", run)[2]
    (made / "102.npz").unlink()
    tiny.write_photo(made / "102.png", tiny.picture(0, (40, 50)))
    code, _, err = lowlight(*words, "--run", run)
    assert code == 1 and "102.png" in err and "(1, 3, 40, 50)" in err
    (made / "102.png").unlink()
    assert "no picture called 102" in lowlight(*words, "--run", run)[2]
    assert "is no folder" in lowlight(*words[:3], made / "no", *words[4:], "--run", run)[2]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "holds nothing"),
        ({"a": np.zeros((4, 4, 3)), "b": np.zeros((4, 4, 3))}, "holds a .* b"),
        ({"L": np.zeros((1, 4, 4)), "R": np.zeros((3, 4, 5))}, "holds L .* R"),
        ({"a": np.full((4, 4, 3), 200.0)}, "200, not 0 to 1"),
        ({"a": np.full((4, 4, 3), np.nan)}, "nan"),
        ({"a": np.zeros((4, 4, 3), np.int64)}, "int64"),
        ({"a": np.zeros((4, 4))}, "not a picture of 3"),
        ({"a": np.array([{}], object)}, "cannot be read as npz"),
        (None, "cannot be read as npz"),
    ],
)
def test_a_prediction_that_is_none(tmp_path, arrays, words):
    path = tmp_path / "a.npz"
    path.write_bytes(b"PK\x03\x04 broken") if arrays is None else np.savez(path, **arrays)
    with pytest.raises(DataError, match=words) as caught:
        read_prediction(path)
    assert caught.value.file == path


def test_eight_bits_of_a_prediction_are_255_steps(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.full((3, 5, 4), 51, np.uint8))
    picture = read_prediction(tmp_path / "a.npz")
    assert picture.shape == (5, 4, 3) and picture.dtype == np.float32
    np.testing.assert_allclose(picture, 0.2, rtol=1e-6)


# ---- photographs


def test_a_photograph_comes_back_brighter_whatever_the_tile(network, tmp_path):
    dark = (0.2 * tiny.picture(1, (61, 47))).astype(np.float32)
    L, R, _ = split(network, dark)
    for gamma in (0.2, 0, 1.5):
        done = restore(dark, network, gamma=gamma)
        np.testing.assert_allclose(done.image, recompose(L, R, gamma), atol=1e-6)
        assert done.amplification == 1 and set(done.seconds) == {"read", "network", "picture"}
    whole = restore(dark, network).image
    for tile in (1, 16, 33):
        tiled = restore(dark[:30, :20], network, tile=tile).image
        alone = restore(dark[:30, :20], network, tile=99).image
        np.testing.assert_allclose(tiled, alone, atol=1e-6)  # other kernels, same sums
    assert whole.mean() > dark.mean()
    parts = restore(dark, with_spec(lambda x: network(x)[:2], "pairlie")).image  # L and R alone
    np.testing.assert_array_equal(parts, whole)
    brighter = with_spec(lambda x: 2 * x, "pairlie")  # a network that ends in a picture
    picture = restore(dark, brighter).image
    np.testing.assert_allclose(picture, 2 * dark, atol=1e-6)


@pytest.mark.parametrize("kind", ["turned", "grey", "alpha", "16 bits", "jpg"])
def test_odd_photographs(network, weights, tmp_path, lowlight, kind):
    pixels = np.rint(60 * tiny.picture(2, (21, 34))).astype(np.uint8)
    path, wanted = tmp_path / "a.png", pixels / np.float32(255)
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(pixels).save(path, exif=exif)
        wanted = np.rot90(wanted, -1)
    elif kind == "grey":
        Image.fromarray(pixels[..., 0]).save(path)
        wanted = wanted[..., [0, 0, 0]]
    elif kind == "alpha":
        Image.fromarray(np.dstack([pixels, pixels[..., :1]])).save(path)
    elif kind == "16 bits":
        path = tmp_path / "a.tiff"
        iio.imwrite(path, pixels.astype(np.uint16) * 257 + 3)
        wanted = (pixels.astype(np.uint16) * 257 + 3) / np.float32(65535)
    else:
        path = tmp_path / "a.jpg"
        Image.fromarray(pixels).save(path, quality=95)
        wanted = iio.imread(path) / np.float32(255)
    wanted = np.ascontiguousarray(wanted, np.float32)
    L, R, _ = split(network, wanted)
    words = ("restore", path, "-o", tmp_path / "out", "--model", "pairlie")
    words += ("--checkpoint", weights, "--gamma", 0.3, "--format", "tiff", "--tile", 20)
    code, out, err = lowlight(*words)
    assert code == 0 and ("21x34" if kind == "turned" else "34x21") in out, err
    seen = iio.imread(tmp_path / "out/a_pairlie.tiff") / 65535
    np.testing.assert_allclose(seen, recompose(L, R, 0.3), atol=2e-5)  # 16 bits and float32


def test_what_is_no_dark_photograph(network, weights, tmp_path, lowlight):
    good, empty = tmp_path / "good.png", tmp_path / "empty.jpg"
    tiny.write_photo(good, tiny.picture(0, (20, 22)), 0.2)
    empty.touch()
    write_dng(tmp_path / "a.dng", tiny.raw_of(np.full((32, 32), 600, np.uint16)))
    (tmp_path / "text.png").write_text("no picture")
    words = ("--model", "pairlie", "--checkpoint", weights, "-o", tmp_path / "out")
    files = [empty, tmp_path / "a.dng", tmp_path / "text.png", tmp_path / "none.png", good]
    code, _, err = lowlight("restore", *files, *words)
    assert code == 1 and "4 of 5 files failed, the others are done" in err
    for said in ("empty.jpg: is empty", "a.dng: is not called a picture", "takes raw",
                 "text.png: cannot be read", "none.png: does not exist"):  # fmt: skip
        assert said in err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good_pairlie.png"]
    assert "exists already" in lowlight("restore", good, *words)[2]
    for more, said in (
        (("--m", 5), "not amplified"), (("--amplification", 100), "not amplified"),
        (("--gamma", -1), "from 0 up"), (("--tile", 0), "at least 1"),
    ):  # fmt: skip
        code, _, err = lowlight("restore", good, *words, *more, "--force")
        assert code == 1 and said in err
    raw = tiny.raw_of(np.full((20, 22), 600, np.uint16))
    for image, error in ((raw, OptionError), (np.zeros((4, 4), np.uint8), ShapeError),
                         (np.full((4, 4, 3), 2.0), ShapeError)):  # fmt: skip
        with pytest.raises(error):
            restore(image, network)
    with pytest.raises(OptionError, match="not amplified"):
        restore(good, network, amplification=100)


def test_a_raw_system_says_where_photographs_go(tmp_path, lowlight):
    tiny.write_photo(tmp_path / "a.png", tiny.picture(0, (20, 22)))
    checkpoint.save(models.build("redi"), tmp_path / "redi.safetensors")
    words = ("restore", tmp_path / "a.png", "-o", tmp_path, "--checkpoint")
    code, _, err = lowlight(*words, tmp_path / "redi.safetensors")
    assert code == 1 and "goes to pairlie" in err
    code, _, err = lowlight(*words, tmp_path / "redi.safetensors", "--gamma", 0.2)
    assert code == 1 and "--gamma is for photographs" in err


def test_the_command_line_trains_and_counts(root, tmp_path, lowlight):
    words = ("train", "pairlie", "--data", root, "--run", tmp_path, "--profile", "smoke")
    code, out, err = lowlight(*words, "--set", "loss=pairlie_symmetric", "--set", "crop=16")
    assert code == 0 and "12 steps" in out, err
    weights = tmp_path / "weights.safetensors"
    code, out, err = lowlight("test", "pairlie", "--checkpoint", weights, "--data", root,
                              "--protocol", "pairlie_released", "--gamma", 0.3)  # fmt: skip
    assert code == 0 and "pairlie, 2 images: " in out, err
    [row] = results.read_rows(tmp_path / "results.json")
    assert (row["gamma"], row["protocol"]) == (0.3, "pairlie_released")
    code, out, _ = lowlight("cost", "pairlie", "--shape", 1, 3, 400, 600, "--count", "--json")
    assert json.loads(out)["macs"] == pytest.approx(81.84e9, rel=1e-4)
    assert "3 channels" in lowlight("cost", "pairlie", "--shape", 1, 1, 64, 64)[2]
