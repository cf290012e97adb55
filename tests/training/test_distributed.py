"""Several processes share the work: the same scores as of one, no hang, parts that make a whole.

That two processes take the training step of one is in tests/test_contract.py, for every system.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from support import tiny
from support.networks import small
from support.two_processes import ROOT, run_in_two, score_system, torchrun

from lowlight_lib import recipes
from lowlight_lib.data.llrvd_smoid import LlrvdDataset
from lowlight_lib.data.photos import PairsDataset
from lowlight_lib.data.sid import SidDataset
from lowlight_lib.errors import OptionError
from lowlight_lib.training import checkpoint, distributed, state, train

# Of 3 crops one process has two.
SET = {"crop": 32, "batch": 3, "steps": 9, "checkpoint_every": 4, "log_every": 1, "transpose": 0.5}
SCORED = {"redi": (3, 1e-3), "brve": (2, 0.05), "pairlie": (2, 1e-3)}  # images, dB of difference

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tiny.make_sid(root)
    tiny.make_sid(root, split="test", first=11)
    tiny.make_photos(root)
    tiny.make_llrvd(root, scenes=(1, 2, 35, 42), shape=(16, 24), frames=4, ratios=(100,))
    for key in SCORED:
        checkpoint.save(small(key), root / f"{key}.safetensors")
    return root


@pytest.fixture(scope="module")
def two(data, tmp_path_factory):
    """What two processes leave that nothing disturbs: a folder a system."""
    folder = tmp_path_factory.mktemp("two")
    code, said = run_in_two(data, folder, {"redi": SET}, SCORED)
    assert code == 0, said
    return folder


@pytest.mark.parametrize("key", SCORED)
def test_two_processes_score_as_one(data, two, tmp_path, key):
    images, within = SCORED[key]
    one = score_system(key, data, tmp_path)
    [other] = json.loads((two / key / "results.json").read_text())
    names = [[r["name"] for r in row["per_image"]] for row in (one, other)]
    assert names[0] == names[1] and len(names[0]) == images == other["images"]
    for a, b in zip([one, *one["per_image"]], [other, *other["per_image"]], strict=True):
        for score in ("psnr", "baseline_psnr"):
            assert a[score] == pytest.approx(b[score], abs=within)
    if key == "redi":
        seen = [{p.name for p in (run / "pictures").iterdir()} for run in (tmp_path, two / key)]
        assert seen[0] == seen[1] and len(seen[0]) == 4 * images


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_worker_ends_the_run_and_a_new_one_goes_on(data, two, tmp_path):
    run = tmp_path / "redi"
    code, said = run_in_two(data, tmp_path, {"redi": SET}, kill=7)  # checkpoints at 4 and 8
    assert code != 0
    assert not (run / state.WEIGHTS).exists()
    assert torch.load(run / "state.pt", weights_only=True)["step"] == 4, said
    words = [w for name, value in SET.items() for w in ("--set", f"{name}={value}")]
    words += ["--profile", "smoke", "--data", data, "--run-dir", run]
    code, said = torchrun("-m", "lowlight_lib.cli", "train", "redi", *words)
    assert code == 0, said
    whole = two / "redi"
    assert (run / state.WEIGHTS).read_bytes() == (whole / state.WEIGHTS).read_bytes()
    logs = [[(e["step"], e["loss"]) for e in train.read_metrics(r)] for r in (run, whole)]
    assert logs[0] == logs[1]
    assert [step for step, _ in logs[0]] == list(range(1, 10))
    assert json.loads((run / "versions.json").read_text())["processes"] == 2


# ---- what needs no other process


@pytest.mark.parametrize("kind", [SidDataset, LlrvdDataset, PairsDataset])
@pytest.mark.parametrize("size, world", [(3, 2), (5, 3), (2, 2)])
def test_the_parts_of_a_batch_are_the_batch(data, kind, size, world):
    source = kind(data, "train")
    shape = {"seed": 3, "size": size, "crop": 12, "transpose": 0.5}
    shape |= {"frames": 3} if kind is LlrvdDataset else {}
    batch = source.batch(2, **shape)
    parts = [source.batch(2, **shape, part=(rank, world)) for rank in range(world)]
    for whole, *cut in zip(batch, *parts, strict=True):
        assert min(map(len, cut)) > 0
        np.testing.assert_array_equal(np.concatenate(cut), whole)


@pytest.mark.parametrize("n, world", [(5, 2), (1, 3), (0, 2), (6, 3)])
def test_shares_come_back_in_order(monkeypatch, n, world):
    def others(parts, mine, group):
        parts[:] = [list(range(rank, n, world)) for rank in range(world)]
        assert parts[1] == mine

    monkeypatch.setattr(distributed, "world", lambda: world)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    monkeypatch.setattr(distributed.dist, "all_gather_object", others)
    assert distributed.gather(distributed.share(n)) == list(range(n))


def test_one_process_is_nobody_else(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    distributed.join()
    assert (distributed.rank(), distributed.world(), distributed.is_first()) == (0, 1, True)
    assert list(distributed.share(3)) == distributed.gather([0, 1, 2]) == [0, 1, 2]
    with distributed.first_alone():
        pass


LAUNCHED = {
    "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29537",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "") for name in LAUNCHED), ("RANK", "x"), ("RANK", "-1"), ("RANK", "1"),
        ("WORLD_SIZE", "0"), ("WORLD_SIZE", "1.0"), ("WORLD_SIZE", "9" * 5000),
        ("MASTER_ADDR", " "), ("MASTER_PORT", "²"), ("LOCAL_RANK", "a"),
    ],
)  # fmt: skip
def test_variables_that_are_wrong_are_named(monkeypatch, name, value):
    for variable, right in (LAUNCHED | {name: value}).items():
        monkeypatch.setenv(variable, right)
    if name != "LOCAL_RANK":
        with pytest.raises(OptionError, match=rf"{name}.*unset RANK, WORLD_SIZE, MASTER_ADDR"):
            distributed.join()
    else:
        with pytest.raises(OptionError, match=name):
            train.pick_device("cpu")


@pytest.mark.parametrize("wrong", ["MASTER_PORT", "a MASTER_PORT", "GLOO_SOCKET_IFNAME"])
def test_processes_that_cannot_meet_say_which_variable_to_change(wrong):
    with contextlib.ExitStack() as stack:
        wrongs = {"MASTER_PORT": "99999", "GLOO_SOCKET_IFNAME": "nosuch0"}
        environment = os.environ | LAUNCHED | {wrong: wrongs.get(wrong, "")}
        if wrong not in wrongs:  # a port that another program has
            taken = [stack.enter_context(socket.create_server(("", 0)))]
            port = taken[0].getsockname()[1]
            if socket.has_dualstack_ipv6():
                options = {"family": socket.AF_INET6, "dualstack_ipv6": False}
                with contextlib.suppress(OSError):
                    taken.append(stack.enter_context(socket.create_server(("", port), **options)))
            environment = os.environ | LAUNCHED | {"MASTER_PORT": str(port)}
        program = "from lowlight_lib.training import distributed\ndistributed.join()"
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    last = done.stderr.strip().splitlines()[-1]
    assert re.search(rf"RunError: .*cannot meet: {wrong.split()[-1]} is .* To fix: ", last), last


def test_more_processes_than_crops_are_refused(data, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 4)
    with pytest.raises(OptionError, match="4 processes cannot share a batch of 3"):
        train.fit(recipes.find("redi", "smoke").replace(**SET), data, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())
