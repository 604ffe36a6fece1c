"""The names of a table's columns, and what messages say of names that are missing or wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

DEFAULT_TARGET = "Class"
DEFAULT_TIME = "Time"
DEFAULT_AMOUNT = "Amount"

# Of a cell that a message shows.
MOST_CHARACTERS = 40


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
