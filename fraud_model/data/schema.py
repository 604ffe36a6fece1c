"""Which column of a table is what, and whether its cells can be trained on.

The names come from the table. Only three have a meaning of their own: the target (1 = fraud),
the time (seconds) and the amount (money); every remaining numeric column is a feature, and so
are time and amount, where the table has them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fraud_model.arrays import Labels
from fraud_model.errors import DataError

DEFAULT_TARGET = "Class"
DEFAULT_TIME = "Time"
DEFAULT_AMOUNT = "Amount"

SECONDS_PER_DAY = 86_400
# Of a cell that a message shows.
MOST_CHARACTERS = 40


@dataclass(frozen=True)
class Columns:
    """The parts of a table: its target, the features in order, and which are time and amount."""

    target: str
    features: tuple[str, ...]
    time: str | None
    amount: str | None
    ignored: tuple[str, ...] = ()


def resolve_columns(
    table: pd.DataFrame, place: str, target: str, time: str, amount: str
) -> Columns:
    """Tells target, time, amount and features of `table` apart.

    Time and amount may be absent under their default names; a name that somebody chose must be
    there. Columns without any number are ignored, and named in the result.

    Raises:
        DataError: a column is missing (the message shows expected and found as a diff), or no
            feature is left.
    """
    found = [str(name) for name in table.columns]
    expected = [target]
    expected += [time] if time != DEFAULT_TIME else []
    expected += [amount] if amount != DEFAULT_AMOUNT else []
    missing = [name for name in expected if name not in found]
    if missing:
        raise DataError(f"{place}: {describe_missing(missing, found)}")
    ignored = tuple(name for name in found if name != target and _holds_no_number(table[name]))
    for name in (time, amount):
        if name in ignored:
            raise DataError(
                f"{place}: column {name!r} holds {shorten(table[name].dropna().iloc[0])!r} where "
                "a number belongs. Write times as seconds and amounts as plain numbers."
            )
    features = tuple(name for name in found if name != target and name not in ignored)
    if not features:
        raise DataError(
            f"{place}: there is no numeric column besides the target {target!r}, so there are no "
            "features. Save numbers as numbers, or give another table."
        )
    return Columns(
        target=target,
        features=features,
        time=time if time in found else None,
        amount=amount if amount in found else None,
        ignored=ignored,
    )


def describe_missing(missing: Sequence[str], found: Iterable[str]) -> str:
    """One line that shows missing columns as a diff, with the closest name found for each."""
    found = list(found)
    parts = []
    for name in missing:
        folded = [other for other in found if other.lower() == name.lower()]
        close = folded or difflib.get_close_matches(name, found, n=1)
        parts.append(f"- {name!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    return (
        f"missing columns: {'; '.join(parts)}; + found: {', '.join(map(repr, found))}. "
        "Rename the columns, or name yours with -P target=, -P time_column=, -P amount_column=."
    )


def check_values(table: pd.DataFrame, columns: Columns, place: str) -> pd.DataFrame:
    """Returns features and target as float64, in the table's row order; an empty label is NaN.

    Raises:
        DataError: the first cell that is text, missing, NaN or infinite where a number belongs,
            with its row (the first row of data is row 1) and column; a label other than 0, 1 or
            an empty one.
    """
    if table.empty:
        raise DataError(f"{place} has a header but no rows. Give a table with transactions.")
    numbers = {}
    for name in columns.features:
        values = _as_numbers(table[name], place)
        finite = np.isfinite(values)
        if not finite.all():
            row = int(np.argmin(finite))
            what = "a missing value" if np.isnan(values[row]) else "infinity"
            raise DataError(
                f"{place}: row {row + 1}, column {name!r} holds {what} where a number belongs "
                f"({int((~finite).sum())} such cells in the column). Fill them or drop the rows."
            )
        numbers[name] = values
    labels = _as_numbers(table[columns.target], place)
    wrong = ~np.isin(labels, (0.0, 1.0)) & ~np.isnan(labels)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{place}: row {row + 1}, column {columns.target!r} holds {labels[row]:g}: expected 0 "
            f"(genuine), 1 (fraud), or nothing (not known yet). {int(wrong.sum())} labels are "
            "none of these. Recode them."
        )
    return pd.DataFrame({**numbers, columns.target: labels})


def check_classes(labels: Labels, target: str, place: str) -> None:
    """Raises DataError if the known labels, shape (rows,), are not of both classes."""
    found = set(np.unique(labels).tolist())
    if found == {0, 1}:
        return
    only = {(): "no label is known", (1,): "every transaction is fraud"}.get(
        tuple(found), "every transaction is genuine"
    )
    raise DataError(
        f"{place}: {only} in column {target!r}; a model needs both classes. "
        "Give a table with frauds and genuine transactions."
    )


def days_covered(table: pd.DataFrame, columns: Columns) -> float:
    """Days from the first to the last transaction; 1.0 if the table has no time column."""
    if columns.time is None:
        return 1.0
    seconds = float(table[columns.time].max() - table[columns.time].min())
    return seconds / SECONDS_PER_DAY


def shorten(value: object) -> str:
    """The text of a cell, cut so that a message stays one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _holds_no_number(values: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(values):
        return False
    return bool(pd.to_numeric(values, errors="coerce").isna().all()) and bool(values.notna().any())


def _as_numbers(values: pd.Series, place: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = pd.to_numeric(values, errors="coerce")
    text = (numbers.isna() & values.notna()).to_numpy()
    if text.any():
        row = int(np.argmax(text))
        raise DataError(
            f"{place}: row {row + 1}, column {values.name!r} holds {shorten(values.iloc[row])!r} "
            f"where a number belongs ({int(text.sum())} such cells in the column). "
            "Correct the cells or drop the column."
        )
    return numbers.to_numpy(dtype=np.float64)
