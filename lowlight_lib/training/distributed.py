"""Several processes that do one job, as torchrun starts them; without torchrun, one process.

    torchrun --nproc_per_node=2 -m lowlight_lib.cli train redi
    torchrun --nproc_per_node=2 -m lowlight_lib.cli test redi --checkpoint W

They share the work like this; in one process the same lines are right and do nothing:

    distributed.join()                        # once, before anything below
    with distributed.first_alone():           # what the first process makes, the others then find
        data = open_and_decode()
    for i in distributed.share(len(data)):    # of two processes: 0, 2, 4, ... and 1, 3, 5, ...
        rows.append(work(data, i))
    rows = distributed.gather(rows)           # all rows, in the order of i, in every process
    if distributed.is_first():                # one process writes
        write(rows)

When a process dies, the next exchange raises `RunError` in the others, and torchrun ends them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from ..errors import OptionError, RunError

Row = TypeVar("Row")
_STEP = timedelta(minutes=10)  # the longest that one step of training waits for another process
_WORK = timedelta(days=7)  # for what takes long in one of them, such as decoding a data set
_LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_ALONE = f"start with torchrun, which sets it, or unset {', '.join(_LAUNCHED)} for one process"
_FAULTS = {  # words of an error: the variable, what is wrong with it, what to do
    "address already in use": ("MASTER_PORT", "which is taken", "torchrun --master_port another"),
    "port must have": ("MASTER_PORT", "which is no port", "torchrun --master_port 29500"),
    "ifa != nullptr": ("GLOO_SOCKET_IFNAME", "no network here", "take one of `ip link`, or unset"),
}
_patient: Any = None  # the group that waits that long; beside torch's own, which is as global


def join() -> None:
    """Meet the other processes that torchrun started; nothing without it, or when done already."""
    global _patient
    if not is_launched() or _is_joined():
        return
    gpus = torch.cuda.is_available() and dist.is_nccl_available()
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=_STEP)
        _patient = dist.new_group(backend="gloo", timeout=_WORK)
    except (RuntimeError, ValueError) as e:
        said = str(e).strip().splitlines()[0]
        known = (fault for words, fault in _FAULTS.items() if words in said.lower())
        name, why, todo = next(known, ("MASTER_ADDR", said, f"check {', '.join(_LAUNCHED)}"))
        what = f"the processes cannot meet: {name} is {os.environ.get(name)!r}, {why}"
        raise RunError(what, todo=todo) from e
    atexit.register(dist.destroy_process_group)


def is_launched() -> bool:
    """Was this process started by torchrun, or by a launcher that sets the same variables?
    OptionError where they are set to what they cannot be."""
    if not dist.is_available() or not all(name in os.environ for name in _LAUNCHED):
        return False
    if not os.environ["MASTER_ADDR"].strip():
        raise OptionError("the variable MASTER_ADDR is empty", todo=_ALONE)
    if _number("RANK") >= _number("WORLD_SIZE"):
        raise OptionError("RANK is not below WORLD_SIZE: the first is 0", todo=_ALONE)
    return _number("MASTER_PORT") >= 0


def rank() -> int:
    """The number of this process; 0 where there is no other."""
    return dist.get_rank() if _is_joined() else 0


def world() -> int:
    """How many processes share the work."""
    return dist.get_world_size() if _is_joined() else 1


def local_rank() -> int | None:
    """The number of this process on its machine, and of its GPU; None without torchrun."""
    return _number("LOCAL_RANK", "0") if is_launched() else None


def is_first() -> bool:
    """Is this the one process that writes files and shows bars?"""
    return rank() == 0


def share(n: int) -> range:
    """Which of n pieces of work are this process's: every `world()`-th, from its rank on."""
    return range(rank(), n, world())


def gather(rows: Sequence[Row]) -> list[Row]:
    """Everybody's rows, one a piece, in the order of the pieces that `share` dealt out."""
    if world() == 1:
        return list(rows)
    parts: list[Any] = [None] * world()
    with _noticing_losses():
        dist.all_gather_object(parts, list(rows), group=_patient)
    return [parts[i % world()][i // world()] for i in range(sum(map(len, parts)))]


@contextlib.contextmanager
def first_alone() -> Iterator[None]:
    """The first process runs the block while the others wait; then they run it too."""
    if not is_first():
        wait()
    yield
    if is_first():
        wait()


def wait() -> None:
    """Wait until all processes are here."""
    if world() > 1:
        with _noticing_losses():
            dist.barrier(group=_patient)


def add(value: torch.Tensor) -> torch.Tensor:
    """The sum of everybody's tensor, in every process."""
    if world() == 1:
        return value
    value = value.detach().clone()
    with _noticing_losses():
        dist.all_reduce(value)
    return value


def add_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace every gradient by the sum over the processes, in one exchange; a parameter that has
    none anywhere is left without one, as in one process."""
    if world() == 1:
        return
    parameters = [p for p in parameters if p.requires_grad]
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    has = grads[0].new_tensor([p.grad is not None for p in parameters])
    total = add(torch.cat([has, *(g.reshape(-1) for g in grads)]))
    has, *sums = total.split([len(grads), *(g.numel() for g in grads)])
    for p, somebody, g in zip(parameters, has.tolist(), sums, strict=True):
        p.grad = g.view_as(p).to(p.dtype) if somebody else None


def _number(name, default=""):
    text = os.environ.get(name, default)
    if not re.fullmatch("[0-9]{1,9}", text):
        raise OptionError(f"the variable {name} is {text!r}, which is no number", todo=_ALONE)
    return int(text)


def _is_joined():
    return dist.is_available() and dist.is_initialized()


@contextlib.contextmanager
def _noticing_losses():
    try:
        yield
    except RuntimeError as e:  # gloo has no error of its own
        reason = str(e).partition("\n")[0].split("] ", 1)[-1].partition(". ")[0]
        what = f"lost another process of this run: it failed or was killed ({reason})"
        raise RunError(what, todo="see its own message; started again, the run goes on") from e
