"""This project's server as a process of its own, for the benchmarks that load it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import requests

POLL_SECONDS = 0.2
STOP_SECONDS = 120


@contextlib.contextmanager
def serving(
    model: Path, *, workers: int = 1, **environment: str
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Serves a model until the block ends; yields the port and the process once it is healthy.

    Raises:
        RuntimeError: the server ends before that.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--model-uri", str(model), "--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen(
        [sys.executable, "-m", "fraud_model.serving", *options],
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"http://127.0.0.1:{port}/health", timeout=30).ok:
                    break
            if process.poll() is not None:
                raise RuntimeError("the server ended; start it by hand to see why")
            time.sleep(POLL_SECONDS)
        yield port, process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
