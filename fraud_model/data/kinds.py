"""The kind of each column, inferred from all of its values, unless somebody says otherwise.

A column is a number, a boolean, a category or a time; or it is left out, as an identifier (another
value in nearly every row), as a constant, or because it is to be excluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fraud_model.data.overrides import Override
from fraud_model.data.schema import shorten
from fraud_model.data.text_values import (
    are_booleans,
    are_codes,
    decimal_mark,
    numbers_in,
    time_format,
)
from fraud_model.data.time_span import SECONDS
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.model.feature import (
    AGE,
    BOOLEAN_WORDS,
    HOUR,
    ISO,
    MISSING_WORDS,
    WEEKDAY,
    Feature,
    Payload,
    category_of,
)

# A column of texts is an identifier where so many of its values are different ones.
DIFFERENT = 0.9
# All values of ten million numbers take two seconds to count; so many rows and values are enough.
ROWS_LOOKED_AT, MANY = 1_000_000, 1_000
# With fewer rows, different values say nothing.
FEWEST_ROWS = 50
# Where so many of a column's texts are numbers, the others stand in the way.
MOSTLY_NUMBERS = 0.8
# Whole numbers from here on are those of accounts and cards.
LONG_NUMBER = 10**11
# Whole numbers that count the rows lie this close together.
DENSE = 2
# From 2001 to 2033 as seconds since 1970, and by how much other units are larger.
FIRST_EPOCH, LAST_EPOCH = 1e9, 2e9
EPOCH_UNITS = ("s", "ms", "us", "ns")
LEFT_OUT = ("identifier", "constant", "excluded", "target")


class InTheWay(Exception):
    """A column cannot be read as what it is to be; the message says where and why."""


@dataclass(frozen=True)
class Column:
    """A column of the table as it came.

    `distinct` counts its values; where it `has_more`, at least so many. `becomes` says for people
    what becomes of it. `feature` is None where it is left out.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    example: str
    becomes: str
    feature: Feature | None = None
    has_more: bool = False


@dataclass(frozen=True)
class Role:
    """What a column is known to be, besides its values: the time or the amount of transactions."""

    is_time: bool = False
    is_amount: bool = False
    unit: str = "auto"


def infer(values: pd.Series, said: Override, role: Role) -> Column:
    """The kind of a column.

    Raises:
        InTheWay: its values are not of the kind that they have to be.
    """
    present = _present(values)
    missing = len(values) - len(present)
    distinct, is_all = _distinct(present)
    column = Column(
        name=str(values.name),
        kind="",
        missing=missing,
        distinct=len(distinct),
        has_more=not is_all,
        example=shorten(distinct[0]) if len(distinct) else "",
        becomes="left out",
    )
    kind = said.kind or ("time" if role.is_time else "number" if role.is_amount else "")
    if not kind:
        kind = _left_out(present, distinct, missing, column.name)
    if kind in LEFT_OUT:
        return replace(column, kind=kind)
    optional = missing > 0 or said.missing == "accept"
    feature = _feature(values, present, distinct, kind, said, role, optional)
    return replace(column, kind=feature.kind, becomes=_becomes(feature), feature=feature)


def _present(values: pd.Series) -> pd.Series:
    present = values.dropna()
    if _is_text(present):
        return present[~present.astype(object).isin(MISSING_WORDS)]
    return present


def _distinct(present: pd.Series) -> tuple[Any, bool]:
    """The values that are there; and whether these are all of them.

    Of many numbers it looks at the first ones, if these tell that the column is neither constant
    nor counts the rows.
    """
    if pd.api.types.is_numeric_dtype(present.dtype) and len(present) > ROWS_LOOKED_AT:
        first = pd.unique(present.iloc[:ROWS_LOOKED_AT])
        may_count = pd.api.types.is_integer_dtype(present.dtype) and len(first) == ROWS_LOOKED_AT
        if len(first) > MANY and not may_count:
            return first, False
    return pd.unique(present), True


def _is_text(values: pd.Series) -> bool:
    return isinstance(values.dtype, pd.StringDtype) or values.dtype == object


