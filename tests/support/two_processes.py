"""Two processes, as torchrun starts them: how a test starts them, and the program that they run."""

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

from lowlight_lib import evaluation, recipes
from lowlight_lib.training import distributed, train
from support import ROOT


def torchrun(*words):
    """(exit code, output) of two processes that run a program, or "-m" and a module."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(
        [*command, *map(str, words)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=600
    )
    return done.returncode, done.stdout + done.stderr


def run_in_two(root, folder, train, score=(), kill=0):
    """Train and score systems in two processes; each leaves a run directory below `folder`.

    Args:
        root: of the data, and of {key}.safetensors for those to be scored.
        train: {key: changes of the smoke recipe}.
        kill: at which step process 1 dies; 0 for never.
    Returns:
        (exit code, output).
    """
    order = {"root": str(root), "folder": str(folder), "train": train, "score": [*score]}
    return torchrun(__file__, json.dumps(order | {"kill": kill}))


def train_system(key, root, run, **changes):
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
            stack.enter_context(_float64())
        train.fit(recipes.find(key, "smoke").replace(**changes), root, run, progress=False)


def score_system(key, root, run):
    """The row of a test of the weights that lie beside the data."""
    weights = Path(root) / f"{key}.safetensors"
    [row] = evaluation.test(key, root, run, weights, pictures=key == "redi", progress=False)
    return row


@contextlib.contextmanager
def _float64():
    """Batches and networks are float64, where a sum that is rounded otherwise flips no sign."""
    real = train.Prefetcher

    def prefetcher(make, steps):
        return real(lambda step: map(np.float64, make(step)), steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "Prefetcher", prefetcher)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)


def _program(root, folder, train, score, kill):
    torch.set_num_threads(1)
    real, steps = distributed.add_gradients, []

    def add_gradients(parameters):
        steps.append(1)
        if len(steps) == kill and distributed.rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        real(parameters)

    distributed.add_gradients = add_gradients
    for key, changes in train.items():
        train_system(key, root, Path(folder) / key, **changes)
    for key in score:
        score_system(key, root, Path(folder) / key)


if __name__ == "__main__":
    _program(**json.loads(sys.argv[1]))
