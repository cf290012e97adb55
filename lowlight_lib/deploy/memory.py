"""What a process needs at its worst moment: one pass in a fresh process, as the system counts it.
Built in notebooks/10_what_it_costs, section 3."""

import base64
import contextlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import IO, Any, cast

import psutil
import torch

from .. import allocator, models
from ..errors import LowlightError, OptionError
from ..restore.window import out_of_memory


@dataclass(frozen=True)
class ProcessPeak:
    """Resident memory of a process in bytes."""

    before: int  # Python, PyTorch, the network and its input, just before the pass
    peak: int  # the most there ever was

    added = property(lambda self: self.peak - self.before, doc="What the pass itself needed.")


def process_peak(key, shape, options=None, *, training=False, how=None, timeout=600) -> ProcessPeak:
    """Build a network, whose class is in a module, with these options in a fresh process, run one
    pass, and ask the system what it took. `how`: backend, precision and file of `runtime.prepare`.
    OptionError: it takes more than `timeout` seconds, fails, or runs out of memory."""
    about = f"{key} on {'x'.join(map(str, shape))}"
    order = _order(key, shape, options, training=training, how=how)
    try:
        done = subprocess.run(
            **order, capture_output=True, encoding="utf-8", errors="replace", timeout=timeout
        )
    except subprocess.TimeoutExpired as e:
        raise OptionError(f"{about} took more than {timeout} s", todo="go smaller") from e
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        what = f"{about} could not be measured in a process of its own: {said}"
        raise OptionError(what, todo="take a smaller input if it was memory")
    return ProcessPeak(**json.loads(done.stdout.splitlines()[-1]))


@contextlib.contextmanager
def with_system_allocator(key, shape) -> Iterator[Callable[[], None]]:
    """Yields a function that runs a network with drawn weights once, in inference mode, in a
    process that leaves memory to the C library; OptionError: not built there, or ended."""
    order = _order(key, shape, serve=torch.get_num_threads())
    for name in allocator.ENVIRONMENT:
        order["env"].pop(name, None)
    order["env"][allocator.VARIABLE] = "system"
    with subprocess.Popen(**order, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True) as child:
        to, back = cast(IO[str], child.stdin), cast(IO[str], child.stdout)

        def call():
            with contextlib.suppress(BrokenPipeError):
                print(file=to, flush=True)
            if not back.readline():
                raise OptionError(f"{key} ended in the process beside this one")

        call()
        yield call


def _order(key, shape, options=None, **rest) -> dict[str, Any]:
    """args and env of a process of this file: the network of this key, built there."""
    try:
        card = base64.b64encode(pickle.dumps(models.SYSTEMS[key])).decode()
    except (pickle.PicklingError, AttributeError) as e:
        said = f"{key} cannot be built in a process of its own: {e}"
        raise OptionError(said, todo="put its class in a module") from e
    order = json.dumps({"card": card, "shape": list(shape), "options": options or {}, **rest})
    # What can be imported here can be there, a checkout that is not installed as well.
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    args = [sys.executable, "-m", __name__, order]
    return {"args": args, "env": os.environ | {"PYTHONPATH": path}}


def resident_peak() -> int:
    """The most resident memory that this process has had, in bytes; on Linux since `_run` began."""
    with contextlib.suppress(OSError, IndexError):
        # Not getrusage, which starts with what the parent had: a child inherits that.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _run(card, shape, options, training=False, how=None, serve=None):
    """What the child does: one pass, or with `serve` threads one for each line that it is sent."""
    allocator.keep_pages()
    card = pickle.loads(base64.b64decode(card))  # the parent's own
    if card.key not in models.SYSTEMS:
        models.add(card)
    model = models.build(card.key, **options).train(training)
    if how:
        from .runtime import prepare

        model = prepare(model, None, **how)
    with out_of_memory(shape), torch.inference_mode(not training):
        x = torch.rand(shape)
        if serve:
            torch.set_num_threads(serve)
            for _ in sys.stdin:
                model(x)
                print(flush=True)
            sys.exit()
        with contextlib.suppress(OSError):  # Linux: start anew, or a large import hides the pass
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        before = psutil.Process().memory_info().rss
        out: Any = model(x)
        if training:
            out.sum().backward()
    return {"before": before, "peak": resident_peak()}


if __name__ == "__main__":
    try:
        print(json.dumps(_run(**json.loads(sys.argv[1]))))
    except LowlightError as error:
        sys.exit(error.what)
