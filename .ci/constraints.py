"""Print requirements.lock as constraints for an environment that may have a torch already.

A torch that satisfies pyproject.toml is kept, whatever its version or build (CPU, CUDA): its line
in the lock gives way to the version that is there. Where that version is another one than the
lock's, the lines of what torch itself requires go too, for each torch wants its own.

Run with the environment's Python: python .ci/constraints.py requirements.lock
"""

import importlib.metadata
import re
import sys

LOWEST_TORCH = (2, 6)  # as in pyproject.toml; tests/test_environment.py compares


def main(lock):
    lines = [line for line in lock.splitlines() if "==" in line and not line.startswith("#")]
    try:
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return lines
    return constraints(lines, torch, importlib.metadata.requires("torch") or [])


def constraints(lines, torch, torch_requires):
    """The lock's lines, changed for an installed torch of version `torch`."""
    number = tuple(int(n) for n in re.match(r"(\d+)\.(\d+)", torch).groups())
    if number < LOWEST_TORCH:
        return lines
    locked = {name(line): line.partition("==")[2] for line in lines}
    gone = {"torch"}
    if locked.get("torch") != torch.partition("+")[0]:
        gone |= {name(requirement) for requirement in torch_requires}
    return [line for line in lines if name(line) not in gone] + [f"torch=={torch}"]


def name(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as f:
        print("\n".join(main(f.read())))
