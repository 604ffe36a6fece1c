"""Reads a table of transactions, and scores it with the monitored version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd

from fraud_model.data.files import read_table
from fraud_model.data.traffic import ROWS_PER_BATCH, Batch, Scored, Tally
from fraud_model.errors import DataError

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq")
# The number of a row, from 0, for tables without a better key.
ROW = "row"


class TableTraffic:
    """The rows of a CSV, CSV.gz or Parquet file, scored by the version in a model directory.

    Windows of time follow the profile's time column, in seconds from 0. Keys are the columns that
    are not features, and `row`, the number of the row from 0.

    Raises:
        DataError: the file is not a table, or lacks a feature of the model.
    """

    in_calendar = False

    def __init__(
        self, path: Path, model_path: Path, features: Sequence[str], time: str | None
    ) -> None:
        self.tally = Tally(files=1)
        self._path = path
        self._model = mlflow.pyfunc.load_model(str(model_path))
        self._wanted: list[str] = self._model.metadata.get_input_schema().input_names()
        self._table = read_table(path, numbers=self._wanted)
        missing = [name for name in self._wanted if name not in self._table.columns]
        if missing:
            found = ", ".join(map(repr, self._table.columns))
            raise DataError(
                f"{path}: missing columns {', '.join(map(repr, missing))}, features of the model. "
                f"Found: {found}. Name the columns as in the training data."
            )
        self._features = list(features)
        self._time = time
        self.has_time = time is not None
        others = [str(name) for name in self._table.columns if name not in self._wanted]
        self.key_columns = (*(name for name in others if name != ROW), ROW)

    def batches(self, keys: Sequence[str]) -> Iterator[Batch]:
        """The table in order of time; see Traffic."""
        table = self._table
        if ROW not in table.columns:
            table = table.assign(**{ROW: np.arange(len(table))})
        numbers = table[self._wanted].apply(pd.to_numeric, errors="coerce").astype(np.float64)
        numbers = numbers.replace([np.inf, -np.inf], np.nan)
        if self._time is not None:
            without = numbers[self._time].isna()
            if without.any():
                raise DataError(
                    f"{self._path}: row {int(without.to_numpy().argmax()) + 1}, column "
                    f"{self._time!r} holds no number ({int(without.sum())} such rows), so its time "
                    "is unknown. Correct these rows or drop them."
                )
            order = numbers[self._time].sort_values(kind="stable").index
            numbers, table = numbers.loc[order], table.loc[order]
        for first in range(0, len(table), ROWS_PER_BATCH):
            piece = slice(first, first + ROWS_PER_BATCH)
            self.tally.lines += len(table.iloc[piece])
            yield Batch(self._scored(numbers.iloc[piece], table.iloc[piece], keys), np.empty(0))

    def _scored(self, numbers: pd.DataFrame, table: pd.DataFrame, keys: Sequence[str]) -> Scored:
        whole = numbers.notna().all(axis=1).to_numpy()
        probability = np.full(len(numbers), np.nan)
        flagged = np.zeros(len(numbers), dtype=bool)
        if whole.any():
            answered = self._model.predict(numbers[whole])
            probability[whole] = answered["fraud_probability"]
            flagged[whole] = answered["is_fraud"]
        return Scored(
            seconds=(
                np.full(len(numbers), np.nan)
                if self._time is None
                else numbers[self._time].to_numpy()
            ),
            values=numbers[self._features].to_numpy(),
            probability=probability,
            flagged=flagged,
            keys=list(zip(*(table[name].map(str) for name in keys), strict=True)) if keys else (),
        )
