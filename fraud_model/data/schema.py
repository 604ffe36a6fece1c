"""The names of a table's columns, and what messages say of names that are missing or wrong."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence

from fraud_model.errors import DataError

DEFAULT_TARGET = "Class"
DEFAULT_TIME = "Time"
DEFAULT_AMOUNT = "Amount"

# Of a cell that a message shows.
MOST_CHARACTERS = 40


def check_names(names: Sequence[str], place: str) -> None:
    """Raises DataError where a header repeats a name, leaves one out, or was read as one column."""
    if len(names) == 1:
        for separator, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if separator in names[0]:
                raise DataError(
                    f"{place}: the header is one column, {shorten(names[0])!r}: its values are "
                    f"separated by {word}. Save the table with commas."
                )
    unnamed = [i for i, name in enumerate(names, start=1) if not str(name).strip()]
    if unnamed:
        raise DataError(
            f"{place}: column {unnamed[0]} has no name (a saved row index?). "
            "Name it, or save the table without its index."
        )
    repeated = {name: count for name, count in Counter(names).items() if count > 1}
    if repeated:
        found = ", ".join(f"{name!r} {count} times" for name, count in repeated.items())
        raise DataError(f"{place}: duplicate columns: {found}. Rename or drop all but one of each.")


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


def shorten(value: object) -> str:
    """The text of a cell, cut so that a message stays one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
