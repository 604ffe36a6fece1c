"""The model that MLflow serves: scaler, booster, calibration and threshold as one pyfunc.

MLflow logs this file itself with every model version (models from code), so a version keeps the
code that it was trained with. It therefore stands alone: it imports what the model's own
requirements list and nothing else of this project.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import lightgbm
import mlflow.pyfunc
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model

Floats = npt.NDArray[np.float64]

BOOSTER_FILE = "model.lgb"
SCALER_FILE = "scaler.json"
DECISION_FILE = "decision.json"

RISK_LEVELS = np.array(["Low", "Medium", "High"], dtype=object)
RISK_BOUNDS = np.array([0.3, 0.7])

# Below this many rows LightGBM's threads cost more time than they save.
ROWS_WORTH_THREADS = 256


@dataclass(frozen=True)
class Scaler:
    """Standardises features: (value - center) / scale, one of each per feature, in order."""

    features: tuple[str, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]

    def transform(self, values: Floats) -> Floats:
        """Scales an array of shape (rows, features); returns a new one of the same shape."""
        center, scale = self._arrays
        return (values - center) / scale

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats]:
        return np.asarray(self.center), np.asarray(self.scale)


@dataclass(frozen=True)
class Decision:
    """How a raw score becomes a probability and a flag.

    The probability is Platt's sigmoid of the booster's log-odds s: 1 / (1 + exp(-(slope s +
    intercept))) (J. Platt, Probabilistic outputs for support vector machines, 1999).
    """

    slope: float
    intercept: float
    threshold: float

    def probability(self, log_odds: Floats) -> Floats:
        """Calibrated fraud probabilities for log-odds of any shape."""
        with np.errstate(over="ignore"):
            return 1.0 / (1.0 + np.exp(-(self.slope * log_odds + self.intercept)))


class FraudDetector(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Scores card transactions.

    `predict` takes one named column of doubles per feature and returns, row by row,
    `fraud_probability` (float64), `is_fraud` (bool) and `risk_level` (Low below 0.3, High from
    0.7, Medium between).

    Attributes:
        scoring_protocol: announces `features`, `threshold` and `score` to a server; the protocol
            is described where the server lives, in `fraud_model.model.protocol`.
    """

    scoring_protocol = 1

    def __init__(
        self,
        booster: lightgbm.Booster | None = None,
        scaler: Scaler | None = None,
        decision: Decision | None = None,
    ) -> None:
        self._booster = booster
        self._scaler = scaler
        self._decision = decision

    def load_context(self, context: Any) -> None:
        """Reads booster, scaler and decision from the artifacts of a model version."""
        self._booster = lightgbm.Booster(model_file=context.artifacts["booster"])
        scaler = json.loads(Path(context.artifacts["scaler"]).read_text())
        self._scaler = Scaler(*(tuple(scaler[key]) for key in ("features", "center", "scale")))
        self._decision = Decision(**json.loads(Path(context.artifacts["decision"]).read_text()))

    def save(self, folder: Path) -> dict[str, str]:
        """Writes the three artifacts to `folder` as text, and returns their paths by name."""
        booster, scaler, decision = self.parts
        paths = {
            "booster": folder / BOOSTER_FILE,
            "scaler": folder / SCALER_FILE,
            "decision": folder / DECISION_FILE,
        }
        booster.save_model(paths["booster"])
        paths["scaler"].write_text(json.dumps(asdict(scaler), indent=1))
        paths["decision"].write_text(json.dumps(asdict(decision), indent=1))
        return {name: str(path) for name, path in paths.items()}

    @property
    def parts(self) -> tuple[lightgbm.Booster, Scaler, Decision]:
        """The loaded booster, scaler and decision."""
        if self._booster is None or self._scaler is None or self._decision is None:
            raise RuntimeError("the model is not loaded: call load_context first")
        return self._booster, self._scaler, self._decision

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order of `score`'s columns."""
        _, scaler, _ = self.parts
        return scaler.features

    @property
    def threshold(self) -> float:
        """The fraud probability from which a transaction is flagged, without `params`."""
        _, _, decision = self.parts
        return decision.threshold

    def with_threshold(self, threshold: float) -> FraudDetector:
        """The same detector with another threshold of its own."""
        booster, scaler, decision = self.parts
        return FraudDetector(booster, scaler, replace(decision, threshold=threshold))

    def predict(
        self,
        context: Any,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Scores a table of transactions.

        `params["threshold"]` replaces the version's own threshold for `is_fraud`;
        `params["explain"]` = k adds the column `reasons`: the k features that moved this score
        most, up or down, with their contributions in log-odds (SHAP values of the trees).

        Raises:
            MlflowException: a value is not finite, or a parameter is out of range; the scoring
                server answers it with status 400.
        """
        _, scaler, decision = self.parts
        params = params or {}
        threshold = float(params.get("threshold", decision.threshold))
        explain = int(params.get("explain", 0))
        if not 0 <= threshold <= 1:
            raise _invalid(f"params: threshold={threshold} is invalid: expected 0 to 1.")
        if not 0 <= explain <= len(scaler.features):
            raise _invalid(
                f"params: explain={explain} is invalid: expected 0 to {len(scaler.features)}, the "
                "number of features."
            )
        scaled = self._scaled(model_input)
        scored = pd.DataFrame(self._scored(scaled, threshold), index=model_input.index)
        if explain:
            reasons = self._reasons(scaled, scaler.features, explain)
            scored["reasons"] = pd.Series(reasons, index=scored.index, dtype=object)
        return scored

    def score(self, values: Floats) -> dict[str, npt.NDArray[Any]]:
        """The columns of `predict` without `params`, for values that are known to be finite.

        `values` has shape (rows, features), the columns as in `features`. For a server that has
        checked a request's rows itself and needs no table around them.
        """
        _, scaler, decision = self.parts
        return self._scored(scaler.transform(values), decision.threshold)

    def probability(self, model_input: pd.DataFrame) -> Floats:
        """Calibrated fraud probabilities, shape (rows,), without the rest of the answer."""
        _, _, decision = self.parts
        return decision.probability(self._log_odds(self._scaled(model_input)))

    def contributions(self, model_input: pd.DataFrame) -> Floats:
        """SHAP values in log-odds, shape (rows, features)."""
        return self._contributions(self._scaled(model_input))

    def _scaled(self, table: pd.DataFrame) -> Floats:
        _, scaler, _ = self.parts
        features = scaler.features
        values = table[list(features)].to_numpy(dtype=np.float64)
        finite = np.isfinite(values)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            found = values[row, column]
            raise _invalid(
                f"row {row + 1}, column {features[column]!r} is "
                f"{'missing (NaN)' if np.isnan(found) else 'infinite'}; every feature must be a "
                "finite number. Leave the row out, or fill the value as the training data did."
            )
        return scaler.transform(values)

    def _scored(self, scaled: Floats, threshold: float) -> dict[str, npt.NDArray[Any]]:
        _, _, decision = self.parts
        probability = decision.probability(self._log_odds(scaled))
        return {
            "fraud_probability": probability,
            "is_fraud": probability >= threshold,
            "risk_level": RISK_LEVELS[RISK_BOUNDS.searchsorted(probability, side="right")],
        }

    def _log_odds(self, scaled: Floats) -> Floats:
        booster, _, _ = self.parts
        if len(scaled) == 0:
            return np.empty(0)
        threads = 1 if len(scaled) < ROWS_WORTH_THREADS else 0
        return np.asarray(booster.predict(scaled, raw_score=True, num_threads=threads))

    def _contributions(self, scaled: Floats) -> Floats:
        booster, _, decision = self.parts
        # The sigmoid is fed slope * log-odds, so contributions scale with it.
        return decision.slope * np.asarray(booster.predict(scaled, pred_contrib=True))[:, :-1]

    def _reasons(
        self, scaled: Floats, features: Sequence[str], most: int
    ) -> list[list[dict[str, str | float]]]:
        if len(scaled) == 0:
            return []
        shap = self._contributions(scaled)
        ranked = np.argsort(-np.abs(shap), axis=1, kind="stable")[:, :most]
        return [
            [{"feature": features[i], "contribution": float(row[i])} for i in top]
            for row, top in zip(shap, ranked, strict=True)
        ]


def _invalid(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)


set_model(FraudDetector())
