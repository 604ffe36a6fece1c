"""Reads JSON Lines, one record a line, and JSON arrays of records."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import orjson
import pandas as pd

from fraud_model.data.content import BYTE_ORDER_MARK, DAMAGED, Content, damaged
from fraud_model.data.headers import named
from fraud_model.data.joined import joined
from fraud_model.errors import DataError

ROWS_OF_A_PIECE = 1 << 14


def read_json(content: Content) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The records as rows; a name that a record lacks is missing in its row.

    Raises:
        DataError: it is not JSON, a record is no object, or columns hold lists or objects.
    """

    def at_once(unclear: list[str]) -> pd.DataFrame:
        with _reading(content):
            values = ({n: r[n] for n in unclear if n in r} for r in _records(content))
            return _table(list(values), content.place)

    table = joined(json_tables(content, ROWS_OF_A_PIECE), at_once)
    if table.empty:
        raise DataError(f"{content.place} holds no records. Fetch or save it again.")
    mark = content.head.startswith(BYTE_ORDER_MARK)
    return table, ("a byte-order mark",) if mark else ()


def json_tables(content: Content, rows: int) -> Iterator[pd.DataFrame]:
    """The records as tables of up to `rows` rows; see `read_json`.

    An array is held in memory, and lines are not.

    Raises:
        DataError: as read_json.
    """
    with _reading(content):
        records = _records(content)
        while piece := list(islice(records, rows)):
            yield _table(piece, content.place)


@contextmanager
def _reading(content: Content) -> Iterator[None]:
    try:
        yield
    except (*DAMAGED, OSError) as error:
        if content.path and isinstance(error, OSError):
            raise
        raise damaged(content.place, error) from error


def _records(content: Content) -> Iterator[dict[str, Any]]:
    start = content.head.removeprefix(BYTE_ORDER_MARK).lstrip()
    return _array(content) if start.startswith(b"[") else _lines(content)


def _table(records: list[dict[str, Any]], place: str) -> pd.DataFrame:
    table = pd.DataFrame.from_records(records)
    named([str(name) for name in table.columns], place)
    nested = []
    for name in table.columns:
        values = table[name]
        if values.dtype != object:
            continue
        if values.map(lambda value: isinstance(value, dict | list)).any():
            nested.append(repr(name))
        elif values.isna().all():
            table[name] = values.astype("float64")
        elif values.map(lambda value: isinstance(value, str)).any():
            # Numbers and text in one column: as in a CSV, all of it is text.
            table[name] = values.map(_text, na_action="ignore").astype("str")
    if nested:
        raise DataError(
            f"{place}: these columns hold lists or objects: {', '.join(nested)}. "
            "Save each part as a column of its own, or drop them."
        )
    return table


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _array(content: Content) -> Iterator[dict[str, Any]]:
    with content.open() as stream:
        text = stream.read().removeprefix(BYTE_ORDER_MARK)
    try:
        records = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DataError(
            f"{content.place} is not JSON: line {error.lineno}, column {error.colno}: "
            f"{error.msg}. Fetch or save it again."
        ) from error
    for row, record in enumerate(records, 1):
        yield _object(record, content.place, f"record {row}")


def _lines(content: Content) -> Iterator[dict[str, Any]]:
    with content.open() as stream:
        for number, line in enumerate(io.BufferedReader(stream), 1):  # type: ignore[type-var]
            line = line.removeprefix(BYTE_ORDER_MARK).strip()
            if not line:
                continue
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise DataError(
                    f"{content.place}: line {number} is not a JSON record: {error.msg} at "
                    f"column {error.colno}. Give one record a line, or an array of records."
                ) from error
            yield _object(record, content.place, f"line {number}")


def _object(record: Any, place: str, where: str) -> dict[str, Any]:
    if isinstance(record, dict):
        return record
    raise DataError(
        f"{place}: {where} is not an object with a value for each column. "
        "Give one record a line, or an array of records."
    )
