"""Fits scaler, booster and calibration, and refuses a model that a plain baseline beats."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from fraud_model.arrays import Floats, Labels
from fraud_model.data.schema import Columns
from fraud_model.errors import TrainingError
from fraud_model.model.detector import Decision, FraudDetector, Scaler
from fraud_model.training.config import Hyperparameters

ROUNDS_BETWEEN_REPORTS = 50


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


def fit(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    columns: Columns,
    hyperparameters: Hyperparameters,
) -> Fitted:
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
        hyperparameters,
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
            "LightGBM does not beat logistic regression; nothing was registered. Average precision "
            f"on the validation part: {reached:.4f} with LightGBM, {to_beat:.4f} with logistic "
            "regression. Lower -P learning_rate=, raise -P min_child_samples=, or give a table "
            "with more frauds."
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
    hyperparameters: Hyperparameters,
    *,
    feature_names: list[str],
    callbacks: list[Callable[..., Any]],
) -> lightgbm.Booster:
    """`lightgbm.train` with the hyperparameters, stopped early on the validation part."""
    if hyperparameters.early_stopping_rounds:
        callbacks = [
            *callbacks,
            lightgbm.early_stopping(
                hyperparameters.early_stopping_rounds, first_metric_only=True, verbose=False
            ),
        ]
    data = lightgbm.Dataset(x_train, y_train, feature_name=booster_names(feature_names))
    return lightgbm.train(
        {
            **hyperparameters.lightgbm_parameters(),
            "metric": ["average_precision", "binary_logloss"],
        },
        data,
        num_boost_round=hyperparameters.rounds,
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
