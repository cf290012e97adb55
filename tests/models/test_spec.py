"""What a network is, said once: specs, cards, and the systems by name."""

import dataclasses

import pytest
import torch

from lowlight_lib import models
from lowlight_lib.errors import OptionError
from lowlight_lib.models import Spec, Task

SPEC = Spec(
    "sid", Task.RAW_STILL, 1, 48, 288, "X-Trans", True, "A camera", (2.0, 1.0, 1.5), {"cfa": "x"}
)


def test_a_spec_survives_as_text():
    assert Spec.from_json(SPEC.to_json()) == SPEC
    assert Spec.from_json(SPEC.to_json()[:-1] + ', "of a later version": 1}') == SPEC
    assert SPEC.cell == 6 and SPEC.replace(cfa="Bayer").cell is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"key": "sid", "task": "SOUND"}', "3"])
def test_what_is_no_spec_is_refused(text):
    with pytest.raises(OptionError, match="no description of a network"):
        Spec.from_json(text)


def test_specs_and_cards_are_frozen():
    for what, name in ((SPEC, "halo"), (models.SYSTEMS["redi"], "params")):
        with pytest.raises(dataclasses.FrozenInstanceError, match=name):
            setattr(what, name, 1)


def test_unknown_names_and_options_are_refused():
    with pytest.raises(OptionError, match=r"unknown model 'unet'.*sid, llpacknet, redi, brve"):
        models.build("unet")
    with pytest.raises(OptionError, match="unknown model 'SID'"):
        models.SYSTEMS["SID"]
    for key in models.SYSTEMS:
        with pytest.raises(OptionError, match=f"{key} does not take.*depth"):
            models.build(key, depth=3)


def test_a_key_belongs_to_one_card():
    card = models.SYSTEMS["redi"]
    models.add(card)  # the same one again changes nothing
    with pytest.raises(OptionError, match="there is a model 'redi' already"):
        models.add(dataclasses.replace(card, year=2000))
    assert models.SYSTEMS["redi"] is card


def test_every_system_has_one_task():
    by_task = {task: models.of_task(task) for task in Task}
    assert all(models.SYSTEMS[key].spec.task is t for t, keys in by_task.items() for key in keys)
    assert sorted(key for keys in by_task.values() for key in keys) == sorted(models.SYSTEMS)


def test_any_callable_can_have_a_spec():
    double = models.with_spec(lambda x: 2 * x, "pairlie")
    assert models.spec_of(double) == models.SYSTEMS["pairlie"].spec
    assert double(torch.ones(1)).item() == 2
    assert models.with_spec(double, "sid") is double  # it has one already
    assert models.with_spec(abs, SPEC).spec is SPEC
    with pytest.raises(OptionError, match="does not say how it is fed"):
        models.spec_of(abs)
