"""Served transactions in batches, whether from an audit log or a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from fraud_model.arrays import Flags, Floats
from fraud_model.model.feature import Feature

# What a label is found by: request id and row, or key columns of a table, all as text.
Key = tuple[str, ...]

ROWS_PER_BATCH = 50_000

# What the header X-Request-Source says of requests that are nobody's transactions: they come from
# the server's own page, or from a test.
NO_TRAFFIC = frozenset(("page", "test"))


@dataclass(frozen=True)
class Scored:
    """Transactions that the monitored version scored, in the order in which they were served.

    `seconds` since 1970 (or since a table's own start; NaN without time), `probability` and
    `flagged` have shape (rows,). `values` has shape (rows, features), the features being those of
    the profile, as `Feature.read` reads them, and NaN where a value is missing. A row that could
    not be scored has no probability (NaN). `keys` is empty unless it was asked for. `moments`, of
    shape (rows,), are the transactions' own times in seconds, NaN where they are not known, while
    `seconds` of a log are those of the answer. `opens`, of shape (rows,), tells which rows are the
    first of their request; None where each row is a request of its own.
    """

    seconds: Floats
    values: Floats
    probability: Floats
    flagged: Flags
    keys: Sequence[Key]
    moments: Floats
    opens: Flags | None = None


@dataclass(frozen=True)
class Shadowed:
    """Transactions that a shadow scored too; arrays of shape (rows,)."""

    version: str
    seconds: Floats
    champion: Floats
    shadow: Floats
    champion_flagged: Flags
    shadow_flagged: Flags
    keys: Sequence[Key]


@dataclass(frozen=True)
class Batch:
    """A piece of traffic: scored rows, the seconds of refused requests, and shadow scores."""

    scored: Scored
    refused: Floats
    shadowed: Sequence[Shadowed] = ()


@dataclass
class Tally:
    """What was read, and what could not be used, filled in while the traffic is read.

    `torn` lines end a file without a line end; `unreadable` ones are not audit lines; lines of
    `other_versions` are counted by version, and left out; so are `marked` ones, by the source that
    marks them as no traffic.
    """

    lines: int = 0
    files: int = 0
    torn: int = 0
    unreadable: int = 0
    other_versions: Counter[str] = field(default_factory=Counter)
    marked: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Adds what was counted elsewhere."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Traffic(Protocol):
    """A source of served transactions.

    `key_columns` are the columns that labels may be found by; `has_time` tells whether seconds
    are known, and `in_calendar` whether they count from 1970.
    """

    tally: Tally
    key_columns: tuple[str, ...]
    has_time: bool
    in_calendar: bool

    def batches(self, keys: Sequence[str]) -> Iterator[Batch]:
        """The traffic in order; `keys` names the columns of the rows' keys, or none."""


def read_column(feature: Feature, values: pd.Series) -> tuple[Floats, Flags]:
    """A column as `Feature.read` reads it, and which values are not of its kind: NaN, too.

    Both arrays have shape (rows,).
    """
    try:
        read = feature.read(values)
    except (ValueError, TypeError, OverflowError):
        missing = values.isna()
        read = np.full(len(values), np.nan)
        read[~missing] = [_read_value(feature, value) for value in values[~missing]]
    wrong = np.isinf(read)
    return np.where(wrong, np.nan, read), wrong


def _read_value(feature: Feature, value: object) -> float:
    """The value as a number; infinity if it is not of the feature's kind."""
    try:
        return feature.read_value(value)
    except (ValueError, TypeError, OverflowError):
        return np.inf
