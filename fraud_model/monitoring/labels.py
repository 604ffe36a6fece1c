"""Reads labels, which arrive after the answers, and finds them by the keys of the traffic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fraud_model.data.files import read_table
from fraud_model.data.traffic import Key
from fraud_model.errors import DataError

Codes = npt.NDArray[np.int64]

UNKNOWN = -1


class Labels:
    """Labels by key: 1 for a fraud, 0 for a transaction known to be genuine.

    Attributes:
        columns: the key columns that labels and traffic share.
    """

    def __init__(self, columns: tuple[str, ...], known: dict[Key, int]) -> None:
        self.columns = columns
        self._known = known

    def __len__(self) -> int:
        return len(self._known)

    def of(self, keys: Sequence[Key]) -> Codes:
        """The label of each key, UNKNOWN where there is none yet, shape (keys,)."""
        known = self._known
        return np.fromiter((known.get(key, UNKNOWN) for key in keys), np.int64, len(keys))


def read_labels(path: Path, target: str, key_columns: Sequence[str]) -> Labels:
    """Reads a table with a label per row, and columns that the traffic's keys have too.

    An empty label is not known yet. With `request_id` alone, a label is that of the request's first
    row.

    Raises:
        DataError: the label or a key column is missing, a label is neither 0 nor 1, or a key has
            two labels.
    """
    table = read_table(path, numbers=(target,))
    shared = tuple(name for name in key_columns if name in table.columns)
    if target not in table.columns or not shared:
        found = ", ".join(map(repr, table.columns))
        raise DataError(
            f"{path}: labels need the column {target!r} (1 = fraud, 0 = genuine) and at least one "
            f"of {', '.join(map(repr, key_columns))} to identify transactions; found: {found}."
        )
    if "request_id" in shared and "row" not in shared and "row" in key_columns:
        table = table.assign(row="0")
        shared = (*shared, "row")
    numbers = pd.to_numeric(table[target], errors="coerce")
    wrong = ~(numbers.isin((0, 1)) | table[target].isna())
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        found = str(table[target].iloc[row])
        raise DataError(
            f"{path}: row {row + 1}, column {target!r} holds {found!r}: expected 0 (genuine), "
            "1 (fraud), or nothing while it is unknown."
        )
    labelled = numbers.notna()
    keys = zip(*(table.loc[labelled, name].map(str) for name in shared), strict=True)
    known: dict[Key, int] = {}
    for key, label in zip(keys, numbers[labelled].astype(int), strict=True):
        if known.setdefault(key, label) != label:
            named = ", ".join(f"{n} {k!r}" for n, k in zip(shared, key, strict=True))
            raise DataError(f"{path}: {named} is labelled both 0 and 1. Keep the correct label.")
    return Labels(shared, known)
