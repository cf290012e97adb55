"""What a run of the course refuses, plans and keeps; nothing is executed here."""

import json
import os
import random
import threading
from pathlib import Path

import papermill
import pytest
from support.notebook_files import NOTEBOOKS, write_notebook

from lowlight_lib import models
from lowlight_lib.course import report, run, scoreboard
from lowlight_lib.course.plan import plan, typed
from lowlight_lib.data import mini
from lowlight_lib.errors import DataError, OptionError, OutputError


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """A course whose notebooks are not executed: `calls` lists what would have run."""
    write_notebook(tmp_path / "notebooks" / "00_first.ipynb", parameters="profile: str = 'x'")
    write_notebook(tmp_path / "notebooks" / "11_train_test_stills.ipynb")
    write_notebook(tmp_path / "notebooks" / "12_video.ipynb", parameters="kind: str = 'brve'")
    (tmp_path / "data").mkdir()
    monkeypatch.delenv("LOWLIGHT_DATA", raising=False)
    calls = []

    def execute(source, target, **options):
        calls.append((Path(target).stem, options["parameters"]))

    monkeypatch.setattr(papermill, "execute_notebook", execute)

    def course(**options):
        defaults = {"data_root": tmp_path / "data", "notebooks_dir": tmp_path / "notebooks"}
        return run.run_course(**({"out": tmp_path / "runs" / "latest"} | defaults | options))

    course.calls, course.out, course.top = calls, tmp_path / "runs" / "latest", tmp_path
    return course


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"parameters": {"stepz": "3"}}, "choose from .*steps"),
        ({"parameters": {"steps": "3"}, "only": "12"}, "no selected notebook has a .* 'steps'"),
        ({"parameters": {"profile": "smoke"}}, "--profile"),
        ({"parameters": {"model": "unet"}}, "choose sid or llpacknet or redi"),
        ({"only": "13"}, "there is no notebook '13'"),
        ({"only": "11,11_train"}, "there is no notebook '11_train'"),
        ({"profile": "quick"}, "choose smoke or course or paper"),
        ({"data_root": "no/such/folder"}, "data folder is not there"),
        ({"notebooks_dir": "no/such/folder"}, "no notebooks"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_runs(quick, options, says):
    with pytest.raises(OptionError, match=says) as error:
        quick(**options)
    assert error.value.todo and not quick.calls and not quick.out.exists()


def test_a_folder_that_is_no_run_is_not_touched(quick):
    quick.out.mkdir(parents=True)
    (quick.out / "thesis.txt").write_text("precious")
    with pytest.raises(OptionError, match="not the folder of an earlier run"):
        quick()
    assert [p.name for p in quick.out.iterdir()] == ["thesis.txt"] and not quick.calls


@pytest.mark.parametrize("profile", ["smoke", "course"])
def test_in_smoke_each_core_runs_a_notebook_and_the_last_wait_for_all(quick, monkeypatch, profile):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    both, events = threading.Barrier(2), []

    def execute(source, target, **options):
        events.append(Path(target).stem)
        if profile == "smoke" and events[-1] != "12_video":
            both.wait(60)  # of two that run at the same time
        events.append("end")

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    assert quick(profile=profile) == 0
    assert len(events) == 10 and events[-2:] == ["12_video", "end"]
    assert profile == "smoke" or events[1::2] == ["end"] * 5


def test_two_runs_never_share_a_folder(quick):
    assert quick(only="00") == 0
    state = json.loads((quick.out / "state.json").read_text())
    (quick.out / "state.json").write_text(json.dumps(state | {"status": "running"}))
    with pytest.raises(OptionError, match="another run is at work"):
        quick(only="00")
    gone = state | {"status": "running", "process": [os.getpid(), 1.0]}  # an id used again
    (quick.out / "state.json").write_text(json.dumps(gone))
    assert quick(only="00") == 0


def test_which_runs_there_are(quick):
    quick(only="12, 11_train_test_stills,0")
    assert [name for name, _ in quick.calls] == [
        "00_first",
        "11_train_test_stills_sid",
        "11_train_test_stills_llpacknet",
        "11_train_test_stills_redi",
        "12_video",
    ]
    assert quick.calls[0][1] == {"profile": "course"} and quick.calls[4][1] == {}
    quick.calls.clear()
    quick(parameters={"model": "redi", "kind": "9"})
    assert [name for name, _ in quick.calls][1:] == ["11_train_test_stills_redi", "12_video"]
    assert quick.calls[-1][1] == {"kind": "9"}  # as the notebook says


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("int", "5", 5), ("int", 5, 5), ("int", "-1", -1), ("float", "1e-4", 1e-4),
        ("float", "7", 7.0), ("bool", "True", True), ("bool", "false", False), ("bool", True, True),
        ("str", "007", "007"), ("str", "x=y", "x=y"), ("str", "", ""), ("list", "[1]", "[1]"),
        ("None", (1, 2), (1, 2)),
    ],
)  # fmt: skip
def test_parameters_are_of_the_type_that_the_notebook_gives_them(kind, value, wanted):
    got = typed("x", value, kind)
    assert got == wanted and type(got) is type(wanted)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", "abc"), ("int", "1.5"), ("int", ""), ("int", "True"), ("int", "9" * 5000),
        ("float", "x"), ("float", "nan"), ("float", "-inf"), ("float", "1e999"), ("bool", "1"),
        ("bool", ""), ("bool", None),
    ],
)  # fmt: skip
def test_other_values_are_refused_before_anything_runs(quick, kind, value):
    write_notebook(quick.top / "notebooks" / "05_x.ipynb", parameters=f"x: {kind} = 0")
    with pytest.raises(OptionError, match=f"x is .*of type {kind}"):
        quick(parameters={"x": value})
    assert not quick.calls and not quick.out.exists()


