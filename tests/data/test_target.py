"""Labels are read from what fraud teams write, and anything else is listed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fraud_model.data.target import check_classes, read_labels
from fraud_model.errors import DataError


def labels(values: list[Any], fraud: str = "") -> list[float]:
    return [*map(float, read_labels(pd.Series(values, name="Class"), fraud, "t.csv"))]


@pytest.mark.parametrize(
    "values",
    [[0, 1, 1], [0.0, 1.0, 1.0], [False, True, True], ["no", "Yes", "yes"], ["f", "t", "T"]],
)
def test_truth_has_many_words(values: list[Any]) -> None:
    assert labels(values) == [0, 1, 1]


def test_one_word_means_fraud_and_all_others_genuine() -> None:
    assert labels(["ok", "chargeback", "friendly"], "chargeback") == [0, 1, 0]
    assert labels([0, 2, 1], "2") == [0, 1, 0]
    assert labels([0.0, 2.0, 1.0], "2") == [0, 1, 0]


def test_an_empty_label_is_not_known_yet() -> None:
    assert np.isnan(labels([0, 1, np.nan])[2])
    assert np.isnan(labels(["ok", "", "fraud"], "fraud")[1])


def test_other_values_are_listed_with_the_parameter() -> None:
    with pytest.raises(DataError, match=r"row 2, column 'Class' holds '2': expected 0") as caught:
        labels([0, 2, 1])
    assert "holds '0', '2', '1'" in str(caught.value)
    assert "-P fraud=" in str(caught.value)
    with pytest.raises(DataError, match=r"fraud='bad' is no value of column 'Class'.*'ok', 'x'"):
        labels(["ok", "x"], "bad")
    with pytest.raises(DataError, match="and 20 more values"):
        labels([f"kind {number}" for number in range(30)])


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ([0, 0, 0], "every transaction is genuine"),
        ([1, 1, 1], "every transaction is fraud"),
        ([], "no label is known"),
    ],
)
def test_a_model_needs_both_classes(known: list[int], message: str) -> None:
    with pytest.raises(DataError, match=f"t.csv: {message} in column 'Class'"):
        check_classes(np.array(known, dtype=np.int64), "Class", "t.csv")
