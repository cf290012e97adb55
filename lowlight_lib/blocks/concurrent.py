"""Independent branches of a network at the same time: REDI's promise, which its code never kept.

Measured in notebooks/10_what_it_costs.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

_SETTING = threading.Lock()


def run_together(
    branches: Sequence[Callable[[Tensor], Tensor]], x: Tensor, work: Sequence[float] | None = None
) -> list[Tensor]:
    """[branch(x) for branch in branches], evaluated concurrently; same results, same gradients.

    On a GPU every branch gets a stream; on a CPU a thread and its share of the cores, by how much
    `work` each has to do (in any unit; equal if None), the largest first. Under a tracer, compiler
    or counter, which could not see into threads, they run one after the other.
    Source: Lamba & Mitra, CVPR 2021, section 3.2 (parallel encoders; no code was released).
    """
    seen = torch.jit.is_tracing() or torch.compiler.is_compiling() or _get_current_dispatch_mode()
    if len(branches) < 2 or seen or x.device.type not in ("cpu", "cuda"):
        return [branch(x) for branch in branches]
    if x.is_cuda:
        return _on_streams(branches, x)
    return _in_threads(branches, x, work or [1] * len(branches))


def _on_streams(branches, x):
    here = torch.cuda.current_stream(x.device)
    results = []
    for branch in branches:
        stream = torch.cuda.Stream(x.device)
        stream.wait_stream(here)
        with torch.cuda.stream(stream):
            y = branch(x)
        x.record_stream(stream)  # not to be freed for reuse while this stream reads it
        y.record_stream(here)
        results.append((stream, y))
    for stream, _ in results:
        here.wait_stream(stream)
    return [y for _, y in results]


def _in_threads(branches, x, work):
    with _SETTING:
        cores = torch.get_num_threads()
    # Gradient modes and autocast are a thread's own: a new one would start without.
    inference, grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    autocast = torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled("cpu")

    def run(i):
        _take_cores(max(1, round(cores * work[i] / sum(work))), cores)
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(grad),
            torch.autocast("cpu", *autocast),
        ):
            return branches[i](x)

    with ThreadPoolExecutor(min(cores, len(branches))) as pool:
        largest_first = sorted(range(len(branches)), key=lambda i: -work[i])
        tasks = {i: pool.submit(run, i) for i in largest_first}
    return [tasks[i].result() for i in range(len(branches))]


def _take_cores(share, cores):
    """This thread computes on `share` cores from now on, every other one, new ones too, as before.

    PyTorch's setting is the thread's own *and* what other threads take at their first use of
    PyTorch, so one more thread puts the second half back.
    """
    with _SETTING:
        torch.get_num_threads()  # this thread's first use: else it would undo the next line
        torch.set_num_threads(share)
        restorer = threading.Thread(target=torch.set_num_threads, args=(cores,))
        restorer.start()
        restorer.join()
