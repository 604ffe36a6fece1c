"""The parts of a table: its target, its features and what each of them holds, time and amount."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fraud_model.arrays import Floats
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.model.feature import Feature


@dataclass(frozen=True)
class Columns:
    """The columns of a table of transactions.

    `features` are names, in order; `specs` say what each of them holds, and are empty for a table
    of release 0.1.0, which had numbers alone. `time` and `amount` name two of them, or are None.
    `ignored` are the columns that were left out.
    """

    target: str
    features: tuple[str, ...]
    time: str | None
    amount: str | None
    ignored: tuple[str, ...] = ()
    specs: tuple[Feature, ...] = ()

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Columns:
        """The columns that `dataclasses.asdict` wrote; other content is left out."""
        return cls(
            target=content["target"],
            features=tuple(content["features"]),
            time=content["time"],
            amount=content["amount"],
            ignored=tuple(content["ignored"]),
            specs=tuple(map(Feature.from_dict, content.get("specs", ()))),
        )

    @cached_property
    def described(self) -> dict[str, Feature]:
        """What each feature holds, by name and in order."""
        specs = self.specs or tuple(Feature(name) for name in self.features)
        return {feature.name: feature for feature in specs}

    @property
    def has_dates(self) -> bool:
        """Whether the time counts from a known day, rather than from the table's first row."""
        return self.time is not None and self.described[self.time].is_dated

    def seconds(self, rows: pd.DataFrame) -> Floats | None:
        """When each row happened, in seconds, shape (rows,); None where the table has no time."""
        if self.time is None:
            return None
        return self.described[self.time].read(rows[self.time])

    def amounts(self, rows: pd.DataFrame) -> Floats | None:
        """The amount of each row, shape (rows,), 0 where it is missing; None without a column."""
        if self.amount is None:
            return None
        return np.nan_to_num(self.described[self.amount].read(rows[self.amount]))

    def days_covered(self, rows: pd.DataFrame) -> float:
        """Days from the first to the last row; 1.0 if the table has no time."""
        return days_between(self.seconds(rows))


def days_between(seconds: Floats | None) -> float:
    """Days from the first to the last of these moments; 1.0 if there are none."""
    return 1.0 if seconds is None else float(seconds.max() - seconds.min()) / SECONDS_PER_DAY
