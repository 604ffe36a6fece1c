"""Recognises plain requests: JSON with complete rows of finite numbers and nothing else.

MLflow's server spends nearly all of a one-row request on making a table, casting its columns one by
one and enforcing the schema. Rows that already are what the schema asks for need none of that.
Every other request (a number as text, an extra column, parameters, CSV) is left to MLflow's own
parsing, so that each request is answered as MLflow would answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import orjson

from fraud_model.arrays import Floats

# bool, a subclass of int, is left to MLflow.
NUMBERS = frozenset((float, int))


class Recogniser:
    """Turns the body of a plain JSON request into an array of shape (rows, features)."""

    def __init__(self, features: Sequence[str]) -> None:
        self._features = list(features)
        self._known = frozenset(features)
        self._readers: dict[str, Callable[[Any], list[list[Any]] | None]] = {
            "dataframe_records": self._from_records,
            "dataframe_split": self._from_split,
            "inputs": self._from_inputs,
        }

    def recognise(self, body: bytes) -> Floats | None:
        """The values in the features' order, or None if MLflow has to parse the body."""
        try:
            decoded = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        return self.read(decoded)

    def read(self, decoded: Any) -> Floats | None:
        """The values of a parsed body; None as for `recognise`."""
        if type(decoded) is not dict or len(decoded) != 1:
            return None
        ((key, content),) = decoded.items()
        reader = self._readers.get(key)
        rows = reader(content) if reader else None
        if not rows or not set(map(type, chain.from_iterable(rows))) <= NUMBERS:
            return None
        try:
            values = np.array(rows, dtype=np.float64)
        except (ValueError, OverflowError):
            return None
        if values.shape != (len(rows), len(self._features)) or not np.isfinite(values).all():
            return None
        return values

    def _from_records(self, content: Any) -> list[list[Any]] | None:
        if type(content) is not list:
            return None
        features, width = self._features, len(self._features)
        rows = []
        for record in content:
            if type(record) is not dict or len(record) != width:
                return None
            try:
                rows.append([record[feature] for feature in features])
            except KeyError:
                return None
        return rows

    def _from_split(self, content: Any) -> list[list[Any]] | None:
        if type(content) is not dict or set(content) != {"columns", "data"}:
            return None
        columns, data = content["columns"], content["data"]
        if type(columns) is not list or type(data) is not list:
            return None
        if not all(type(row) is list and len(row) == len(columns) for row in data):
            return None
        if columns == self._features:
            return data
        if len(columns) != len(self._features) or not all(type(name) is str for name in columns):
            return None
        position = {name: place for place, name in enumerate(columns)}
        if position.keys() != self._known:
            return None
        order = [position[feature] for feature in self._features]
        return [[row[place] for place in order] for row in data]

    def _from_inputs(self, content: Any) -> list[list[Any]] | None:
        if type(content) is list:
            return self._from_records(content)
        if type(content) is not dict or content.keys() != self._known:
            return None
        columns = [content[feature] for feature in self._features]
        if not all(type(column) is list and len(column) == len(columns[0]) for column in columns):
            return None
        return [list(row) for row in zip(*columns, strict=True)]
