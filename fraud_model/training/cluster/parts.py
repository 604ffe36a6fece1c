"""Rows as they lie on the workers of a cluster, in pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import dask.array
import lightgbm
import numpy as np
import numpy.typing as npt
from distributed import Client, Future

from fraud_model.arrays import Floats, Labels
from fraud_model.training.cluster.watch import Needed, Watch
from fraud_model.training.cluster.workers import Worker

T = TypeVar("T")

# Of scaled inputs that are sent at a time, which is all that this process holds of them.
PIECE_BYTES = 2**25


class Parts:
    """Consecutive rows as they lie on the workers, in order."""

    def __init__(self, client: Client, watch: Watch, workers: Sequence[Worker], since: int) -> None:
        self.workers = workers
        self._client = client
        self._watch = watch
        self._needed = Needed([worker.address for worker in workers], since)
        self._pieces: list[list[Future]] = []
        self._shapes: list[tuple[int, int]] = []

    def call(self, work: Callable[[], T]) -> T:
        return self._watch.call(work, self._needed)

    def fill(self, values: Floats, labels: Labels | None) -> None:
        rows, inputs = values.shape
        most = max(1, PIECE_BYTES // (8 * inputs))
        each = -(-rows // (most * len(self.workers)))
        bounds = np.linspace(0, rows, each * len(self.workers) + 1).astype(np.int64)
        for number, (start, end) in enumerate(pairwise(bounds)):
            piece: list[npt.NDArray[Any]] = [np.ascontiguousarray(values[start:end])]
            if labels is not None:
                piece.append(labels[start:end])
            worker = self.workers[number % len(self.workers)].address
            self._pieces.append(self._scatter(piece, worker))
            self._shapes.append(piece[0].shape)

    def _scatter(self, data: list[Any], worker: str) -> list[Future]:
        return self.call(lambda: self._client.scatter(data, workers=[worker], hash=False))

    def arrays(self) -> tuple[dask.array.Array, dask.array.Array]:
        """All values and labels, as Dask has them."""
        values, labels = [], []
        for (x, y), shape in zip(self._pieces, self._shapes, strict=True):
            values.append(dask.array.from_delayed(x, shape, np.float64))
            labels.append(dask.array.from_delayed(y, shape[:1], np.int64))
        return dask.array.concatenate(values), dask.array.concatenate(labels)

    def send(self, booster: lightgbm.Booster) -> Future:
        """Sends a booster to one worker, from which the others fetch it."""
        return self._scatter([booster], self.workers[0].address)[0]

    def predict(self, booster: Future, **rounds: int) -> Floats:
        """Raw scores of all rows, shape (rows,)."""

        def work() -> list[Floats]:
            found = []
            for number, piece in enumerate(self._pieces):
                worker = self.workers[number % len(self.workers)]
                found.append(
                    self._client.submit(
                        lightgbm.Booster.predict,
                        booster,
                        piece[0],
                        raw_score=True,
                        num_threads=worker.threads,
                        workers=[worker.address],
                        pure=False,
                        **rounds,
                    )
                )
            scores: list[Floats] = self._client.gather(found)
            return scores

        return np.concatenate(self.call(work))

    def release(self) -> None:
        for piece in self._pieces:
            for future in piece:
                future.release()
        self._pieces.clear()
