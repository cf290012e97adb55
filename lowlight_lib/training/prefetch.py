"""The next batch is made while the network works on this one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Batch = TypeVar("Batch")


def prefetched(make: Callable[[int], Batch], steps: range) -> Generator[tuple[int, Batch]]:
    """(step, make(step)), each made in a thread while the network works on the one before.

    >>> list(prefetched(lambda step: 10 * step, range(2, 4)))
    [(2, 20), (3, 30)]
    """
    coming = None
    with ThreadPoolExecutor(1) as pool:
        for step in steps:
            batch = (coming or pool.submit(make, step)).result()
            coming = None if step == steps[-1] else pool.submit(make, step + 1)
            yield step, batch
