"""Refuses a body that costs more than the rows it may hold, before anything parses it.

A small body can describe a huge table: a thousand rows with a column each of their own are a
million cells, and two megabytes of Parquet can unpack to gigabytes. What is counted here needs no
parser: the bytes that separate values and open containers, the first lines of a CSV, the footer of
a Parquet file. Counts are upper bounds, since a separator inside a text counts too, so the limits
are multiples of what honest bodies hold.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow

from fraud_model.serving import parquet_screen
from fraud_model.serving.extent import Extent

# Columns that are no feature may travel along: keys, and what other systems know of a transaction.
COLUMNS_PER_FEATURE = 4
SPARE_COLUMNS = 64
# `columns`, `data`, `params` and the like are containers that hold no row.
SPARE_CONTAINERS = 16
# SHAP values are worked out for all features, so naming fewer saves little.
FEWEST_EXPLAINED = 30
EXPLAINED_VALUES = 30_000
# Bytes of a value in memory, as Arrow and pandas hold it together.
BYTES_PER_VALUE = 32

TOO_MANY_ROWS = "too_many_rows"
TOO_MANY_COLUMNS = "too_many_columns"
TOO_MUCH_TO_EXPLAIN = "too_much_to_explain"


@dataclass(frozen=True)
class Excess:
    """Why a body is refused: the HTTP status, the kind of error, and a sentence for the client."""

    status: int
    kind: str
    message: str


class Screen:
    """The limits of a request to a model with a number of features."""

    def __init__(self, features: int, max_rows: int) -> None:
        self._max_rows = max_rows
        self._features = features
        self.max_columns = COLUMNS_PER_FEATURE * features + SPARE_COLUMNS
        self._max_values = max_rows * self.max_columns

    def excess(self, body: bytes, mime_type: str) -> Excess | None:
        """What is too much about a body, as far as counting tells; None for what may be parsed."""
        if mime_type == "application/json":
            return self._in_json(body)
        if mime_type == "text/csv":
            return self._in_csv(body)
        if mime_type == "application/vnd.apache.parquet":
            return self._in_parquet(body)
        return None

    def excess_of(self, payload: Any) -> Excess | None:
        """What is too much about a parsed JSON payload, of which no table is made yet."""
        if not isinstance(payload, dict):
            return None
        table = Extent.of(payload)
        if table.rows > self._max_rows:
            return self.too_many_rows()
        if table.columns > self.max_columns:
            return self._too_many_columns(table.columns)
        return self._too_much_to_explain(table.rows, payload.get("params"))

    def _in_json(self, body: bytes) -> Excess | None:
        containers = _count(body, b"{") + _count(body, b"[")
        if containers > self._max_rows + self.max_columns + SPARE_CONTAINERS:
            return self.too_many_rows()
        if _count(body, b",") + containers > self._max_values:
            return self._too_many_values()
        return None

    def _in_csv(self, body: bytes) -> Excess | None:
        # One line is the header, and the last may end the file.
        if max(_count(body, b"\n"), _count(body, b"\r")) > self._max_rows + 2:
            return self.too_many_rows()
        if _count(body, b",") > self._max_values:
            return self._too_many_values()
        try:
            header, first = _first_two(body)
        except UnicodeDecodeError:
            # MLflow says what is wrong, before pandas sees it.
            return None
        except csv.Error:
            return _unreadable(
                "The CSV cannot be read: a value of its first two lines has more than "
                f"{csv.field_size_limit():,} characters, or its quotes do not end."
            )
        if len(header) > self.max_columns:
            return self._too_many_columns(len(header))
        if len(first) > len(header):
            # pandas makes a level of an index of each value too many, and shifts the others.
            return _unreadable(
                f"Row 1 has {len(first):,} values, and the header names {len(header):,} columns."
            )
        return None

    def _in_parquet(self, body: bytes) -> Excess | None:
        file = parquet_screen.open_body(body)
        if file is None:
            # Whoever parses it says what is wrong.
            return None
        footer = file.metadata
        if footer.num_columns > self.max_columns:
            return self._too_many_columns(footer.num_columns)
        if parquet_screen.rows_told(footer) > self._max_rows:
            return self.too_many_rows()
        nested = parquet_screen.nested_column(footer)
        if nested is not None:
            return _unreadable(
                f"Column {nested} of the Parquet file does not hold one value for each row: lists "
                "are no features."
            )
        most = self._max_values * BYTES_PER_VALUE
        try:
            if parquet_screen.fits(file, most):
                return None
        except (pyarrow.ArrowException, OSError):
            return _unreadable("The body cannot be read as application/vnd.apache.parquet.")
        return Excess(
            413, TOO_MANY_ROWS, f"The Parquet file unpacks to too much: at most {most:,} bytes."
        )

    def _too_much_to_explain(self, rows: int, params: Any) -> Excess | None:
        explain = params.get("explain") if isinstance(params, dict) else None
        if not isinstance(explain, int) or explain <= 0:
            return None
        if rows * max(FEWEST_EXPLAINED, min(explain, self._features)) <= EXPLAINED_VALUES:
            return None
        most = EXPLAINED_VALUES // max(FEWEST_EXPLAINED, min(explain, self._features))
        return Excess(
            400,
            TOO_MUCH_TO_EXPLAIN,
            f"{rows:,} rows with `explain` are too many: at most {most:,} rows can be "
            "explained in a request. Send fewer rows, or leave `explain` out.",
        )

    def too_many_rows(self) -> Excess:
        """The refusal of a request with too many rows."""
        message = f"The request has too many rows: at most {self._max_rows:,} rows."
        return Excess(413, TOO_MANY_ROWS, message)

    def _too_many_columns(self, found: int) -> Excess:
        return Excess(
            400,
            TOO_MANY_COLUMNS,
            f"{found:,} columns are too many: the model has {self._features} features, and a "
            f"request holds at most {self.max_columns} columns.",
        )

    def _too_many_values(self) -> Excess:
        return Excess(
            413,
            TOO_MANY_ROWS,
            f"The body holds too many values: a request holds at most {self._max_rows:,} rows of "
            f"{self.max_columns} columns.",
        )


def mime_type_of(content_type: str) -> str:
    """A content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def _count(body: bytes, character: bytes) -> int:
    # bytes.count takes four times as long where there are many.
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == character[0]))


def _first_two(body: bytes) -> tuple[list[str], list[str]]:
    """The header of a CSV and its first row; like pandas, without blank lines before them.

    Raises:
        csv.Error: a field is too long.
        UnicodeDecodeError: it is not in UTF-8.
    """
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", newline=""))
    filled = (line for line in lines if line and (len(line) > 1 or line[0].strip(" \t")))
    return next(filled, []), next(filled, [])


def _unreadable(message: str) -> Excess:
    return Excess(400, "bad_request", message)


def may_have_more_rows(body: bytes, mime_type: str, most: int) -> bool:
    """Whether a body may have more rows than that; parses JSON, so for short bodies only."""
    if mime_type == "text/csv":
        return max(_count(body, b"\n"), _count(body, b"\r")) > most
    if mime_type != "application/json":
        # A few bytes of Parquet may be many rows; what else there is, is refused.
        return mime_type == "application/vnd.apache.parquet"
    try:
        return Extent.of(parse_json(body)).rows > most
    except (ValueError, RecursionError):
        return False


def parse_json(body: bytes) -> Any:
    """The payload of a body, as MLflow's parser reads it: NaN, Infinity and long integers too.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)
