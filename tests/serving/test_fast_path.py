"""Plain requests are recognised whatever their form; anything odd is left to MLflow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fraud_model.serving.fast_path import Recogniser

RECOGNISER = Recogniser(["a", "b"])
PLAIN: list[dict[str, Any]] = [
    {"dataframe_records": [{"a": 1, "b": 2.5}, {"b": 4, "a": 3}]},
    {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2.5], [3, 4]]}},
    {"dataframe_split": {"columns": ["b", "a"], "data": [[2.5, 1], [4, 3]]}},
    {"inputs": [{"a": 1, "b": 2.5}, {"a": 3, "b": 4}]},
    {"inputs": {"b": [2.5, 4], "a": [1, 3]}},
]
ODD: list[Any] = [
    None,
    [],
    {},
    {"dataframe_records": []},
    {"dataframe_records": [{"a": 1}]},
    {"dataframe_records": [{"a": 1, "b": 2, "c": 3}]},
    {"dataframe_records": [{"a": 1, "c": 2}]},
    {"dataframe_records": [{"a": 1, "b": float("inf")}]},
    {"dataframe_records": [{"a": 1, "b": 2}], "params": {}},
    {"dataframe_records": {"a": 1, "b": 2}},
    {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3]]}},
    {"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}},
    {"dataframe_split": {"columns": ["a", ["b"]], "data": [[1, 2]]}},
    {"dataframe_split": {"data": [[1, 2]]}},
    {"inputs": {"a": [1, 3], "b": [2]}},
    {"inputs": {"a": 1, "b": 2}},
    {"inputs": [[1, 2]]},
    {"instances": [{"a": 1, "b": 2}]},
    {"messages": [{"a": 1, "b": 2}]},
]


@pytest.mark.parametrize("payload", PLAIN, ids=str)
def test_plain_rows_have_the_features_order(payload: object) -> None:
    assert RECOGNISER.recognise(json.dumps(payload).encode()) == [[1, 2.5], [3, 4]]


@pytest.mark.parametrize("payload", ODD, ids=str)
def test_anything_else_is_left_to_mlflow(payload: object) -> None:
    assert RECOGNISER.recognise(json.dumps(payload).encode()) is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"dataframe_records": [{"a": 1, "b": 1e999}]}']
)
def test_what_is_no_json_is_left_to_mlflow(body: bytes) -> None:
    assert RECOGNISER.recognise(body) is None
