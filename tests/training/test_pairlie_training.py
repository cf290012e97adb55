"""PairLIE trained on pairs of exposures."""

import json

import pytest
import torch
from support import tiny

from lowlight_lib import evaluation, models, recipes
from lowlight_lib.blocks.retinex import pair_loss
from lowlight_lib.data.photos import PairsDataset
from lowlight_lib.errors import OptionError
from lowlight_lib.evaluation import results
from lowlight_lib.training import train

SMOKE = recipes.find("pairlie", "smoke").replace(crop=16, log_every=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tiny.make_photos(tmp_path_factory.mktemp("photos"))


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


def test_the_command_line_trains_and_counts(root, tmp_path, lowlight):
    words = ("train", "pairlie", "--data", root, "--run-dir", tmp_path, "--profile", "smoke")
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
    assert "channels: 3" in lowlight("cost", "pairlie", "--shape", 1, 1, 64, 64)[2]
