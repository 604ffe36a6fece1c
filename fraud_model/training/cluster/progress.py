"""Tells how far a fit on a cluster is, as a fit in this process does."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import cloudpickle
import lightgbm

from fraud_model.training.boosting import ROUNDS_BETWEEN_REPORTS

TOPIC = "fraud-model rounds"


class Report:
    """A callback of LightGBM for workers, which tells the clients that `Progress` has.

    It travels by value, since workers need not have this project.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        here = sys.modules[__name__]
        cloudpickle.register_pickle_by_value(here)
        try:
            return pickle.loads, (cloudpickle.dumps(_report),)
        finally:
            cloudpickle.unregister_pickle_by_value(here)


class Progress:
    """Prints each round that is told, once for all workers."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self, event: tuple[float, Any]) -> None:
        _, (done, end) = event
        if done != self._last:
            self._last = done
            print(f"  round {done} of {end}")


def _report(state: lightgbm.callback.CallbackEnv) -> None:
    from distributed import get_worker

    done = state.iteration + 1
    if done % ROUNDS_BETWEEN_REPORTS == 0:
        get_worker().log_event(TOPIC, (done, state.end_iteration))
