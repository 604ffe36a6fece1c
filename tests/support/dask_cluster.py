"""A Dask cluster of real processes, which know nothing of this project."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from distributed import Client

from tests.support.environment import own_environment
from tests.support.server import free_port
from tests.support.waiting import wait_until


@dataclass
class DaskCluster:
    """A scheduler, and workers of one thread each with the nannies that restart them."""

    address: str
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def logs(self) -> str:
        """What scheduler and workers have printed."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Starts `dask` with these arguments, in a group of its own."""
        name = f"{len(self.started)}-{arguments[0]}.log"
        with (self.folder / name).open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
                cwd=self.folder,
                env=own_environment(**environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def start_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """The nanny of a further worker."""
        return self.start("worker", self.address, "--nthreads", "1", **environment)

    def workers(self) -> int:
        """How many workers the scheduler has."""
        with Client(self.address, set_as_default=False) as client:
            return len(client.scheduler_info(n_workers=-1)["workers"])

    def wait_for(self, workers: int) -> None:
        """Waits until the scheduler has so many workers."""
        wait_until(lambda: self.workers() == workers, what=f"{workers} workers\n{self.logs}")


def kill_worker(nanny: subprocess.Popen[bytes]) -> None:
    """Kills the process in which a nanny's worker runs, as a lack of memory does."""
    for child in psutil.Process(nanny.pid).children():
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()


@contextlib.contextmanager
def dask_cluster(folder: Path) -> Iterator[DaskCluster]:
    """A scheduler with two workers, whose logs and files lie in `folder`."""
    port = free_port()
    cluster = DaskCluster(f"tcp://127.0.0.1:{port}", folder)
    try:
        cluster.start("scheduler", "--host", "127.0.0.1", "--port", str(port))
        for _ in range(2):
            cluster.start_worker()
        cluster.wait_for(2)
        yield cluster
    finally:
        for process in cluster.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