def test_without_data_the_mini_sets_are_made_beside_the_notebooks(quick, monkeypatch):
    made = []
    monkeypatch.setattr(mini, "ensure", lambda root: made.append(root))
    assert quick(data_root=None, only="00") == 0
    assert made == [quick.top / "datasets" / "mini"]
    monkeypatch.setenv("LOWLIGHT_DATA", str(quick.top / "data"))
    assert quick(data_root=None, only="00") == 0
    assert len(made) == 1
    state = json.loads((quick.out / "state.json").read_text())
    assert state["data_root"] == str(quick.top / "data")


def test_a_taken_port_is_tried_once_more_and_other_errors_are_not(quick, monkeypatch):
    calls = []

    def execute(*a, **k):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("zmq.error.ZMQError: Address already in use (addr='tcp://...')")

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    assert quick(only="00") == 0 and len(calls) == 2

    def broken(*a, **k):
        calls.append(1)
        raise RuntimeError("something else")

    monkeypatch.setattr(papermill, "execute_notebook", broken)
    assert quick(only="00") == 1 and len(calls) == 3


DAMAGED = [
    b"[{", b"\xff", b"{}", b"[" * 100_000, b'[1, null, "x"]', b'[{"model": 7}]', b'[{"psnr": "x"}]',
    b'[{"images": [1]}]', b'[{"per_image": 5}]', b'[{"per_image": [1]}]',
    b'[{"per_image": [{"name": ["a"]}]}]',
]  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:30]))
def test_a_damaged_results_file_is_a_failure_and_the_course_goes_on(quick, monkeypatch, content):
    def execute(source, target, **k):
        if "00_first" in target:
            Path(target).with_suffix("").joinpath("results.json").write_bytes(content)

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    assert quick(only="00,12") == 1
    entries = json.loads((quick.out / "state.json").read_text())["notebooks"]
    assert (entries["00_first"]["status"], entries["12_video"]["status"]) == ("failed", "done")
    message = entries["00_first"]["error"]["message"]
    assert "results.json: is " in message and "move it away" in message


STATE = {
    "started": "2026-01-31_12-00-00", "status": "done", "profile": "course", "parameters": {},
    "process": [1, 2.0], "finished": None, "versions": {"torch": "2"}, "notebooks": {
        "00_first": {"status": "done", "source": "x", "cells": 2, "seconds": 1.5},
        "12_video": {"status": "failed", "cell": 1, "cells": 2, "seconds": 2,
                     "error": {"name": "E", "message": "m"}}},
}  # fmt: skip
ROWS = [
    {"model": "redi", "split": "test", "amplification": "ratio", "images": 1, "weights": "x",
     "psnr": 20.5, "baseline_psnr": 17.0, "per_image": [{"name": "a", "psnr": 20.5}]},
]  # fmt: skip
ODD = (None, True, -1, 10**400, 1.5, float("nan"), float("inf"), "", "../../x", "\ud800", [], [[1]],
       {}, {"a": None}, [None])  # fmt: skip


def mutated(value, rng):
    """A copy of a JSON value in which something is another value, or is missing."""
    if rng.random() < 0.15 or not isinstance(value, (dict, list)) or not value:
        return rng.choice(ODD)
    value = value.copy()
    key = rng.choice([*value] if isinstance(value, dict) else range(len(value)))
    if rng.random() < 0.15:
        del value[key]
    else:
        value[key] = mutated(value[key], rng)
    return value


@pytest.mark.parametrize("tries", [60, pytest.param(1_500, marks=pytest.mark.slow)])
def test_edited_states_and_results_are_refused_or_shown(tmp_path, tries):
    """Nothing else happens: no traceback, and no folder is renamed to a place elsewhere."""
    rng, out = random.Random(tries), tmp_path / "runs" / "latest"
    out.mkdir(parents=True)
    shown = refused = 0
    for i in range(tries):
        (out / "state.json").write_text(json.dumps(mutated(STATE, rng) if i % 2 else STATE))
        (out / "results.json").write_text(json.dumps(ROWS if i % 2 else mutated(ROWS, rng)))
        (out / "14").mkdir(exist_ok=True)
        report.write_index(out)
        try:
            scoreboard.entries(out / "14" / "14")
            scoreboard.entries(out)
            earlier = run._earlier_run(out, {}, resume=False)
            assert out.with_name(earlier["started"]).parent == out.parent
            shown += 1
        except (OptionError, DataError):
            refused += 1
    assert shown > tries / 10 and refused > tries / 10


@pytest.mark.parametrize("out", ["file/run", "a" * 300, "file"])
def test_a_folder_that_cannot_be_written_is_said_before_anything_runs(quick, out):
    (quick.top / "file").write_text("precious")
    with pytest.raises(OutputError, match="cannot be written"):
        quick(out=quick.top / out)
    assert not quick.calls and (quick.top / "file").read_text() == "precious"


def test_stills_are_trained_once_for_each_network_for_them():
    [path] = NOTEBOOKS.glob("*_train_test_stills.ipynb")
    jobs = plan([path], {}, {})
    keys = [key for key, card in models.SYSTEMS.items() if card.spec.task is models.Task.RAW_STILL]
    assert [j.name for j in jobs] == [f"{path.stem}_{key}" for key in keys] and len(keys) >= 3
