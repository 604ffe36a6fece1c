"""How a booster's metrics on the validation part change with its rounds, and what to make of it."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm
import numpy as np
from sklearn.metrics import average_precision_score

from fraud_model.arrays import Floats, Labels
from fraud_model.training.config import Hyperparameters
from fraud_model.training.place import HERE, Place

POINTS = 20
# A curve whose best point lies among its last tenth has not had enough rounds.
LAST_SHARE = 0.1


@dataclass(frozen=True)
class LearningCurve:
    """Metrics by name after some of the rounds; each list has the length of `rounds`.

    `log_odds` are the raw scores after the last of them, shape (validation rows,).
    """

    rounds: list[int]
    metrics: dict[str, list[float]]
    log_odds: Floats

    @property
    def best_round(self) -> int:
        """The round after which average precision was highest."""
        return self.rounds[int(np.argmax(self.metrics["average_precision"]))]


def trace(
    booster: lightgbm.Booster,
    values: Floats,
    labels: Labels,
    weights: Floats,
    place: Place = HERE,
) -> LearningCurve:
    """Scores the validation part after every so many rounds; that costs no more than scoring it.

    `values` has shape (rows, features), scaled; `labels` and `weights` (rows,).
    """
    apart = -(-booster.current_iteration() // POINTS)
    rounds, rankings, losses = [], [], []
    for number, log_odds in place.log_odds_by_round(booster, values, apart):
        rounds.append(number)
        rankings.append(float(average_precision_score(labels, log_odds, sample_weight=weights)))
        loss = np.logaddexp(0.0, np.where(labels == 1, -log_odds, log_odds))
        losses.append(float(np.average(loss, weights=weights)))
    metrics = {"average_precision": rankings, "binary_logloss": losses}
    return LearningCurve(rounds, metrics, log_odds)


def advice(curve: LearningCurve, hyperparameters: Hyperparameters) -> str:
    """What to change after a fit that is not good enough."""
    last = curve.rounds[-1]
    if curve.best_round > (1 - LAST_SHARE) * last:
        return (
            f"Average precision was still rising at the last of {last} rounds: raise -P rounds= "
            f"(now {hyperparameters.rounds}) or -P learning_rate= "
            f"(now {hyperparameters.learning_rate:g})."
        )
    return (
        f"Average precision was highest after round {curve.best_round} of {last}: lower "
        f"-P learning_rate= (now {hyperparameters.learning_rate:g}), raise "
        f"-P min_child_samples= (now {hyperparameters.min_child_samples}), or give a table with "
        "more frauds."
    )
