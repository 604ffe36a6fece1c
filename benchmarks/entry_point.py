"""Runs an entry point as a user would, and says what it cost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).parents[1]


def cost(
    name: str, *options: str, folder: Path, good: Collection[int] = (0,)
) -> tuple[float, float]:
    """Seconds and mebibytes of one run of an entry point in `folder`; Linux only.

    Raises:
        RuntimeError: it ended with another status than the `good` ones.
    """
    start, most = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [sys.executable, "-m", f"entrypoints.{name}", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        most = max(most, _peak_memory(process.pid))
        time.sleep(0.05)
    if process.returncode not in good:
        raise RuntimeError(f"{name} ended with status {process.returncode}")
    return time.perf_counter() - start, most


def _peak_memory(process: int) -> float:
    """The most resident memory of a process so far, in mebibytes."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
