"""Ports that a printed command names, for one test at a time."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def reserved(port: int) -> Iterator[None]:
    """Keeps other tests of this machine that ask for `port` waiting until the block ends."""
    with (Path(tempfile.gettempdir()) / f"fraud-model-tests-port-{port}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