def _left_out(present: pd.Series, distinct: Sequence[Any], missing: int, name: str) -> str:
    """`identifier` or `constant`; empty for a column to learn from."""
    if not len(distinct) or (len(distinct) == 1 and not missing):
        return "constant"
    rows = len(present)
    if rows < FEWEST_ROWS:
        return ""
    if _is_text(present) and len(distinct) >= DIFFERENT * rows:
        texts = [category_of(value) for value in distinct[:FEWEST_ROWS]]
        plain = time_format(texts) or _mostly_numbers(texts)
        return "" if plain else "identifier"
    if pd.api.types.is_integer_dtype(present.dtype) and len(distinct) == rows:
        spread = int(present.max()) - int(present.min()) + 1
        words = name.lower().replace("-", "_").split("_")
        if spread <= DENSE * rows or "id" in words or name.endswith(("ID", "Id")):
            return "identifier"
    if pd.api.types.is_integer_dtype(present.dtype) and _epoch_unit(present) is None:
        return "identifier" if present.abs().median() >= LONG_NUMBER else ""
    return ""


def _mostly_numbers(texts: Sequence[str]) -> bool:
    return bool(numbers_in(texts, decimal_mark(texts)).mean() >= MOSTLY_NUMBERS)


def _feature(
    values: pd.Series,
    present: pd.Series,
    distinct: Sequence[Any],
    kind: str,
    said: Override,
    role: Role,
    optional: bool,
) -> Feature:
    name = str(values.name)
    dtype = values.dtype
    if pd.api.types.is_bool_dtype(dtype) and kind in ("", "boolean", "category"):
        return Feature(name, "category" if kind == "category" else "boolean", "boolean", optional)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        if kind not in ("", "time"):
            raise InTheWay(f"column {name!r} holds dates, which are no {kind}")
        return _time(name, "datetime", optional, present)
    if pd.api.types.is_numeric_dtype(dtype):
        return _of_numbers(name, present, kind, role, optional)
    return _of_texts(values, distinct, kind, said, optional)


def _of_numbers(name: str, present: pd.Series, kind: str, role: Role, optional: bool) -> Feature:
    if kind == "category":
        return Feature(name, "category", missing=optional)
    if kind == "boolean":
        if not present.isin((0, 1)).all():
            raise InTheWay(
                f"column {name!r} holds {present[~present.isin((0, 1))].iloc[0]!r}, no boolean"
            )
        return Feature(name, "boolean", missing=optional)
    unit = _epoch_unit(present)
    if role.is_time and role.unit != "auto":
        unit = role.unit
    if kind == "time" or (not kind and unit and _is_whole(present)):
        # Seconds that count from nowhere known have no hour, and no weekday.
        parts = (HOUR, WEEKDAY) if unit and unit == _epoch_unit(present) else ()
        seconds = SECONDS[unit or "s"]
        return Feature(name, "time", missing=optional, seconds=seconds, parts=parts)
    infinite = np.isinf(present.to_numpy(dtype=np.float64))
    if infinite.any():
        row = int(present.index[int(np.argmax(infinite))]) + 1
        raise InTheWay(f"row {row}, column {name!r} holds infinity ({_cells(int(infinite.sum()))})")
    return Feature(name, "number", missing=optional)


