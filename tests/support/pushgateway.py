"""A real Pushgateway of Prometheus, for as long as a test needs it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.server import free_port
from tests.support.waiting import is_up, wait_until

# Debian's name, and Prometheus' own.
NAMES = ("prometheus-pushgateway", "pushgateway")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)

needs_pushgateway = pytest.mark.skipif(PROGRAM is None, reason="needs Prometheus' Pushgateway")


@contextmanager
def pushgateway(folder: Path) -> Iterator[str]:
    """Yields its address."""
    assert PROGRAM is not None
    url = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [PROGRAM, f"--web.listen-address={url[7:]}"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: is_up(f"{url}/-/ready"), what="the Pushgateway answers")
        yield url
    finally:
        process.terminate()
        process.wait(60)
