"""Keeps a process's memory small: gives back what is not needed, and limits what a task takes."""

from __future__ import annotations

import contextlib
import ctypes
import resource
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
def at_most(more: int) -> Iterator[None]:
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
