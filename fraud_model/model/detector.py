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

DECISION_FILE = "decision.json"

RISK_LEVELS = np.array(["Low", "Medium", "High"], dtype=object)

# In front of the names of the evaluation model's artifacts.
EVALUATION = "evaluation_"

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
    """How a raw score becomes a probability, a flag and a risk level.

    The probability is Platt's sigmoid of the booster's log-odds s: 1 / (1 + exp(-(slope s +
    intercept))) (J. Platt, Probabilistic outputs for support vector machines, 1999).

    A transaction is flagged if its probability reaches `threshold`; or, where `review_cost` is
    given, if probability x amount reaches that, so that a review costs no more than the loss it is
    expected to prevent. Then `amount` names the column. Exactly one of the two is None.

    The risk level is Low below the probability `medium`, High from `high`, and Medium between;
    what is flagged is Medium at least.
    """

    slope: float
    intercept: float
    threshold: float | None
    medium: float
    high: float
    review_cost: float | None = None
    amount: str | None = None

    def __str__(self) -> str:
        if self.review_cost is not None:
            return f"probability x {self.amount} >= {self.review_cost:g}"
        return f"probability >= {self.threshold:.4g}"

    def probability(self, log_odds: Floats) -> Floats:
        """Calibrated fraud probabilities for log-odds of any shape."""
        with np.errstate(over="ignore"):
            return 1.0 / (1.0 + np.exp(-(self.slope * log_odds + self.intercept)))

    def flags(self, probability: Floats, amounts: Floats | None) -> npt.NDArray[np.bool_]:
        """Which transactions are flagged, shape (rows,), like both arguments.

        `amounts` may be None where a threshold decides.
        """
        return flags(probability, amounts, self.threshold, self.review_cost)

    def risk_levels(
        self, probability: Floats, flagged: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.object_]:
        """The names of the risk levels, shape (rows,)."""
        levels = self._bounds.searchsorted(probability, side="right")
        return RISK_LEVELS[np.maximum(levels, flagged)]

    @cached_property
    def _bounds(self) -> Floats:
        return np.array([self.medium, self.high])


