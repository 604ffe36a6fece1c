"""Reads labels, which arrive after the answers, and finds them by the keys of the traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fraud_model.arrays import Floats
from fraud_model.data.files import read_table
from fraud_model.data.kinds import InTheWay, Role, infer
from fraud_model.data.overrides import Override
from fraud_model.data.target import read_labels
from fraud_model.data.traffic import Key
from fraud_model.errors import DataError

# The column that says since when a label is known: of two labels, the later one is right.
DATE = "labelled_at"


class LabelTable:
    """Labels by key: 1 for a fraud, 0 for a transaction known to be genuine.

    Attributes:
        columns: the key columns that labels and traffic share.
        corrected: how many labels a later one has taken the place of.
    """

    def __init__(
        self,
        columns: tuple[str, ...],
        known: Mapping[Key, float],
        corrected: int,
        dates: Mapping[Key, float] | None = None,
    ) -> None:
        self.columns = columns
        self.corrected = corrected
        self._known = known
        self._dates = dates or {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, keys: Iterable[Key]) -> Floats:
        """The label of each key, NaN where there is none yet, shape (keys,)."""
        known = self._known
        return np.array([known.get(key, np.nan) for key in keys], dtype=np.float64)

    def dates_of(self, keys: Iterable[Key]) -> Floats:
        """The seconds since which each label is known, -inf without a date, shape (keys,)."""
        dates = self._dates
        return np.array([dates.get(key, -np.inf) for key in keys], dtype=np.float64)


def read_label_table(
    path: Path, target: str, key_columns: Sequence[str], fraud: str = ""
) -> LabelTable:
    """Reads a table with a label per row, and columns that the traffic's keys have too.

    An empty label is not known yet. With `request_id` alone, a label is that of the request's first
    row. Where a key has several labels, the one with the latest date in `labelled_at` counts, and
    one without a date comes before all others. `fraud` is the value that means fraud, empty for the
    plain ones.

    Raises:
        DataError: the label or a key column is missing, a label or a date cannot be read, or a key
            has two labels of the same date, or without dates.
    """
    table = read_table(path, numbers=(target, DATE))
    shared = tuple(n for n in key_columns if n in table.columns and n not in (target, DATE))
    if target not in table.columns or not shared:
        found = ", ".join(map(repr, table.columns))
        raise DataError(
            f"{path}: labels need the column {target!r} (1 = fraud, 0 = genuine) and at least one "
            f"of {', '.join(map(repr, key_columns))} to identify transactions; found: {found}."
        )
    if "request_id" in shared and "row" not in shared and "row" in key_columns:
        table = table.assign(row="0")
        shared = (*shared, "row")
    labels = read_labels(table[target], fraud, str(path))
    places = list(range(len(shared)))
    # Numbers for names: a key column may be called anything.
    frame = pd.DataFrame({place: table[name].map(str) for place, name in enumerate(shared)})
    frame["label"], frame["date"] = labels, _dates(table, path)
    frame = frame[~np.isnan(labels)].sort_values("date", kind="stable")
    each = frame.drop_duplicates([*places, "date", "label"])
    clash = each[each.duplicated([*places, "date"])]
    if len(clash):
        key = clash.iloc[0][places]
        named = ", ".join(f"{n} {k!r}" for n, k in zip(shared, key, strict=True))
        raise DataError(
            f"{path}: {named} is labelled both 0 and 1. Keep the correct label, or say in a column "
            f"{DATE!r} when each became known: the latest counts."
        )
    last = frame.drop_duplicates(places, keep="last")
    keys = list(zip(*(last[place] for place in places), strict=True))
    known = dict(zip(keys, last["label"].tolist(), strict=True))
    dated = zip(keys, last["date"].tolist(), strict=True)
    dates = {key: date for key, date in dated if date > -np.inf}
    corrected = len(each.drop_duplicates([*places, "label"])) - len(last)
    return LabelTable(shared, known, corrected, dates)


def _dates(table: pd.DataFrame, path: Path) -> Floats:
    """The seconds of each label's date, shape (rows,); -inf without one."""
    undated = np.full(len(table), -np.inf)
    if DATE not in table.columns or table[DATE].isna().all():
        return undated
    try:
        column = infer(table[DATE], Override(kind="time"), Role(is_time=True))
    except InTheWay as error:
        raise DataError(f"{path}: {error}. Correct the date, or leave it empty.") from error
    assert column.feature is not None
    seconds = column.feature.read(table[DATE])
    return np.where(np.isnan(seconds), undated, seconds)
