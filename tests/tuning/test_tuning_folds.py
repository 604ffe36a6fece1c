"""Folds see no holdout, keep the delay free, and share what is binned without mixing trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from fraud_model.data.dataset import Dataset, load_dataset
from fraud_model.data.labels import LabelRule
from fraud_model.data.split import split
from fraud_model.errors import DataError
from fraud_model.evaluation.folds import rolling
from fraud_model.training.boosting import booster_dataset
from fraud_model.training.config import Hyperparameters
from fraud_model.training.inputs import fit_inputs, scaled_inputs
from fraud_model.tuning.folds import Folds, prepare_folds

SHORT = Hyperparameters(rounds=15, bagging_fraction=0.7, lambda_l1=0.1)


@pytest.fixture(scope="module")
def dataset(table_csv: Path) -> Dataset:
    return load_dataset(str(table_csv), target="Class", time="Time", amount="Amount")


def folds_of(dataset: Dataset, by: str = "time", count: int = 2) -> Folds:
    return prepare_folds(dataset, split(dataset, by, 0), count, 0, 1.0)


def scores(folds: Folds, hyperparameters: Hyperparameters) -> list[float]:
    return [fold.score(hyperparameters, lambda _: None) for fold in folds.prepared]


@pytest.mark.parametrize("by", ["time", "stratified"])
def test_the_holdout_changes_no_score(dataset: Dataset, by: str) -> None:
    parts = split(dataset, by, 0)
    table = dataset.table.copy()
    held = parts.places["holdout"]
    table.loc[held, "Class"] = 1 - table.loc[held, "Class"]
    table.loc[held, "V1"] = -99.0
    flipped = replace(dataset, table=table)
    ours, theirs = (prepare_folds(data, parts, 2, 0, 1.0) for data in (dataset, flipped))
    assert scores(ours, SHORT) == scores(theirs, SHORT)


def test_a_trial_scores_as_a_fit_of_its_own_whatever_came_before(dataset: Dataset) -> None:
    folds = folds_of(dataset)
    many = replace(SHORT, min_child_samples=150, cat_smooth=50.0)
    few = replace(SHORT, min_child_samples=2, feature_fraction=0.8)
    first, second = scores(folds, many), scores(folds, few)
    assert scores(folds, many) == first
    assert second != first

    labels = dataset.table["Class"].to_numpy()
    parts = split(dataset, "time", 0)
    places = np.sort(np.concatenate([parts.places["train"], parts.places["validation"]]))
    assert dataset.seconds is not None
    cut = next(iter(rolling(dataset.seconds[places], labels[places], 0.0, 2)))
    learn, test = (dataset.table.iloc[places[rows]] for rows in (cut.learn, cut.test))
    inputs = fit_inputs(learn, dataset.columns)
    data = booster_dataset(inputs.scaled, learn["Class"].to_numpy(), inputs.encoder)
    booster = lightgbm.train(few.lightgbm_parameters(), data, few.rounds)
    found = np.asarray(booster.predict(scaled_inputs(test, inputs.encoder, inputs.scaler)))
    assert average_precision_score(test["Class"], found) == pytest.approx(second[0])


def test_the_label_delay_stays_free_in_front_of_what_is_scored(table_csv: Path) -> None:
    rule = LabelRule.parse("2h", "ignore")
    dataset = load_dataset(
        str(table_csv), target="Class", time="Time", amount="Amount", label_rule=rule
    )
    free, delayed = (
        [fold.data.num_data() for fold in folds_of(replace(dataset, label_rule=each)).prepared]
        for each in (LabelRule.parse("0", "ignore"), rule)
    )
    assert all(later < now for later, now in zip(delayed, free, strict=True))


def test_too_many_folds_for_the_frauds_are_refused(dataset: Dataset) -> None:
    with pytest.raises(DataError, match=r"fold 1 of 50 has .* -P folds=49"):
        folds_of(dataset, count=50)
