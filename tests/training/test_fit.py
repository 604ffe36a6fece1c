"""Fitting is reproducible, calibrated, and refuses a model that a baseline beats."""

from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss

from fraud_model.data import column_files
from fraud_model.data.columns import Columns
from fraud_model.data.simulation import simulate
from fraud_model.errors import ParameterError, TrainingError
from fraud_model.training.config import Hyperparameters
from fraud_model.training.fit import fit, fit_all
from fraud_model.training.inputs import booster_names
from tests.support.columns import inferred


@pytest.fixture(scope="module")
def columns(table: pd.DataFrame) -> Columns:
    return inferred(table)


def halves(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = table.sample(frac=1, random_state=0, ignore_index=True)
    return table.iloc[: len(table) // 2], table.iloc[len(table) // 2 :]


@pytest.mark.slow
def test_the_same_rows_and_seed_give_the_same_model(table: pd.DataFrame, columns: Columns) -> None:
    train, validation = halves(table)
    hyperparameters = Hyperparameters(rounds=30)
    first = fit(train, validation, columns, hyperparameters).detector
    again = fit(train, validation, columns, hyperparameters).detector
    assert (first.probability(validation) == again.probability(validation)).all()


def test_probabilities_are_calibrated_without_changing_the_order(
    table: pd.DataFrame, columns: Columns
) -> None:
    train, validation = halves(table)
    detector = fit(train, validation, columns, Hyperparameters()).detector
    booster, encoder, scaler, _ = detector.parts
    raw = booster.predict(scaler.transform(encoder.encode(validation)))
    calibrated = detector.probability(validation)
    labels = validation["Class"].to_numpy()
    assert average_precision_score(labels, calibrated) == pytest.approx(
        average_precision_score(labels, raw)
    )
    assert brier_score_loss(labels, calibrated) <= brier_score_loss(labels, np.asarray(raw)) + 1e-4
    assert calibrated.mean() == pytest.approx(labels.mean(), rel=0.02)


def test_scaling_is_learnt_from_the_train_part_alone(table: pd.DataFrame, columns: Columns) -> None:
    train, validation = halves(table)
    detector = fit(train, validation, columns, Hyperparameters(rounds=10)).detector
    _, encoder, scaler, _ = detector.parts
    assert scaler.center == pytest.approx(encoder.encode(train).mean(axis=0).tolist())


def test_a_model_of_pieces_has_the_trees_of_one_of_an_array(
    table: pd.DataFrame, columns: Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_files, "ROWS_AT_A_TIME", 700)
    hyperparameters = Hyperparameters(rounds=20)
    learned = fit_all(table, columns, hyperparameters, (20,))
    inputs = learned.encoder.encode(table)
    assert learned.scaler.center == pytest.approx(inputs.mean(axis=0).tolist())
    # What never varies is not scaled.
    assert learned.scaler.scale == pytest.approx([spread or 1.0 for spread in inputs.std(axis=0)])
    names = booster_names(learned.encoder.inputs)
    data = lightgbm.Dataset(learned.scaler.transform(inputs), table["Class"], feature_name=names)
    bare = lightgbm.train(hyperparameters.lightgbm_parameters(), data, 20)
    assert trees(learned.booster) == trees(bare)


def trees(booster: lightgbm.Booster) -> str:
    """The booster as text, without its parameters."""
    return str(booster.model_to_string()).partition("\nparameters:")[0]


def test_the_curve_is_that_of_a_booster_of_so_many_rounds(
    table: pd.DataFrame, columns: Columns
) -> None:
    train, validation = halves(table)
    curve = fit(train, validation, columns, Hyperparameters(rounds=50)).curve
    assert curve.rounds == [*range(3, 50, 3), 50]
    short = fit(train, validation, columns, Hyperparameters(rounds=12))
    assert curve.metrics["average_precision"][3] == pytest.approx(short.average_precision)


def test_early_stopping_keeps_the_best_round(table: pd.DataFrame, columns: Columns) -> None:
    train, validation = halves(table)
    fitted = fit(train, validation, columns, Hyperparameters(rounds=300, early_stopping_rounds=20))
    assert fitted.curve.rounds[-1] == fitted.rounds[0]
    assert fitted.rounds[0] < 280
    kept = fit(train, validation, columns, Hyperparameters(rounds=fitted.rounds[0]))
    assert fitted.average_precision == pytest.approx(kept.average_precision)
    assert fitted.average_precision >= max(fitted.curve.metrics["average_precision"]) - 1e-9


def test_a_model_that_a_logistic_regression_beats_is_refused(columns: Columns) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(4_000, len(columns.features)))
    linear = features.sum(axis=1) + random.normal(size=4_000)
    table = pd.DataFrame(features, columns=list(columns.features))
    table["Class"] = (linear > np.quantile(linear, 0.95)).astype(int)
    with pytest.raises(TrainingError, match="does not beat logistic regression"):
        fit(*halves(table), columns, Hyperparameters(rounds=5))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "frauds"),
    [
        (284_807, 492),
        pytest.param(284_807, 5_696, marks=pytest.mark.long),
        (15_000, 300),
    ],
)
def test_the_default_hyperparameters_do_not_collapse(
    rows: int, frauds: int, columns: Columns
) -> None:
    table = simulate(rows=rows, frauds=frauds, seed=11)
    train, rest = table.iloc[: int(0.6 * rows)], table.iloc[int(0.6 * rows) :]
    fitted = fit(train, rest, columns, Hyperparameters())
    assert fitted.average_precision > 0.7


@pytest.mark.parametrize("bad", [{"learning_rate": 0.0}, {"rounds": 0}, {"num_leaves": 1}])
def test_parameters_out_of_range_are_refused(bad: dict[str, float]) -> None:
    (name,) = bad
    with pytest.raises(ParameterError, match=f"{name}="):
        Hyperparameters(**bad)  # type: ignore[arg-type]


def test_any_column_name_becomes_one_that_lightgbm_accepts() -> None:
    assert booster_names(["V1", 'a "b"']) == ["V1", "a__b_"]
    assert len(set(booster_names(["a b", "a_b", "a:b"]))) == 3
