"""Two processes, as torchrun starts them, against one: the same step, the same scores, no hang.

This file is also the program that torchrun starts here, see the end of it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support import tiny

from lowlight_lib import models, recipes
from lowlight_lib.data.photos import PairsDataset
from lowlight_lib.data.sid import SidDataset
from lowlight_lib.data.video import VideoDataset
from lowlight_lib.errors import OptionError
from lowlight_lib.evaluation import stills as evaluate
from lowlight_lib.training import checkpoint, distributed, train

ROOT = Path(__file__).resolve().parents[2]
SET = {"crop": 32, "batch": 3, "steps": 9, "checkpoint_every": 4, "log_every": 1, "transpose": 0.5}
RECIPES = {
    "redi": recipes.find("redi", "smoke").replace(**SET),  # 3 crops: one process has two of them
    "brve": recipes.find("brve", "smoke").replace(crop=16, batch=2, steps=1, log_every=1),
    "pairlie": recipes.find("pairlie", "smoke").replace(crop=16, steps=1, log_every=1),
}

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed"
)


def torchrun(*words):
    """(exit code, output) of two processes; an error where they have not ended in two minutes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *map(str, words)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=600
    )
    return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def float64():
    """Clips and networks are float64, where a sum that is rounded otherwise flips no sign."""
    real = VideoDataset.batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VideoDataset, "batch", lambda *a, **k: map(np.float64, real(*a, **k)))
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)


def train_it(key, root, run, **changes):
    """`fit`; the gradients that its first step goes by are left in gradients.pt."""
    real = torch.optim.Adam.step

    def step(self):
        if distributed.is_first() and not (run / "gradients.pt").exists():
            parameters = self.param_groups[0]["params"]
            torch.save([p.grad for p in parameters], run / "gradients.pt")
        return real(self)

    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setattr(torch.optim.Adam, "step", step)
        if key == "brve":
            stack.enter_context(float64())
        train.fit(RECIPES[key].replace(**changes), root, run, progress=False)


def test_it(key, root, run, weights):
    [row] = evaluate.test(key, root, run, weights, pictures=key == "redi", progress=False)
    return row


test_it.__test__ = False


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tiny.make_sid(root)
    tiny.make_sid(root, split="test", first=11)
    tiny.make_photos(root)
    tiny.make_llrvd(root, scenes=(1, 2, 35, 42), shape=(16, 24), frames=4, ratios=(100,))
    torch.manual_seed(0)
    for key, r in RECIPES.items():
        checkpoint.save(models.build(key, **r.options), root / f"{key}.safetensors")
    return root


@pytest.fixture(scope="module")
def two(data, tmp_path_factory):
    """What two processes leave that nothing disturbs: a folder a system, trained and tested."""
    folder = tmp_path_factory.mktemp("two")
    code, said = torchrun(__file__, data, folder, 0, *RECIPES)
    assert code == 0, said
    return folder


@pytest.mark.parametrize("key", RECIPES)
def test_two_processes_take_the_step_of_one(data, two, tmp_path, key):
    train_it(key, data, tmp_path, steps=1)
    losses = [train.read_metrics(run)[0]["loss"] for run in (tmp_path, two / key)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    one, other = (torch.load(f / "gradients.pt", weights_only=True) for f in (tmp_path, two / key))
    assert len(one) == len(other) > 20
    assert max(g.abs().max() for g in one) > 1e-3
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype == (torch.float64 if key == "brve" else torch.float32)
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert json.loads((two / key / "versions.json").read_text())["processes"] == 2


@pytest.mark.parametrize(
    "key, images, within", [("redi", 3, 1e-3), ("brve", 2, 0.05), ("pairlie", 2, 1e-3)]
)
def test_two_processes_score_as_one(data, two, tmp_path, key, images, within):
    one = test_it(key, data, tmp_path, data / f"{key}.safetensors")
    [other] = evaluate.read_rows(two / key / "results.json")
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
    code, said = torchrun(__file__, data, tmp_path, 7, "redi")  # at step 7, checkpoints at 4 and 8
    assert code != 0
    assert not (run / train.WEIGHTS).exists()
    assert torch.load(run / "state.pt", weights_only=True)["step"] == 4, said
    words = [w for name, value in SET.items() for w in ("--set", f"{name}={value}")]
    words += ["--profile", "smoke", "--data", data, "--run-dir", run]
    code, said = torchrun("-m", "lowlight_lib.training.train", "redi", *words)
    assert code == 0, said
    whole = two / "redi"
    assert (run / train.WEIGHTS).read_bytes() == (whole / train.WEIGHTS).read_bytes()
    logs = [[(e["step"], e["loss"]) for e in train.read_metrics(r)] for r in (run, whole)]
    assert logs[0] == logs[1]
    assert [step for step, _ in logs[0]] == list(range(1, 10))


# ---- what needs no other process


@pytest.mark.parametrize("kind", [SidDataset, VideoDataset, PairsDataset])
@pytest.mark.parametrize("size, world", [(3, 2), (5, 3), (2, 2)])
def test_the_parts_of_a_batch_are_the_batch(data, kind, size, world):
    source = kind(data, "train")
    shape = {"seed": 3, "size": size, "crop": 12, "transpose": 0.5}
    shape |= {"frames": 3} if kind is VideoDataset else {}
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


def test_more_processes_than_crops_are_refused(data, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 4)
    with pytest.raises(OptionError, match="4 processes cannot share a batch of 3"):
        train.fit(RECIPES["redi"], data, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


# ---- the program


def program(root, folder, kill, *keys):
    """Train and test; process 1 is killed at step `kill`, where that is not 0."""
    torch.set_num_threads(1)
    real, steps = distributed.add_gradients, []

    def add_gradients(parameters):
        steps.append(1)
        if len(steps) == int(kill) and distributed.rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        real(parameters)

    distributed.add_gradients = add_gradients
    for key in keys:
        run = Path(folder) / key
        train_it(key, root, run)
        test_it(key, root, run, Path(root) / f"{key}.safetensors")


if __name__ == "__main__":
    program(*sys.argv[1:])
