"""Fits boosters with `lightgbm.dask` and scores rows, on the workers of one Dask cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import lightgbm
import numpy as np
import pandas as pd
from distributed import Client, Lock
from lightgbm.dask import DaskLGBMRegressor

from fraud_model.arrays import Floats, Labels
from fraud_model.model.detector import FraudDetector
from fraud_model.model.encoding import Encoder
from fraud_model.training.boosting import booster_parameters
from fraud_model.training.cluster.parts import Parts
from fraud_model.training.cluster.progress import TOPIC, Progress, Report
from fraud_model.training.cluster.watch import Needed, Watch
from fraud_model.training.cluster.workers import check_memory, usable_workers
from fraud_model.training.config import Hyperparameters
from fraud_model.training.inputs import booster_names, scaled_inputs
from fraud_model.training.place import LearnedRows
from fraud_model.training.seeds import average

# Two fits at once on the same workers wait for each other for ever (LightGBM's issue 4942).
LOCK = "fraud-model fit"
SECONDS_BETWEEN_TRIES = 1
RESTART_SECONDS = 30
# LightGBM's defaults for what differs from worker to worker.
PARAMETERS_HERE = {
    "machines": "",
    "num_machines": "1",
    "local_listen_port": "12400",
    "num_threads": "0",
}


class Cluster:
    """Workers that fit boosters on parts of a table; see `Place`.

    Values may be anything whose slices of rows are arrays. A slice at a time is sent, and every
    worker gets every so many of them: LightGBM finds the bins of an input on one worker, whose rows
    have to be like the others', and rows that follow each other are of one time.
    """

    def __init__(self, client: Client, watch: Watch) -> None:
        self._client = client
        self._watch = watch

    @contextmanager
    def hold(self, values: Floats, labels: Labels, encoder: Encoder) -> Iterator[LearnedRows]:
        """See `Place`.

        Raises:
            ClusterError: a worker has too little memory, or is lost.
        """
        with self._alone(), self._parts(values, labels, learned=True) as parts:
            yield _RowsOnWorkers(self._client, parts, encoder)

    def log_odds_by_round(
        self, booster: lightgbm.Booster, values: Floats, apart: int
    ) -> Iterator[tuple[int, Floats]]:
        """See `Place`."""
        last = booster.current_iteration()
        log_odds = np.zeros(len(values))
        with self._parts(values) as parts:
            sent = parts.send(booster)
            for start in range(0, last, apart):
                more = min(apart, last - start)
                log_odds += parts.predict(sent, start_iteration=start, num_iteration=more)
                yield start + more, log_odds

    def log_odds(self, booster: lightgbm.Booster, values: Floats) -> Floats:
        """See `Place`."""
        with self._parts(values) as parts:
            return parts.predict(parts.send(booster))

    def raw_scores(self, detector: FraudDetector, table: pd.DataFrame) -> Floats:
        """See `Place`."""
        booster, encoder, scaler, _ = detector.parts
        return self.log_odds(booster, scaled_inputs(table, encoder, scaler))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = Lock(LOCK, self._client.scheduler, self._client.loop)

        def acquired() -> bool:
            return self._watch.call(
                lambda: bool(lock.acquire(timeout=SECONDS_BETWEEN_TRIES)), Needed([], 0)
            )

        if not acquired():
            print("another training fits on this cluster: waiting until it has")
            while not acquired():
                pass
        try:
            yield
        finally:
            # Without its scheduler there is no lock.
            if self._client.status == "running":
                lock.release()

    @contextmanager
    def _parts(
        self, values: Floats, labels: Labels | None = None, *, learned: bool = False
    ) -> Iterator[Parts]:
        since = self._watch.lost
        workers = self._watch.call(lambda: usable_workers(self._client), Needed([], since))
        if learned:
            check_memory(workers, *values.shape)
        parts = Parts(self._client, self._watch, workers[: len(values)], since)
        try:
            parts.fill(values, labels)
            yield parts
        finally:
            parts.release()


class _RowsOnWorkers:
    def __init__(self, client: Client, parts: Parts, encoder: Encoder) -> None:
        self._client = client
        self._parts = parts
        self._encoder = encoder

    def train(
        self,
        hyperparameters: Hyperparameters,
        rounds: int,
        validation: tuple[Floats, Labels] | None = None,
        *,
        keep: bool = False,
    ) -> lightgbm.Booster:
        if validation is not None:
            raise ValueError("lightgbm.dask does not stop early")
        # Not the classifier, which encodes the labels of each worker's own rows.
        model = DaskLGBMRegressor(
            client=self._client, n_estimators=rounds, **booster_parameters(hyperparameters)
        )
        self._client.subscribe_topic(TOPIC, Progress())
        try:
            self._parts.call(
                lambda: model.fit(
                    *self._parts.arrays(),
                    feature_name=booster_names(self._encoder.inputs),
                    categorical_feature=list(self._encoder.categorical),
                    callbacks=[Report()],
                )
            )
        except BaseException:
            self._restart_workers()
            raise
        return _plain(model.booster_)

    def log_odds(self, boosters: Sequence[lightgbm.Booster]) -> Floats:
        return self._parts.predict(self._parts.send(average(boosters)))

    def _restart_workers(self) -> None:
        """Ends what is left of a fit, whose threads and sockets nothing else frees.

        A cluster on this machine is closed anyway, with its connection.
        """
        if self._client.cluster is not None:
            return
        own = {worker.address: worker for worker in self._parts.workers}
        try:
            left = own.keys() & self._client.scheduler_info(n_workers=-1)["workers"].keys()
            restarted = [address for address in left if own[address].has_nanny]
            self._client.restart_workers(restarted, timeout=RESTART_SECONDS, raise_for_error=False)
        except OSError:
            # The scheduler is gone, and the workers end without it.
            return
        if stuck := sorted(left - set(restarted)):
            print(f"restart {', '.join(stuck)}, which have no nanny, before they are used again")


def _plain(booster: lightgbm.Booster) -> lightgbm.Booster:
    """The booster without the workers' addresses and threads, which would travel with a version."""
    text = booster.model_to_string()
    for name, value in PARAMETERS_HERE.items():
        text = re.sub(rf"^\[{name}: .*\]$", f"[{name}: {value}]", text, flags=re.MULTILINE)
    plain = lightgbm.Booster(model_str=text)
    # As `lightgbm.train` has it where nothing was stopped early.
    plain.best_iteration = 0
    return plain
