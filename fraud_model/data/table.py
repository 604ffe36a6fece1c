"""From the table as it came to typed columns: every feature as a request holds it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import yaml

from fraud_model.arrays import Counts
from fraud_model.data.column_files import stored, table_of
from fraud_model.data.columns import Columns
from fraud_model.data.kinds import Column, InTheWay, Role, infer, with_ages
from fraud_model.data.label_table import DATE
from fraud_model.data.overrides import ColumnRules, Override, overrides_for
from fraud_model.data.schema import DEFAULT_AMOUNT, DEFAULT_TIME, describe_missing
from fraud_model.data.sent_rows import OWN
from fraud_model.errors import DataError
from fraud_model.model.feature import ISO, Feature, category_of
from fraud_model.parallel import cores, in_order

# A table of more columns is shown without the plain numbers.
MOST_SHOWN = 60


def columns_of(
    table: pd.DataFrame, place: str, target: str, time: str, amount: str, rules: ColumnRules
) -> tuple[Columns, list[Column]]:
    """Tells target, time, amount and features of a table apart, and what each of them holds.

    Time and amount may be absent under their default names; a name that somebody chose must be
    there.

    Raises:
        DataError: a column is missing, cannot be read as what it is to be (all of these are named
            in one message), or no feature is left.
        ParameterError: the rules cannot be used.
    """
    found = [str(name) for name in table.columns]
    expected = [target]
    expected += [time] if time != DEFAULT_TIME else []
    expected += [amount] if amount != DEFAULT_AMOUNT else []
    missing = [name for name in expected if name not in found]
    if missing:
        raise DataError(f"{place}: {describe_missing(missing, found)}")
    if table.empty:
        raise DataError(f"{place} has a header but no rows. Give a table with transactions.")
    said = overrides_for(rules, found, (target, time, amount))
    if set(OWN) <= set(found):
        # A collected table: these are no part of a request.
        excluded = Override(kind="excluded")
        own = (name for name in (*OWN, DATE) if name in said)
        said |= {name: excluded for name in own if not said[name].kind and name != time}

    def look(name: str) -> Column | InTheWay:
        role = Role(is_time=name == time, is_amount=name == amount, unit=rules.time_unit)
        if name == target:
            return _target(table[name])
        try:
            return _infer(table[name], said[name], role)
        except InTheWay as error:
            return error

    looked_at = list(in_order((partial(look, name) for name in found), cores()))
    columns = [column for column in looked_at if isinstance(column, Column)]
    in_the_way = [str(error) for error in looked_at if isinstance(error, InTheWay)]
    if in_the_way:
        count = f"{len(in_the_way)} columns cannot" if in_the_way[1:] else "a column cannot"
        raise DataError(
            f"{place}: {count} be read: {'; '.join(in_the_way)}. Correct or empty the cells, leave "
            "columns out with -P exclude=, or say what they are in a file given as -P columns=."
        )
    names = {column.name for column in columns if column.feature}
    columns = with_ages(columns, time)
    features = tuple(column.feature for column in columns if column.feature)
    if not any(_is_learned(feature) for feature in features):
        left_out = ", ".join(f"{c.name!r} ({c.kind})" for c in columns if c.kind != "target")
        raise DataError(
            f"{place}: no column besides the target {target!r} is left to learn from"
            + (f": {left_out}" if left_out else "")
            + ". Give another table, or say what the columns are in a file given as -P columns=."
        )
    result = Columns(
        target=target,
        features=tuple(feature.name for feature in features),
        time=time if time in names else None,
        amount=amount if amount in names else None,
        ignored=tuple(c.name for c in columns if not c.feature and c.kind != "target"),
        specs=features,
    )
    return result, columns


def typed(table: pd.DataFrame, columns: Columns, places: Counts | None = None) -> pd.DataFrame:
    """The features of a table as a request holds them, in order; of the rows in `places`, if given.

    Numbers are float64 with NaN for a missing one, dates datetime64[us], texts `str`; a boolean is
    a bool, or an object where some are missing. The columns lie in files, see `column_files`.
    """
    if places is not None and np.array_equal(places, np.arange(len(table))):
        places = None
    return table_of(
        stored(typed_column(table[name] if places is None else table[name].take(places), feature))
        for name, feature in columns.described.items()
    )


def typed_column(values: pd.Series, feature: Feature) -> pd.Series:
    """One column of a table as `typed` has it."""
    if feature.payload == "double":
        return values if values.dtype == np.float64 else pd.to_numeric(values).astype(np.float64)
    if feature.payload == "datetime":
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            values = values.dt.tz_convert("UTC").dt.tz_localize(None)
        return values.astype("datetime64[us]")
    if feature.payload == "boolean":
        return values.astype(bool)
    if feature.kind == "boolean":
        return values.astype(object)
    places, found = pd.factorize(values, use_na_sentinel=True)
    words = pd.array([category_of(value) for value in found], dtype="str")
    texts = words.take(places, allow_fill=True)
    return pd.Series(texts, index=values.index, name=values.name)


def show(columns: Sequence[Column]) -> str:
    """The columns as a table for people: what each is, and what becomes of it."""
    shown = list(columns)
    if len(shown) > MOST_SHOWN:
        shown = [c for c in shown if c.kind != "number" or c.missing or c.becomes != "a number"]
    rows = [
        (
            c.name,
            c.kind,
            f"{c.missing:,}",
            f"{c.distinct:,}{'+' if c.has_more else ''}",
            c.example,
            c.becomes,
        )
        for c in shown
    ]
    head = ("column", "kind", "missing", "distinct", "example", "what becomes of it")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]
    if len(shown) < len(columns):
        lines.append(f"and {len(columns) - len(shown):,} numbers without gaps")
    return "\n".join(lines)


def as_yaml(columns: Sequence[Column]) -> str:
    """The columns as a file that `-P columns=` reads."""
    content = {c.name: _said(c) for c in columns if c.kind != "target"}
    return yaml.safe_dump({"columns": content}, sort_keys=False, allow_unicode=True)


def _said(column: Column) -> dict[str, str]:
    said = {"kind": column.kind}
    feature = column.feature
    if feature is not None:
        said["missing"] = "accept" if feature.missing else "refuse"
        if feature.kind == "time" and feature.payload == "string" and feature.format != ISO:
            said["format"] = feature.format
    return said


def _infer(values: pd.Series, override: Override, role: Role) -> Column:
    column = infer(values, override, role)
    if role.is_time and column.missing:
        raise InTheWay(
            f"column {column.name!r} is missing in {column.missing:,} rows, and orders them"
        )
    return column


def _target(values: pd.Series) -> Column:
    present = values.dropna()
    return Column(
        name=str(values.name),
        kind="target",
        missing=len(values) - len(present),
        distinct=present.nunique(),
        example=str(present.iloc[0]) if len(present) else "",
        becomes="what is learned",
    )


def _is_learned(feature: Feature) -> bool:
    return feature.kind != "time" or feature.is_dated
