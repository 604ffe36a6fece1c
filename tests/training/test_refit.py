"""The model that is served has learned all rows, and reported metrics are the other one's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from fraud_model.data.columns import Columns
from fraud_model.tracking import open_run
from fraud_model.training.boosting import seeded
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.fit import fit, fit_all
from fraud_model.training.hand_over import check_hand_over
from fraud_model.training.pipeline import train
from tests.support.columns import inferred
from tests.support.store import Store


@pytest.fixture(scope="module")
def columns(table: pd.DataFrame) -> Columns:
    return inferred(table)


@pytest.fixture(scope="module")
def model(store: Store) -> mlflow.pyfunc.PythonModel:
    uri = f"models:/{store.trained.name}/{store.trained.version}"
    return mlflow.pyfunc.load_model(uri).unwrap_python_model()


def test_a_version_holds_the_evaluation_model_beside_the_served_one(
    store: Store, model: mlflow.pyfunc.PythonModel
) -> None:
    holdout = store.trained.result.parts.holdout
    evaluated = model.evaluation_detector()
    assert evaluated is not model
    reported = store.trained.result.scored["holdout"].probability
    assert np.array_equal(evaluated.probability(holdout), reported)
    # The served one has learned the holdout, so it would look better on it than it is.
    served = model.probability(holdout)
    frauds = holdout["Class"] == 1
    assert served[frauds].mean() > reported[frauds].mean()


def test_the_served_model_is_that_of_all_rows_with_the_same_rounds(
    store: Store, columns: Columns, model: mlflow.pyfunc.PythonModel
) -> None:
    result = store.trained.result
    table = result.dataset.table
    again = fit_all(table, columns, Hyperparameters(rounds=60), result.fitted.rounds)
    values = again.scaler.transform(again.encoder.encode(table))
    log_odds = np.asarray(again.booster.predict(values, raw_score=True))
    assert np.array_equal(model.probability(table), result.decision.probability(log_odds))
    # Training has scored them already.
    assert again.log_odds == pytest.approx(log_odds, abs=1e-6)
    held = pd.concat([result.parts.validation, result.parts.holdout])
    assert result.served_probability == pytest.approx(model.probability(held), abs=1e-9)


def test_tags_card_and_description_say_whose_metrics_they_are(store: Store) -> None:
    trained = store.trained
    version = mlflow.MlflowClient().get_model_version(trained.name, trained.version)
    origin = mlflow.get_run(version.run_id).data.tags
    assert origin["metrics_of"] == version.tags["metrics_of"] == "the evaluation model"
    assert "refitted on all rows" in version.description
    card = mlflow.artifacts.load_text(f"runs:/{version.run_id}/model_card.md")
    assert "These metrics are those of the evaluation model" in card
    handed = trained.result.hand_over
    assert handed is not None
    assert f"where {handed.frauds.value:,.0f} came, within chance" in card


@pytest.mark.slow
def test_without_a_refit_the_measured_model_is_served(store: Store, table_csv: Path) -> None:
    with open_run("train"):
        trained = train(
            TrainingConfig(
                data=str(table_csv),
                model_name="not-refitted",
                refit=False,
                hyperparameters=Hyperparameters(rounds=20),
            )
        )
    model = mlflow.pyfunc.load_model(f"models:/not-refitted/{trained.version}")
    detector = model.unwrap_python_model()
    assert detector.evaluation_detector() is detector
    holdout = trained.result.parts.holdout
    answered = model.predict(holdout[list(trained.result.dataset.columns.features)])
    expected = trained.result.scored["holdout"].probability
    assert np.array_equal(answered["fraud_probability"].to_numpy(), expected)


def test_a_hand_over_is_measured_on_later_rows(store: Store) -> None:
    result = store.trained.result
    handed = result.hand_over
    assert handed is not None
    assert handed.frauds.value == result.parts.validation["Class"].sum()
    # Simulated days are alike, so what was calibrated on one part holds on the next.
    assert handed.agrees
    assert handed.expected_frauds == pytest.approx(handed.frauds.value, rel=0.3)
    assert handed.came == pytest.approx(handed.planned, rel=0.3)


def test_a_hand_over_on_too_few_frauds_is_not_judged(store: Store) -> None:
    result = store.trained.result
    train_part = result.parts.train
    few = pd.concat(
        [train_part[train_part["Class"] == 0], train_part[train_part["Class"] == 1][:9]]
    )
    parts = replace(result.parts, train=few.sort_values("Time"))
    hyperparameters = Hyperparameters(rounds=60)
    assert (
        check_hand_over(result.dataset, parts, result.fitted, hyperparameters, result.policy, 1.0)
        is None
    )


def test_averaged_seeds_score_as_the_mean_of_their_boosters(
    table: pd.DataFrame, columns: Columns
) -> None:
    first, rest = table.iloc[:5_000], table.iloc[5_000:]
    three = Hyperparameters(rounds=25, seeds=3)
    booster, _, scaler, _ = fit(first, rest, columns, three).detector.parts
    values = scaler.transform(rest[list(columns.features)].to_numpy())
    alone = [
        fit(first, rest, columns, replace(each, seeds=1)).detector.parts[0]
        for each in seeded(three)
    ]
    assert [each.seed for each in seeded(three)] == [0, 1, 2]
    assert booster.num_trees() == 75
    mean = np.mean([each.predict(values, raw_score=True) for each in alone], axis=0)
    assert np.asarray(booster.predict(values, raw_score=True)) == pytest.approx(mean, abs=1e-12)
    assert np.std([each.predict(values, raw_score=True) for each in alone], axis=0).max() > 0
