"""Connects to a Dask cluster, or starts one on this machine, and leaves it as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import lightgbm
from distributed import Client, LocalCluster

from fraud_model.errors import ClusterError
from fraud_model.parallel import cores
from fraud_model.training.cluster.address import local_workers
from fraud_model.training.cluster.fitting import Cluster
from fraud_model.training.cluster.workers import usable_workers
from fraud_model.training.place import Place

CONNECT_SECONDS = 10


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
            client = stack.enter_context(Client(address, timeout=CONNECT_SECONDS))
        except OSError as error:
            raise ClusterError(
                f"the Dask scheduler of cluster={cluster} does not answer: {error}. Is it running, "
                "and does this machine reach it?"
            ) from error
        _silence(client)
        workers = usable_workers(client)
        threads = sum(worker.threads for worker in workers)
        print(f"cluster {cluster}: {len(workers)} workers with {threads} threads")
        yield Cluster(client)


def _start(count: int, stack: ExitStack) -> LocalCluster:
    started = LocalCluster(
        n_workers=count,
        threads_per_worker=max(1, cores() // count),
        dashboard_address=None,
        silence_logs=logging.ERROR,
    )
    return stack.enter_context(started)


def _silence(client: Client) -> None:
    """Leaves out what LightGBM says of ports, connections and parameters that it sets itself.

    The workers of a cluster elsewhere go on saying it in their own logs.
    """
    log = logging.getLogger("lightgbm")
    log.setLevel(logging.ERROR)
    lightgbm.register_logger(log)
    if client.cluster is not None:
        client.run(log.setLevel, logging.ERROR)
        client.run(lightgbm.register_logger, log)
