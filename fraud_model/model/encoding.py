"""What becomes of a transaction's columns before the booster sees them.

Part of the code that travels with a version: see `detector`. Training encodes its table with it,
and so does the version that it makes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.exceptions import MlflowException

from fraud_model.model.feature import (
    HOUR,
    JSON_TYPES,
    RATE,
    SECONDS_PER_DAY,
    WEEKDAY,
    Feature,
    Floats,
    what_it_reads,
)

SECONDS_PER_HOUR = 3_600
# 1 January 1970 was a Thursday, and Monday is 0.
FIRST_WEEKDAY = 3


@dataclass(frozen=True)
class Encoder:
    """Turns transactions into what the booster reads: one column for each of `inputs`.

    `time` names the feature that says when a transaction happened; None where none does.
    """

    features: tuple[Feature, ...]
    time: str | None = None

    @classmethod
    def read(cls, content: dict[str, Any]) -> Encoder:
        """The encoder that `dataclasses.asdict` wrote."""
        return cls(tuple(map(Feature.from_dict, content["features"])), content["time"])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the booster's inputs, in order."""
        return tuple(chain.from_iterable(feature.inputs for feature in self.features))

    @cached_property
    def owners(self) -> npt.NDArray[np.int64]:
        """For each input the place of the feature that it comes from, shape (inputs,)."""
        return np.repeat(np.arange(len(self.features)), [len(f.inputs) for f in self.features])

    @cached_property
    def first(self) -> npt.NDArray[np.int64]:
        """For each feature the place of its first input, shape (features,)."""
        return np.searchsorted(self.owners, np.arange(len(self.features)))

    @cached_property
    def categorical(self) -> tuple[int, ...]:
        """The places of the inputs that are codes."""
        pairs = zip(self.first.tolist(), self.features, strict=True)
        return tuple(place for place, feature in pairs if feature.kind == "category")

    def encode(self, table: pd.DataFrame) -> Floats:
        """The inputs of a table's rows, shape (rows, inputs).

        A column that is not there, and need not be, is missing in every row.

        Raises:
            MlflowException: a value is missing where none may be, infinite, or not of its kind; the
                scoring server answers it with status 400.
        """
        columns = []
        for feature in self.features:
            if feature.missing and feature.name not in table:
                columns.append(np.full(len(table), np.nan))
                continue
            values = table[feature.name]
            try:
                read = feature.read(values)
            except (ValueError, TypeError, OverflowError) as error:
                raise _not_of_its_kind(feature, values) from error
            _check(feature, read)
            columns.append(read)
        # Column by column is a fifth of the time where these lie one after the other.
        inputs = np.empty((len(table), len(self.inputs)), order="F")
        for place, owner in enumerate(self.owners):
            inputs[:, place] = columns[owner]
        return self._with_parts(inputs, columns)

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> Floats | None:
        """The inputs of the rows of a JSON request, shape (rows, inputs), as `encode` has them.

        Each row holds values in the order of `names`. None where a value is not plainly what the
        signature asks for, or cannot be scored.
        """
        if self._are_numbers:
            return self._encode_numbers(rows)
        if any(len(row) != len(self.features) for row in rows):
            return None
        columns: list[list[float]] = []
        for feature, values in zip(self.features, zip(*rows, strict=True), strict=True):
            if not feature.is_plain(values):
                return None
            read = feature.read_value
            try:
                columns.append([math.nan if value is None else read(value) for value in values])
            except (ValueError, OverflowError):
                return None
        return self._inputs_of(np.array(columns, dtype=np.float64))

    def _encode_numbers(self, rows: Sequence[Sequence[Any]]) -> Floats | None:
        if not set(map(type, chain.from_iterable(rows))) <= self._types:
            return None
        try:
            values = np.array(rows, dtype=np.float64)
        except (ValueError, OverflowError):
            # Among others, rows of different lengths.
            return None
        if values.shape[1:] != (len(self.features),):
            return None
        if self._are_inputs:
            return self._with_parts(values, values.T) if self._can_score(values.T) else None
        return self._inputs_of((values * self._units).T)

    def _inputs_of(self, read: Floats) -> Floats | None:
        """The inputs of read values of shape (features, rows); None as for `encode_rows`."""
        if not self._can_score(read):
            return None
        return self._with_parts(np.ascontiguousarray(read[self.owners].T), read)

    def _can_score(self, read: Floats) -> bool:
        finite = np.isfinite(read)
        if finite.all():
            return True
        return not np.isinf(read).any() and bool(finite[~self._optional].all())

    def _with_parts(self, inputs: Floats, columns: Sequence[Floats] | Floats) -> Floats:
        """Puts the parts of times in their places; `columns` are what was read of each feature."""
        now = columns[self.names.index(self.time)] if self.time in self.names else None
        for place, owner, part in self._parts:
            if part == RATE:
                inputs[:, place] = rates_of(columns[owner], self.features[owner])
            else:
                inputs[:, place] = _part_of(columns[owner], part, now) if part else 0.0
        return inputs

    @cached_property
    def _parts(self) -> list[tuple[int, int, str]]:
        """The place of each input that is not read as it is, its feature's, and what it is instead.

        That is a part of a time, nothing where the model does not look at the time, or the share of
        frauds of a category.
        """
        pieces = [(i, part) for i, f in enumerate(self.features) for part in _pieces(f)]
        return [
            (place, owner, part) for place, (owner, part) in enumerate(pieces) if part is not None
        ]

    @cached_property
    def _are_numbers(self) -> bool:
        """Whether every feature is a number in every payload."""
        kinds = ("number", "time")
        return all(f.payload == "double" and f.kind in kinds for f in self.features)

    @cached_property
    def _are_inputs(self) -> bool:
        # A time of which nothing is looked at takes the place of one input.
        return self._are_numbers and not any(feature.parts for feature in self.features)

    @cached_property
    def _units(self) -> Floats:
        return np.array([f.seconds if f.kind == "time" else 1.0 for f in self.features])

    @cached_property
    def _optional(self) -> npt.NDArray[np.bool_]:
        return np.array([feature.missing for feature in self.features])

    @cached_property
    def _types(self) -> frozenset[type]:
        return JSON_TYPES["double"] | ({type(None)} if self._optional.any() else set())


