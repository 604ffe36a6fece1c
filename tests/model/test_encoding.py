"""What training makes of a column is what a request gets, on either route."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from fraud_model.model.encoding import Encoder
from fraud_model.model.feature import Feature, number_of

NAN = float("nan")
FEATURES = (
    Feature("amount"),
    Feature("gap", missing=True),
    Feature("price", payload="string", format="."),
    Feature("euros", payload="string", format=",", missing=True),
    Feature("chip", "boolean", "boolean"),
    Feature("online", "boolean", "string", missing=True, format="Yes/no"),
    Feature("shop", "category", "string", vocabulary=("web", "12")),
    Feature("state", "category", "string", missing=True, vocabulary=("NY",)),
    Feature("mcc", "category", vocabulary=("5411", "5812")),
    Feature("when", "time", "datetime", parts=("hour", "weekday"), format="ISO8601"),
    Feature("zoned", "time", "string", parts=("hour",), format="ISO8601"),
    Feature("day", "time", "string", missing=True, parts=("days before",), format="%d.%m.%Y"),
    Feature("epoch", "time", parts=("hour",), seconds=1e-3),
    Feature("clock", "time"),
)
ENCODER = Encoder(FEATURES, "when")
ROW: dict[str, Any] = {
    "amount": 12,
    "gap": 1.5,
    "price": "$1,234.50",
    "euros": "1.234,50 EUR",
    "chip": True,
    "online": "yes",
    "shop": "web",
    "state": "NY",
    "mcc": 5812,
    "when": "2026-11-24 18:30:00",
    "zoned": "2026-11-24T18:30:00",
    "day": "20.11.2026",
    "epoch": 1_767_225_600_000 + 3_600_000,
    "clock": 99.0,
}
INPUTS = {
    "amount": 12.0,
    "gap": 1.5,
    "price": 1234.5,
    "euros": 1234.5,
    "chip": 1.0,
    "online": 1.0,
    "shop": 1.0,
    "state": 1.0,
    "mcc": 2.0,
    "when (hour)": 18.5,
    "when (weekday)": 1.0,
    "zoned (hour)": 18.5,
    "day (days before)": 4 + 18.5 / 24,
    "epoch (hour)": 1.0,
    "clock": 0.0,
}


def table(row: dict[str, Any]) -> pd.DataFrame:
    """One row as MLflow hands it over for the signature."""
    columns = {name: [value] for name, value in row.items()}
    frame = pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in columns.items()})
    frame["when"] = pd.to_datetime(frame["when"])
    return frame.astype({"amount": float, "gap": float, "mcc": float, "epoch": float})


def inputs(**changed: Any) -> dict[str, float]:
    """What becomes of a row; it has to be the same on both routes."""
    row = ROW | changed
    encoded = ENCODER.encode(table(row))
    plain = ENCODER.encode_rows([[row[name] for name in ENCODER.names]])
    assert plain is not None
    assert np.array_equal(encoded, plain, equal_nan=True)
    return dict(zip(ENCODER.inputs, encoded[0].tolist(), strict=True))


def test_a_row_becomes_what_the_booster_reads() -> None:
    assert inputs() == pytest.approx(INPUTS)


@pytest.mark.parametrize(
    ("changed", "name", "expected"),
    [
        ({"shop": "never seen"}, "shop", 0),
        ({"shop": " web "}, "shop", 1),
        ({"state": None}, "state", NAN),
        ({"state": "NA"}, "state", NAN),
        ({"mcc": 5411.0}, "mcc", 1),
        ({"mcc": 7}, "mcc", 0),
        ({"online": "NO"}, "online", 0),
        ({"online": False}, "online", 0),
        ({"online": None}, "online", NAN),
        ({"gap": None}, "gap", NAN),
        ({"price": "(7)"}, "price", -7),
        ({"price": "USD 7"}, "price", 7),
        ({"euros": "n/a"}, "euros", NAN),
        ({"when": "2026-11-22"}, "when (weekday)", 6),
        ({"day": None}, "day (days before)", NAN),
    ],
)
def test_values_are_read_as_people_write_them(
    changed: dict[str, Any], name: str, expected: float
) -> None:
    assert inputs(**changed)[name] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"amount": None}, r"row 1, column 'amount' is missing .*-P missing=accept"),
        ({"shop": None}, "row 1, column 'shop' is missing"),
        ({"shop": "NaN"}, "row 1, column 'shop' is missing"),
        ({"amount": float("inf")}, "row 1, column 'amount' is infinite"),
        ({"price": "seven"}, "row 1, column 'price' does not hold a number"),
        ({"online": "maybe"}, "row 1, column 'online' does not hold true or false"),
        ({"day": "2026-11-20"}, "'day' does not hold a date or time written as %d"),
    ],
)
def test_what_cannot_be_scored_is_named_and_not_shown(
    changed: dict[str, Any], message: str
) -> None:
    row = ROW | changed
    assert ENCODER.encode_rows([[row[name] for name in ENCODER.names]]) is None
    with pytest.raises(MlflowException, match=message) as caught:
        ENCODER.encode(table(row))
    assert caught.value.get_http_status_code() == 400
    texts = [value for value in changed.values() if isinstance(value, str) and value != "NaN"]
    assert not any(text in str(caught.value) for text in texts)


def test_the_first_bad_row_is_named() -> None:
    rows = pd.concat([table(ROW), table(ROW), table(ROW | {"price": "x"})], ignore_index=True)
    with pytest.raises(MlflowException, match="row 3, column 'price'"):
        ENCODER.encode(rows)


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": True},
        {"amount": "12"},
        {"shop": 12},
        {"chip": "true"},
        {"when": "2026-11-24T18:30:00Z"},
        {"when": "24 November 2026"},
        {"zoned": "2026-W48-2"},
    ],
)
def test_what_is_not_plain_is_left_to_mlflow(changed: dict[str, Any]) -> None:
    row = ROW | changed
    assert ENCODER.encode_rows([[row[name] for name in ENCODER.names]]) is None


def test_a_column_that_may_be_missing_need_not_be_there() -> None:
    there = table(ROW).drop(columns=["gap", "state"])
    encoded = dict(zip(ENCODER.inputs, ENCODER.encode(there)[0], strict=True))
    assert np.isnan(encoded["gap"])
    assert np.isnan(encoded["state"])


def test_an_encoder_comes_back_as_it_was_written() -> None:
    assert Encoder.read(json.loads(json.dumps(asdict(ENCODER)))) == ENCODER


def test_inputs_know_the_feature_that_they_come_from() -> None:
    owners = [ENCODER.names[owner] for owner in ENCODER.owners]
    assert owners == [name.partition(" (")[0] for name in ENCODER.inputs]
    assert [ENCODER.inputs[place] for place in ENCODER.categorical] == ["shop", "state", "mcc"]


def test_numbers_alone_are_taken_as_they_are() -> None:
    plain = Encoder((Feature("a"), Feature("b", missing=True)))
    read = plain.encode_rows([[1, None], [2.5, 3]])
    assert read is not None
    assert np.array_equal(read, [[1, NAN], [2.5, 3]], equal_nan=True)
    for bad in ([[None, 1]], [[1, float("inf")]], [[10**400, 1]], [[True, 1]], [[1]], [[NAN, 1]]):
        assert plain.encode_rows(bad) is None


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("1,234,567.8", ".", 1_234_567.8),
        ("1.234.567,8", ",", 1_234_567.8),
        ("€ 12", ".", 12),
        ("-3e-2", ".", -0.03),
        ("1 000", ".", 1_000),
    ],
)
def test_numbers_in_text(text: str, decimal: str, number: float) -> None:
    assert number_of(text, decimal) == number
