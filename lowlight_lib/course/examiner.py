"""The process that grades one notebook of many students; `course.grade` starts and watches it.

It runs the course's notebook, with the course's answers. At each exercise it forks a child for each
student, which sees what a student sees there, runs the student's cell and asks the check.
"""

import ast
import contextlib
import json
import linecache
import os
import re
import select
import signal
import sys
import time
import types

import psutil
import torch

from .checks.common import EXERCISES, judge
from .students import read_notebook

MEMORY = 2 * 2**30  # bytes that an answer may take on top of what the notebook has


def examine(path, answers, timeout, say) -> None:
    """Run the notebook at `path`, and judge {student: {exercise number: source}} on the way.

    `say` is called with (student, number, None) before each answer, and with its verdict after it.
    """
    torch.set_num_threads(1)  # a forked child has none of its parent's other threads
    space = types.ModuleType("__main__")
    sys.modules["__main__"] = space
    left = {number for own in answers.values() for number in own}
    for k, cell in enumerate(read_notebook(path)["cells"]):
        if not left or cell["cell_type"] != "code":
            continue
        if call := re.search(r'checks\.verify\("([\d.]+)"', cell["source"]):
            for student, own in answers.items():
                if call[1] in own:
                    say(student, call[1], None)
                    say(student, call[1], _apart(timeout, cell["source"], own[call[1]], space))
            left.discard(call[1])
        _run(cell["source"], f"<cell {k}>", space)


def _run(source, name, space):
    linecache.cache[name] = len(source), None, source.splitlines(True), name  # for inspect
    exec(compile(source, name, "exec"), vars(space))


def _verdict(check, source, space):
    """Run a student's cell where the course's notebook stands, and ask the check."""
    try:
        [statement] = ast.parse(check).body
        number, *given = statement.value.args  # type: ignore[attr-defined]  (an assignment)
        task = EXERCISES[number.value]
        names = [f.__name__ for f in task.own]
        for name in names:
            vars(space).pop(name, None)  # the course's own answer
        library = [
            (module, name, value)
            for module in [m for n, m in sys.modules.items() if n.startswith("lowlight_lib")]
            for name, value in vars(module).items()
            if callable(value)
        ]
        _run(re.sub(r"(?m)^\s*[%!].*$", "", source), "<exercise>", space)
        functions = [vars(space).get(name) for name in names]
        more = [eval(ast.unparse(node), vars(space)) for node in given[len(names) :]]
        kind, text, lines = judge(task, functions, more)
        if changed := [name for m, name, value in library if vars(m).get(name) is not value]:
            return f"wrong: the answer exchanges {', '.join(changed)}, which is not its own"
        return kind if kind != "wrong" else " ".join(("wrong:", text, *lines))
    except BaseException as e:  # whatever it is, it is the student's
        return f"wrong: the cell stops with {type(e).__name__}: {e}"


def _apart(timeout, *args):
    """The verdict, found in a child with limits of time and memory; without fork, right here."""
    if not hasattr(os, "fork"):
        check, source, space = args
        copy = types.ModuleType("__main__")
        vars(copy).update(vars(space))
        return _verdict(check, source, copy)
    (read, write), seal = os.pipe(), os.urandom(16)  # what an answer writes there has none
    if not (child := os.fork()):
        with contextlib.suppress(BaseException):
            _limit(timeout, write)
            os.write(write, seal + _verdict(*args)[:1000].encode())
        os._exit(0)
    os.close(write)
    said, until = b"", time.monotonic() + timeout
    while select.select([read], [], [], max(until - time.monotonic(), 0))[0]:
        if not (part := os.read(read, 4096)):
            break
        said += part
    late = time.monotonic() >= until
    with contextlib.suppress(psutil.Error):
        for process in (*psutil.Process(child).children(recursive=True), psutil.Process(child)):
            process.kill()
    os.close(read)
    os.waitpid(child, 0)
    how = f"took over {timeout:g} s" if late else "ended the process"
    return said.partition(seal)[2].decode(errors="replace") or f"wrong: the answer {how}"


def _limit(timeout, keep):
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    os.closerange(3, keep)
    os.closerange(keep + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    most = psutil.Process().memory_info().vms + MEMORY
    limits = (resource.RLIMIT_AS, most), (resource.RLIMIT_CPU, int(timeout) + 1)
    for kind, limit in (*limits, (resource.RLIMIT_FSIZE, MEMORY)):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no RLIMIT_AS
            resource.setrlimit(kind, (limit, limit))


def main(job, results):
    """Examine what the file `job` asks for; lines of JSON go to the file `results`."""
    with open(job, encoding="utf-8") as f:
        path, answers, timeout = json.load(f)
    lines = open(results, "a", encoding="utf-8")  # noqa: SIM115
    for name in (job, results):  # out of reach of those who are examined; the grader has it open
        with contextlib.suppress(OSError):
            os.unlink(name)

    def say(*line):
        print(json.dumps(line), file=lines, flush=True)

    try:
        examine(path, answers, timeout, say)
    except Exception as e:
        say(None, None, f"{type(e).__name__}: {e}")
    os._exit(0)  # threads of engines may not end by themselves


if __name__ == "__main__":
    main(*sys.argv[1:])
