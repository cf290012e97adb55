"""Weights that are shipped: small, with a card, and used where nobody names others."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from lowlight_lib import models, weights
from lowlight_lib.errors import OptionError
from lowlight_lib.io.downloads import human

FOLDER = Path(weights.__file__).parent
SHIPPED = weights.shipped()
MOST_BYTES = 12 * 2**20


def test_they_are_small_and_each_has_a_card():
    files = sorted(FOLDER.glob("*.safetensors"))
    assert [f.stem for f in files] == sorted(SHIPPED) and SHIPPED
    assert sum(f.stat().st_size for f in files) <= MOST_BYTES, human(MOST_BYTES)
    assert {f.stem for f in FOLDER.glob("*.json")} == set(SHIPPED)


@pytest.mark.parametrize("key", SHIPPED)
def test_a_card_says_what_they_are(key):
    card = weights.card(key)
    assert card["key"] == key and card["steps"] > 0 and card["hours"] > 0
    assert card["recipe"]["profile"] == "release" and isinstance(card["recipe"]["seed"], int)
    assert re.fullmatch("[0-9a-f]{40}", card["commit"])
    assert len(card["photographs"]) >= 30
    for photo in card["photographs"]:
        assert photo["file"] and photo["licence"] and re.fullmatch("[0-9a-f]{64}", photo["sha256"])
    scores = card["scores"]
    assert scores["scenes"] >= 10 and np.isfinite([scores["psnr"], scores["rival_psnr"]]).all()
    assert card["limits"]


@pytest.mark.parametrize("key", SHIPPED)
def test_they_load_and_give_pictures(key):
    network = weights.load(key)
    assert network.spec.key == key and not network.training
    x = torch.rand(1, network.spec.channels, 33, 47) / 2
    with torch.inference_mode():
        out = network(x[None] if network.spec.task is models.Task.RAW_VIDEO else x)
    for y in out if isinstance(out, tuple) else (out,):
        assert y.isfinite().all()


def test_where_there_are_none_the_way_to_some_is_told():
    lacking = next(key for key in models.SYSTEMS if key not in SHIPPED)
    with pytest.raises(OptionError, match=f"no weights of {lacking} are shipped") as e:
        weights.load(lacking)
    assert "get_weights.py" in e.value.todo
    with pytest.raises(OptionError, match="unet"):
        weights.path("unet")
