"""Reads a table of transactions, and scores it with the monitored version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd

from fraud_model.arrays import Flags, Floats
from fraud_model.data.files import read_table
from fraud_model.data.traffic import ROWS_PER_BATCH, Batch, Scored, Tally, read_column
from fraud_model.errors import DataError
from fraud_model.model.feature import Feature

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq")
PARQUET = (".parquet", ".pq")
# The number of a row, from 0, for tables without a better key.
ROW = "row"


class TableTraffic:
    """The rows of a CSV, CSV.gz or Parquet file, scored by the version in a model directory.

    Windows of time follow the profile's time column: dates are dates, other numbers count from 0.
    Keys are the columns that are not features, and `row`, the number of the row from 0.

    Raises:
        DataError: the file is not a table, or lacks a feature of the model.
    """

    def __init__(
        self, path: Path, model_path: Path, features: Sequence[str], time: str | None
    ) -> None:
        self.tally = Tally(files=1)
        self._path = path
        loaded = mlflow.pyfunc.load_model(str(model_path))
        self._model = loaded.unwrap_python_model()
        self._described = described_features(loaded)
        self._table = read_table(path, numbers=_not_text(path, self._described))
        missing = [
            name
            for name, feature in self._described.items()
            if not feature.missing and name not in self._table.columns
        ]
        if missing:
            found = ", ".join(map(repr, self._table.columns))
            raise DataError(
                f"{path}: missing columns {', '.join(map(repr, missing))}, features of the model. "
                f"Found: {found}. Name the columns as in the training data."
            )
        self._features = list(features)
        self._time = time
        self.has_time = time is not None
        self.in_calendar = time is not None and self._described[time].is_dated
        others = [str(name) for name in self._table.columns if name not in self._described]
        self.key_columns = (*(name for name in others if name != ROW), ROW)

    def batches(self, keys: Sequence[str]) -> Iterator[Batch]:
        """The table in order of time; see Traffic."""
        table = self._table
        order = np.arange(len(table))
        if self._time is not None:
            seconds, _ = read_column(self._described[self._time], table[self._time])
            without = np.isnan(seconds)
            if without.any():
                raise DataError(
                    f"{self._path}: row {int(without.argmax()) + 1}, column {self._time!r} holds "
                    f"no time ({int(without.sum())} such rows). Correct these rows or drop them."
                )
            order = np.argsort(seconds, kind="stable")
        for first in range(0, len(table), ROWS_PER_BATCH):
            piece = table.iloc[order[first : first + ROWS_PER_BATCH]]
            self.tally.lines += len(piece)
            yield Batch(self._scored(piece, keys), np.empty(0))

    def _scored(self, table: pd.DataFrame, keys: Sequence[str]) -> Scored:
        values: dict[str, Floats] = {}
        whole: Flags = np.ones(len(table), dtype=bool)
        for name, feature in self._described.items():
            if name not in table.columns:
                values[name] = np.full(len(table), np.nan)
                continue
            values[name], wrong = read_column(feature, table[name])
            whole &= ~wrong if feature.missing else ~np.isnan(values[name])
        # As the version's own code reads them: numbers as they are, and the rest by their text.
        given = pd.DataFrame(
            {
                name: values[name] if feature.kind in ("number", "boolean") else table[name]
                for name, feature in self._described.items()
                if name in table.columns
            },
            index=table.index,
        )
        probability = np.full(len(table), np.nan)
        flagged = np.zeros(len(table), dtype=bool)
        if whole.any():
            answered = self._model.predict(None, given[whole], {})
            probability[whole] = answered["fraud_probability"]
            flagged[whole] = answered["is_fraud"]
        moments = np.full(len(table), np.nan) if self._time is None else values[self._time]
        return Scored(
            seconds=moments,
            values=np.column_stack([values[name] for name in self._features]),
            probability=probability,
            flagged=flagged,
            keys=list(zip(*(_texts(table, name) for name in keys), strict=True)) if keys else (),
            moments=moments,
        )


def _texts(table: pd.DataFrame, name: str) -> Iterable[str]:
    """A key column; the number of the row is the index where it is no column."""
    return map(str, table[name] if name in table.columns else table.index)


def described_features(loaded: mlflow.pyfunc.PyFuncModel) -> dict[str, Feature]:
    """The features that a version takes; those of release 0.1.0 are numbers."""
    encoder = getattr(loaded.unwrap_python_model(), "encoder", None)
    if encoder is None:
        return {name: Feature(name) for name in loaded.metadata.get_input_schema().input_names()}
    return {feature.name: feature for feature in encoder.features}


def _not_text(path: Path, described: dict[str, Feature]) -> list[str]:
    """The columns to read as they are; a Parquet file has types of its own."""
    if path.name.lower().endswith(PARQUET):
        return list(described)
    # The text 007 is no number, although it looks like one.
    return [feature.name for feature in described.values() if feature.payload == "double"]
