"""A body is counted before it is parsed, and a refusal names the limit."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.abuse_bodies import bodies
from fraud_model.serving.screening import Excess, Screen, parse_json

FEATURES = 30
ROW = {f"V{number}": 0.5 for number in range(FEATURES)}
MAX_ROWS = 1_000
SCREEN = Screen(FEATURES, MAX_ROWS)
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"


def as_json(payload: Any) -> bytes:
    return json.dumps(payload).encode()


def excess(payload: Any) -> Excess | None:
    body = as_json(payload)
    return SCREEN.excess(body, JSON) or SCREEN.excess_of(parse_json(body))


def csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def parquet(table: pd.DataFrame) -> bytes:
    output = io.BytesIO()
    table.to_parquet(output)
    return output.getvalue()


@pytest.mark.parametrize("rows", [1, MAX_ROWS])
def test_as_many_rows_as_are_allowed_pass_in_every_form(rows: int) -> None:
    table = pd.DataFrame([ROW] * rows)
    records = table.to_dict("records")
    for payload in (
        {"dataframe_records": records},
        {"instances": records},
        {"inputs": records},
        {"inputs": table.to_dict("list")},
        {"dataframe_split": table.to_dict("split", index=False)},
        {"dataframe_records": records, "params": {"explain": 0}},
    ):
        assert excess(payload) is None
    assert SCREEN.excess(csv(table), CSV) is None
    assert SCREEN.excess(parquet(table), PARQUET) is None


@pytest.mark.parametrize("rows", [MAX_ROWS + 1, 50 * MAX_ROWS])
def test_one_row_too_many_is_refused_in_every_form(rows: int) -> None:
    table = pd.DataFrame([{"V1": 0.5}] * rows)
    records = table.to_dict("records")
    refused = [
        excess({"dataframe_records": records}),
        excess({"inputs": table.to_dict("list")}),
        excess({"dataframe_split": table.to_dict("split", index=False)}),
        SCREEN.excess(parquet(table), PARQUET),
    ]
    for found in refused:
        assert found is not None
        assert found.status == 413
        assert f"{MAX_ROWS:,} rows" in found.message


def test_columns_that_no_model_asks_for_may_travel_along_up_to_a_limit() -> None:
    def with_more(number: int) -> dict[str, float]:
        return {**ROW, **{f"other{i}": 1.0 for i in range(number)}}

    most = SCREEN.max_columns - FEATURES
    assert excess({"dataframe_records": [with_more(most)]}) is None
    assert SCREEN.excess(csv(pd.DataFrame([with_more(most)])), CSV) is None
    table = pd.DataFrame([with_more(most + 1)])
    for found in (
        excess({"dataframe_records": [with_more(most + 1)]}),
        excess({"inputs": table.to_dict("list")}),
        excess({"dataframe_split": table.to_dict("split", index=False)}),
        SCREEN.excess(csv(table), CSV),
        SCREEN.excess(parquet(table), PARQUET),
    ):
        assert found is not None
        assert found.status == 400
        assert f"at most {SCREEN.max_columns} columns" in found.message


def test_rows_that_each_bring_a_column_of_their_own_are_counted_together() -> None:
    found = excess({"dataframe_records": [{f"k{i}": 1} for i in range(MAX_ROWS)]})
    assert found is not None
    assert found.message.startswith(f"{MAX_ROWS:,} columns")


def test_the_columns_of_a_csv_are_those_of_its_quoted_header() -> None:
    header = '"a\nb,c"' + ",x" * SCREEN.max_columns
    found = SCREEN.excess(f"{header}\n1\n".encode(), CSV)
    assert found is not None
    assert f"{SCREEN.max_columns + 1:,} columns" in found.message


def test_few_rows_may_be_explained_and_many_may_not() -> None:
    screen = Screen(FEATURES, 10_000)
    for rows, explain in ((1_000, FEATURES), (1_000, 1), (10_000, 0)):
        payload = {"dataframe_records": [ROW] * rows, "params": {"explain": explain}}
        assert screen.excess_of(payload) is None
    for explain in (1, FEATURES):
        payload = {"dataframe_records": [ROW] * 1_001, "params": {"explain": explain}}
        found = screen.excess_of(payload)
        assert found is not None
        assert found.status == 400
        assert "at most 1,000 rows" in found.message


def test_what_cannot_be_counted_is_left_to_the_parser() -> None:
    assert SCREEN.excess(b"\xff\xfe", CSV) is None
    assert SCREEN.excess(b"", CSV) is None
    assert SCREEN.excess(b"PAR1 no footer PAR1", PARQUET) is None
    assert SCREEN.excess(b"{", JSON) is None
    assert SCREEN.excess(b"anything", "text/plain") is None
    assert SCREEN.excess_of(["no", "object"]) is None


def test_every_hostile_body_of_the_benchmark_is_refused_without_a_table() -> None:
    screen = Screen(FEATURES, 10_000)
    rows = {name: float(np.float64(value)) for name, value in ROW.items()}
    refused = {}
    for body in bodies(rows, scale=0.3):
        found = screen.excess(body.content, body.content_type)
        if found is None and body.content_type == JSON:
            found = screen.excess_of(parse_json(body.content))
        refused[body.name] = found is not None
    honest = {name for name, is_refused in refused.items() if not is_refused}
    assert honest == {
        "the largest honest body",
        "records, each with all features and a key of its own",
    }
