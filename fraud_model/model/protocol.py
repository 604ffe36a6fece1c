"""The scoring protocol: what a version may offer a server besides MLflow's `predict`.

A version carries the code that it was trained with, so a server meets versions older and newer than
itself. It therefore asks them for nothing but `predict`, unless their python model announces this
protocol with an attribute `scoring_protocol` that equals `SCORING_PROTOCOL`. Whatever changes the
meaning of a member below takes the next number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import mlflow.pyfunc
import numpy.typing as npt
from mlflow.exceptions import MlflowException

from fraud_model.arrays import Floats

SCORING_PROTOCOL = 2


class Scorer(Protocol):
    """A python model that announces the protocol.

    Attributes:
        scoring_protocol: the number of the protocol.
        features: names of the features, in the order that `encode_rows` takes their values.
        threshold: the version's own threshold, a fraud probability from 0 to 1; None where
            something else decides.
        decision: what is flagged without `params`, for people.
    """

    scoring_protocol: int

    @property
    def features(self) -> tuple[str, ...]: ...

    @property
    def threshold(self) -> float | None: ...

    @property
    def decision(self) -> str: ...

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> Floats | None:
        """What `score` takes, for the rows of a JSON request, one value for each feature.

        None where a value is not plainly what the signature asks for: the request is then for
        `predict`. Any other answer of `score` equals that of `predict`, to the last bit.
        """

    def score(self, inputs: Floats) -> Mapping[str, npt.NDArray[Any]]:
        """Scores what `encode_rows` returned as `predict` does without `params`.

        Returns:
            The columns of `predict` by name and in its order, each of shape (rows,). Among them are
            `fraud_probability` (float64) and `is_fraud` (bool).
        """


def announced_scorer(pyfunc: mlflow.pyfunc.PyFuncModel) -> Scorer | None:
    """The scorer in a loaded version; None if it does not announce this protocol."""
    try:
        python_model = pyfunc.unwrap_python_model()
    except MlflowException:
        # Another flavor's model.
        return None
    if getattr(python_model, "scoring_protocol", None) != SCORING_PROTOCOL:
        return None
    return cast(Scorer, python_model)
