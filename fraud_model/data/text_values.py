"""What the texts of a column are: truth values, numbers, or dates, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fraud_model.model.feature import ISO, number_of

LEADING_ZERO = re.compile(r"-?0\d+")
# Commas between thousands: every group after the first one has three digits.
THOUSANDS = re.compile(r"[^\d]*\d{1,3}(?:,\d{3})+(?!\d)")

LIKE_A_DATE = re.compile(
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ,]+\d{1,2}:\d\d.*)?|\d{4}-\d\d-\d\d.*"
    r"|\d{1,2}[- ][A-Za-z]{3}[- ]\d{4}.*|[A-Za-z]{3} \d{1,2}, \d{4}.*"
)
DATES = (
    *("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d/%m/%y", "%m/%d/%y", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y"),
)
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
# So many texts decide which formats are tried on all of them.
TRIED = 50


@dataclass(frozen=True)
class TimeFormat:
    """How the times of a column are written: `ISO8601`, or directives of `strptime`.

    `others` would read them too, as other days.
    """

    format: str
    others: tuple[str, ...] = ()


def are_booleans(texts: Sequence[str]) -> bool:
    """Whether the texts are true and false, yes and no, or their first letters."""
    words = {text.lower() for text in texts}
    pairs = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})
    return any(words == pair for pair in pairs) or (
        len(words) == 1 and words <= {"true", "false", "yes", "no"}
    )


def are_codes(texts: Sequence[str]) -> bool:
    """Whether any text is digits behind a zero, which no number is."""
    return any(LEADING_ZERO.fullmatch(text) for text in texts)


def numbers_in(texts: Sequence[str], decimal: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which texts are numbers with this decimal mark, shape (texts,)."""
    return np.array([_is_number(text, decimal) for text in texts], dtype=bool)


def decimal_mark(texts: Sequence[str]) -> str:
    """`,` where the texts are written with decimal commas, else `.`."""
    with_comma = [text for text in texts if "," in text]
    if not with_comma:
        return "."
    last_is_comma = [text.rfind(",") > text.rfind(".") for text in with_comma]
    if any("." in text for text in with_comma):
        return "," if all(last_is_comma) else "."
    thousands = all(THOUSANDS.fullmatch(text.strip(" $€£¥₹")) for text in with_comma)
    return "." if thousands else ","


def time_format(texts: Sequence[str]) -> TimeFormat | None:
    """How the texts are written as dates or times; None where they are not."""
    sample = texts[:TRIED]
    if not all(map(LIKE_A_DATE.fullmatch, sample)):
        return None
    series = pd.Series(texts, dtype=object)
    if _reads(series, ISO):
        return TimeFormat(ISO)
    formats = [date + time for date in DATES for time in TIMES]
    few = series.iloc[:TRIED]
    found = [form for form in formats if _reads(few, form) and _reads(series, form)]
    return TimeFormat(found[0], tuple(found[1:])) if found else None


def _is_number(text: str, decimal: str) -> bool:
    try:
        return bool(np.isfinite(number_of(text, decimal)))
    except ValueError:
        return False


def _reads(texts: pd.Series, form: str) -> bool:
    try:
        pd.to_datetime(texts, format=form, utc=True)
    except (ValueError, TypeError, OverflowError):
        return False
    return True
