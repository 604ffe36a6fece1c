"""Where boosters are fitted and rows scored: in this process, or on the workers of a cluster.

Encoder, scaler, calibration, decision and metrics are this process's in either case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Protocol

import lightgbm
import numpy as np
import pandas as pd

from fraud_model.arrays import Floats, Labels
from fraud_model.data.column_files import pieces
from fraud_model.errors import NotInstalled
from fraud_model.model.detector import FraudDetector
from fraud_model.model.encoding import Encoder
from fraud_model.training.boosting import (
    booster_dataset,
    log_odds_by_round,
    log_odds_of,
    log_odds_of_learned_rows,
    train_booster,
)
from fraud_model.training.config import Hyperparameters


class LearnedRows(Protocol):
    """Rows to learn from, which lie where boosters are fitted."""

    def train(
        self,
        hyperparameters: Hyperparameters,
        rounds: int,
        validation: tuple[Floats, Labels] | None = None,
        *,
        keep: bool = False,
    ) -> lightgbm.Booster:
        """A booster of so many rounds, stopped early on the validation part where one is given.

        `keep` says that the rows' own scores will be asked for.
        """
        ...

    def log_odds(self, boosters: Sequence[lightgbm.Booster]) -> Floats:
        """The mean of what boosters that were kept give these rows, shape (rows,)."""
        ...


class Place(Protocol):
    """Fits boosters and scores rows. Values are scaled inputs, shape (rows, inputs)."""

    def hold(
        self, values: Floats, labels: Labels, encoder: Encoder
    ) -> AbstractContextManager[LearnedRows]:
        """Takes rows to learn from, with labels of shape (rows,), until the context ends."""
        ...

    def log_odds_by_round(
        self, booster: lightgbm.Booster, values: Floats, apart: int
    ) -> Iterator[tuple[int, Floats]]:
        """Raw scores, shape (rows,), after every `apart` rounds and the last one."""
        ...

    def log_odds(self, booster: lightgbm.Booster, values: Floats) -> Floats:
        """Raw scores, shape (rows,)."""
        ...

    def raw_scores(self, detector: FraudDetector, table: pd.DataFrame) -> Floats:
        """A detector's raw scores of a table's rows, shape (rows,)."""
        ...


class Here:
    """This process, with as many threads as it may use."""

    @contextmanager
    def hold(self, values: Floats, labels: Labels, encoder: Encoder) -> Iterator[LearnedRows]:
        """See `Place`."""
        data = booster_dataset(values, labels, encoder)
        # LightGBM lets go of them once they are binned.
        del values
        yield _RowsHere(data)

    def log_odds_by_round(
        self, booster: lightgbm.Booster, values: Floats, apart: int
    ) -> Iterator[tuple[int, Floats]]:
        """See `Place`."""
        return log_odds_by_round(booster, values, apart)

    def log_odds(self, booster: lightgbm.Booster, values: Floats) -> Floats:
        """See `Place`."""
        return log_odds_of(booster, values)

    def raw_scores(self, detector: FraudDetector, table: pd.DataFrame) -> Floats:
        """See `Place`."""
        return np.concatenate([detector.log_odds(piece) for _, piece in pieces(table)])


HERE: Place = Here()


class _RowsHere:
    def __init__(self, data: lightgbm.Dataset) -> None:
        self._data = data

    def train(
        self,
        hyperparameters: Hyperparameters,
        rounds: int,
        validation: tuple[Floats, Labels] | None = None,
        *,
        keep: bool = False,
    ) -> lightgbm.Booster:
        held_out = None
        if validation is not None:
            held_out = lightgbm.Dataset(*validation, reference=self._data)
        return train_booster(self._data, hyperparameters, rounds, held_out, keep=keep)

    def log_odds(self, boosters: Sequence[lightgbm.Booster]) -> Floats:
        found: Floats = np.mean([log_odds_of_learned_rows(each) for each in boosters], axis=0)
        return found


@contextmanager
def opened(cluster: str) -> Iterator[Place]:
    """The place that `cluster=` names; empty for this process.

    Raises:
        NotInstalled: it names a cluster, and Dask is not there; the message says how to install it.
        ClusterError: the cluster cannot be reached or used.
    """
    if not cluster:
        yield HERE
        return
    if find_spec("distributed") is None:
        raise NotInstalled(
            f"cluster={cluster} needs Dask, which is not installed in this environment. Install "
            "it with: pip install -r requirements-dask.txt"
        )
    # Here, because it imports Dask.
    from fraud_model.training.cluster.connection import connected

    with connected(cluster) as place:
        yield place
