"""Connects to a Dask cluster, or starts one on this machine, and leaves it as it was."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import lightgbm
from distributed import Client, Future, LocalCluster

from fraud_model.errors import ClusterError
from fraud_model.parallel import cores
from fraud_model.training.cluster.address import local_workers
from fraud_model.training.cluster.fitting import Cluster
from fraud_model.training.cluster.watch import Watch
from fraud_model.training.cluster.workers import usable_workers
from fraud_model.training.place import Place

CONNECT_SECONDS = 10


class OrderedClient(Client):  # type: ignore[misc]  # it is untyped
    """A client that tells where data lies in the order in which it is asked for it.

    `lightgbm.dask` numbers the workers in that order and puts their rows into it. Without it the
    same table would give other trees each time.
    """

    def who_has(
        self, futures: Sequence[Future[Any]] | None = None, **kwargs: Any
    ) -> dict[Any, list[str]]:
        """The addresses of the workers that hold each of the futures, by their keys."""
        found: dict[Any, list[str]] = super().who_has(futures, **kwargs)
        if futures is None:
            return found
        return {future.key: found[future.key] for future in futures}


@contextmanager
def connected(cluster: str) -> Iterator[Place]:
    """The workers that `cluster=` names.

    Raises:
        ClusterError: the scheduler does not answer, or its workers cannot be used.
    """
    with ExitStack() as stack:
        count = local_workers(cluster)
        address = cluster if count is None else _start(count, stack)
        try:
            client = stack.enter_context(OrderedClient(address, timeout=CONNECT_SECONDS))
        except OSError as error:
            raise ClusterError(
                f"the Dask scheduler of cluster={cluster} does not answer: {error}. Is it running, "
                "and does this machine reach it?"
            ) from error
        _silence(client)
        workers = usable_workers(client)
        threads = sum(worker.threads for worker in workers)
        print(f"cluster {cluster}: {len(workers)} workers with {threads} threads")
        with Watch.of(client) as watch:
            yield Cluster(client, watch)


def _start(count: int, stack: ExitStack) -> LocalCluster:
    with _without_main():
        started = LocalCluster(
            n_workers=count,
            threads_per_worker=max(1, cores() // count),
            # Without one it would take Dask's usual port.
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,
        )
    return stack.enter_context(started)


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes that are spawned do not import this one's main module, and with it MLflow.

    Workers need nothing of it, and would take ten seconds and 300 MB each for it.
    """
    own = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = own


def _silence(client: Client) -> None:
    """Leaves out what LightGBM prints of ports, connections and parameters that it sets itself.

    The workers of a cluster elsewhere go on printing it to their own logs. What Dask logs of lost
    connections in this process is left out as well: the error says it.
    """
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    log = logging.getLogger("lightgbm")
    log.setLevel(logging.ERROR)
    lightgbm.register_logger(log)
    if client.cluster is not None:
        # Not by a logger there, which what LightGBM's own threads print does not go to.
        opened = client.run(os.open, os.devnull, os.O_WRONLY)
        for worker, nowhere in opened.items():
            client.run(os.dup2, nowhere, sys.stdout.fileno(), workers=[worker])
