"""Tables become JSON: what a request, a known row and an audit line hold."""

from __future__ import annotations

import pandas as pd
import pytest

from fraud_model.model.json_values import as_json


@pytest.mark.parametrize(
    ("times", "written"),
    [
        (["2024-01-01", "2024-01-02 03:04:05"], ["2024-01-01T00:00:00", "2024-01-02T03:04:05"]),
        (
            ["2024-01-01", None, "2024-01-02 03:04:05.25"],
            ["2024-01-01T00:00:00.000000", None, "2024-01-02T03:04:05.250000"],
        ),
        (["2024-01-01T00:00+02:00"], ["2023-12-31T22:00:00"]),
        ([None], [None]),
    ],
)
def test_dates_of_a_column_have_one_form(
    times: list[str | None], written: list[str | None]
) -> None:
    column = pd.Series(pd.to_datetime(pd.Series(times), format="ISO8601"))
    assert as_json(column).tolist() == written


@pytest.mark.parametrize(
    ("values", "dtype"), [([1.5, None], "float64"), ([True, None], "boolean"), (["a", None], "str")]
)
def test_what_is_missing_is_null(values: list[object], dtype: str) -> None:
    assert as_json(pd.Series(values, dtype=dtype)).tolist() == values
