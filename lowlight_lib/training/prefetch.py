"""The next batch is made while the network works on this one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Prefetcher(ThreadPoolExecutor):
    """(step, make(step)) of each step, made in a thread while the network works on the one before.

    >>> with Prefetcher(lambda step: 10 * step, range(2, 4)) as batches:
    ...     list(batches)
    [(2, 20), (3, 30)]
    """

    def __init__(self, make: Callable[[int], Any], steps: range) -> None:
        super().__init__(1)
        self._make, self._steps = make, steps
        self._since, self._waited = time.perf_counter(), 0.0

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Raises what making a batch raises."""
        coming = None
        for step in self._steps:
            began = time.perf_counter()
            batch = (coming or self.submit(self._make, step)).result()
            self._waited += time.perf_counter() - began
            coming = None if step == self._steps[-1] else self.submit(self._make, step + 1)
            yield step, batch

    def share(self) -> float:
        """What part of the time since the last call went by in waiting for a batch."""
        now = time.perf_counter()
        share = self._waited / max(now - self._since, 1e-9)
        self._since, self._waited = now, 0.0
        return share

    def __exit__(self, *error):
        self.shutdown(cancel_futures=True)
