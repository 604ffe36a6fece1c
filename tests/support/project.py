"""The project as its user runs it: `mlflow run` and `mlflow models serve`, in their own store."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.environment import REPOSITORY, own_environment
from tests.support.server import free_port
from tests.support.store import store_at
from tests.support.waiting import is_up, wait_until

MLFLOW = str(Path(sys.executable).with_name("mlflow"))


class Project:
    """Runs the project's entry points as a user does, against a store in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder}/mlflow.db"
        self.folder = folder
        # The entry points' `python` is the one that runs the tests, activated or not.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = own_environment(MLFLOW_TRACKING_URI=self.uri, PATH=path)

    def run(self, *arguments: str, fails: bool = False) -> str:
        """`mlflow run . --env-manager local` with more arguments; returns what it printed."""
        done = subprocess.run(
            [MLFLOW, "run", str(REPOSITORY), "--env-manager", "local", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def serve(self, model_uri: str) -> Iterator[str]:
        """`mlflow models serve` until the block ends; the server's address."""
        port = free_port()
        command = [MLFLOW, "models", "serve", "-m", model_uri, "-p", str(port)]
        server = subprocess.Popen(
            [*command, "--env-manager", "local"],
            env=self.environment,
            cwd=self.folder,
            start_new_session=True,
        )
        try:
            _wait_until_ready(server, f"http://127.0.0.1:{port}/ping")
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            os.killpg(server.pid, 15)
            server.wait(30)


def _wait_until_ready(server: subprocess.Popen[bytes], ping: str) -> None:
    wait_until(lambda: server.poll() is not None or is_up(ping), what="the server is ready")
    assert server.poll() is None, "the server ended before it was ready"


@contextlib.contextmanager
def project_in(folder: Path) -> Iterator[Project]:
    """The project with a store in this folder, which MLflow asks until the block ends."""
    project = Project(folder)
    with store_at(project.uri):
        yield project
