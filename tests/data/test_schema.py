"""Columns are told apart by name, and a bad cell is named by row and column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fraud_model.data.schema import (
    check_classes,
    check_values,
    days_covered,
    resolve_columns,
)
from fraud_model.errors import DataError


def columns_of(table: pd.DataFrame, target: str = "Class", time: str = "Time") -> object:
    return resolve_columns(table, "t.csv", target, time, "Amount")


def checked(table: pd.DataFrame) -> pd.DataFrame:
    return check_values(table, resolve_columns(table, "t.csv", "Class", "Time", "Amount"), "t.csv")


@pytest.fixture
def small() -> pd.DataFrame:
    return pd.DataFrame(
        {"Time": [0, 1, 2], "a b": [0.5, 1.5, 2.5], "Amount": [1, 2, 3], "Class": [0, 1, 0]}
    )


def test_every_numeric_column_but_the_target_is_a_feature(small: pd.DataFrame) -> None:
    columns = resolve_columns(
        small.assign(merchant=["x", "y", "z"]), "t", "Class", "Time", "Amount"
    )
    assert columns.features == ("Time", "a b", "Amount")
    assert (columns.time, columns.amount) == ("Time", "Amount")
    assert columns.ignored == ("merchant",)


def test_time_and_amount_may_be_absent_under_their_default_names(small: pd.DataFrame) -> None:
    columns = resolve_columns(small[["a b", "Class"]], "t", "Class", "Time", "Amount")
    assert (columns.time, columns.amount, columns.features) == (None, None, ("a b",))


def test_a_chosen_time_column_must_be_there(small: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"missing columns: - 'seconds'; \+ found: 'Time', 'a b'"):
        columns_of(small, time="seconds")


def test_a_missing_target_is_shown_as_a_diff_with_a_suggestion(small: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"- 'Class' \(did you mean 'class'\?\)"):
        columns_of(small.rename(columns={"Class": "class"}))


def test_a_target_alone_leaves_nothing_to_learn(small: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="no numeric column besides the target 'Class'"):
        columns_of(small[["Class"]])


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("a b", ["0.5", "x", "2"], r"row 2, column 'a b' holds 'x' where a number belongs"),
        ("a b", [0.5, 1.5, np.nan], r"row 3, column 'a b' holds a missing value"),
        ("Amount", [np.inf, 1.0, 2.0], r"row 1, column 'Amount' holds infinity"),
        ("Class", [0, 2, 1], r"row 2, column 'Class' holds 2"),
        ("Class", ["0", "fraud", "1"], r"row 2, column 'Class' holds 'fraud'"),
    ],
)
def test_bad_cells_are_named_by_row_and_column(
    small: pd.DataFrame, column: str, values: list[float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        checked(small.assign(**{column: values}))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0, 0], "every transaction is genuine"),
        ([1, 1, 1], "every transaction is fraud"),
        ([], "no label is known"),
    ],
)
def test_a_model_needs_both_classes(labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=f"t.csv: {message} in column 'Class'"):
        check_classes(np.array(labels, dtype=np.int64), "Class", "t.csv")


def test_text_times_are_refused_with_their_mend(small: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="Write times as seconds"):
        checked(small.assign(Time=["2013-09-01", "2013-09-02", "2013-09-03"]))


def test_a_header_without_rows_is_refused(small: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="a header but no rows"):
        checked(small.iloc[:0])


def test_checked_values_are_doubles(small: pd.DataFrame) -> None:
    table = checked(small.astype({"Class": bool}))
    assert dict(table.dtypes.astype(str)) == dict.fromkeys(small.columns, "float64")


def test_an_empty_label_is_not_known_yet(small: pd.DataFrame) -> None:
    assert checked(small.assign(Class=[0, 1, np.nan]))["Class"].isna().tolist() == [
        False,
        False,
        True,
    ]


def test_days_are_counted_from_seconds_and_one_without_time(small: pd.DataFrame) -> None:
    day = small.assign(Time=[0, 100, 172_800])
    assert days_covered(day, resolve_columns(day, "t", "Class", "Time", "Amount")) == 2.0
    assert (
        days_covered(day, resolve_columns(day[["a b", "Class"]], "t", "Class", "Time", "Amount"))
        == 1.0
    )
