"""Ends a call to a cluster as soon as a worker that it needs is lost.

Nothing else surely does. A LightGBM process whose peer has closed its socket reads from it for
ever, unless something unread made that a reset, and Dask waits for a worker of the same address to
come back (LightGBM's issues 6197 and 6351).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from distributed import Client
from distributed.scheduler import KilledWorker
from lightgbm.basic import LightGBMError

from fraud_model.errors import ClusterError

T = TypeVar("T")

# Of the scheduler's events.
TOPIC = "all"

SECONDS_BETWEEN_LOOKS = 1
# How much later than the failure that it causes the loss of a worker may be heard of.
SECONDS_FOR_THE_CAUSE = 5
# What a failure on the workers or on the way to them is; anything else is a bug.
FAILURES = (LightGBMError, KilledWorker, CancelledError, MemoryError, OSError)


@dataclass(frozen=True)
class Needed:
    """Workers, by their addresses, that hold something, and how many had been lost before."""

    workers: Sequence[str]
    since: int


class Watch:
    """Hears from the scheduler which workers it loses, those that are restarted among them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._changed = threading.Condition()
        self._lost: list[str] = []

    @classmethod
    @contextmanager
    def of(cls, client: Client) -> Iterator[Self]:
        """A watch that hears until the context ends."""
        watch = cls(client)
        client.subscribe_topic(TOPIC, watch._hear)
        try:
            yield watch
        finally:
            # Otherwise the scheduler tells it of its own end, and complains that it is gone.
            client.unsubscribe_topic(TOPIC)

    @property
    def lost(self) -> int:
        """How many workers were lost so far."""
        return len(self._lost)

    def call(self, work: Callable[[], T], needed: Needed) -> T:
        """Does work that waits for the cluster; it is left alone where it cannot end.

        Raises:
            ClusterError: a worker that is needed is lost, or the scheduler, or the work failed.
        """
        outcome: Future[T] = Future()

        def do() -> None:
            try:
                outcome.set_result(work())
            except BaseException as error:
                outcome.set_exception(error)
            with self._changed:
                self._changed.notify_all()

        # A thread, since waiting in it for the work could not be ended. Python does not wait for a
        # daemon at its end.
        threading.Thread(target=do, name="work on the cluster", daemon=True).start()
        with self._changed:
            while not outcome.done() and not self._gone(needed) and self._connected():
                self._changed.wait(SECONDS_BETWEEN_LOOKS)
        error = outcome.exception() if outcome.done() else None
        if outcome.done() and error is None:
            return outcome.result()
        if error is not None and not isinstance(error, FAILURES):
            raise error
        self._explain(needed, error)
        raise ClusterError(
            f"the work on the cluster failed; nothing was registered. {error}"
        ) from error

    def _explain(self, needed: Needed, error: BaseException | None) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._gone(needed) or not self._connected(), SECONDS_FOR_THE_CAUSE
            )
        if gone := self._gone(needed):
            raise ClusterError(
                f"the cluster lost the worker {', '.join(gone)} while it held a part of the table; "
                "nothing was registered. Its own log says why; often it had too little memory. "
                "Train again once it is back, or with the workers that are left."
            ) from error
        if not self._connected():
            raise ClusterError(
                f"the connection to the scheduler of the cluster is lost; nothing was registered. "
                f"Is {self._client.scheduler.address} still running?"
            ) from error

    def _gone(self, needed: Needed) -> list[str]:
        return [worker for worker in self._lost[needed.since :] if worker in needed.workers]

    def _connected(self) -> bool:
        return bool(self._client.status == "running")

    def _hear(self, event: tuple[float, Any]) -> None:
        _, message = event
        if isinstance(message, dict) and message.get("action") == "remove-worker":
            with self._changed:
                self._lost.append(message["worker"])
                self._changed.notify_all()
