"""Reads a CSV file, in whatever dialect and encoding it is written."""

from __future__ import annotations

import csv
import io
import warnings
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from fraud_model.data.content import BYTE_ORDER_MARK, DAMAGED, Content, damaged, first_line
from fraud_model.data.dialect import Dialect, recognise
from fraud_model.data.headers import named
from fraud_model.errors import DataError

MARKS = {BYTE_ORDER_MARK: "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
LATIN = "cp1252"
# Characters that no text holds.
CONTROL = set(range(0x20)) - {ord(c) for c in "\t\n\r\f\x1a"}


@dataclass(frozen=True)
class Text:
    """Which columns are read as text: all but `numbers` where it names any, and `also`."""

    numbers: Collection[str] | None = None
    also: Collection[str] = ()

    def covers(self, name: str) -> bool:
        """Whether the column is read as text."""
        return name in self.also or (self.numbers is not None and name not in self.numbers)


def read_csv(content: Content, text: Text) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows, with unnamed columns called as `named` does, and notes on what was recognised.

    Codes that begin with a zero, and whole numbers that float64 would round, stay text.

    Raises:
        DataError: it is no text, its header cannot be used, or its rows do not fit the header.
    """
    place = content.place
    encodings = _encodings(content)
    try:
        for encoding in encodings:
            try:
                return _read(content, encoding, text)
            except UnicodeError as error:
                reason = getattr(error, "reason", str(error))
    except (*DAMAGED, OSError) as error:
        if content.path and isinstance(error, OSError):
            raise
        raise damaged(place, error) from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        longer = isinstance(error, pd.errors.ParserWarning)
        what = "row 1 has more values than the header" if longer else first_line(error)
        raise DataError(
            f"{place}: {what}. Rows and header must have the same number of values: "
            "correct the row, or fetch the file again."
        ) from error
    raise DataError(f"{place} is not text in UTF-8 ({reason}). Is it a CSV file?")


def _encodings(content: Content) -> tuple[str, ...]:
    for mark, encoding in MARKS.items():
        if content.head.startswith(mark):
            return (encoding,)
    if CONTROL & set(content.head):
        raise DataError(
            f"{content.place} is not text in UTF-8 (it holds control characters). "
            "Is it a CSV file? Save it as CSV in UTF-8."
        )
    return ("utf-8", LATIN)


def _read(content: Content, encoding: str, text: Text) -> tuple[pd.DataFrame, tuple[str, ...]]:
    dialect = recognise(content, encoding)
    if dialect is None:
        raise DataError(f"{content.place} has no header line. Is it a CSV file?")
    names = named(dialect.header, content.place)
    kept = {names[i] for i in dialect.codes if names[i] not in (text.numbers or ())}
    types = {name: str for name in names if text.covers(name) or name in kept}
    table = _parsed(content, encoding, dialect, names, types)
    rounded = {
        names[i]: str
        for i in dialect.long
        if names[i] not in types and not pd.api.types.is_integer_dtype(table[names[i]])
    }
    long_notes: tuple[str, ...] = ()
    if rounded:
        table = _parsed(content, encoding, dialect, names, types | rounded)
        long_notes = tuple(
            f"column {n} holds more digits than a number keeps: text" for n in rounded
        )
    _check_last_row(content, encoding, dialect, table)
    notes = {
        "utf-8-sig": ("a byte-order mark",),
        "utf-16": ("text in UTF-16",),
        LATIN: ("text in Windows-1252, as it is not UTF-8",),
    }.get(encoding, ())
    return table, (*notes, *dialect.notes, *long_notes)


def _parsed(
    content: Content, encoding: str, dialect: Dialect, names: list[str], types: dict[str, type[str]]
) -> pd.DataFrame:
    def parse(*, piecewise: bool) -> pd.DataFrame:
        with content.open() as stream:
            return pd.read_csv(
                stream,
                sep=dialect.separator,
                decimal=dialect.decimal,
                encoding=encoding,
                header=0,
                names=names,
                index_col=False,
                low_memory=piecewise,
                dtype=types,
            )

    with warnings.catch_warnings():
        # pandas only warns if a row is longer than the header, and drops the rest of it.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        warnings.simplefilter("error", pd.errors.DtypeWarning)
        try:
            return parse(piecewise=True)
        except pd.errors.DtypeWarning:
            # Pieces of a column were taken for different types. Reading all at once is slower.
            return parse(piecewise=False)


def _check_last_row(content: Content, encoding: str, dialect: Dialect, table: pd.DataFrame) -> None:
    """pandas fills a row that is cut short with missing values."""
    if table.empty or table.iloc[-1:, -1].notna().all():
        return
    with io.TextIOWrapper(content.open(), encoding=encoding, newline="") as stream:
        last = deque((line for line in stream if line.strip()), maxlen=1)
    (row,) = csv.reader(last, delimiter=dialect.separator)
    if len(row) < len(dialect.header):
        raise DataError(
            f"{content.place}: row {len(table)}, the last one, has {len(row)} of "
            f"{len(dialect.header)} values: the file is cut short. Fetch or save it again."
        )
