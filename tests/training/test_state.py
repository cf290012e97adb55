"""A run directory: it has one owner, and what is damaged in it is said or passed by."""

import json
import subprocess
import sys

import pytest
import torch
from support import tiny

from lowlight_lib import recipes
from lowlight_lib.errors import RunError
from lowlight_lib.training import train
from lowlight_lib.training.state import METRICS, OWNER, STATE, RunDirectory, read_metrics

SMOKE = recipes.find("redi", "smoke").replace(crop=32, steps=4, checkpoint_every=2, log_every=1)


@pytest.fixture(scope="module")
def sid(tmp_path_factory):
    return tiny.make_sid(tmp_path_factory.mktemp("sid")).parent


@pytest.fixture
def trained(sid, tmp_path):
    train.fit(SMOKE, sid, tmp_path / "run", progress=False)
    return tmp_path / "run"


def test_a_second_training_in_the_folder_of_a_running_one_is_refused(sid, trained):
    import psutil

    assert not (trained / OWNER).exists()  # the training is over
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        owner = [other.pid, psutil.Process(other.pid).create_time()]
        (trained / OWNER).write_text(json.dumps(owner))
        before = (trained / STATE).read_bytes()
        for resume in (True, False):
            with pytest.raises(RunError, match=f"another training is at work.*{other.pid}"):
                train.fit(SMOKE, sid, trained, resume=resume, progress=False)
        assert (trained / STATE).read_bytes() == before
    finally:
        other.kill()
        other.wait()
    train.fit(SMOKE.replace(steps=2), sid, trained, resume=False, progress=False)
    assert not (trained / OWNER).exists()


@pytest.mark.parametrize("owner", ["", "5", "[1]", "[1, 2, 3]", '["a", {}]', "null", "[" * 5000])
def test_a_damaged_owner_owns_nothing(sid, trained, owner):
    (trained / OWNER).write_text(owner)
    RunDirectory(trained, SMOKE).check()
    train.fit(SMOKE, sid, trained, progress=False)


def test_lines_that_are_no_entries_are_passed_by(sid, trained):
    good = read_metrics(trained)
    text = (trained / METRICS).read_bytes()
    lines = text.splitlines(keepends=True)
    junk = b'5\nnull\n{"step": null}\n\xff\xfe\n[1]\n{"step"\n'
    (trained / METRICS).write_bytes(lines[0] + junk + b"".join(lines[1:]) + b'{"step": 4, "lo')
    assert read_metrics(trained) == good
    train.fit(SMOKE, sid, trained, progress=False)


@pytest.mark.parametrize("step", [-1, 2.5, "4", None, True, 5])
def test_a_state_of_an_impossible_step_is_damaged(sid, trained, step):
    state = torch.load(trained / STATE, weights_only=True)
    torch.save(state | {"step": step}, trained / STATE)
    with pytest.raises(RunError, match="is damaged"):
        train.fit(SMOKE, sid, trained, progress=False)


def test_a_flipped_bit_in_the_state_is_noticed(sid, trained):
    data = bytearray((trained / STATE).read_bytes())
    data[len(data) // 2] ^= 1
    (trained / STATE).write_bytes(data)
    with pytest.raises(RunError, match="is damaged"):
        train.fit(SMOKE, sid, trained, progress=False)


def test_a_finished_run_writes_broken_weights_anew(sid, trained):
    whole = (trained / "weights.safetensors").read_bytes()
    (trained / "weights.safetensors").write_bytes(whole[:100])
    train.fit(SMOKE, sid, trained, progress=False)
    assert (trained / "weights.safetensors").read_bytes() == whole
