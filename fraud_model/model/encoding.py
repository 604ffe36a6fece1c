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

from fraud_model.model.feature import HOUR, JSON_TYPES, SECONDS_PER_DAY, WEEKDAY, Feature, Floats

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
    def categorical(self) -> tuple[int, ...]:
        """The places of the inputs that are codes."""
        first = np.searchsorted(self.owners, np.arange(len(self.features))).tolist()
        kinds = [feature.kind for feature in self.features]
        return tuple(p for p, kind in zip(first, kinds, strict=True) if kind == "category")

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
        return self._inputs_of(columns)

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> Floats | None:
        """The inputs of the rows of a JSON request, shape (rows, inputs), as `encode` has them.

        Each row holds values in the order of `names`. None where a value is not plainly what the
        signature asks for, or cannot be scored.
        """
        if any(len(row) != len(self.features) for row in rows):
            return None
        if self._are_numbers:
            return self._encode_numbers(rows)
        columns = []
        for feature, values in zip(self.features, zip(*rows, strict=True), strict=True):
            if not feature.is_plain(values):
                return None
            read_value = feature.read_value
            try:
                read = [math.nan if value is None else read_value(value) for value in values]
            except (ValueError, OverflowError):
                return None
            columns.append(np.array(read, dtype=np.float64))
            if np.isinf(columns[-1]).any() or (not feature.missing and np.isnan(columns[-1]).any()):
                return None
        return self._inputs_of(columns)

    def _encode_numbers(self, rows: Sequence[Sequence[Any]]) -> Floats | None:
        if not set(map(type, chain.from_iterable(rows))) <= self._types:
            return None
        try:
            values = np.array(rows, dtype=np.float64)
        except (ValueError, OverflowError):
            return None
        finite = np.isfinite(values)
        if not finite.all() and (np.isinf(values).any() or not finite[:, ~self._optional].all()):
            return None
        return values if self._are_inputs else self._inputs_of([*(values * self._units).T])

    def _inputs_of(self, columns: Sequence[Floats]) -> Floats:
        """Puts read columns, each of shape (rows,), and the parts of times side by side."""
        inputs = np.empty((len(columns[0]), len(self.inputs)))
        place = 0
        now = columns[self.names.index(self.time)] if self.time in self.names else None
        for feature, read in zip(self.features, columns, strict=True):
            if feature.kind != "time":
                inputs[:, place] = read
            elif not feature.parts:
                inputs[:, place] = 0.0
            if feature.rates:
                inputs[:, place + 1] = rates_of(read, feature)
            for offset, part in enumerate(feature.parts):
                inputs[:, place + offset] = _part_of(read, part, now)
            place += len(feature.inputs)
        return inputs

    @cached_property
    def _are_numbers(self) -> bool:
        """Whether every feature is a number in every payload."""
        kinds = ("number", "time")
        return all(f.payload == "double" and f.kind in kinds for f in self.features)

    @cached_property
    def _are_inputs(self) -> bool:
        return self._are_numbers and all(feature.kind == "number" for feature in self.features)

    @cached_property
    def _units(self) -> Floats:
        return np.array([f.seconds if f.kind == "time" else 1.0 for f in self.features])

    @cached_property
    def _optional(self) -> npt.NDArray[np.bool_]:
        return np.array([feature.missing for feature in self.features])

    @cached_property
    def _types(self) -> frozenset[type]:
        return JSON_TYPES["double"] | ({type(None)} if self._optional.any() else set())


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
    expected = {
        "number": "a number",
        "boolean": "true or false, or yes or no",
        "time": "a date or time" + (f" written as {feature.format}" if feature.format else ""),
        "category": "a category",
    }[feature.kind]
    return _invalid(f"row {row}, column {feature.name!r} does not hold {expected}.")


def _reads(feature: Feature, value: object) -> bool:
    try:
        feature.read(pd.Series([value], dtype=object))
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _invalid(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)
