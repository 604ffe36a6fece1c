"""The booster of the lightgbm flavor answers raw rows as the pyfunc does."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import mlflow.artifacts
import mlflow.lightgbm
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from fraud_model.data.dataset import load_dataset
from fraud_model.data.split import split
from fraud_model.model.detector import Decision, FraudDetector, Scaler
from fraud_model.model.encoding import Encoder
from fraud_model.model.feature import Feature
from fraud_model.model.raw_booster import fold, raw_thresholds
from fraud_model.training.config import Hyperparameters
from fraud_model.training.fit import fit
from tests.support.store import Store


def test_it_answers_raw_rows_as_the_pyfunc_does(store: Store, table: pd.DataFrame) -> None:
    uri = f"models:/{store.trained.name}/{store.trained.version}"
    booster, pyfunc = mlflow.lightgbm.load_model(uri), mlflow.pyfunc.load_model(uri)
    rows = table.drop(columns="Class")
    assert booster.feature_name() == list(rows.columns)
    check_same(booster, pyfunc.predict(rows), rows, store.trained.result.decision.threshold or 0)


def test_it_answers_real_rows_as_the_detector_does(sample_csv: Path) -> None:
    dataset = load_dataset(str(sample_csv), target="Class", time="Time", amount="Amount")
    parts = split(dataset, "time", 0)
    detector = fit(
        parts.train, parts.validation, dataset.columns, Hyperparameters(rounds=150)
    ).detector
    fitted, _, scaler, decision = detector.parts
    booster = lightgbm.Booster(model_str=fold(fitted, scaler, decision))
    rows = dataset.table.drop(columns="Class")
    check_same(booster, detector.predict(None, rows), rows, 0.5)
    contributions = np.asarray(booster.predict(rows.head(50), pred_contrib=True))
    expected = detector.contributions(rows.head(50))
    assert np.abs(contributions[:, :-1] - expected).max() < 1e-6


def check_same(
    booster: lightgbm.Booster, answered: pd.DataFrame, rows: pd.DataFrame, threshold: float
) -> None:
    probability = np.asarray(booster.predict(rows))
    expected = answered["fraud_probability"].to_numpy()
    assert np.abs(probability - expected).max() <= 1e-12
    # Where the threshold is a row's own probability, rounding decides on that row.
    clear = np.abs(expected - threshold) > 1e-12
    assert ((probability >= threshold) == answered["is_fraud"].to_numpy())[clear].all()
    assert clear.mean() > 0.99
    assert {True, False} == set(answered["is_fraud"])


@pytest.mark.parametrize("center", [0.0, 5.0, -1e-9, 1e17, -123.456])
@pytest.mark.parametrize("scale", [1.0, 3.7, 1e-7, 2.5e8])
def test_a_raw_threshold_is_the_largest_value_on_the_left(center: float, scale: float) -> None:
    drawn = np.random.default_rng(0).normal(size=300)
    scaled = np.concatenate([drawn, [0.0, -0.0, 1e-35, -1e-35, -center / scale, 1e300, -1e250]])
    centers, scales = np.full_like(scaled, center), np.full_like(scaled, scale)
    raw = raw_thresholds(scaled, centers, scales)
    assert ((raw - center) / scale <= scaled).all()
    inner = np.abs(raw) < np.finfo(np.float64).max
    above = np.nextafter(raw[inner], np.inf)
    assert ((above - center) / scale > scaled[inner]).all()


def test_a_value_on_a_threshold_goes_the_same_way() -> None:
    # Whole numbers and a scale of thirds: many rows lie on a threshold, where rounding decides.
    values = np.random.default_rng(1).integers(-20, 20, size=(4_000, 2)).astype(np.float64)
    labels = (values[:, 0] * values[:, 1] > 30).astype(int)
    scaler = Scaler((1 / 3, -7 / 9), (11 / 3, 1e-3))
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1},
        lightgbm.Dataset(scaler.transform(values), labels, feature_name=["a", "b"]),
        num_boost_round=30,
    )
    decision = Decision(slope=1.7, intercept=-0.4, threshold=0.5, medium=0.5, high=0.7)
    folded = lightgbm.Booster(model_str=fold(booster, scaler, decision))
    near = np.concatenate([values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)])
    leaves = booster.predict(scaler.transform(near), pred_leaf=True)
    assert (folded.predict(near, pred_leaf=True) == leaves).all()
    encoder = Encoder((Feature("a"), Feature("b")))
    detector = FraudDetector(booster, encoder, scaler, decision)
    expected = detector.probability(pd.DataFrame(near, columns=["a", "b"]))
    assert np.abs(folded.predict(near) - expected).max() <= 1e-12


def test_a_tree_of_one_leaf_carries_the_intercept() -> None:
    values, labels = np.zeros((100, 1)), np.repeat([0, 1], [90, 10])
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1},
        lightgbm.Dataset(values, labels, feature_name=["a"]),
        num_boost_round=3,
    )
    decision = Decision(slope=2.0, intercept=0.3, threshold=0.5, medium=0.5, high=0.7)
    scaler = Scaler((0.0,), (1.0,))
    folded = lightgbm.Booster(model_str=fold(booster, scaler, decision))
    detector = FraudDetector(booster, Encoder((Feature("a"),)), scaler, decision)
    expected = detector.probability(pd.DataFrame({"a": values[:, 0]}))
    assert np.abs(np.asarray(folded.predict(values)) - expected).max() <= 1e-12


def test_codes_of_categories_are_split_as_they_are() -> None:
    random = np.random.default_rng(3)
    values = np.column_stack([random.integers(0, 30, 4_000), random.normal(size=4_000)])
    values[random.random(4_000) < 0.1, 0] = np.nan
    labels = (np.isin(values[:, 0], (3, 7, 21)) & (values[:, 1] > 0)).astype(int)
    scaler = Scaler((0.0, 2.5), (1.0, 0.3))
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "min_data_per_group": 5},
        lightgbm.Dataset(
            scaler.transform(values), labels, feature_name=["a", "b"], categorical_feature=[0]
        ),
        num_boost_round=20,
    )
    decision = Decision(slope=1.3, intercept=0.2, threshold=0.5, medium=0.5, high=0.7)
    folded = lightgbm.Booster(model_str=fold(booster, scaler, decision))
    log_odds = booster.predict(scaler.transform(values), raw_score=True)
    expected = decision.probability(np.asarray(log_odds))
    assert np.abs(np.asarray(folded.predict(values)) - expected).max() <= 1e-12
    assert np.ptp(expected) > 0.5


def test_gaps_go_the_same_way() -> None:
    random = np.random.default_rng(4)
    values = random.normal(size=(4_000, 2))
    values[random.random(values.shape) < 0.3] = np.nan
    # That a value is missing says more than any value does.
    labels = (np.isnan(values[:, 0]) & (random.random(4_000) < 0.5)).astype(int)
    scaler = Scaler((1.5, -2.0), (0.3, 4.0))
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1},
        lightgbm.Dataset(scaler.transform(values), labels, feature_name=["a", "b"]),
        num_boost_round=20,
    )
    assert " inf" in booster.model_to_string().replace("=inf", "= inf")
    decision = Decision(slope=1.3, intercept=0.2, threshold=0.5, medium=0.5, high=0.7)
    folded = lightgbm.Booster(model_str=fold(booster, scaler, decision))
    log_odds = booster.predict(scaler.transform(values), raw_score=True)
    expected = decision.probability(np.asarray(log_odds))
    assert np.abs(np.asarray(folded.predict(values)) - expected).max() <= 1e-12


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"objective": "regression"}, "objective"),
        ({"objective": "binary", "sigmoid": 2.0}, "objective"),
        ({"objective": "binary", "linear_tree": True}, "linear"),
        ({"objective": "binary", "zero_as_missing": True}, "zeros"),
    ],
)
def test_what_cannot_be_carried_over_is_refused(
    parameters: dict[str, object], problem: str
) -> None:
    values = np.random.default_rng(2).integers(0, 9, size=(2_000, 1)).astype(np.float64)
    labels = np.isin(values[:, 0], (2, 3, 7)).astype(int)
    options = {"verbose": -1, **parameters}
    booster = lightgbm.train(
        options, lightgbm.Dataset(values, labels, feature_name=["a"], params=options), 5
    )
    scaler, decision = Scaler((0.0,), (1.0,)), Decision(1.0, 0.0, 0.5, 0.5, 0.7)
    with pytest.raises(ValueError, match=problem):
        fold(booster, scaler, decision)
