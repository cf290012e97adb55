"""What a run of the course has left behind, for the table of notebooks/16_scoreboard."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..evaluation.results import read_rows, weights_id


@dataclass(frozen=True)
class Entry:
    """One test of one network."""

    row: dict  # as results.json has it
    folder: Path  # of that results.json; pictures/ is in it
    weights: Path | None  # file of the tested weights, where it is in that folder


def entries(out_dir, order=()) -> list[Entry]:
    """The test of each system in a run: on the test split, with the true exposure ratio.

    Of several tests of a system the one with the most images counts, of equal ones the later.
    results.json is in `out_dir`, the folder of a notebook, else in the folders beside it. Systems
    named in `order` come first, the others by name. DataError: a results.json is damaged.
    """
    best = {}
    for path in _in_run(out_dir, "results.json"):
        for row in read_rows(path):
            fits = row.get("split") == "test" and row.get("amplification") in ("ratio", None)
            fits = fits and row.get("model") and row.get("images") and row.get("weights")
            if not fits or row.get("predictions"):
                continue
            known, folder = best.get(row["model"]), path.parent
            if known is None or row["images"] >= known.row["images"]:
                files = sorted(folder.rglob("*.safetensors"))
                tested = next((f for f in files if weights_id(f) == row["weights"]), None)
                best[row["model"]] = Entry(row, folder, tested)
    rank = {name: i for i, name in enumerate(order)}
    return [best[n] for n in sorted(best, key=lambda n: (rank.get(n, len(rank)), n))]


def bench_rows(out_dir) -> list[dict]:
    """The rows of the run's bench.json (see `deploy.bench`); DataError where it is damaged."""
    return [row for path in _in_run(out_dir, "bench.json") for row in read_rows(path)]


def pareto_front(costs, qualities) -> np.ndarray:
    """Which choices no other beats, by costing no more, being no worse, and better in one of both:
    bool (N,), of costs and qualities (N,). Equal choices stand or fall together.
    """
    costs, qualities = np.asarray(costs, float), np.asarray(qualities, float)
    no_worse = (costs[:, None] <= costs) & (qualities[:, None] >= qualities)
    better = (costs[:, None] < costs) | (qualities[:, None] > qualities)
    return ~(no_worse & better).any(0)  # pyright: ignore[reportReturnType]  (one axis of two)


def _in_run(out_dir, name):
    own = Path(out_dir, name)
    return [own] if own.exists() else sorted(own.parent.parent.glob(f"*/{name}"))
