"""Whether tuning paid: the winner beside the defaults, on the same folds and on the holdout.

The mean over the folds that a winner was chosen by is too good: it is the highest of many noisy
ones. What choosing is worth is told by folds that it was not done on. So for each fold the trial
that is best on the others is compared with the defaults, and the mean of these differences has the
interval that is corrected for what folds share. The holdout, in no fold, has a paired interval.

Tuned hyperparameters are recommended where both differences are above 0 and the interval of at
least one of them is. Each is wrongly so in 2.5 % of the cases, so that defaults which are as good
are replaced in at most 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from fraud_model.arrays import Floats
from fraud_model.data.dataset import Dataset
from fraud_model.data.split import Parts
from fraud_model.evaluation.folds import mean_over_folds
from fraud_model.evaluation.intervals import (
    Interval,
    average_precision_interval,
    paired_difference,
)
from fraud_model.training.config import Hyperparameters
from fraud_model.training.fit import fit_all

Standing = Literal["better", "not distinguishable", "worse"]


@dataclass(frozen=True)
class Gain:
    """Average precision of tuned and default hyperparameters on the same rows, and by how much
    the former is higher."""

    tuned: float
    default: float
    difference: Interval


@dataclass(frozen=True)
class Verdict:
    """What tuning is worth.

    `on_folds` is the winner's gain on the folds that it was chosen by, which is too good.
    `elsewhere` is that of trials on folds that they were not chosen by, and `on_holdout` the
    winner's on transactions that no trial has seen.
    """

    on_folds: Gain
    elsewhere: Gain
    on_holdout: Gain

    @property
    def standing(self) -> Standing:
        """How the winner stands beside the defaults."""
        gains = [self.elsewhere.difference, self.on_holdout.difference]
        if min(gain.value for gain in gains) > 0 and max(gain.low for gain in gains) > 0:
            return "better"
        if max(gain.value for gain in gains) < 0 and min(gain.high for gain in gains) < 0:
            return "worse"
        return "not distinguishable"


def gain_on_folds(winner: Floats, default: Floats, test_over_learned: float) -> Gain:
    """The winner's gain; both have shape (folds,)."""
    difference = mean_over_folds(winner - default, test_over_learned)
    return Gain(float(winner.mean()), float(default.mean()), difference)


def gain_elsewhere(scores: Floats, default: Floats, test_over_learned: float) -> Gain:
    """The gain of choosing a trial by all folds but one, on that one.

    `scores` has shape (trials, folds), `default` (folds,). The defaults are a candidate too.
    """
    candidates = np.vstack([default, scores])
    folds = np.arange(candidates.shape[1])
    chosen = [int(np.delete(candidates, fold, axis=1).mean(axis=1).argmax()) for fold in folds]
    return gain_on_folds(candidates[chosen, folds], default, test_over_learned)


def gain_on_holdout(
    dataset: Dataset,
    parts: Parts,
    winner: Hyperparameters,
    default: Hyperparameters,
    genuine_weight: float,
) -> Gain:
    """The gain of fits on the train and validation part, on the holdout."""
    columns, holdout = dataset.columns, parts.holdout
    learn = pd.concat([parts.train, parts.validation], ignore_index=True)
    tuned, plain = (
        _scores(learn, holdout, dataset, hyperparameters) for hyperparameters in (winner, default)
    )
    labels, times = holdout[columns.target].to_numpy(), parts.seconds["holdout"]
    reached = [
        average_precision_interval(labels, scores, times=times, genuine_weight=genuine_weight).value
        for scores in (tuned, plain)
    ]
    difference = paired_difference(labels, tuned, plain, times=times, genuine_weight=genuine_weight)
    return Gain(reached[0], reached[1], difference)


def _scores(
    learn: pd.DataFrame, holdout: pd.DataFrame, dataset: Dataset, hyperparameters: Hyperparameters
) -> Floats:
    rounds = (hyperparameters.rounds,) * hyperparameters.seeds
    fitted = fit_all(learn, dataset.columns, hyperparameters, rounds)
    scaled = fitted.scaler.transform(fitted.encoder.encode(holdout))
    return np.asarray(fitted.booster.predict(scaled, raw_score=True))
