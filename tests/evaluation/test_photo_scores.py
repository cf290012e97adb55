"""PairLIE on LOL: scores by named protocols, pictures as released, pictures made elsewhere."""

import json

import imageio.v3 as iio
import numpy as np
import pytest
from support import tiny
from support.pairlie import network, split
from support.system import script

from lowlight_lib import evaluation
from lowlight_lib.blocks.retinex import recompose
from lowlight_lib.data.photos import LolDataset
from lowlight_lib.errors import DataError, OptionError
from lowlight_lib.evaluation import metrics, results
from lowlight_lib.evaluation.photos import read_prediction
from lowlight_lib.training import checkpoint


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tiny.make_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "pairlie.safetensors"
    checkpoint.save(network(), path)
    return path


def by_hand(prediction, target, truncated):
    """PSNR of float pictures, without any of our code."""
    a = prediction.astype(np.float64) * 255
    a = np.floor(a) if truncated == "truncate" else np.rint(a) if truncated == "round" else a
    return -10 * np.log10(np.mean((a / 255 - target.astype(np.float64)) ** 2))


def test_protocols_have_their_gamma_and_rounding(root, tmp_path):
    data = LolDataset(root)
    L, R, _ = split(data.input(0))
    rows = {}
    for name, gamma, rounding in (
        ("default", 0.2, "round"), ("pairlie_released", 0.14, "truncate"),
        ("pairlie_vendor", 0.2, "none"),
    ):  # fmt: skip
        options = {"network": network(), "protocol": name, "limit": 1, "progress": False}
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
    [row] = evaluation.test("pairlie", root, tmp_path, network=network(), gamma=0.5, progress=False)
    assert row["gamma"] == 0.5 and row["psnr"] < rows["default"]["psnr"]
    assert len(results.read_rows(tmp_path / "results.json")) == 4
    for wrong, words in (
        ({"protocol": "raw_video"}, "no protocol 'raw_video' for sRGB still"),
        ({"gamma": -1}, "from 0 up"), ({"gamma": float("nan")}, "from 0 up"),
        ({"amplification": 100}, "not amplified"), ({"dataset": "pairs"}, "test on LOL"),
        ({"seams": "blended"}, "seams: not for lol"), ({"m": 5.0}, "m: not for lol"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=words):
            evaluation.test("pairlie", root, tmp_path, network=network(), progress=False, **wrong)


def test_light_paint_and_noise_are_written_as_released(root, tmp_path):
    options = {"network": network(), "protocol": "pairlie_released", "progress": False}
    evaluation.test("pairlie", root, tmp_path, save_path=tmp_path / "seen", **options)
    low = LolDataset(root).input(0)
    L, R, X = split(low)
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


def test_pictures_made_elsewhere(root, weights, tmp_path, lowlight):
    [ours] = evaluation.test("pairlie", root, tmp_path / "ours", weights, progress=False)
    made = tmp_path / "made"
    made.mkdir()
    for scene in LolDataset(root).pairs:
        L, R, _ = split(LolDataset(root).picture(scene.files[0]))
        planes = [np.moveaxis(a, -1, 0)[None] for a in (L, R)]
        if scene.name == "101":  # as vendors' tools write it
            np.savez(made / "101.npz", output_0=planes[0], output_1=planes[1].astype(np.float16))
        else:
            np.savez(made / "102.npz", picture=recompose(L, R, 0.2))
    (made / "notes.txt").write_text("nothing")
    run = tmp_path / "run"
    words = ("test", "pairlie", "--predictions", made, "--data", root)
    code, out, err = lowlight(*words, "--run-dir", run, "--out", run / "scores.json")
    assert code == 0, err
    [row] = json.loads((run / "scores.json").read_text())
    assert row["psnr"] == pytest.approx(ours["psnr"], abs=0.01) and f"{row['psnr']:.2f}" in out
    assert row["baseline_psnr"] == ours["baseline_psnr"] and row["predictions"] == "made"
    pngs = tmp_path / "ours/pictures/I"  # our own, rounded down
    code, out, err = lowlight(*words[:3], pngs, *words[4:], "--run-dir", run, "--protocol", "float")
    assert code == 0 and len(results.read_rows(run / "results.json")) == 2, err
    code, _, err = lowlight(*words, "--run-dir", run, "--checkpoint", weights)
    assert code == 1 and "no weights with them" in err
    assert lowlight("test", "pairlie", "--data", root)[0] == 1
    tiny.write_photo(made / "102.png", tiny.picture(0, (40, 48)))
    assert "is there as 102.png too" in lowlight(*words, "--run-dir", run)[2]
    (made / "102.npz").unlink()
    tiny.write_photo(made / "102.png", tiny.picture(0, (40, 50)))
    code, _, err = lowlight(*words, "--run-dir", run)
    assert code == 1 and "102.png" in err and "(1, 3, 40, 50)" in err
    (made / "102.png").unlink()
    assert "no picture called 102" in lowlight(*words, "--run-dir", run)[2]
    assert "is no folder" in lowlight(*words[:3], made / "no", *words[4:], "--run-dir", run)[2]


def test_pictures_go_out_as_npz_and_come_back_in_their_order(root, weights, tmp_path, lowlight):
    """The way of accelerators: names of their own, the first for the first."""
    low, made = root / "LOL/eval15/low", tmp_path / "made"
    script("pictures_to_npz").main([str(low), str(made), "--list", str(tmp_path / "list.txt")])
    assert (tmp_path / "list.txt").read_text().split() == [f"{made}/{n}.npz" for n in (101, 102)]
    with np.load(made / "101.npz") as file:
        assert file.files == ["input_0"] and file["input_0"].dtype == np.uint8
        assert np.array_equal(file["input_0"].transpose(1, 2, 0), iio.imread(low / "101.png"))
    (made / "102.npz").rename(made / "output_10.npz")  # after 9, as numbers
    (made / "101.npz").rename(made / "output_9.npz")
    words = ("test", "pairlie", "--predictions", made, "--data", root, "--run-dir", tmp_path)
    code, _, err = lowlight(*words, "--by-order", "--protocol", "float")
    assert code == 0, err
    [row] = results.read_rows(tmp_path / "results.json")
    assert row["by_order"] and row["psnr"] == pytest.approx(row["baseline_psnr"])
    assert "no picture called 101, 102" in lowlight(*words)[2]
    (made / "output_10.npz").unlink()
    assert (
        "for predictions" in lowlight("test", "pairlie", "--checkpoint", weights, "--by-order")[2]
    )
    assert "holds 1 pictures, not 2" in lowlight(*words, "--by-order", "--limit", 1)[2]
    with pytest.raises(DataError, match="holds no picture"):
        script("pictures_to_npz").main([str(tmp_path / "no"), str(made)])
    (low / "101.jpg").write_bytes((low / "101.png").read_bytes())
    with pytest.raises(DataError, match="another suffix"):
        script("pictures_to_npz").main([str(low), str(made)])
    (low / "101.jpg").unlink()


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
