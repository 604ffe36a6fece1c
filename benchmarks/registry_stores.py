"""The registries that the registry benchmark moves versions in, made and removed again."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

PATIENCE_SECONDS = 120
BINARIES = Path("/usr/lib/postgresql")


@contextlib.contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """A database file that every command opens itself; yields its address."""
    yield f"sqlite:///{folder}/mlflow.db"


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """`mlflow server` on a PostgreSQL cluster of its own; yields the server's address."""
    with _cluster(folder) as database:
        port = free_port()
        command = [
            str(Path(sys.executable).with_name("mlflow")),
            "server",
            "--host=127.0.0.1",
            f"--port={port}",
            "--workers=2",
            f"--backend-store-uri=postgresql+psycopg2://mlflow@{database}/mlflow",
            f"--artifacts-destination={folder / 'artifacts'}",
        ]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with (folder / "server.log").open("wb") as log:
            server = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PATH": path, "PGPASSWORD": "benchmark"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(lambda: requests.get(f"{url}/health", timeout=30).ok)
            yield url
        finally:
            os.killpg(server.pid, 15)
            server.wait(PATIENCE_SECONDS)


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    found = sorted(BINARIES.glob("*/bin/initdb"), reverse=True)
    if not found:
        sys.exit(f"error: no PostgreSQL in {BINARIES}: install it, or use --store sqlite.")
    initdb, data = found[0], folder / "cluster"
    data.mkdir(mode=0o700)
    # PostgreSQL does not run as root.
    user: dict[str, Any] = {}
    if os.getuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        folder.chmod(0o711)
        user = {"user": "postgres"}
    password = folder / "password"
    password.write_text("benchmark")
    password.chmod(0o644)
    subprocess.run(
        [
            initdb,
            f"--pgdata={data}",
            "--username=mlflow",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
        **user,
    )
    port = free_port()
    server = subprocess.Popen(
        [initdb.with_name("postgres"), "-D", data, "-p", str(port), "-k", data],
        stderr=subprocess.DEVNULL,
        cwd="/",
        **user,
    )
    where = ["--host=127.0.0.1", f"--port={port}", "--username=mlflow"]
    ready = [str(initdb.with_name("pg_isready")), "--quiet", *where]
    try:
        _wait(lambda: subprocess.run(ready, check=False).returncode == 0)
        subprocess.run(
            [initdb.with_name("createdb"), *where, "mlflow"],
            env={**os.environ, "PGPASSWORD": "benchmark"},
            check=True,
        )
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def _wait(ready: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError):
            if ready():
                return
        time.sleep(0.2)
    raise TimeoutError(f"no answer within {PATIENCE_SECONDS} s")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
