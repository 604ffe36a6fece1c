"""The model that MLflow serves: encoder, scaler, booster, calibration and threshold as one pyfunc.

MLflow logs this code itself with every model version (models from code), so a version keeps what it
was trained with. It therefore stands alone: `feature`, `encoding` and this module travel as one
file, and import what the model's own requirements list and nothing else of this project.
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

from fraud_model.model.encoding import Encoder
from fraud_model.model.feature import Floats

DECISION_FILE = "decision.json"

RISK_LEVELS = np.array(["Low", "Medium", "High"], dtype=object)

# In front of the names of the evaluation model's artifacts.
EVALUATION = "evaluation_"

# Below this many rows LightGBM's threads cost more time than they save.
ROWS_WORTH_THREADS = 256


@dataclass(frozen=True)
class Scaler:
    """Standardises inputs: (value - center) / scale, one of each per input, in order."""

    center: tuple[float, ...]
    scale: tuple[float, ...]

    def transform(self, values: Floats) -> Floats:
        """Scales an array of shape (rows, inputs); returns a new one of the same shape."""
        center, scale = self._arrays
        scaled = values - center
        scaled /= scale
        return scaled

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

    `predict` takes one named column per feature, as the signature says, and returns, row by row,
    `fraud_probability` (float64), `is_fraud` (bool) and `risk_level` (Low, Medium or High; see
    `Decision`).

    A refitted detector keeps its evaluation model: the one that was fitted on a part of the rows,
    so that the others could measure it.

    Attributes:
        scoring_protocol: announces `features`, `threshold`, `encode_rows` and `score` to a server;
            the protocol is described where the server lives, in `fraud_model.model.protocol`.
    """

    scoring_protocol = 2

    def __init__(
        self,
        booster: lightgbm.Booster | None = None,
        encoder: Encoder | None = None,
        scaler: Scaler | None = None,
        decision: Decision | None = None,
        evaluation: FraudDetector | None = None,
    ) -> None:
        self._booster = booster
        self._encoder = encoder
        self._scaler = scaler
        self._decision = decision
        self._evaluation = evaluation
        self._artifacts: dict[str, str] = {}

    def load_context(self, context: Any) -> None:
        """Reads booster, encoder, scaler and decision from the artifacts of a model version."""
        self._artifacts = context.artifacts
        self._decision = Decision(**json.loads(Path(context.artifacts["decision"]).read_text()))
        self._booster, self._encoder, self._scaler = _read(context.artifacts)

    def save(self, folder: Path) -> dict[str, str]:
        """Writes the artifacts to `folder` as text, and returns their paths by name."""
        *_, decision = self.parts
        paths = {"decision": folder / DECISION_FILE}
        paths["decision"].write_text(json.dumps(asdict(decision), indent=1))
        evaluation = self.evaluation_detector()
        models = {"": self} if evaluation is self else {"": self, EVALUATION: evaluation}
        for prefix, model in models.items():
            booster, encoder, scaler, _ = model.parts
            paths[f"{prefix}booster"] = folder / f"{prefix}booster.lgb"
            booster.save_model(paths[f"{prefix}booster"])
            for name, part in (("encoder", encoder), ("scaler", scaler)):
                paths[f"{prefix}{name}"] = folder / f"{prefix}{name}.json"
                paths[f"{prefix}{name}"].write_text(json.dumps(asdict(part), indent=1))
        return {name: str(path) for name, path in paths.items()}

    def evaluation_detector(self) -> FraudDetector:
        """The model that the version's metrics belong to; this one where it was not refitted."""
        if self._evaluation is None and f"{EVALUATION}booster" in self._artifacts:
            *_, decision = self.parts
            self._evaluation = FraudDetector(*_read(self._artifacts, EVALUATION), decision)
        return self._evaluation or self

    @property
    def parts(self) -> tuple[lightgbm.Booster, Encoder, Scaler, Decision]:
        """The loaded booster, encoder, scaler and decision."""
        booster, encoder = self._booster, self._encoder
        scaler, decision = self._scaler, self._decision
        if booster is None or encoder is None or scaler is None or decision is None:
            raise RuntimeError("the model is not loaded: call load_context first")
        return booster, encoder, scaler, decision

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order of the signature."""
        return self.encoder.names

    @property
    def encoder(self) -> Encoder:
        """What turns a table into the booster's inputs."""
        _, encoder, *_ = self.parts
        return encoder

    @property
    def threshold(self) -> float | None:
        """The fraud probability from which a transaction is flagged, without `params`.

        None where a review's cost decides.
        """
        *_, decision = self.parts
        return decision.threshold

    @property
    def decision(self) -> str:
        """What is flagged without `params`, for people."""
        *_, decision = self.parts
        return str(decision)

    def with_decision(self, decision: Decision) -> FraudDetector:
        """The same detector with another decision."""
        booster, encoder, scaler, _ = self.parts
        return FraudDetector(booster, encoder, scaler, decision)

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
            MlflowException: a value cannot be scored, or a parameter is out of range; the scoring
                server answers it with status 400.
        """
        features = self.features
        params = params or {}
        decision = self._decision_of(params)
        explain = int(params.get("explain", 0))
        if not 0 <= explain <= len(features):
            raise _invalid(
                f"params: explain={explain} is invalid: expected 0 to {len(features)}, the "
                "number of features."
            )
        inputs = self.encoder.encode(model_input)
        scored = pd.DataFrame(self._scored(inputs, decision), index=model_input.index)
        if explain:
            reasons = self._reasons(inputs, features, explain)
            scored["reasons"] = pd.Series(reasons, index=scored.index, dtype=object)
        return scored

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> Floats | None:
        """The inputs of the rows of a JSON request, shape (rows, inputs); see `Encoder`.

        None where `predict` has to say what becomes of them.
        """
        return self.encoder.encode_rows(rows)

    def score(self, inputs: Floats) -> dict[str, npt.NDArray[Any]]:
        """The columns of `predict` without `params`, for what `encode_rows` returned.

        For a server that needs no table around a request's rows.
        """
        *_, decision = self.parts
        return self._scored(inputs, decision)

    def probability(self, model_input: pd.DataFrame) -> Floats:
        """Calibrated fraud probabilities, shape (rows,), without the rest of the answer."""
        *_, decision = self.parts
        return decision.probability(self.log_odds(model_input))

    def log_odds(self, model_input: pd.DataFrame) -> Floats:
        """The booster's raw scores, shape (rows,), before calibration."""
        return self._log_odds(self.encoder.encode(model_input))

    def contributions(self, model_input: pd.DataFrame) -> Floats:
        """SHAP values in log-odds, shape (rows, features)."""
        return self._contributions(self.encoder.encode(model_input))

    def _decision_of(self, params: dict[str, Any]) -> Decision:
        """The version's decision with what `params` replace in it."""
        *_, decision = self.parts
        if decision.threshold is not None:
            threshold = float(params.get("threshold", decision.threshold))
            if not 0 <= threshold <= 1:
                raise _invalid(f"params: threshold={threshold} is invalid: expected 0 to 1.")
            return replace(decision, threshold=threshold)
        review_cost = float(params.get("review_cost", decision.review_cost or 0.0))
        if not 0 < review_cost < np.inf:
            raise _invalid(f"params: review_cost={review_cost} is invalid: expected more than 0.")
        return replace(decision, review_cost=review_cost)

    def _scored(self, inputs: Floats, decision: Decision) -> dict[str, npt.NDArray[Any]]:
        probability = decision.probability(self._log_odds(inputs))
        amounts = None
        if decision.amount is not None:
            amounts = inputs[:, self.encoder.inputs.index(decision.amount)]
        flagged = decision.flags(probability, amounts)
        return {
            "fraud_probability": probability,
            "is_fraud": flagged,
            "risk_level": decision.risk_levels(probability, flagged),
        }

    def _log_odds(self, inputs: Floats) -> Floats:
        booster, _, scaler, _ = self.parts
        if len(inputs) == 0:
            return np.empty(0)
        threads = 1 if len(inputs) < ROWS_WORTH_THREADS else 0
        scaled = scaler.transform(inputs)
        return np.asarray(booster.predict(scaled, raw_score=True, num_threads=threads))

    def _contributions(self, inputs: Floats) -> Floats:
        booster, encoder, scaler, decision = self.parts
        scaled = scaler.transform(inputs)
        # The sigmoid is fed slope * log-odds, so contributions scale with it.
        shap = decision.slope * np.asarray(booster.predict(scaled, pred_contrib=True))[:, :-1]
        # Those of a feature are the sum of those of its inputs.
        return np.add.reduceat(shap, encoder.first, axis=1)

    def _reasons(
        self, inputs: Floats, features: Sequence[str], most: int
    ) -> list[list[dict[str, str | float]]]:
        if len(inputs) == 0:
            return []
        shap = self._contributions(inputs)
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


def _read(artifacts: dict[str, str], prefix: str = "") -> tuple[lightgbm.Booster, Encoder, Scaler]:
    encoder, scaler = (
        json.loads(Path(artifacts[f"{prefix}{name}"]).read_text()) for name in ("encoder", "scaler")
    )
    return (
        lightgbm.Booster(model_file=artifacts[f"{prefix}booster"]),
        Encoder.read(encoder),
        Scaler(tuple(scaler["center"]), tuple(scaler["scale"])),
    )


def _invalid(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)


set_model(FraudDetector())
