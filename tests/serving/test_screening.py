"""A body is counted before it is parsed, and a refusal names the limit."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest

from benchmarks.abuse_bodies import UNUSED, Body, bodies
from fraud_model.serving.screening import Excess, Screen, may_have_more_rows, parse_json

FEATURES = 30
ROW = {f"V{number}": 0.5 for number in range(FEATURES)}
MAX_ROWS = 1_000
SCREEN = Screen(FEATURES, MAX_ROWS)
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"


@pytest.fixture(scope="module")
def hostile() -> list[Body]:
    return [body for body in bodies(ROW, scale=0.25) if body.name != UNUSED]


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


@pytest.mark.parametrize(
    "lines",
    [
        "\n{wide}\n1\n",
        " \t \r\n\r\n{wide}\n1\n",
        "{wide}\n{wide}\n",
        "a\n{wide}\n",
        "\n\na\n\n{wide}\n",
        "a,a\n1,2,3\n",
        "x" * 131_073 + ",{wide}\n1\n",
        '"{wide}\n' + "\n1" * 131_073,
    ],
)
def test_the_first_lines_of_a_csv_are_those_that_pandas_reads(lines: str) -> None:
    screen = Screen(FEATURES, 1_000_000)
    wide = ",".join(["a"] * (screen.max_columns + 1))
    found = screen.excess(lines.replace("{wide}", wide).encode(), CSV)
    assert found is not None
    assert found.status == 400


@pytest.mark.parametrize("text", ["\na,b\n1,2\n", "a,b\n1\n", " \na,b\n", '"a\nb",c\n1,"2\n3"'])
def test_a_csv_with_a_name_for_every_value_passes(text: str) -> None:
    assert SCREEN.excess(text.encode(), CSV) is None


MANY = SCREEN.max_columns + 1


@pytest.mark.parametrize(
    "payload",
    [
        {"dataframe_split": {"data": [[1] * MANY]}},
        {"dataframe_split": {"columns": ["a"], "data": [[1], [1] * MANY]}},
        {"dataframe_split": {"data": [{f"k{i}": 1} for i in range(MANY)]}},
        {"dataframe_split": {"data": {f"k{i}": [1] for i in range(MANY)}}},
        {"dataframe_split": {"columns": [["a"]] * MANY, "data": [[1]]}},
        {"dataframe_split": {"columns": [["a"] * MANY], "data": [[1]]}},
        {"dataframe_split": {"index": [[1]] * MANY, "data": [[1]]}},
        {"dataframe_records": [[1] * MANY]},
        {"inputs": [[1], [1] * MANY]},
        {"inputs": {f"k{i}": 1 for i in range(MANY)}},
        {"instances": [[1] * MANY]},
        {"instances": [{"a": 1}, {f"k{i}": 1 for i in range(MANY)}]},
        {"inputs": {"V1": {f"k{i}": 1 for i in range(MAX_ROWS + 1)}}},
        {"dataframe_split": {"index": [0] * (MAX_ROWS + 1), "columns": ["a"], "data": 1}},
    ],
)
def test_json_is_counted_wherever_pandas_makes_rows_or_columns_of_it(payload: Any) -> None:
    found = SCREEN.excess_of(payload)
    assert found is not None
    assert found.kind == ("too_many_columns" if found.status == 400 else "too_many_rows")


@pytest.mark.parametrize(
    ("body", "mime_type", "expected"),
    [
        (as_json({"dataframe_records": [ROW] * 2}), JSON, False),
        (as_json({"dataframe_records": [ROW] * 3}), JSON, True),
        (
            as_json({"dataframe_split": {"index": [0] * 3, "columns": ["V1"], "data": 1}}),
            JSON,
            True,
        ),
        (as_json({"inputs": {"V1": [1, 2, 3], "V2": 1}}), JSON, True),
        (as_json({"instances": {"V1": {"a": 1, "b": 2, "c": 3}}}), JSON, True),
        (b"[" * 10_000, JSON, False),
        (b"a\r1\r2\r3\r", CSV, True),
        (b"a\n1\n", CSV, False),
        (b"", PARQUET, True),
        (b"a\n" * 9, "text/plain", False),
    ],
)
def test_rows_of_short_bodies_are_counted(body: bytes, mime_type: str, expected: bool) -> None:
    assert may_have_more_rows(body, mime_type, 2) == expected


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


def test_a_parquet_file_of_texts_categories_and_dates_passes() -> None:
    rows = MAX_ROWS
    table = pd.DataFrame(
        {
            "text": [f"merchant {i}" for i in range(rows)],
            "category": pd.Categorical(["DE", "FR"] * (rows // 2)),
            "date": pd.date_range("2024-01-01", periods=rows, tz="UTC"),
            "gaps": pd.array([None, 1] * (rows // 2), dtype="Int64"),
        }
    )
    assert SCREEN.excess(parquet(table), PARQUET) is None
    assert SCREEN.excess(parquet(table.head(0)), PARQUET) is None


@pytest.mark.parametrize("values", [[[1.0]], [[1.0, 2.0]], [np.ones(100_000)]])
def test_a_list_is_no_feature(values: list[Any]) -> None:
    found = SCREEN.excess(parquet(pd.DataFrame({"V1": [1.0], "V2": values})), PARQUET)
    assert found is not None
    assert found.status == 400
    assert "Column 2 of the Parquet file" in found.message


def test_a_category_of_long_texts_counts_as_often_as_it_stands_there() -> None:
    texts = pd.Categorical(["a" * 10_000] * MAX_ROWS)
    body = parquet(pd.DataFrame({"V1": texts}))
    assert len(body) < 10_000
    found = SCREEN.excess(body, PARQUET)
    assert found is not None
    assert found.status == 413
    assert "unpacks to too much" in found.message


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_a_page_is_not_unpacked_beyond_the_limit_whatever_the_footer_tells(
    hostile: list[Body],
) -> None:
    (body,) = (each for each in hostile if "told as" in each.name)
    before, pool = pyarrow.default_memory_pool(), pyarrow.system_memory_pool()
    pyarrow.set_memory_pool(pool)
    try:
        found = SCREEN.excess(body.content, PARQUET)
    finally:
        pyarrow.set_memory_pool(before)
    assert found is not None
    assert found.status == 413
    assert pool.max_memory() < 72_000_000


def test_every_hostile_body_of_the_benchmark_is_refused_without_a_table(
    hostile: list[Body],
) -> None:
    screen = Screen(FEATURES, 10_000)
    refused = {}
    for body in hostile:
        found = screen.excess(body.content, body.content_type)
        if found is None and body.content_type == JSON:
            found = screen.excess_of(parse_json(body.content))
        refused[body.name] = found is not None
    honest = {name for name, is_refused in refused.items() if not is_refused}
    assert honest == {
        "half a surrogate pair",
        "1,000 rows with every reason",
        "1,000 rows without values, with every reason",
        "10,000 rows through MLflow's route",
        "CSV, 10,000 rows of as many columns as go",
        "the largest honest body",
        "records, each with all features and a key of its own",
    }
