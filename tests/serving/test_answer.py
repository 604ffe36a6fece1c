"""A plain request is answered with the bytes that MLflow makes of the pyfunc's table."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server import predictions_to_json

from fraud_model.serving import answer

EXTREMES = [0.0, 1.0, 1e-300, 5e-324, 1e-5, 1 - 2**-53, 0.1 + 0.2, 1 / 3]
LEVELS = ["Low", "Medium", "High", 'über "alles"\n', "\u2028", "\U0001f600", "", "\x7f"]
REASONS = [
    [{"feature": "V1", "contribution": value}] * count for count, value in enumerate(EXTREMES)
]


def columns(probability: npt.ArrayLike, **more: list[Any]) -> dict[str, npt.NDArray[Any]]:
    found = np.asarray(probability, np.float64)
    answered = {"fraud_probability": found, "is_fraud": found >= 0.5}
    for name, values in more.items():
        answered[name] = pd.Series(values, dtype=object).to_numpy()
    return answered


@pytest.mark.parametrize(
    "answered",
    [
        columns(EXTREMES, risk_level=LEVELS),
        columns(EXTREMES, risk_level=LEVELS, reasons=REASONS),
        columns([0.25], risk_level=["Low"]),
        columns(np.random.default_rng(1).random(1_000) ** 40),
        columns([0.25], when=[pd.Timestamp("2024-02-29 12:00:00.25")], none=[None]),
        columns([0.25, 0.75], number=[np.int64(2**62), np.float64(1e22)]),
    ],
    ids=["extremes", "reasons", "one row", "many rows", "other values", "numpy's numbers"],
)
def test_it_has_the_bytes_of_mlflow(answered: dict[str, npt.NDArray[Any]]) -> None:
    expected = StringIO()
    predictions_to_json(pd.DataFrame(answered), expected)
    assert answer.encode(answered) == expected.getvalue()


def test_columns_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        answer.encode({"fraud_probability": np.ones(2), "is_fraud": np.ones(1, np.bool_)})
