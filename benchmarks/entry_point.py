"""Runs an entry point as a user would, or another command, and says what it cost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]


def cost(
    name: str, *options: str, folder: Path, good: Collection[int] = (0,)
) -> tuple[float, float]:
    """Seconds and mebibytes of one run of an entry point in `folder`; Linux only."""
    return cost_of(sys.executable, "-m", f"entrypoints.{name}", *options, folder=folder, good=good)


def cost_of(*command: str, folder: Path, good: Collection[int] = (0,)) -> tuple[float, float]:
    """Seconds and mebibytes of a command in `folder`; Linux only.

    The memory is the most resident one of the process, or together with those that it has started.

    Raises:
        RuntimeError: it ended with another status than the `good` ones.
    """
    start, most = time.perf_counter(), 0.0
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        most = max(most, _memory(process.pid))
        time.sleep(0.05)
    if process.returncode not in good:
        raise RuntimeError(f"{command} ended with status {process.returncode}")
    return time.perf_counter() - start, most


def _memory(process: int) -> float:
    """The most resident memory of a process so far, or that of its family now, in mebibytes."""
    return max(_status(process, "VmHWM"), sum(_status(one, "VmRSS") for one in _family(process)))


def _family(process: int) -> Iterator[int]:
    """A process, and those that it or they have started."""
    yield process
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        # Any of them may have ended meanwhile.
        with suppress(OSError):
            for child in thread.read_text().split():
                yield from _family(int(child))


def _status(process: int, name: str) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
