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
from fraud_model.training import hand_over
from fraud_model.training.boosting import seeded
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.fit import fit, fit_all
from fraud_model.training.hand_over import HandOver, check_hand_over
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
    for handed in trained.result.hand_over:
        assert (
            f"| {handed.expected_frauds:,.1f}, within chance | {handed.frauds.value:,.0f} [" in card
        )
    history = mlflow.MlflowClient().get_metric_history(version.run_id, "hand_over/frauds")
    assert [each.value for each in history] == [
        handed.frauds.value for handed in trained.result.hand_over
    ]


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


def test_hand_overs_are_measured_on_later_rows_each_time(store: Store) -> None:
    result = store.trained.result
    learned = result.parts.train["Class"]
    earlier = round(0.6 * len(learned))
    before, *last = result.hand_over
    assert [handed.part for handed in (before, *last)] == ["train", "validation", "holdout"]
    assert (before.from_rows, before.to_rows) == (round(0.6 * earlier), earlier)
    assert before.frauds.value == learned.iloc[earlier:].sum()
    for handed in last:
        assert (handed.from_rows, handed.to_rows) == (earlier, len(learned))
        assert handed.frauds.value == result.parts.named()[handed.part]["Class"].sum()
    # Simulated days are alike, so what was calibrated on one part holds on the next.
    for handed in (before, *last):
        assert handed.agrees
        assert handed.expected_frauds == pytest.approx(handed.frauds.value, rel=0.5)
        assert handed.came == pytest.approx(handed.planned, rel=0.5)


def test_no_model_of_a_hand_over_learns_labels_that_were_not_known_yet(store: Store) -> None:
    delay = 3 * 3600.0
    before, last, _ = hand_overs(store, delay=delay)
    seconds = store.trained.result.parts.seconds["train"]
    assert seconds is not None
    assert last.from_rows < round(0.6 * len(seconds))
    assert seconds[last.from_rows - 1] <= seconds[round(0.6 * len(seconds))] - delay
    assert before.to_rows == last.from_rows
    assert seconds[before.from_rows - 1] <= seconds[round(0.6 * before.to_rows)] - delay


def test_a_large_table_is_handed_over_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_over, "MOST_ROWS_OF_TWO_STEPS", 1_000)
    assert [handed.part for handed in hand_overs(store)] == ["validation", "holdout"]


@pytest.mark.parametrize(("frauds", "parts"), [(9, []), (18, ["validation", "holdout"])])
def test_a_hand_over_on_too_few_frauds_is_not_judged(
    store: Store, frauds: int, parts: list[str]
) -> None:
    assert [handed.part for handed in hand_overs(store, frauds)] == parts


def hand_overs(store: Store, frauds: int | None = None, delay: float = 0.0) -> tuple[HandOver, ...]:
    """The check of the store's version, with so many frauds of the train part left."""
    result = store.trained.result
    parts = result.parts
    learned, seconds = parts.train, parts.seconds["train"]
    assert seconds is not None
    kept = np.flatnonzero(learned["Class"] == 1)
    if frauds is not None:
        kept = kept[np.linspace(0, len(kept) - 1, frauds).astype(int)]
    rows = np.sort(np.append(np.flatnonzero(learned["Class"] == 0), kept))
    rule = replace(result.dataset.label_rule, delay=delay)
    return check_hand_over(
        replace(result.dataset, label_rule=rule),
        replace(
            parts,
            train=learned.iloc[rows],
            places={**parts.places, "train": parts.places["train"][rows]},
            seconds={**parts.seconds, "train": seconds[rows]},
        ),
        result.fitted,
        result.fitted.detector.log_odds(parts.holdout),
        Hyperparameters(rounds=60),
        result.policy,
        1.0,
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