class FraudDetector(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Scores card transactions.

    `predict` takes one named column of doubles per feature and returns, row by row,
    `fraud_probability` (float64), `is_fraud` (bool) and `risk_level` (Low, Medium or High; see
    `Decision`).

    A refitted detector keeps its evaluation model: the one that was fitted on a part of the rows,
    so that the others could measure it.

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
        evaluation: FraudDetector | None = None,
    ) -> None:
        self._booster = booster
        self._scaler = scaler
        self._decision = decision
        self._evaluation = evaluation
        self._artifacts: dict[str, str] = {}

    def load_context(self, context: Any) -> None:
        """Reads booster, scaler and decision from the artifacts of a model version."""
        self._artifacts = context.artifacts
        self._decision = Decision(**json.loads(Path(context.artifacts["decision"]).read_text()))
        self._booster, self._scaler = _read(context.artifacts)

    def save(self, folder: Path) -> dict[str, str]:
        """Writes the artifacts to `folder` as text, and returns their paths by name."""
        _, _, decision = self.parts
        paths = {"decision": folder / DECISION_FILE}
        paths["decision"].write_text(json.dumps(asdict(decision), indent=1))
        evaluation = self.evaluation_detector()
        models = {"": self} if evaluation is self else {"": self, EVALUATION: evaluation}
        for prefix, model in models.items():
            booster, scaler, _ = model.parts
            paths[f"{prefix}booster"] = folder / f"{prefix}booster.lgb"
            paths[f"{prefix}scaler"] = folder / f"{prefix}scaler.json"
            booster.save_model(paths[f"{prefix}booster"])
            paths[f"{prefix}scaler"].write_text(json.dumps(asdict(scaler), indent=1))
        return {name: str(path) for name, path in paths.items()}

    def evaluation_detector(self) -> FraudDetector:
        """The model that the version's metrics belong to; this one where it was not refitted."""
        if self._evaluation is None and f"{EVALUATION}booster" in self._artifacts:
            _, _, decision = self.parts
            self._evaluation = FraudDetector(*_read(self._artifacts, EVALUATION), decision)
        return self._evaluation or self

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
    def threshold(self) -> float | None:
        """The fraud probability from which a transaction is flagged, without `params`.

        None where a review's cost decides.
        """
        _, _, decision = self.parts
        return decision.threshold

    @property
    def decision(self) -> str:
        """What is flagged without `params`, for people."""
        _, _, decision = self.parts
        return str(decision)

    def with_decision(self, decision: Decision) -> FraudDetector:
        """The same detector with another decision."""
        booster, scaler, _ = self.parts
        return FraudDetector(booster, scaler, decision)

    def predict(
        self,
        context: Any,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Scores a table of transactions.

        `params["threshold"]` replaces the version's own threshold for `is_fraud`, and
        `params["review_cost"]` its cost of a review, whichever it has. `params["explain"]` = k
        adds the column `reasons`: the k features that moved this score most, up or down, with
        their contributions in log-odds (SHAP values of the trees).

        Raises:
            MlflowException: a value is not finite, or a parameter is out of range; the scoring
                server answers it with status 400.
        """
        _, scaler, _ = self.parts
        params = params or {}
        decision = self._decision_of(params)
        explain = int(params.get("explain", 0))
        if not 0 <= explain <= len(scaler.features):
            raise _invalid(
                f"params: explain={explain} is invalid: expected 0 to {len(scaler.features)}, the "
                "number of features."
            )
        values = self._values(model_input)
        scored = pd.DataFrame(self._scored(values, decision), index=model_input.index)
        if explain:
            reasons = self._reasons(scaler.transform(values), scaler.features, explain)
            scored["reasons"] = pd.Series(reasons, index=scored.index, dtype=object)
        return scored

    def score(self, values: Floats) -> dict[str, npt.NDArray[Any]]:
        """The columns of `predict` without `params`, for values that are known to be finite.

        `values` has shape (rows, features), the columns as in `features`. For a server that has
        checked a request's rows itself and needs no table around them.
        """
        _, _, decision = self.parts
        return self._scored(values, decision)

    def probability(self, model_input: pd.DataFrame) -> Floats:
        """Calibrated fraud probabilities, shape (rows,), without the rest of the answer."""
        _, scaler, decision = self.parts
        return decision.probability(self._log_odds(scaler.transform(self._values(model_input))))

    def contributions(self, model_input: pd.DataFrame) -> Floats:
        """SHAP values in log-odds, shape (rows, features)."""
        _, scaler, _ = self.parts
        return self._contributions(scaler.transform(self._values(model_input)))

    def _decision_of(self, params: dict[str, Any]) -> Decision:
        """The version's decision with what `params` replace in it."""
        _, _, decision = self.parts
        if decision.threshold is not None:
            threshold = float(params.get("threshold", decision.threshold))
            if not 0 <= threshold <= 1:
                raise _invalid(f"params: threshold={threshold} is invalid: expected 0 to 1.")
            return replace(decision, threshold=threshold)
        review_cost = float(params.get("review_cost", decision.review_cost or 0.0))
        if not 0 < review_cost < np.inf:
            raise _invalid(f"params: review_cost={review_cost} is invalid: expected more than 0.")
        return replace(decision, review_cost=review_cost)

    def _values(self, table: pd.DataFrame) -> Floats:
        features = self.features
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
        return values

    def _scored(self, values: Floats, decision: Decision) -> dict[str, npt.NDArray[Any]]:
        _, scaler, _ = self.parts
        probability = decision.probability(self._log_odds(scaler.transform(values)))
        amounts = None
        if decision.amount is not None:
            amounts = values[:, scaler.features.index(decision.amount)]
        flagged = decision.flags(probability, amounts)
        return {
            "fraud_probability": probability,
            "is_fraud": flagged,
            "risk_level": decision.risk_levels(probability, flagged),
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


def flags(
    probability: Floats, amounts: Floats | None, threshold: float | None, review_cost: float | None
) -> npt.NDArray[np.bool_]:
    """What a decision flags, by its threshold or its cost of a review; see `Decision`."""
    if review_cost is not None and amounts is not None:
        return np.asarray(probability * amounts >= review_cost)
    if threshold is None:
        raise ValueError("a review's cost decides, and there are no amounts")
    return np.asarray(probability >= threshold)


def _read(artifacts: dict[str, str], prefix: str = "") -> tuple[lightgbm.Booster, Scaler]:
    scaler = json.loads(Path(artifacts[f"{prefix}scaler"]).read_text())
    return (
        lightgbm.Booster(model_file=artifacts[f"{prefix}booster"]),
        Scaler(*(tuple(scaler[key]) for key in ("features", "center", "scale"))),
    )


def _invalid(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)


set_model(FraudDetector())
