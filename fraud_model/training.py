"""Fits scaler, booster and calibration, and refuses a model that a plain baseline beats."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from fraud_model.errors import ParameterError, TrainingError
from fraud_model.pyfunc import Decision, FraudDetector, Scaler
from fraud_model.schema import Columns

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

ROUNDS_BETWEEN_REPORTS = 50


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of the booster, under LightGBM's own names where it has one.

    The defaults hold from 15,000 to 284,807 transactions at 0.17 % and at 2 % fraud;
    `benchmarks/recipes.py` compares them with their peers. Three of them are not LightGBM's:

    `min_sum_hessian_in_leaf` is 1 instead of 0.001. A leaf's value is the sum of its gradients
    over the sum of its hessians p (1 - p), and where all its transactions are scored as genuine
    that sum is next to nothing: the value, and with it the whole model, explodes.

    `feature_fraction` is 0.5 instead of 1: a fit takes two thirds of the time and ranks as well.

    `early_stopping_rounds` is 0, off. On some dozens of frauds the average precision jumps about,
    its first spike can be the highest, and stopping there keeps a model of a few trees; with the
    leaves held in check it still rises at the last round.
    """

    learning_rate: float = 0.05
    rounds: int = 400
    early_stopping_rounds: int = 0
    num_leaves: int = 31
    min_child_samples: int = 20
    min_sum_hessian_in_leaf: float = 1.0
    lambda_l2: float = 0.0
    feature_fraction: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        allowed: dict[str, tuple[float, float]] = {
            "learning_rate": (1e-4, 1),
            "rounds": (1, 100_000),
            "early_stopping_rounds": (0, 100_000),
            "num_leaves": (2, 131_072),
            "min_child_samples": (1, 1_000_000),
            "min_sum_hessian_in_leaf": (0, 1e9),
            "lambda_l2": (0, 1e9),
            "feature_fraction": (0.01, 1),
            "seed": (0, 2**31 - 1),
        }
        for field in fields(self):
            low, high = allowed[field.name]
            value = getattr(self, field.name)
            if not low <= value <= high:
                raise ParameterError(f"{field.name}={value}: it lies from {low:g} to {high:g}.")

    def lightgbm_parameters(self) -> dict[str, Any]:
        """What `lightgbm.train` takes as `params`; the number of rounds is apart."""
        parameters = asdict(self)
        del parameters["rounds"], parameters["early_stopping_rounds"]
        return {
            **parameters,
            "objective": "binary",
            # The same rows and seed give the same trees, whatever the number of cores.
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }


@dataclass(frozen=True)
class Fitted:
    """A fitted detector and what its fitting showed.

    `curve` maps a metric's name to its value after each round, on the validation part;
    `validation_probability` has the shape (validation rows,).
    """

    detector: FraudDetector
    validation_probability: Floats
    best_round: int
    curve: dict[str, list[float]]
    average_precision: float
    baseline_average_precision: float


def fit(train: pd.DataFrame, validation: pd.DataFrame, columns: Columns, recipe: Recipe) -> Fitted:
    """Fits on `train`; early stopping and calibration use `validation`.

    The threshold of the returned detector is 0.5, a placeholder until a policy chooses one.

    Raises:
        TrainingError: a logistic regression on the same standardised features is at least as
            good on `validation` by average precision.
    """
    features = list(columns.features)
    standard = StandardScaler().fit(train[features].to_numpy())
    scaler = Scaler(
        columns.features, tuple(standard.mean_.tolist()), tuple(standard.scale_.tolist())
    )
    x_train = scaler.transform(train[features].to_numpy())
    x_validation = scaler.transform(validation[features].to_numpy())
    y_train = train[columns.target].to_numpy()
    y_validation = validation[columns.target].to_numpy()

    curve: dict[str, dict[str, list[float]]] = {}
    booster = train_booster(
        x_train,
        y_train,
        x_validation,
        y_validation,
        recipe,
        feature_names=features,
        callbacks=[
            lightgbm.log_evaluation(ROUNDS_BETWEEN_REPORTS),
            lightgbm.record_evaluation(curve),
        ],
    )
    log_odds = np.asarray(booster.predict(x_validation, raw_score=True))
    reached = float(average_precision_score(y_validation, log_odds))
    baseline = LogisticRegression(max_iter=1000).fit(x_train, y_train)
    to_beat = float(average_precision_score(y_validation, baseline.decision_function(x_validation)))
    if reached <= to_beat:
        raise TrainingError(
            f"average precision on the validation part is {reached:.4f}, and a plain logistic "
            f"regression has {to_beat:.4f}: the booster is not worth registering. Lower "
            "-P learning_rate=, raise -P min_child_samples=, or give a table with more frauds."
        )
    decision = calibrate(log_odds, y_validation)
    return Fitted(
        detector=FraudDetector(booster, scaler, decision),
        validation_probability=decision.probability(log_odds),
        best_round=booster.best_iteration or booster.current_iteration(),
        curve=curve.get("validation", {}),
        average_precision=reached,
        baseline_average_precision=to_beat,
    )


def train_booster(
    x_train: Floats,
    y_train: Labels,
    x_validation: Floats,
    y_validation: Labels,
    recipe: Recipe,
    *,
    feature_names: list[str],
    callbacks: list[Callable[..., Any]],
) -> lightgbm.Booster:
    """`lightgbm.train` with the recipe, stopped early on the validation part."""
    if recipe.early_stopping_rounds:
        callbacks = [
            *callbacks,
            lightgbm.early_stopping(
                recipe.early_stopping_rounds, first_metric_only=True, verbose=False
            ),
        ]
    data = lightgbm.Dataset(x_train, y_train, feature_name=booster_names(feature_names))
    return lightgbm.train(
        {**recipe.lightgbm_parameters(), "metric": ["average_precision", "binary_logloss"]},
        data,
        num_boost_round=recipe.rounds,
        valid_sets=[lightgbm.Dataset(x_validation, y_validation, reference=data)],
        valid_names=["validation"],
        callbacks=callbacks,
    )


def calibrate(log_odds: Floats, labels: Labels) -> Decision:
    """Fits Platt's sigmoid to held-out log-odds; the order of the scores never changes.

    A sigmoid rather than an isotonic step function: with some dozens of frauds the steps would
    tie most scores, and ties cost average precision.
    """
    sigmoid = LogisticRegression(C=1e6, max_iter=1000).fit(log_odds.reshape(-1, 1), labels)
    slope = float(sigmoid.coef_[0, 0])
    if slope <= 0:
        raise TrainingError(
            f"calibration on the validation part has slope {slope:.3g}: higher scores do not mean "
            "more fraud there. Is the target column the right one?"
        )
    return Decision(slope, float(sigmoid.intercept_[0]), threshold=0.5)


def booster_names(features: list[str]) -> list[str]:
    """Names that LightGBM accepts: it refuses white space and JSON's own characters."""
    names = [re.sub(r"[^\w.\-]", "_", name) for name in features]
    if len(set(names)) == len(names):
        return names
    return [f"{name}_{position}" for position, name in enumerate(names)]
