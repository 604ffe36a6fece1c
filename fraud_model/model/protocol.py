"""The scoring protocol: what a version may offer a server besides MLflow's `predict`.

A version carries the code that it was trained with, so a server meets versions older and newer than
itself. It therefore asks them for nothing but `predict`, unless their python model announces this
protocol with an attribute `scoring_protocol` that equals `SCORING_PROTOCOL`. Whatever changes the
meaning of a member below takes the next number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import mlflow.pyfunc
import numpy.typing as npt
from mlflow.exceptions import MlflowException

from fraud_model.arrays import Floats

SCORING_PROTOCOL = 1


class Scorer(Protocol):
    """A python model that announces the protocol.

    Attributes:
        scoring_protocol: the number of the protocol.
        features: names of the features, in the order that `score` takes them.
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

    def score(self, values: Floats) -> Mapping[str, npt.NDArray[Any]]:
        """Scores finite values of shape (rows, features) as `predict` does without `params`.

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
