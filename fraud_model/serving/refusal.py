"""Says what is wrong with a request that MLflow or the model refused.

MLflow's own messages quote the payload, which holds card data, and include a stack trace. These
name the row, the feature and the type of a value. No value, and no name that the client chose, is
ever in them.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
from mlflow.types import ColSpec, DataType

from fraud_model.serving import any_json
from fraud_model.serving.model import NUMBERS

# The columns of a row, of types that are in `EXPECTED`.
Columns = Sequence[ColSpec]

FORMATS = ("dataframe_records", "dataframe_split", "inputs", "instances")
# What a version of this project says, in this release and the one before.
OWN_ROW = re.compile(
    r"row (\d+), column '(.+?)' (is missing|is infinite"
    r"|does not hold (?:a number|true or false, or yes or no|a date or time|a category))"
)
# What a value has to be, by the type that the signature gives its column.
EXPECTED = {
    **dict.fromkeys(NUMBERS, "a finite number"),
    DataType.string: "text",
    DataType.boolean: "true or false",
    DataType.datetime: "a date or time in ISO 8601",
}
OWN_PARAM = re.compile(
    r"params: (threshold|explain|review_cost)"
    r"(?:=\S+ is invalid: expected| is \S+, and must lie from) (0 to \d+|more than 0)"
)
MOST_NAMED = 5


def explain_refusal(body: bytes, mime_type: str, columns: Columns, refusal: str) -> str:
    """One sentence for the client.

    `columns` are those that the model needs or takes, and `refusal` is what the pyfunc said, or
    empty if the request did not reach it.
    """
    own = _in_own_words(refusal, columns)
    if own:
        return own
    dates = [column.name for column in columns if column.type == DataType.datetime]
    try:
        if mime_type == "text/csv" and dates:
            return f"MLflow reads no dates from CSV: send {_named(dates)} as JSON or Parquet."
        if mime_type == "application/json":
            found = _in_json(body, columns)
        elif mime_type == "text/csv":
            table = pd.read_csv(io.BytesIO(body), dtype=str, keep_default_na=False)
            found = _in_table(table, columns)
        else:
            found = _in_table(pd.read_parquet(io.BytesIO(body)), columns)
    except Exception as error:
        # What MLflow could not read, need not be readable here.
        found = _unreadable(error, mime_type)
    alike = " The dates of a request have to be written alike." if dates else ""
    return found or (
        "The rows or the params do not match the model's signature. See /openapi.json for both."
        f"{alike}"
    )


def _in_own_words(refusal: str, columns: Columns) -> str | None:
    """What a version of this project said, without the values that it quotes."""
    row = OWN_ROW.match(refusal)
    types = {column.name: column.type for column in columns}
    if row and row[2] in types:
        fault = row[3].replace("is missing", "is missing (NaN)")
        expected = "" if "does not" in fault else f": expected {EXPECTED[types[row[2]]]}"
        return f"row {row[1]}, column {row[2]!r} {fault}{expected}."
    param = OWN_PARAM.match(refusal)
    return f"params: {param[1]} is invalid: expected {param[2]}." if param else None


def _in_json(body: bytes, columns: Columns) -> str | None:
    payload = json.loads(body)
    if not isinstance(payload, dict):
        return f"The body is {_kind(payload)}: expected an object with one of {_listed(FORMATS)}."
    present = [name for name in FORMATS if name in payload]
    if len(present) != 1:
        return (
            f"The body has {_listed(present) if present else 'none'} of {_listed(FORMATS)}: "
            "expected exactly one."
        )
    content = payload[present[0]]
    if present[0] == "dataframe_split":
        return _in_split(content, columns)
    if isinstance(content, dict) and present[0] != "dataframe_records":
        return _in_columns(content, columns)
    if not isinstance(content, list):
        return f"{present[0]} is {_kind(content)}: expected a list of rows."
    for number, row in enumerate(content, start=1):
        if not isinstance(row, dict):
            return f"{present[0]}, row {number} is {_kind(row)}: expected an object."
        found = _missing(row, columns, f"{present[0]}, row {number}")
        found = found or _in_row(number, row, columns)
        if found:
            return found
    return None if content else f"{present[0]} has no rows."


def _in_split(content: Any, columns: Columns) -> str | None:
    if not isinstance(content, dict) or "data" not in content:
        return "dataframe_split is invalid: expected an object with `columns` and `data`."
    names, data = content.get("columns"), content["data"]
    if not isinstance(names, list) or not isinstance(data, list):
        return "dataframe_split is invalid: expected lists in `columns` and `data`."
    found = _missing(names, columns, "dataframe_split, columns")
    if found:
        return found
    for number, row in enumerate(data, start=1):
        if not isinstance(row, list) or len(row) != len(names):
            return (
                f"dataframe_split, row {number} is invalid: expected a list of {len(names)} values."
            )
        found = _in_row(number, dict(zip(map(str, names), row, strict=True)), columns)
        if found:
            return found
    return None if data else "dataframe_split has no rows."


def _in_columns(content: dict[str, Any], columns: Columns) -> str | None:
    found = _missing(content, columns, "columns")
    if found:
        return found
    known = {column.name for column in columns} & content.keys()
    values = {
        name: found if isinstance(found := content[name], list) else [found] for name in known
    }
    lengths = {len(each) for each in values.values()}
    if len(lengths) > 1:
        return (
            f"The columns have {min(lengths)} to {max(lengths)} values: expected the same number "
            "in each."
        )
    for number, row in enumerate(zip(*values.values(), strict=True), start=1):
        found = _in_row(number, dict(zip(values, row, strict=True)), columns)
        if found:
            return found
    return None


def _in_table(table: pd.DataFrame, columns: Columns) -> str | None:
    found = _missing(list(table.columns), columns, "columns")
    if found:
        return found
    for column in columns:
        if column.name not in table or column.type not in NUMBERS:
            continue
        values = table[column.name]
        numbers = pd.to_numeric(values, errors="coerce")
        bad = ~numbers.abs().lt(math.inf)
        if not column.required:
            bad &= ~(values.isna() | values.eq(""))
        if bad.any():
            row = int(bad.to_numpy().argmax()) + 1
            return f"row {row}, column {column.name!r} is not a finite number."
    return None if len(table) else "There are no rows."


def _in_row(number: int, row: dict[str, Any], columns: Columns) -> str | None:
    for column in columns:
        value = row.get(column.name)
        if not (value is None and not column.required) and not _is_value(value, column.type):
            return (
                f"row {number}, column {column.name!r} is {_kind(value)}: expected "
                f"{EXPECTED[column.type]}."
            )
    return None


def _is_value(value: Any, kind: DataType) -> bool:
    if kind == DataType.datetime:
        return isinstance(value, str) and _is_date(value)
    if kind not in NUMBERS:
        known = isinstance(value, bool if kind == DataType.boolean else str)
        return known and any_json.has_an_equal(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _missing(names: Iterable[Any], columns: Columns, where: str) -> str | None:
    present = {name for name in names if isinstance(name, str)}
    needed = [column.name for column in columns if column.required]
    missing = [name for name in needed if name not in present]
    if not missing:
        return None
    return f"{where}: {_named(missing)} missing; the model needs {len(needed)} features."


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(repr, names[:MOST_NAMED])) + more


def _unreadable(error: Exception, mime_type: str) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"The body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}."
    if isinstance(error, RecursionError):
        return "The body is nested too deeply."
    if isinstance(error, UnicodeDecodeError):
        return f"The body is not UTF-8: see byte {error.start}."
    return f"The body cannot be read as {mime_type}."


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str() if not any_json.has_an_equal(value):
            return "text with half a surrogate pair, which is no Unicode"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "infinite"
        case int() if abs(value) >= 2**1024:
            return "a number too large"
        case _:
            return "a number"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
