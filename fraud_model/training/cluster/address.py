"""How `cluster=` is written."""

from __future__ import annotations

import re

from fraud_model.errors import ParameterError

LOCAL = re.compile(r"local:([1-9]\d*)")
SCHEDULER = re.compile(r"(tcp|tls)://[^\s/]+:\d+")


def check_cluster(cluster: str) -> None:
    """Checks how `cluster=` is written.

    Raises:
        ParameterError: it is neither empty, nor the address of a scheduler, nor `local:N`.
    """
    if cluster and not LOCAL.fullmatch(cluster) and not SCHEDULER.fullmatch(cluster):
        raise ParameterError(
            f"cluster={cluster!r} is invalid: expected the address of a Dask scheduler, such as "
            "tcp://host:8786, or local:2 for two worker processes on this machine."
        )


def local_workers(cluster: str) -> int | None:
    """How many workers to start on this machine; None for a cluster that runs elsewhere."""
    found = LOCAL.fullmatch(cluster)
    return None if found is None else int(found[1])
