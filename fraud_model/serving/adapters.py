"""What stands where `mlflow.pyfunc.scoring_server.invocations` expects a model.

MLflow's function parses a request, calls a model and encodes the answer. It sees every request that
is not plain.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.exceptions import MlflowException

from fraud_model.model.json_values import as_json
from fraud_model.serving.model import (
    FLAG,
    PREDICTION,
    PROBABILITY,
    Columns,
    ScoredRows,
    ServedModel,
)


class Observed:
    """The pyfunc, with its limit of rows; keeps what went in and what came out.

    Attributes:
        refusal: the pyfunc's own words, where it refused the request.
        too_many_rows: whether the request was refused for its number of rows.
    """

    def __init__(self, served: ServedModel, max_rows: int) -> None:
        self.metadata = served.pyfunc.metadata
        self.refusal = ""
        self.too_many_rows = False
        self._served = served
        self._max_rows = max_rows
        self._table = pd.DataFrame()
        self._answer: Any = None

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Scores through the pyfunc, and so through MLflow's schema enforcement.

        Raises:
            MlflowException: there are too many rows, or MLflow or the model refuses them;
                `too_many_rows` or `refusal` is set then, because the scoring function hides them.
        """
        self._table = _as_table(data)
        if len(self._table) > self._max_rows:
            self.too_many_rows = True
            raise MlflowException.invalid_parameter_value("too many rows")
        try:
            self._answer = self._served.pyfunc.predict(data, params=params)
        except MlflowException as error:
            self.refusal = str(error.message)
            raise
        return self._answer

    def scored_rows(self, answer: str) -> ScoredRows:
        """What was scored; `answer` is what MLflow made of it."""
        features = self._served.features or tuple(map(str, self._table.columns))
        columns = _probabilities(self._answer, len(self._table))
        if columns is None:
            columns = {PREDICTION: _predictions(answer, len(self._table))}
        return ScoredRows(features, self._values(), columns)

    def _values(self) -> npt.NDArray[Any]:
        table = self._table
        features = self._served.features
        if features:
            table = table.reindex(columns=[*features])
        if features and features == self._served.required_numbers:
            # MLflow takes text that reads as a number.
            table = table.astype(np.float64)
        if all(map(_is_number, table.dtypes)):
            return table.to_numpy(dtype=np.float64, na_value=np.nan)
        values = np.empty(table.shape, dtype=object)
        for place, (_, column) in enumerate(table.items()):
            values[:, place] = as_json(column)
        return values


def _is_number(dtype: Any) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def _as_table(data: Any) -> pd.DataFrame:
    # What MLflow hands over: a table, lists of records, columns of values, or one value a column.
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, dict) and all(np.ndim(value) == 0 for value in data.values()):
        return pd.DataFrame([data])
    try:
        return pd.DataFrame(data)
    except ValueError:
        # No table can be made of it. Whether it can be scored is for the pyfunc to say.
        return pd.DataFrame()


def _probabilities(answer: Any, rows: int) -> Columns | None:
    if not isinstance(answer, pd.DataFrame) or len(answer) != rows:
        return None
    if not answer.columns.is_unique:
        return None
    columns = {str(name): answer[name].to_numpy() for name in answer.columns}
    kinds = {name: columns[name].dtype.kind for name in (PROBABILITY, FLAG) if name in columns}
    return columns if kinds == {PROBABILITY: "f", FLAG: "b"} else None


def _predictions(answer: str, rows: int) -> npt.NDArray[Any]:
    """An answer's values, one a row; None for each row where it does not have one for each."""
    decoded = json.loads(answer)
    found = decoded.get("predictions") if isinstance(decoded, dict) else None
    predictions = np.full(rows, None, dtype=object)
    if isinstance(found, list) and len(found) == rows:
        for row, value in enumerate(found):
            predictions[row] = value
    return predictions
