"""How a booster's metrics change with its rounds, and what to make of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import lightgbm
import numpy as np
from sklearn.metrics import average_precision_score

from fraud_model.arrays import Counts, Floats, Labels
from fraud_model.training.config import Hyperparameters
from fraud_model.training.place import HERE, Place

POINTS = 20
# Rows of the train part that its curve is drawn from: all frauds up to half of them, and genuine
# ones, which stand for all.
TRAIN_ROWS = 4_000
# A curve whose best point lies among its last tenth has not had enough rounds.
LAST_SHARE = 0.1


@dataclass(frozen=True)
class LearningCurve:
    """Metrics by name after some of the rounds; each list has the length of `rounds`.

    `metrics` are those of the validation part, and `training` those of a sample of the train part.
    `log_odds` are the raw scores after the last round, shape (validation rows,).
    """

    rounds: list[int]
    metrics: dict[str, list[float]]
    log_odds: Floats
    training: dict[str, list[float]] = field(default_factory=dict)

    @property
    def best_round(self) -> int:
        """The round after which average precision was highest."""
        return self.rounds[int(np.argmax(self.metrics["average_precision"]))]


@dataclass(frozen=True)
class Rows:
    """Scaled inputs, shape (rows, inputs), with their labels and weights, shape (rows,)."""

    values: Floats
    labels: Labels
    weights: Floats


def trace(
    booster: lightgbm.Booster, validation: Rows, train: Rows, place: Place = HERE
) -> LearningCurve:
    """Scores both after every so many rounds; that costs no more than scoring them.

    `train` is the sample that `train_sample` takes.
    """
    rounds, metrics, log_odds = _follow(booster, validation, place)
    _, training, _ = _follow(booster, train, HERE)
    return LearningCurve(rounds, metrics, log_odds, training)


def train_sample(labels: Labels, genuine_weight: float) -> tuple[Counts, Floats]:
    """The places of some rows of a train part, evenly spaced, and what each of them stands for."""
    places, weights = [], []
    frauds, genuine = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    for rows, weight in ((frauds, 1.0), (genuine, genuine_weight)):
        taken = rows[:: -(-len(rows) // (TRAIN_ROWS // 2)) or 1]
        places.append(taken)
        weights.append(np.full(len(taken), weight * len(rows) / max(1, len(taken))))
    return np.concatenate(places), np.concatenate(weights)


def _follow(
    booster: lightgbm.Booster, part: Rows, place: Place
) -> tuple[list[int], dict[str, list[float]], Floats]:
    apart = -(-booster.current_iteration() // POINTS)
    rounds, rankings, losses = [], [], []
    for number, log_odds in place.log_odds_by_round(booster, part.values, apart):
        rounds.append(number)
        rankings.append(
            float(average_precision_score(part.labels, log_odds, sample_weight=part.weights))
        )
        loss = np.logaddexp(0.0, np.where(part.labels == 1, -log_odds, log_odds))
        losses.append(float(np.average(loss, weights=part.weights)))
    return rounds, {"average_precision": rankings, "binary_logloss": losses}, log_odds


def advice(curve: LearningCurve, hyperparameters: Hyperparameters) -> str:
    """What to change after a fit that is not good enough.

    The curve of a booster that early stopping has cut to its best round always ends at its highest.
    So the best round is held against the rounds that were asked for.
    """
    asked = hyperparameters.rounds
    if curve.best_round > (1 - LAST_SHARE) * asked:
        return (
            f"Average precision was still rising at the last of {asked} rounds: raise -P rounds= "
            f"(now {asked}) or -P learning_rate= (now {hyperparameters.learning_rate:g})."
        )
    return (
        f"Average precision was highest after round {curve.best_round} of {asked}: lower "
        f"-P learning_rate= (now {hyperparameters.learning_rate:g}), raise "
        f"-P min_child_samples= (now {hyperparameters.min_child_samples}), or give a table with "
        "more frauds."
    )
