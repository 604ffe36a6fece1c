"""Server processes for tests: ours, and MLflow's own beside it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support.environment import REPOSITORY, own_environment
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def post(self, payload: object, **more: Any) -> requests.Response:
        """Sends a JSON payload to `/invocations`."""
        return requests.post(f"{self.url}/invocations", json=payload, timeout=60, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        """Fetches a path."""
        return requests.get(f"{self.url}{path}", timeout=60, **more)

    def stop(self) -> int:
        """Ends the server as an orchestrator does; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[Server]:
    """`python -m fraud_model.serving` with its log in `folder`, once it is healthy."""
    port = free_port()
    command = [sys.executable, "-m", "fraud_model.serving", "--port", str(port), *arguments]
    with _started(command, folder, port, "/health", environment) as server:
        yield server


@contextlib.contextmanager
def plain_serving(folder: Path, model: Path) -> Iterator[Server]:
    """`mlflow models serve` as it is."""
    port = free_port()
    mlflow = str(Path(sys.executable).with_name("mlflow"))
    command = [mlflow, "models", "serve", "-m", str(model), "-p", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with _started(
        [*command, "--env-manager", "local"], folder, port, "/ping", {"PATH": path}
    ) as server:
        yield server


@contextlib.contextmanager
def _started(
    command: list[str], folder: Path, port: int, probe: str, environment: Mapping[str, str]
) -> Iterator[Server]:
    log = folder / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=own_environment(PYTHONPATH=str(REPOSITORY), **environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:

        def is_up() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"the server ended: {log.read_text()}")
            with contextlib.suppress(requests.ConnectionError):
                return server.get(probe).ok
            return False

        wait_until(is_up, seconds=240, what=f"{probe} answers")
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
