"""A PostgreSQL server for tests, where its programs are installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import free_port
from tests.support.waiting import wait_until

BINARIES = Path("/usr/lib/postgresql")
PASSWORD = "s3cret"

needs_postgresql = pytest.mark.skipif(
    not list(BINARIES.glob("*/bin/initdb")), reason="needs PostgreSQL"
)


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A database cluster of its own with the database `mlflow` of the user `mlflow`; host:port."""
    (initdb, *_) = sorted(BINARIES.glob("*/bin/initdb"), reverse=True)
    data = folder / "cluster"
    data.mkdir(mode=0o700)
    # PostgreSQL does not run as root.
    user: dict[str, Any] = {}
    if os.getuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        for parent in data.parents:
            if parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        user = {"user": "postgres"}
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    options = [
        f"--pgdata={data}",
        "--username=mlflow",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
    ]
    subprocess.run([initdb, *options], check=True, stdout=subprocess.DEVNULL, cwd="/", **user)
    port = free_port()
    server = subprocess.Popen(
        [initdb.with_name("postgres"), "-D", data, "-p", str(port), "-k", data],
        stderr=subprocess.DEVNULL,
        cwd="/",
        **user,
    )
    try:
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        where = ["--host=127.0.0.1", f"--port={port}", "--username=mlflow"]
        pg_isready = [str(initdb.with_name("pg_isready")), *where]
        wait_until(
            lambda: subprocess.run(pg_isready, check=False).returncode == 0,
            what="PostgreSQL takes connections",
        )
        subprocess.run(
            [initdb.with_name("createdb"), *where, "mlflow"], env=environment, check=True
        )
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)
