"""A system from outside the package: what a student writes, and all that then works with it."""

import json

import imageio.v3 as iio
import numpy as np
import pytest
from support import tiny
from support.networks import known
from torch import nn
from torch.nn import functional as F

from lowlight_lib import models, recipes
from lowlight_lib.blocks.padding import run_padded
from lowlight_lib.errors import OptionError
from lowlight_lib.models import Card, Spec, Task
from lowlight_lib.recipes import Recipe
from lowlight_lib.training import checkpoint, state, train


class MyNet(nn.Module):
    """Two convolutions on the packed mosaic, with names that older files of ours used too."""

    def __init__(self, width=8):
        super().__init__()
        self.enter = nn.Conv2d(4, width, 3, padding=1)
        self.leave = nn.Conv2d(width, 12, 3, padding=1)

    def forward(self, mosaic):
        return run_padded(self._restore, mosaic, 2)

    def _restore(self, mosaic):
        features = F.relu(self.enter(F.pixel_unshuffle(mosaic, 2)))
        return F.pixel_shuffle(self.leave(features), 2)


CARD = Card(
    key="mynet",
    spec=Spec("mynet", Task.RAW_STILL, channels=1, multiple=2, halo=4),
    paper="A student, 2026",
    year=2026,
    title="Two Convolutions in the Dark",
    network=MyNet,
    params=1172,
    effective_params=1172,
    licence="MIT",
)
RECIPES = (
    Recipe("mynet", "smoke", "l1", steps=12, batch=2, crop=32, lr=1e-2, options={"width": 6},
           checkpoint_every=5, log_every=1, source="a student"),
    Recipe("mynet", "course", "l1_ssim", steps=300, batch=4, crop=64, lr=1e-3, source="a student"),
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def added():
    """The system is known in this file, and nowhere else."""
    with known(CARD, trained_by=RECIPES):
        yield
    assert "mynet" not in models.SYSTEMS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tiny.make_sid(root)
    tiny.make_sid(root, split="test", first=11, scenes=2)
    return root


@pytest.fixture(scope="module")
def weights(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    return train.fit(recipes.find("mynet", "smoke"), data, run, progress=False).checkpoint


def test_its_names_are_found():
    assert models.SYSTEMS["mynet"] is CARD and "mynet" in models.of_task(Task.RAW_STILL)
    assert [recipes.find("mynet", r.profile) for r in RECIPES] == [*RECIPES]
    with pytest.raises(OptionError, match=r"unknown profile 'paper'.*smoke, course"):
        recipes.find("mynet", "paper")
    with pytest.raises(OptionError, match=r"use one of sid, .*pairlie, mynet"):
        models.build("yournet")


def test_it_is_trained_and_goes_on(data, weights, tmp_path, lowlight):
    words = ("train", "mynet", "--profile", "smoke", "--data", data, "--run-dir", tmp_path)
    for steps in (5, 12):
        changed = ("--steps", steps)
        if steps == 12:  # as after a kill at step 5
            config = tmp_path / "config.json"
            config.write_text(json.dumps(json.loads(config.read_text()) | {"steps": 12}))
        code, out, err = lowlight(*words, *changed)
        assert code == 0 and f"{steps} steps" in out, err
    assert (tmp_path / state.WEIGHTS).read_bytes() == weights.read_bytes()
    history = [entry["loss"] for entry in train.read_metrics(tmp_path)]
    assert len(history) == 12 and history[-1] < history[0]


def test_its_weights_come_back(weights):
    back = checkpoint.load("mynet", weights)
    assert back.enter.out_channels == 6 and back.spec.trained_on == tiny.CAMERA.model
    assert back.spec == CARD.spec.replace(
        options={"width": 6}, trained_on=back.spec.trained_on, white_balance=back.spec.white_balance
    )


def test_it_is_scored(data, weights, tmp_path, lowlight):
    words = ("test", "mynet", "--checkpoint", weights, "--data", data, "--run-dir", tmp_path)
    code, out, err = lowlight(*words)
    assert code == 0 and "mynet, 2 images: " in out, err
    [row] = json.loads((tmp_path / "results.json").read_text())
    assert (row["model"], row["profile"], row["images"]) == ("mynet", "smoke", 2)
    assert np.isfinite([row["psnr"], row["baseline_psnr"]]).all()


@pytest.mark.parametrize("more", [(), ("--tile", 32)], ids=["whole", "tiles"])
def test_it_restores_a_file(data, weights, tmp_path, lowlight, more):
    source = next((data / "SID/Sony/short").glob("*.dng"))
    words = ("restore", source, "-o", tmp_path, "--model", "mynet", "--checkpoint", weights)
    code, _, err = lowlight(*words, *more)
    assert code == 0, err
    [picture] = tmp_path.glob("*_mynet.png")
    assert iio.imread(picture).shape == (80, 96, 3)


def test_it_is_exported(weights, tmp_path, lowlight):
    pytest.importorskip("onnxscript", reason="needs the extra 'deploy'")
    words = ("export", "mynet", "--checkpoint", weights, "-o", tmp_path)
    code, _, err = lowlight(*words)
    assert code == 0 and (tmp_path / "mynet-float32.onnx").exists(), err


def test_it_is_counted(lowlight):
    code, out, err = lowlight("cost", "mynet", "--shape", 1, 1, 64, 64, "--count", "--json")
    assert code == 0, err
    assert json.loads(out)["macs"] == 32 * 32 * 9 * (4 * 8 + 8 * 12)
