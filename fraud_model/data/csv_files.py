"""Reads a CSV file, in whatever dialect and encoding it is written."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from fraud_model.data.content import BYTE_ORDER_MARK, DAMAGED, Content, damaged, first_line
from fraud_model.data.dialect import Dialect, recognise
from fraud_model.data.headers import named
from fraud_model.data.joined import joined
from fraud_model.errors import DataError

MARKS = {BYTE_ORDER_MARK: "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
LATIN = "cp1252"
ENCODING_NOTES = {
    "utf-8-sig": ("a byte-order mark",),
    "utf-16": ("text in UTF-16",),
    LATIN: ("text in Windows-1252, as it is not UTF-8",),
}
CHARACTERS_AT_A_TIME = 1 << 22
ROWS_OF_A_PIECE = 1 << 15
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
    encodings = _encodings(content)
    with _reading(content):
        for encoding in encodings:
            try:
                return _read(content, encoding, text)
            except UnicodeError as error:
                reason = _reason(error)
    raise _no_text(content, reason)


class CsvRows:
    """The rows of a CSV file, a piece at a time.

    `names` are the columns, unnamed ones called `column_` and their number; `notes` say what was
    recognised.

    Raises:
        DataError: it is no text, or its header cannot be used.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        with _reading(content):
            self._encoding = _encoding_of_all(content)
            self._dialect = _dialect(content, self._encoding)
        found = named(self._dialect.header, content.place)
        self.names = [f"column_{n[1:]}" if n.startswith("\0") else n for n in found]
        self.notes = (*ENCODING_NOTES.get(self._encoding, ()), *self._dialect.notes)

    def tables(self, numbers: Collection[str], rows: int) -> Iterator[pd.DataFrame]:
        """Tables of up to `rows` rows; the columns that are not in `numbers` are text.

        A text is as it stands, but for whole numbers with decimals, which lose them. Numbers are
        the nearest to their digits, as those of a JSON request are.

        Raises:
            DataError: the rows do not fit the header, or the last one is cut short.
        """
        types = {name: str for name in self.names if name not in numbers}
        dialect = self._dialect
        whole = [self.names[i] for i in dialect.decimals if self.names[i] in types]
        decimals = re.escape(dialect.decimal) + "0+$"
        parsing = _parsing(self._content, self._encoding, dialect, self.names, types)
        with _reading(self._content), parsing as parsed:
            first, table = 0, None
            for table in parsed(chunksize=rows):
                first += len(table)
                for name in whole:
                    table[name] = table[name].str.replace(decimals, "", regex=True)
                yield table
            if table is not None:
                _check_last_row(self._content, self._encoding, dialect, table, first)


@contextmanager
def _reading(content: Content) -> Iterator[None]:
    try:
        yield
    except (*DAMAGED, OSError) as error:
        if content.path and isinstance(error, OSError):
            raise
        raise damaged(content.place, error) from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        longer = isinstance(error, pd.errors.ParserWarning)
        what = "row 1 has more values than the header" if longer else first_line(error)
        raise DataError(
            f"{content.place}: {what}. Rows and header must have the same number of values: "
            "correct the row, or fetch the file again."
        ) from error


def _encoding_of_all(content: Content) -> str:
    """The encoding that all of the file is written in."""
    for encoding in _encodings(content):
        try:
            with io.TextIOWrapper(content.open(), encoding=encoding, newline="") as stream:
                while stream.read(CHARACTERS_AT_A_TIME):
                    pass
            return encoding
        except UnicodeError as error:
            reason = _reason(error)
    raise _no_text(content, reason)


def _reason(error: UnicodeError) -> str:
    return str(getattr(error, "reason", error))


def _no_text(content: Content, reason: str) -> DataError:
    return DataError(f"{content.place} is not text in UTF-8 ({reason}). Is it a CSV file?")


def _dialect(content: Content, encoding: str) -> Dialect:
    dialect = recognise(content, encoding)
    if dialect is None:
        raise DataError(f"{content.place} has no header line. Is it a CSV file?")
    return dialect


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
    dialect = _dialect(content, encoding)
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
    _check_last_row(content, encoding, dialect, table, len(table))
    return table, (*ENCODING_NOTES.get(encoding, ()), *dialect.notes, *long_notes)


def _parsed(
    content: Content, encoding: str, dialect: Dialect, names: list[str], types: dict[str, type[str]]
) -> pd.DataFrame:
    parsing = partial(_parsing, content, encoding, dialect, names, types)

    def at_once(unclear: list[str]) -> pd.DataFrame:
        with parsing() as parsed:
            table: pd.DataFrame = parsed(usecols=unclear)
            return table

    # A piece after the other takes half of the time of all at once.
    with parsing() as parsed:
        return joined(parsed(chunksize=ROWS_OF_A_PIECE), at_once)


@contextmanager
def _parsing(
    content: Content, encoding: str, dialect: Dialect, names: list[str], types: dict[str, type[str]]
) -> Iterator[Callable[..., Any]]:
    with content.open() as stream, warnings.catch_warnings():
        # pandas only warns if a row is longer than the header, and drops the rest of it.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        yield partial(
            pd.read_csv,
            stream,
            sep=dialect.separator,
            decimal=dialect.decimal,
            encoding=encoding,
            header=0,
            names=names,
            index_col=False,
            low_memory=False,
            dtype=types,
        )


def _check_last_row(
    content: Content, encoding: str, dialect: Dialect, table: pd.DataFrame, rows: int
) -> None:
    """pandas fills a row that is cut short with missing values; `table` ends with the last row."""
    if table.empty or table.iloc[-1:, -1].notna().all():
        return
    with io.TextIOWrapper(content.open(), encoding=encoding, newline="") as stream:
        last = deque((line for line in stream if line.strip()), maxlen=1)
    (row,) = csv.reader(last, delimiter=dialect.separator)
    if len(row) < len(dialect.header):
        raise DataError(
            f"{content.place}: row {rows}, the last one, has {len(row)} of "
            f"{len(dialect.header)} values: the file is cut short. Fetch or save it again."
        )
