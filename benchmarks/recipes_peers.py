"""What `recipes` compares: our hyperparameters and peers, each at its library's defaults."""

from __future__ import annotations

from collections.abc import Callable

import catboost
import lightgbm
import numpy as np
import xgboost
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from fraud_model.arrays import Floats, Labels
from fraud_model.training.config import Hyperparameters

Scorer = Callable[[Floats], Floats]
Peer = Callable[[Floats, Labels, int], Scorer]

ROUNDS = 400
LEARNING_RATE = 0.05


def ours(features: Floats, labels: Labels, seed: int) -> Scorer:
    """The hyperparameters of the `train` entry point."""
    hyperparameters = Hyperparameters(seed=seed)
    return _boosted(hyperparameters.lightgbm_parameters(), hyperparameters.rounds, features, labels)


def plain_lightgbm(features: Floats, labels: Labels, seed: int) -> Scorer:
    """LightGBM's defaults at learning rate 0.05, 400 rounds."""
    return _boosted(_plain(seed), ROUNDS, features, labels)


def weighted_lightgbm(features: Floats, labels: Labels, seed: int) -> Scorer:
    """The same with scale_pos_weight = negatives / positives."""
    weight = (labels == 0).sum() / (labels == 1).sum()
    return _boosted({**_plain(seed), "scale_pos_weight": weight}, ROUNDS, features, labels)


def xgb(features: Floats, labels: Labels, seed: int) -> Scorer:
    """XGBoost's defaults at learning rate 0.05, 400 rounds."""
    model = xgboost.XGBClassifier(
        n_estimators=ROUNDS, learning_rate=LEARNING_RATE, random_state=seed
    ).fit(features, labels)
    return lambda rows: np.asarray(model.predict_proba(rows)[:, 1], dtype=np.float64)


def cat(features: Floats, labels: Labels, seed: int) -> Scorer:
    """CatBoost's defaults at learning rate 0.05, 400 rounds."""
    model = catboost.CatBoostClassifier(
        iterations=ROUNDS,
        learning_rate=LEARNING_RATE,
        random_seed=seed,
        verbose=False,
        allow_writing_files=False,
    ).fit(features, labels)
    return lambda rows: np.asarray(model.predict(rows, prediction_type="RawFormulaVal"))


def random_forest(features: Floats, labels: Labels, seed: int) -> Scorer:
    """400 trees, scikit-learn's defaults."""
    model = RandomForestClassifier(n_estimators=ROUNDS, random_state=seed, n_jobs=-1)
    model.fit(features, labels)
    return lambda rows: np.asarray(model.predict_proba(rows)[:, 1])


def logistic_regression(features: Floats, labels: Labels, seed: int) -> Scorer:
    """The baseline that `train` makes a model beat."""
    model = LogisticRegression(max_iter=1000, random_state=seed).fit(features, labels)
    return lambda rows: np.asarray(model.decision_function(rows))


PEERS: dict[str, Peer] = {
    "ours": ours,
    "plain LightGBM": plain_lightgbm,
    "LightGBM, scale_pos_weight": weighted_lightgbm,
    "XGBoost": xgb,
    "CatBoost": cat,
    "random forest": random_forest,
    "logistic regression": logistic_regression,
}


def _plain(seed: int) -> dict[str, object]:
    return {"objective": "binary", "learning_rate": LEARNING_RATE, "seed": seed, "verbose": -1}


def _boosted(
    parameters: dict[str, object], rounds: int, features: Floats, labels: Labels
) -> Scorer:
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, labels), rounds)
    return lambda rows: np.asarray(booster.predict(rows, raw_score=True))
