"""The names of a table's columns, and the row numbers that a saved index leaves among them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from fraud_model.errors import DataError

# The first is what a CSV header becomes here, the others are what pandas makes of an index.
UNNAMED = re.compile(r"\0\d+|Unnamed: \d+(\.\d+)*|__index_level_\d+__")


def named(names: Sequence[str], place: str) -> list[str]:
    """The names, with a placeholder for each empty one, which `without_index` replaces.

    Raises:
        DataError: the header repeats names; all of them are in the message.
    """
    found = [str(name) if str(name).strip() else f"\0{i}" for i, name in enumerate(names, 1)]
    repeated = {name: count for name, count in Counter(found).items() if count > 1}
    if repeated:
        listed = ", ".join(f"{name!r} {count} times" for name, count in repeated.items())
        raise DataError(
            f"{place}: duplicate columns: {listed}. Rename or drop all but one of each."
        )
    return found


def without_index(
    table: pd.DataFrame, wanted: Collection[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Leaves out unnamed columns that number the rows or are empty, and names the others.

    Columns in `wanted` stay. The notes say what became of each unnamed column.
    """
    notes = []
    dropped: list[str] = []
    renamed: dict[str, str] = {}
    for number, name in enumerate(map(str, table.columns), 1):
        if not UNNAMED.fullmatch(name) or name in wanted:
            continue
        which = f"column {number} has no name"
        what = _numbering(table[name])
        if what:
            dropped.append(name)
            notes.append(f"{which} and {what}: left out")
        elif not name.startswith("Unnamed"):
            renamed[name] = _free(f"column_{number}", table)
            notes.append(f"{which}: called {renamed[name]}")
    if dropped or renamed:
        table = table.drop(columns=dropped).rename(columns=renamed)
    return table, tuple(notes)


def _numbering(values: pd.Series) -> str | None:
    if values.isna().all():
        return "no values"
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.isna().any() or pd.api.types.is_bool_dtype(values):
        return None
    found = numbers.to_numpy(dtype=np.float64)
    if (found != np.round(found)).any() or not numbers.is_unique:
        return None
    counts = (np.diff(found) == 1).all()
    return "counts the rows" if counts else "holds a row number in each row"


def _free(name: str, table: pd.DataFrame) -> str:
    while name in table.columns:
        name += "_"
    return name
