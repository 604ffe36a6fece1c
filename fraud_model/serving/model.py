"""The served model as MLflow's scoring function sees it, with an eye on what passes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.types import Schema

from fraud_model.arrays import Floats
from fraud_model.model.detector import FraudDetector
from fraud_model.model.directory import ModelDirectory
from fraud_model.serving.origin import Origin

# The columns of an answer by name, each of shape (rows,).
Scored = Mapping[str, npt.NDArray[Any]]


class ServedModel:
    """A loaded model version: MLflow's pyfunc of it, and the detector inside.

    Attributes:
        origin: where it came from.
        features: names of the features, in the detector's order.
        threshold: the version's own threshold.
        schema: the signature's inputs.
    """

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.pyfunc = mlflow.pyfunc.load_model(origin.path)
        self.detector: FraudDetector = self.pyfunc.unwrap_python_model()
        _, scaler, decision = self.detector.parts
        self.features: Sequence[str] = scaler.features
        self.threshold: float = decision.threshold
        self.schema: Schema = self.pyfunc.metadata.get_input_schema()

    def examples(self) -> dict[str, dict[str, float]]:
        """The lowest and the highest scored of the version's known rows: `genuine`, `fraud`."""
        known = ModelDirectory(Path(self.origin.path)).required_known_rows()
        rows, probability = known.rows, known.probability
        chosen = {"genuine": int(np.argmin(probability)), "fraud": int(np.argmax(probability))}
        return {
            name: {str(feature): float(value) for feature, value in rows.iloc[place].items()}
            for name, place in chosen.items()
        }


class Plain:
    """One request's rows, already checked, for `scoring_server.invocations`.

    Stands where that function expects a model. It says that its signature comes from type hints,
    because MLflow then hands `inputs` over as they are. MLflow also inspects the signature of
    `predict` with every request; working it out takes as long as scoring a row, so `predict` is
    the object itself, with a signature made once.
    """

    __signature__ = Signature([Parameter("data", Parameter.POSITIONAL_OR_KEYWORD)])

    def __init__(self, served: ServedModel, values: Floats) -> None:
        self.metadata = self
        self.values = values
        self.scored: Scored = {}
        self._served = served

    def get_params_schema(self) -> None:
        """Requests with parameters take the other way."""

    def _is_signature_from_type_hint(self) -> bool:
        return True

    @property
    def predict(self) -> Plain:
        """What MLflow calls with the rows."""
        return self

    def __call__(self, data: object) -> list[dict[str, Any]]:
        """Scores the values; answers as the pyfunc's table reads in JSON."""
        self.scored = self._served.detector.score(self.values)
        names = self.scored.keys()
        columns = (column.tolist() for column in self.scored.values())
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


class Observed:
    """The pyfunc itself for `scoring_server.invocations`; keeps what went in and what came out."""

    def __init__(self, served: ServedModel, most_rows: int) -> None:
        self.metadata = served.pyfunc.metadata
        self.values: Floats = np.empty((0, len(served.features)))
        self.scored: Scored = {}
        self.refusal = ""
        self.too_many_rows = False
        self._served = served
        self._most_rows = most_rows

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Scores through the pyfunc, so through MLflow's schema enforcement.

        Raises:
            MlflowException: there are more than `most_rows`, or MLflow or the model refuses them;
                `too_many_rows` or `refusal` is set then, because the scoring function hides them.
        """
        rows = _as_table(data)
        if len(rows) > self._most_rows:
            self.too_many_rows = True
            raise MlflowException.invalid_parameter_value("too many rows")
        try:
            answer: pd.DataFrame = self._served.pyfunc.predict(data, params=params)
        except MlflowException as error:
            self.refusal = str(error.message)
            raise
        self.values = rows[list(self._served.features)].to_numpy(dtype=np.float64)
        self.scored = {name: answer[name].to_numpy() for name in answer.columns}
        return answer


def _as_table(data: Any) -> pd.DataFrame:
    # What MLflow hands over: a table, lists of records, columns of values, or one value a column.
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, dict) and all(np.ndim(value) == 0 for value in data.values()):
        return pd.DataFrame([data])
    try:
        return pd.DataFrame(data)
    except ValueError:
        # No table can be made of it, and the pyfunc says so in MLflow's own way.
        return pd.DataFrame()
