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
from typing import Any

import pandas as pd

FORMATS = ("dataframe_records", "dataframe_split", "inputs", "instances")
# What a version of this project says, in this release and the one before.
OWN_ROW = re.compile(r"row (\d+), column '(.+?)' is (missing \(NaN\)|infinite)\b")
OWN_PARAM = re.compile(
    r"params: (threshold|explain|review_cost)"
    r"(?:=\S+ is invalid: expected| is \S+, and must lie from) (0 to \d+|more than 0)"
)
MOST_NAMED = 5


def explain_refusal(body: bytes, mime_type: str, features: Sequence[str], refusal: str) -> str:
    """One sentence for the client.

    `features` are the columns that have to be numbers, and `refusal` is what the pyfunc said, or
    empty if the request did not reach it.
    """
    own = _in_own_words(refusal, features)
    if own:
        return own
    try:
        if mime_type == "application/json":
            found = _in_json(body, features)
        elif mime_type == "text/csv":
            table = pd.read_csv(io.BytesIO(body), dtype=str, keep_default_na=False)
            found = _in_table(table, features)
        else:
            found = _in_table(pd.read_parquet(io.BytesIO(body)), features)
    except Exception as error:
        # What MLflow could not read, need not be readable here.
        found = _unreadable(error, mime_type)
    return found or (
        "The rows or the params do not match the model's signature. See /openapi.json for both."
    )


def _in_own_words(refusal: str, features: Sequence[str]) -> str | None:
    """What a version of this project said, without the values that it quotes."""
    row = OWN_ROW.match(refusal)
    if row and row[2] in features:
        return f"row {row[1]}, column {row[2]!r} is {row[3]}: expected a finite number."
    param = OWN_PARAM.match(refusal)
    return f"params: {param[1]} is invalid: expected {param[2]}." if param else None


def _in_json(body: bytes, features: Sequence[str]) -> str | None:
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
        return _in_split(content, features)
    if isinstance(content, dict) and present[0] != "dataframe_records":
        return _in_columns(content, features)
    if not isinstance(content, list):
        return f"{present[0]} is {_kind(content)}: expected a list of rows."
    for number, row in enumerate(content, start=1):
        if not isinstance(row, dict):
            return f"{present[0]}, row {number} is {_kind(row)}: expected an object."
        found = _missing(row, features, f"{present[0]}, row {number}")
        found = found or _in_row(number, ((name, row[name]) for name in features))
        if found:
            return found
    return None if content else f"{present[0]} has no rows."


def _in_split(content: Any, features: Sequence[str]) -> str | None:
    if not isinstance(content, dict) or "data" not in content:
        return "dataframe_split is invalid: expected an object with `columns` and `data`."
    columns, data = content.get("columns"), content["data"]
    if not isinstance(columns, list) or not isinstance(data, list):
        return "dataframe_split is invalid: expected lists in `columns` and `data`."
    found = _missing(columns, features, "dataframe_split, columns")
    if found:
        return found
    for number, row in enumerate(data, start=1):
        if not isinstance(row, list) or len(row) != len(columns):
            return (
                f"dataframe_split, row {number} is invalid: expected a list of {len(columns)} "
                "values."
            )
        named = dict(zip(map(str, columns), row, strict=True))
        found = _in_row(number, ((name, named[name]) for name in features))
        if found:
            return found
    return None if data else "dataframe_split has no rows."


def _in_columns(content: dict[str, Any], features: Sequence[str]) -> str | None:
    found = _missing(content, features, "columns")
    if found:
        return found
    columns = {
        name: values if isinstance(values := content[name], list) else [values] for name in features
    }
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        return (
            f"The columns have {min(lengths)} to {max(lengths)} values: expected the same number "
            "in each."
        )
    for number, row in enumerate(zip(*columns.values(), strict=True), start=1):
        found = _in_row(number, zip(features, row, strict=True))
        if found:
            return found
    return None


def _in_table(table: pd.DataFrame, features: Sequence[str]) -> str | None:
    found = _missing(list(table.columns), features, "columns")
    if found:
        return found
    for name in features:
        numbers = pd.to_numeric(table[name], errors="coerce")
        bad = numbers.isna() | ~numbers.abs().lt(math.inf)
        if bad.any():
            row = int(bad.to_numpy().argmax()) + 1
            return f"row {row}, column {name!r} is not a finite number."
    return None if len(table) else "There are no rows."


def _in_row(number: int, values: Iterable[tuple[str, Any]]) -> str | None:
    for name, value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"row {number}, column {name!r} is {_kind(value)}: expected a finite number."
        try:
            finite = math.isfinite(value)
        except OverflowError:
            finite = False
        if not finite:
            return f"row {number}, column {name!r} is {_kind(value)}: expected a finite number."
    return None


def _missing(names: Iterable[Any], features: Sequence[str], where: str) -> str | None:
    present = {name for name in names if isinstance(name, str)}
    missing = [feature for feature in features if feature not in present]
    if not missing:
        return None
    more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    named = ", ".join(repr(name) for name in missing[:MOST_NAMED])
    return f"{where}: {named}{more} missing; the model needs {len(features)} features."


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
