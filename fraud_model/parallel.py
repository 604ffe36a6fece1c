"""Work on every core, whose results come in the order of the work."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# Tasks that are taken before the oldest one is done, for each thread.
AHEAD = 2


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    tasks: Iterable[Callable[[], T]], threads: int, prepare: Callable[[], object] | None = None
) -> Iterator[T]:
    """What the tasks return, in their order; each thread calls `prepare` first.

    Tasks are taken one by one, and few of their results wait, however many there are.
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, initializer=prepare) as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(task))
                if len(waiting) > AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
