"""Branches at the same time: the same results, on shared-out cores, and no trace afterwards."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lowlight_lib.blocks.concurrent import run_together


def threads_of_new_threads():
    """How many threads a thread that is born now would compute on."""
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return seen[0]


def test_the_cores_are_shared_out_by_work(cores):
    seen = [None] * 3

    def branch(i):
        def note(x):
            seen[i] = torch.get_num_threads()
            return x + i

        return note

    branches = [branch(i) for i in range(3)]
    results = run_together(branches, torch.zeros(1), work=[2, 9, 5])
    assert [r.item() for r in results] == [0, 1, 2]  # in the order of the branches
    assert seen == [1, 2, 1]  # of 4 cores; never none
    run_together(branches, torch.zeros(1))
    assert seen == [1, 1, 1]
    assert torch.get_num_threads() == threads_of_new_threads() == cores


def test_with_one_core_the_largest_branch_comes_first():
    assert torch.get_num_threads() == 1
    order = []
    branches = [lambda x, i=i: order.append(i) or x for i in range(3)]
    run_together(branches, torch.zeros(1), work=[3, 14, 7])
    assert order == [1, 2, 0]


def test_an_exception_in_a_branch_comes_out(cores):
    ended = []

    def good(x):
        ended.append(x)
        return x

    def bad(x):
        raise ValueError("of this branch")

    with pytest.raises(ValueError, match="of this branch"):
        run_together([good, bad, good], torch.zeros(1))
    assert len(ended) == 2  # nothing is left running
    assert torch.get_num_threads() == threads_of_new_threads() == cores


@pytest.mark.parametrize(
    "mode",
    [
        torch.inference_mode,
        torch.no_grad,
        torch.enable_grad,
        lambda: torch.autocast("cpu", torch.bfloat16),
    ],
)
def test_branches_compute_in_the_callers_modes(mode, cores):
    layer, x = nn.Linear(3, 3), torch.ones(2, 3)
    with mode():
        plain, *together = layer(x), *run_together([layer, layer], x)
    for y in together:
        assert (y.requires_grad, y.is_inference()) == (plain.requires_grad, plain.is_inference())
        assert y.dtype == plain.dtype and torch.equal(y, plain)


def test_several_threads_may_call_at_once(cores):
    ready = threading.Barrier(6)

    def call(i):
        torch.get_num_threads()  # a thread's number is settled at its first use of PyTorch
        ready.wait()
        results = run_together([lambda x: x + 1, lambda x: x * 2], torch.tensor(float(i)))
        return [y.item() for y in results], torch.get_num_threads()

    with ThreadPoolExecutor(6) as pool:
        assert [*pool.map(call, range(6))] == [([i + 1, i * 2], cores) for i in range(6)]
    assert torch.get_num_threads() == threads_of_new_threads() == cores


class Noting(nn.Module):
    """Two branches that write down in which thread they ran."""

    def __init__(self):
        super().__init__()
        self.threads = set()

    def branch(self, x):
        self.threads.add(threading.get_ident())
        return 2 * x

    def forward(self, x):
        a, b = run_together([self.branch, self.branch], x)
        return a + b


def test_threads_are_used_at_all():
    noting = Noting()
    noting(torch.zeros(1))
    assert noting.threads and threading.get_ident() not in noting.threads


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_no_threads_under_tracing_export_and_counting(cores):
    def counted(module, x):
        with FlopCounterMode(display=False):
            return module(x)

    x = torch.ones(3)
    for use in (
        lambda m: torch.jit.trace(m, x, check_trace=False)(x),
        lambda m: torch.export.export(m, (x,), strict=False).module()(x),
        lambda m: counted(m, x),
        lambda m: m(x.to("meta")),
    ):
        noting = Noting()
        y = use(noting)
        assert y.shape == (3,) and (y.is_meta or y.tolist() == [4, 4, 4])
        assert noting.threads == {threading.get_ident()}