def _pieces(feature: Feature) -> tuple[str | None, ...]:
    """What a feature's inputs are: None for what was read."""
    if feature.kind == "time":
        return feature.parts or ("",)
    return (None, RATE) if feature.rates else (None,)


def rates_of(codes: Floats, feature: Feature) -> Floats:
    """The share of frauds of each code of a category; NaN is missing."""
    known = ~np.isnan(codes)
    rates = np.full(len(codes), np.nan)
    rates[known] = np.array(feature.rates)[codes[known].astype(np.int64)]
    return rates


def _part_of(seconds: Floats, part: str, now: Floats | None) -> Floats:
    if part == HOUR:
        return seconds % SECONDS_PER_DAY / SECONDS_PER_HOUR
    if part == WEEKDAY:
        return (seconds // SECONDS_PER_DAY + FIRST_WEEKDAY) % 7
    if now is None:
        raise ValueError(f"{part} needs the time of the transaction")
    return (now - seconds) / SECONDS_PER_DAY


def _check(feature: Feature, read: Floats) -> None:
    wrong = np.isinf(read) if feature.missing else ~np.isfinite(read)
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    if np.isinf(read[row]):
        raise _invalid(
            f"row {row + 1}, column {feature.name!r} is infinite; it must be a finite number. "
            "Leave the row out, or correct the value."
        )
    raise _invalid(
        f"row {row + 1}, column {feature.name!r} is missing (NaN), and it never was in the table "
        "that the model learned from: does its source still deliver it? Leave the row out, or "
        "train with -P missing=accept."
    )


def _not_of_its_kind(feature: Feature, values: pd.Series) -> MlflowException:
    # The value itself is card data, and this may end up in a log.
    row = next(row for row, value in enumerate(values, start=1) if not _reads(feature, value))
    return _invalid(f"row {row}, column {feature.name!r} does not hold {what_it_reads(feature)}.")


def _reads(feature: Feature, value: object) -> bool:
    try:
        feature.read(pd.Series([value], dtype=object))
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _invalid(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)
