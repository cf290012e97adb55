"""A run directory: it has one owner, and what is damaged in it is said or passed by."""

import json
import subprocess
import sys

import pytest
import torch
from support import tiny

from lowlight_lib import recipes
from lowlight_lib.errors import CheckpointError, RunError
from lowlight_lib.training import train
from lowlight_lib.training.state import METRICS, OWNER, STATE, RunDirectory, read_metrics

CPU = train.Precision("float32", torch.device("cpu"))
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
    junk = b'5\nnull\n{"step": null}\n\xff\xfe\n[1]\n{"step"\n{"step": 3}\n'
    junk += b'{"step": 2.5, "loss": 1}\n'
    junk += b'{"step": 3, "loss": "x"}\n{"step": 3, "loss": NaN}\n'
    junk += b'{"step": 3, "loss": 1, "lr": []}\n'
    junk += b'{"step": 3, "loss": 1%s}\n' % (400 * b"0") + b"[" * 100_000 + b"\n"
    (trained / METRICS).write_bytes(lines[0] + junk + b"".join(lines[1:]) + b'{"step": 4, "lo')
    assert read_metrics(trained) == good
    train.fit(SMOKE, sid, trained, progress=False)


@pytest.mark.parametrize("step", [-1, 2.5, "4", None, True, 5])
def test_a_state_of_an_impossible_step_is_damaged(sid, trained, step):
    state = torch.load(trained / STATE, weights_only=True)
    torch.save(state | {"step": step}, trained / STATE)
    with pytest.raises(RunError, match="is damaged"):
        train.fit(SMOKE, sid, trained, progress=False)


def bigger(optimizer):
    optimizer["state"][0]["exp_avg"] = torch.zeros(7)


def nan(optimizer):
    optimizer["state"][0]["exp_avg_sq"].view(-1)[0] = torch.nan


CHANGES = {
    "seconds": lambda s: s.update(seconds=float("nan")),
    "a number's name": lambda s: s["optimizer"]["state"][0].pop("exp_avg"),
    "a shape": lambda s: bigger(s["optimizer"]),
    "nan": lambda s: nan(s["optimizer"]),
    "weights": lambda s: s["model"]["lse.bias"].fill_(torch.inf),
    "no weights": lambda s: s.update(model=[1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_edited_state_is_damaged(sid, trained, change):
    state = torch.load(trained / STATE, weights_only=True)
    CHANGES[change](state)
    torch.save(state, trained / STATE)
    with pytest.raises(RunError, match="is damaged"):
        train.fit(SMOKE, sid, trained, progress=False)


def test_numbers_of_the_optimizer_are_the_recipes(sid, trained):
    """An edited state goes on as the one that was there."""
    train.fit(SMOKE.replace(steps=2), sid, trained, resume=False, progress=False)
    state = torch.load(trained / STATE, weights_only=True)
    state["optimizer"]["param_groups"][0] |= {"eps": 5.0, "betas": (0.0, 3.0), "lr": "x"}
    run = RunDirectory(trained, SMOKE)
    torch.save(state, trained / STATE)
    model = train.models.build("redi", **SMOKE.options)
    optimizer = torch.optim.Adam(model.parameters(), lr=SMOKE.lr, betas=SMOKE.betas)
    before = optimizer.state_dict()["param_groups"]
    assert run.restore(model, optimizer, CPU)[0] == 2
    assert optimizer.state_dict()["param_groups"] == before


def test_weights_that_are_not_finite_leave_the_state_before(trained):
    model = train.models.build("redi", **SMOKE.options)
    optimizer = torch.optim.Adam(model.parameters())
    before = (trained / STATE).read_bytes()
    with torch.no_grad():
        model.lse.bias[0] = torch.nan
    with pytest.raises(CheckpointError, match=r"state\.pt.*NaN, infinite"):
        RunDirectory(trained, SMOKE).save(model, optimizer, CPU, step=1, seconds=1.0)
    assert (trained / STATE).read_bytes() == before


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
