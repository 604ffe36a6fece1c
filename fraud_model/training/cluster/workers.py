"""The workers of a cluster: which of them can be used, and whether a table fits in their memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm
from distributed import Client

from fraud_model.errors import ClusterError

# While LightGBM reads its part of the table a worker has it twice, as pieces and as one array, and
# its bins, of one byte a value.
BYTES_PER_VALUE = 8 + 8 + 1
# Label, gradient, hessian, score and place in the tree.
BYTES_PER_ROW = 40
# Of its memory, what a worker may use before its nanny ends it.
USABLE = 0.95
GIB = 1024**3


@dataclass(frozen=True)
class Worker:
    """A worker, by its address; `free` is in bytes, None where it has no limit."""

    address: str
    threads: int
    free: float | None
    has_nanny: bool


def usable_workers(client: Client) -> list[Worker]:
    """The workers that the cluster has now.

    Raises:
        ClusterError: it has none, or one without the LightGBM of this process.
    """
    known = client.scheduler_info(n_workers=-1)["workers"]
    if not known:
        address = client.scheduler.address
        raise ClusterError(
            f"the cluster {address} has no workers. Start some with: dask worker {address}"
        )
    _check_versions(client)
    return [
        Worker(
            address,
            one["nthreads"],
            USABLE * one["memory_limit"] - one["metrics"]["memory"]
            if one["memory_limit"]
            else None,
            one["nanny"] is not None,
        )
        for address, one in known.items()
    ]


def check_memory(workers: Sequence[Worker], rows: int, inputs: int) -> None:
    """Checks that each worker can learn from an equal share of a table.

    Raises:
        ClusterError: one has too little memory.
    """
    share = -(-rows // len(workers))
    needed = share * (inputs * BYTES_PER_VALUE + BYTES_PER_ROW)
    for worker in workers:
        if worker.free is not None and worker.free < needed:
            raise ClusterError(
                f"the worker {worker.address} has too little memory: {needed / GIB:,.1f} GiB are "
                f"needed to learn from {share:,} rows of {inputs} inputs, its share of the table, "
                f"and {max(0.0, worker.free) / GIB:,.1f} GiB are free. Add workers, or give them "
                "more with dask worker --memory-limit."
            )


def _check_versions(client: Client) -> None:
    found = client.get_versions(packages=["lightgbm"])["workers"]
    for address, one in found.items():
        version = one["packages"]["lightgbm"]
        if version != lightgbm.__version__:
            has = "no LightGBM" if version is None else f"LightGBM {version}"
            raise ClusterError(
                f"the worker {address} has {has}, and this process {lightgbm.__version__}. Install "
                f"lightgbm=={lightgbm.__version__} on all workers."
            )