def _of_texts(
    values: pd.Series, distinct: Sequence[Any], kind: str, said: Override, optional: bool
) -> Feature:
    name = str(values.name)
    texts = [category_of(value) for value in distinct]
    if kind == "boolean" or (not kind and are_booleans(texts)):
        good = np.array([text.lower() in BOOLEAN_WORDS for text in texts])
        if not good.all():
            raise _not_a(values, texts, good, "true or false")
        return Feature(name, "boolean", "string", optional, format=_words(texts))
    if kind == "category":
        return Feature(name, "category", "string", optional)
    if not kind and are_codes(texts):
        return Feature(name, "category", "string", optional)
    if kind in ("", "number"):
        mark = decimal_mark(texts)
        numbers = numbers_in(texts, mark)
        if numbers.all():
            read = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
            if mark == "." and read.notna().all():
                return Feature(name, "number", missing=optional)
            return Feature(name, "number", "string", optional, format=mark)
        if kind or numbers.mean() >= MOSTLY_NUMBERS:
            raise _not_a(values, texts, numbers, "a number")
    if kind in ("", "time"):
        if said.format:
            return _time(name, "string", optional, distinct, said.format)
        found = time_format(texts)
        if found and found.others:
            raise InTheWay(
                f"column {name!r} holds {shorten(texts[0])!r}, which may be "
                f"{' or '.join((found.format, *found.others))}: say which as its format"
            )
        if found:
            return _time(name, "string", optional, distinct, found.format)
        if kind:
            raise _not_a(values, texts, np.zeros(len(texts), dtype=bool), "a date or time")
    return Feature(name, "category", "string", optional)


def _time(name: str, payload: Payload, optional: bool, distinct: Any, form: str = ISO) -> Feature:
    feature = Feature(name, "time", payload, optional, format=form)
    try:
        seconds = feature.read(pd.Series(distinct))
    except ValueError as error:
        raise InTheWay(
            f"column {name!r} holds times that are not written as {form}: {error}"
        ) from error
    # Dates without a time of day have no hour.
    hours = (seconds % SECONDS_PER_DAY != 0).any()
    return replace(feature, parts=(HOUR, WEEKDAY) if hours else (WEEKDAY,))


def _words(texts: Sequence[str]) -> str:
    """The words for true and false as the texts have them, with a slash between."""
    found = {BOOLEAN_WORDS[text.lower()]: text for text in reversed(texts)}
    return f"{found.get(1.0, 'true')}/{found.get(0.0, 'false')}"


def _epoch_unit(present: pd.Series) -> str | None:
    """The unit in which the numbers may count from 1970; None where they do not."""
    if not len(present):
        return None
    low, high = float(present.min()), float(present.max())
    for unit in EPOCH_UNITS:
        if low * SECONDS[unit] >= FIRST_EPOCH and high * SECONDS[unit] <= LAST_EPOCH:
            return unit
    return None


def _is_whole(present: pd.Series) -> bool:
    return pd.api.types.is_integer_dtype(present.dtype) or bool((present % 1 == 0).all())


def _not_a(values: pd.Series, texts: Sequence[str], good: Any, what: str) -> InTheWay:
    wrong = [text for text, is_good in zip(texts, good, strict=True) if not is_good]
    found = values.astype(object).map(category_of, na_action="ignore").isin(wrong).to_numpy()
    row = int(np.argmax(found)) + 1
    text = category_of(values.iloc[row - 1])
    return InTheWay(
        f"row {row}, column {str(values.name)!r} holds {shorten(text)!r} where {what} belongs "
        f"({_cells(int(found.sum()))})"
    )


def _cells(count: int) -> str:
    return f"{count:,} such {'cell' if count == 1 else 'cells'}"


def with_ages(columns: Sequence[Column], time: str | None) -> list[Column]:
    """The same columns, where other dates than the transaction's become days before it."""
    dated = any(c.name == time and c.feature is not None and c.feature.is_dated for c in columns)
    if not dated:
        return list(columns)
    return [_with_age(c) if c.name != time and c.kind == "time" else c for c in columns]


def _with_age(column: Column) -> Column:
    assert column.feature is not None
    feature = replace(column.feature, parts=(*column.feature.parts, AGE))
    return replace(column, feature=feature, becomes=_becomes(feature))


def _becomes(feature: Feature) -> str:
    if feature.kind == "time":
        if not feature.parts:
            return "orders the rows; the model does not look at it"
        return " and ".join(feature.parts)
    if feature.kind == "number" and feature.payload == "string":
        return "a number, read from text" + (
            " with decimal commas" if feature.format == "," else ""
        )
    return {"number": "a number", "boolean": "true or false", "category": "a category"}[
        feature.kind
    ]
