"""Lines of an audit log on their way into a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from fraud_model.arrays import Floats
from fraud_model.data.traffic import Batch, Key, Scored, Shadowed, read_column
from fraud_model.model.feature import Feature


class Piece:
    """Lines on their way into a batch, as columns; `time` reads the transactions' own time."""

    def __init__(
        self, features: tuple[Feature, ...], with_keys: bool, time: Feature | None = None
    ) -> None:
        self._names = tuple(feature.name for feature in features)
        self._values_of = itemgetter(*self._names)
        self._single = len(features) == 1
        self._features = features
        self._are_numbers = all(feature.is_number for feature in features)
        self._with_keys = with_keys
        self._time = time
        self._reset()

    def _reset(self) -> None:
        self.lines = 0
        self._seconds: list[float] = []
        self._moments: list[Any] = []
        self._rows: list[tuple[Any, ...]] = []
        self._probability: list[float] = []
        self._flagged: list[bool] = []
        self._keys: list[Key] = []
        self._opens: list[bool] = []
        self._refused: list[float] = []
        self._shadowed: dict[str, list[tuple[float, float, float, bool, bool, Key]]]
        self._shadowed = defaultdict(list)

    def add(self, entry: dict[str, Any]) -> None:
        """Adds one line; nothing of a line that raises is kept."""
        seconds = datetime.fromisoformat(entry["time"]).timestamp()
        if "refused" in entry:
            self._refused.append(seconds)
        elif "shadow_of" in entry:
            row = (
                seconds,
                float(entry["champion_probability"]),
                float(entry["fraud_probability"]),
                bool(entry["champion_is_fraud"]),
                bool(entry["is_fraud"]),
                self._key(entry),
            )
            self._shadowed[str(entry["model_version"])].append(row)
        else:
            given = entry["features"]
            try:
                values = self._values_of(given)
            except KeyError:
                values = self._without_optional(given)
            probability, flagged = float(entry["fraud_probability"]), bool(entry["is_fraud"])
            key = self._key(entry)
            self._rows.append((values,) if self._single else values)
            self._seconds.append(seconds)
            self._moments.append(given.get(self._time.name) if self._time else None)
            self._probability.append(probability)
            self._flagged.append(flagged)
            self._keys.append(key)
            self._opens.append(entry.get("row", 0) == 0)
        self.lines += 1

    def _without_optional(self, given: dict[str, Any]) -> Any:
        """The values of a request that leaves out some that may be missing."""
        if any(not f.missing and f.name not in given for f in self._features):
            raise KeyError("a feature is missing")
        values = tuple(map(given.get, self._names))
        return values[0] if self._single else values

    def _key(self, entry: dict[str, Any]) -> Key:
        return (str(entry["request_id"]), str(entry["row"])) if self._with_keys else ()

    def take(self) -> Batch:
        """The lines so far as a batch; starts anew."""
        scored = Scored(
            seconds=np.array(self._seconds),
            values=self._read(),
            probability=np.array(self._probability),
            flagged=np.array(self._flagged, dtype=bool),
            keys=self._keys if self._with_keys else (),
            moments=self._read_moments(),
            opens=np.array(self._opens, dtype=bool),
        )
        shadowed = [_shadowed(version, rows) for version, rows in self._shadowed.items()]
        batch = Batch(scored, np.array(self._refused), shadowed)
        self._reset()
        return batch

    def _read_moments(self) -> Floats:
        if self._time is None:
            return np.full(len(self._moments), np.nan)
        if self._time.payload == "double":
            (numbers,) = _numbers([tuple(self._moments)])
            return np.asarray(numbers * self._time.seconds)
        moments, _ = read_column(self._time, pd.Series(self._moments, dtype=object))
        return moments

    def _read(self) -> Floats:
        """The rows' values, shape (rows, features)."""
        if self._are_numbers:
            values = _numbers(self._rows)
            return values.reshape(len(self._rows), len(self._features))
        values = np.empty((len(self._rows), len(self._features)))
        for place, (feature, column) in enumerate(
            zip(self._features, zip(*self._rows, strict=True), strict=False)
        ):
            values[:, place] = _read(feature, column)
        return values


def _shadowed(version: str, rows: list[tuple[float, float, float, bool, bool, Key]]) -> Shadowed:
    seconds, champion, shadow, champion_flagged, shadow_flagged, keys = zip(*rows, strict=True)
    return Shadowed(
        version=version,
        seconds=np.array(seconds),
        champion=np.array(champion),
        shadow=np.array(shadow),
        champion_flagged=np.array(champion_flagged),
        shadow_flagged=np.array(shadow_flagged),
        keys=keys,
    )


def _read(feature: Feature, column: tuple[Any, ...]) -> Floats:
    if feature.is_number:
        (numbers,) = _numbers([column])
        return np.asarray(numbers)
    read, _ = read_column(feature, pd.Series(column, dtype=object))
    return read


def _numbers(rows: Sequence[tuple[Any, ...]]) -> Floats:
    """Rows of numbers; anything else, which the server does not write, counts as missing."""
    try:
        return np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = [[float(v) if isinstance(v, int | float) else np.nan for v in r] for r in rows]
        return np.array(numbers, dtype=np.float64)
