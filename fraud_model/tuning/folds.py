"""The folds that trials are measured on, with what each of them learns from binned once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import lightgbm
import numpy as np
from sklearn.metrics import average_precision_score

from fraud_model.arrays import Floats, Labels
from fraud_model.data.column_files import rows_of
from fraud_model.data.dataset import Dataset
from fraud_model.data.split import FEWEST_FRAUDS, Parts, alike_of
from fraud_model.errors import DataError
from fraud_model.evaluation.folds import Fold, rolling, stratified
from fraud_model.training.boosting import (
    booster_dataset,
    log_odds_of,
    seeded,
    train_booster,
)
from fraud_model.training.config import Hyperparameters
from fraud_model.training.inputs import fit_inputs, scaled_inputs

# A fold's boosters have seeds of their own, so that no trial wins by the luck of one seed; more of
# them than are ever averaged lie between two folds'.
SEEDS_BETWEEN_FOLDS = 100
# Which features are left out as useless would depend on `min_child_samples` of the first trial.
BINNING = {"feature_pre_filter": False}


@dataclass(frozen=True)
class PreparedFold:
    """A fold as LightGBM takes it: what is learned from, binned, and what is scored.

    `values` has shape (rows to score, inputs), scaled, `labels` and `weights` (rows to score,).
    """

    data: lightgbm.Dataset
    values: Floats
    labels: Labels
    weights: Floats
    seed_offset: int

    def score(
        self,
        hyperparameters: Hyperparameters,
        after_round: Callable[[lightgbm.callback.CallbackEnv], None],
    ) -> float:
        """Average precision of boosters with these hyperparameters."""
        own = replace(hyperparameters, seed=hyperparameters.seed + self.seed_offset)
        log_odds = np.zeros(len(self.labels))
        for each in seeded(own):
            booster = train_booster(
                self.data, each, each.rounds, after_round=after_round, **BINNING
            )
            log_odds += log_odds_of(booster, self.values)
        return float(average_precision_score(self.labels, log_odds, sample_weight=self.weights))


@dataclass(frozen=True)
class Folds:
    """All folds, in order, and how many rows are scored for each one that is learned from."""

    prepared: tuple[PreparedFold, ...]
    test_over_learned: float


def prepare_folds(
    dataset: Dataset, parts: Parts, count: int, seed: int, genuine_weight: float
) -> Folds:
    """Folds of the train and validation part; the holdout is in none of them.

    By time they are rolling origins with the label delay in front of what is scored, otherwise
    stratified. Encoder and scaler are fitted on what each fold learns from.

    Raises:
        DataError: a fold would hold too few frauds.
    """
    places = np.concatenate([parts.places["train"], parts.places["validation"]])
    places.sort()
    labels = dataset.table[dataset.columns.target].to_numpy()[places]
    if parts.how == "time" and dataset.seconds is not None:
        delay = dataset.label_rule.delay
        cut = list(rolling(dataset.seconds[places], labels, delay, count))
    else:
        cut = list(stratified(labels, alike_of(dataset)[places], count, seed))
    for number, fold in enumerate(cut, start=1):
        _check(dataset, number, fold, labels, count)
    prepared = [
        _prepare(dataset, replace(fold, learn=places[fold.learn], test=places[fold.test]))
        for fold in cut
    ]
    return Folds(
        tuple(
            PreparedFold(
                data,
                values,
                labels,
                np.where(labels == 1, 1.0, genuine_weight),
                number * SEEDS_BETWEEN_FOLDS,
            )
            for number, (data, values, labels) in enumerate(prepared)
        ),
        float(np.mean([len(fold.test) / len(fold.learn) for fold in cut])),
    )


def _prepare(dataset: Dataset, fold: Fold) -> tuple[lightgbm.Dataset, Floats, Labels]:
    target = dataset.columns.target
    learn, test = (rows_of(dataset.table, places) for places in (fold.learn, fold.test))
    inputs = fit_inputs(learn, dataset.columns)
    data = booster_dataset(inputs.scaled, learn[target].to_numpy(), inputs.encoder)
    data.params = {**Hyperparameters().lightgbm_parameters(), **BINNING}
    values = scaled_inputs(test, inputs.encoder, inputs.scaler)
    return data.construct(), values, test[target].to_numpy()


def _check(dataset: Dataset, number: int, fold: Fold, labels: Labels, count: int) -> None:
    for rows, what, needed in (
        (fold.learn, "learn from", FEWEST_FRAUDS["train"]),
        (fold.test, "score", FEWEST_FRAUDS["validation"]),
    ):
        frauds = int(labels[rows].sum())
        if frauds < needed or frauds == len(rows):
            delay = ", a shorter -P label_delay=" if dataset.label_rule.delay else ""
            raise DataError(
                f"{dataset.source}: fold {number} of {count} has {frauds} frauds in "
                f"{len(rows):,} transactions to {what}; at least {needed} and some genuine ones "
                f"are needed. Give fewer folds, as in -P folds={max(2, count - 1)}{delay}, or a "
                "table that covers more time."
            )
