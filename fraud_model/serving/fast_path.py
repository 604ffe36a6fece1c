"""Recognises plain requests: JSON with complete rows and nothing else.

MLflow's server spends nearly all of a one-row request on making a table, casting its columns one by
one and enforcing the schema. Rows that already are what the schema asks for need none of that;
whether they are, the version tells that encodes them. Every other request (a number as text, an
extra column, parameters, CSV) is left to MLflow's own parsing, so that each request is answered as
MLflow would answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

# A value for each feature, in their order.
Rows = list[list[Any]]


class Recogniser:
    """Turns the body of a plain JSON request into rows of values."""

    def __init__(self, features: Sequence[str]) -> None:
        self._features = list(features)
        self._known = frozenset(features)
        self._readers: dict[str, Callable[[Any], Rows | None]] = {
            "dataframe_records": self._from_records,
            "dataframe_split": self._from_split,
            "inputs": self._from_inputs,
        }

    def recognise(self, body: bytes) -> Rows | None:
        """The rows of a body, or None if MLflow has to parse it."""
        try:
            decoded = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        return self.read(decoded)

    def read(self, decoded: Any) -> Rows | None:
        """The rows of a parsed body; None as for `recognise`."""
        if type(decoded) is not dict or len(decoded) != 1:
            return None
        ((key, content),) = decoded.items()
        reader = self._readers.get(key)
        return (reader(content) or None) if reader else None

    def _from_records(self, content: Any) -> Rows | None:
        if type(content) is not list:
            return None
        features, width = self._features, len(self._features)
        rows = []
        for record in content:
            if type(record) is not dict or len(record) != width:
                return None
            try:
                rows.append([*map(record.__getitem__, features)])
            except KeyError:
                return None
        return rows

    def _from_split(self, content: Any) -> Rows | None:
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

    def _from_inputs(self, content: Any) -> Rows | None:
        if type(content) is list:
            return self._from_records(content)
        if type(content) is not dict or content.keys() != self._known:
            return None
        columns = [content[feature] for feature in self._features]
        if not all(type(column) is list and len(column) == len(columns[0]) for column in columns):
            return None
        return [list(row) for row in zip(*columns, strict=True)]
