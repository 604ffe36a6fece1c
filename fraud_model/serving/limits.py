"""Limits what a task takes of memory and processor, and gives back memory that is not needed."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow


def give_back_memory() -> None:
    """Returns to the system what this process has used and does not need now."""
    pyarrow.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextlib.contextmanager
def processor_at_most(seconds: float) -> Iterator[None]:
    """Ends this process with SIGPROF if it takes more seconds of processor time.

    Nothing else stops a library that does not come back.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextlib.contextmanager
def memory_at_most(more: int) -> Iterator[None]:
    """Lets this process take that many bytes beyond what it has; above it, MemoryError is raised.

    Linux only; elsewhere there is no limit. Memory that an allocator has reserved counts as had, so
    Arrow has to use the system's.
    """
    if sys.platform != "linux":
        yield
        return
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = pages * resource.getpagesize() + more
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
