"""What a version answers about pieces of a table, on every core."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pyarrow
from mlflow.exceptions import MlflowException
from threadpoolctl import threadpool_limits

from fraud_model.arrays import Flags, Floats
from fraud_model.data.piece import Piece
from fraud_model.data.schema import shorten
from fraud_model.data.table_traffic import described_features
from fraud_model.data.traffic import read_column
from fraud_model.errors import DataError, ParameterError
from fraud_model.model.feature import MISSING_WORDS, Feature, what_it_reads
from fraud_model.parallel import cores, in_order

ANSWER = ("fraud_probability", "is_fraud", "risk_level")
VERSION, REASONS = "model_version", "reasons"
REASON = pyarrow.struct([("feature", pyarrow.string()), ("contribution", pyarrow.float64())])


@dataclass(frozen=True)
class ScoredPiece:
    """What is known of a piece of rows; arrays of shape (rows,).

    `place` is what messages call their file. `table` is what is to be written, and None for rows
    that were written before. `values` has shape (rows, watched features), as `Feature.read` reads
    them, and `seconds` are NaN without a time.
    """

    place: str
    table: pyarrow.Table | None
    probability: Floats
    flagged: Flags
    values: Floats
    seconds: Floats


class Scorer:
    """A version with what is asked of it.

    `reasons` are how many features are named that moved a score most. `keys` are columns that are
    carried over. `watched` names features, and `time` the one that tells when a transaction
    happened, whose values go to the monitoring.
    """

    def __init__(
        self,
        path: Path,
        number: str,
        keys: Sequence[str],
        reasons: int,
        watched: Sequence[str] = (),
        time: str | None = None,
    ) -> None:
        loaded = mlflow.pyfunc.load_model(str(path))
        self.described = described_features(loaded)
        if not 0 <= reasons <= len(self.described):
            raise ParameterError(
                f"reasons={reasons} is invalid: expected 0 to {len(self.described)}, the number of "
                "features."
            )
        self._model = loaded.unwrap_python_model()
        self._number = number
        self._keys = tuple(keys)
        self._params = {"explain": reasons} if reasons else {}
        self._watched = tuple(watched)
        self._time = time

    def columns(self, found: Sequence[str], place: str) -> list[str]:
        """The columns to read of a table with the columns `found`.

        Raises:
            DataError: a feature that may not be missing is not there.
            ParameterError: a key is not there, or has the name of a column of the answer.
        """
        missing = [
            name
            for name, feature in self.described.items()
            if not feature.missing and name not in found
        ]
        shown = ", ".join(map(repr, found))
        if missing:
            raise DataError(
                f"{place}: missing columns {', '.join(map(repr, missing))}, features of the model. "
                f"Found: {shown}. Name the columns as in the training data."
            )
        for key in self._keys:
            if key not in found:
                raise ParameterError(f"keys: {place} has no column {key!r}. Found: {shown}.")
            if key in (*ANSWER, VERSION, REASONS):
                raise ParameterError(
                    f"keys: {key!r} is a column of the answer too. Rename it in the table, or "
                    "leave it out."
                )
        features = [name for name in self.described if name in found]
        return [*features, *(key for key in self._keys if key not in features)]

    @property
    def numbers(self) -> list[str]:
        """The features that are numbers in every payload: any other is read as text of a CSV."""
        return [name for name, feature in self.described.items() if feature.payload == "double"]

    def score(self, piece: Piece) -> ScoredPiece:
        """Scores a piece.

        Raises:
            DataError: a value cannot be scored; the message says which.
        """
        frame = self._frame(piece)
        try:
            answer = self._model.predict(None, frame, self._params)
        except (MlflowException, ValueError, TypeError) as error:
            raise self._refusal(frame, piece, error) from error
        columns = {key: piece.column(key) for key in self._keys}
        columns |= {name: pyarrow.array(answer[name]) for name in ANSWER}
        columns["risk_level"] = columns["risk_level"].cast(pyarrow.string())
        columns[VERSION] = pyarrow.repeat(self._number, len(piece))
        if self._params:
            columns[REASONS] = pyarrow.array(answer[REASONS].tolist(), pyarrow.list_(REASON))
        values, seconds = self._read(frame, piece)
        return ScoredPiece(
            place=piece.place,
            table=pyarrow.table(columns),
            probability=answer["fraud_probability"].to_numpy(),
            flagged=answer["is_fraud"].to_numpy(),
            values=values,
            seconds=seconds,
        )

    def restore(self, piece: Piece, probability: Floats, flagged: Flags) -> ScoredPiece:
        """A piece with the scores that it was given before, both of shape (rows,)."""
        values, seconds = self._read(self._frame(piece), piece)
        return ScoredPiece(piece.place, None, probability, flagged, values, seconds)

    def _frame(self, piece: Piece) -> pd.DataFrame:
        found = piece.names
        return piece.frame([name for name in self.described if name in found])

    def _read(self, frame: pd.DataFrame, piece: Piece) -> tuple[Floats, Floats]:
        values = np.full((len(frame), len(self._watched)), np.nan)
        for place, name in enumerate(self._watched):
            if name in frame:
                values[:, place], _ = read_column(self.described[name], frame[name])
        if self._time is None:
            return values, np.full(len(frame), np.nan)
        seconds, _ = read_column(self.described[self._time], frame[self._time])
        without = np.isnan(seconds)
        if without.any():
            raise DataError(
                f"{piece.place}: row {piece.first + int(without.argmax()) + 1:,}, column "
                f"{self._time!r} holds no time, so the row is in no window. Correct it or drop the "
                "row."
            )
        return values, seconds

    def _refusal(self, frame: pd.DataFrame, piece: Piece, error: Exception) -> DataError:
        """What is wrong with the first row that cannot be scored."""
        found = [
            (int(wrong.argmax()), name)
            for name, feature in self.described.items()
            if name in frame and (wrong := _wrong(feature, frame[name])).any()
        ]
        if not found:
            rows = f"rows {piece.first + 1:,} to {piece.first + len(piece):,}"
            return DataError(f"{piece.place}: {rows} cannot be scored: {error}")
        row, name = min(found)
        return DataError(
            f"{piece.place}: row {piece.first + row + 1:,}, column {name!r} "
            f"{_what(self.described[name], frame[name].iloc[row])} The whole parts before it stay."
        )


def on_every_core(tasks: Iterable[Callable[[], ScoredPiece]]) -> Iterator[ScoredPiece]:
    """What the tasks return, in their order.

    Each thread keeps to one core: LightGBM's own threads would wait for each other after every
    piece, and for all that is not LightGBM.
    """
    return in_order(tasks, cores(), _keep_to_one_core)


def as_text(reasons: pyarrow.Array) -> pyarrow.Array:
    """The reasons of each row as JSON, for a format that knows no lists."""
    return pyarrow.array([json.dumps(row) for row in reasons.to_pylist()], pyarrow.string())


def _keep_to_one_core() -> None:
    # In OpenMP this is a setting of the calling thread.
    threadpool_limits(limits=1, user_api="openmp")


def _wrong(feature: Feature, values: pd.Series) -> Flags:
    read, wrong = read_column(feature, values)
    return wrong if feature.missing else wrong | np.isnan(read)


def _what(feature: Feature, value: Any) -> str:
    if pd.isna(value) or (isinstance(value, str) and value.strip() in MISSING_WORDS):
        return (
            "is missing, and it never was in the table that the model learned from: does its "
            "source still deliver it? Fill it or drop the row, or train with -P missing=accept."
        )
    expected = "a finite number" if feature.kind == "number" else what_it_reads(feature)
    return f"holds {shorten(value)!r}, which is not {expected}. Correct it or drop the row."
