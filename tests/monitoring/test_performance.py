"""Only what has matured is judged by labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from fraud_model.data.labels import IGNORE_UNLABELLED
from fraud_model.evaluation.evaluate import Scored, evaluate
from fraud_model.model.directory import ModelDirectory
from fraud_model.model.profile import Profile
from fraud_model.monitoring.maturity import Labelled
from fraud_model.monitoring.performance import compare, measure
from fraud_model.monitoring.windows import Window


@pytest.fixture(scope="module")
def profile(exported: Path) -> Profile:
    return ModelDirectory(exported, "version 1").required_profile()


def traffic(
    profile: Profile, labelled_share: dict[int, float]
) -> tuple[pd.DataFrame, dict[int, Window]]:
    """Windows of 2,000 rows, 100 of them frauds, with a share of them labelled."""
    random = np.random.default_rng(0)
    found, windows = Labelled(IGNORE_UNLABELLED), {}
    for number, share in labelled_share.items():
        truth = (np.arange(2_000) % 20 == 0).astype(np.int64)
        probability = np.clip(0.3 * truth + random.uniform(0, 0.4, 2_000), 0, 1)
        labels = np.where(np.arange(2_000) < share * 2_000, truth, np.nan)
        seconds = number * 86_400 + np.linspace(0, 86_000, 2_000)
        columns = {"probability": probability, "amount": np.full(2_000, 10.0)}
        found.add(labels, seconds, np.full(2_000, number), columns)
        window = Window.empty(profile)
        window.rows, window.labelled = 2_000, int((~np.isnan(labels)).sum())
        window.first, window.last = float(seconds[0]), float(seconds[-1])
        windows[number] = window
    return found.known(np.inf), windows


def test_only_matured_windows_count(profile: Profile) -> None:
    table, windows = traffic(profile, {0: 1.0, 1: 0.96, 2: 0.5})
    reached = measure(table, windows, profile)
    assert reached.windows == (0, 1)
    assert reached.rows == 2_000 + 1_920
    assert set(reached.by_window) == {0, 1}


def test_intervals_are_those_of_an_evaluation_with_intervals_around_them(profile: Profile) -> None:
    table, windows = traffic(profile, {0: 1.0, 1: 1.0})
    reached = measure(table, windows, profile)
    days = 2 * 86_000 / 86_400
    scored = Scored(
        table["label"].to_numpy(),
        table["probability"].to_numpy(),
        table["amount"].to_numpy(),
        days,
    )
    metrics = evaluate(
        scored, profile.flags(scored.probability, scored.amounts), profile.alert_budget
    )
    for name in ("average_precision", "precision_at_budget", "recall_at_budget"):
        known = reached.intervals[name]
        assert known.value == pytest.approx(getattr(metrics, name))
        assert known.low < known.value < known.high
    calibration = reached.intervals["calibration"]
    assert calibration.value == pytest.approx(200 / scored.probability.sum())
    share = (metrics.fraud_value_caught or 0) / 2_000
    assert reached.intervals["fraud_value_caught_share"].value == pytest.approx(share)


def test_too_few_frauds_give_no_metrics(profile: Profile) -> None:
    table, windows = traffic(profile, {0: 1.0})
    few = table[(table["label"] == 0) | (table.index < 100)]
    windows[0].labelled = windows[0].rows = len(few)
    reached = measure(few, windows, profile)
    assert (reached.frauds, reached.intervals) == (5, {})


@pytest.mark.parametrize(
    ("apart", "since"),
    [
        ((4.0, 4.0, 4.0, 1.5, 1.5), 3),
        # The first windows have fallen, too.
        ((2.0, 2.0, 2.0, 1.0, 1.0), 0),
        ((1.5, 1.5, 1.5, 1.5, 1.5), 0),
        ((4.0, 4.0, 4.0, 4.0, 4.0), None),
    ],
)
def test_a_fall_is_dated(profile: Profile, apart: tuple[float, ...], since: int | None) -> None:
    known = profile_of(profile, 0.02, 4.0)
    found, windows = Labelled(IGNORE_UNLABELLED), {}
    for number, distance in enumerate(apart):
        labels, probability = scores_of(40, 2_000, distance, seed=number)
        rows = len(labels)
        seconds = number * 86_400 + np.linspace(0, 86_000, rows)
        given = {"probability": probability}
        found.add(labels.astype(np.float64), seconds, np.full(rows, number), given)
        window = windows[number] = Window.empty(profile)
        window.rows = window.labelled = rows
        window.first, window.last = float(seconds[0]), float(seconds[-1])
    assert measure(found.known(np.inf), windows, known).since == since


def scores_of(
    frauds: int, genuine: int, apart: float, seed: int
) -> tuple[
    np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.float64]]
]:
    """Labels and probabilities of classes whose log-odds lie so far apart."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.array([1, 0], np.int64), [frauds, genuine])
    return labels, expit(random.normal(size=len(labels)) + apart * labels - 3)


def profile_of(profile: Profile, rate: float, apart: float) -> Profile:
    """The profile of a version whose holdout holds 500 frauds, so many of all."""
    labels, probability = scores_of(500, round(500 / rate), apart, seed=99)
    held = Scored(labels, probability, None, 1.0)
    metrics = evaluate(held, probability > 0.5, 100)
    return replace(profile, metrics=metrics, holdout_fraud_rate=None)


@pytest.mark.parametrize("genuine", [10_000, 40_000])
def test_rarer_frauds_are_no_fall(profile: Profile, genuine: int) -> None:
    known = profile_of(profile, 0.02, 4.0)
    fallen = 0
    for seed in range(20):
        labels, probability = scores_of(100, genuine, 4.0, seed)
        compared = compare(Scored(labels, probability, None, 1.0), known)
        fallen += compared.has_fallen
    assert fallen <= 1
    assert compared.now.value == pytest.approx(known.metrics.average_precision, abs=0.1)


def test_a_fall_of_the_stated_size_is_found_as_often_as_stated(profile: Profile) -> None:
    known = profile_of(profile, 0.02, 4.0)
    found = []
    for seed in range(40):
        labels, probability = scores_of(100, 10_000, 3.4, seed)
        compared = compare(Scored(labels, probability, None, 1.0), known)
        found.append((compared.now.value, compared.detectable, compared.has_fallen))
    values, detectable, fallen = (np.array(column) for column in zip(*found, strict=True))
    # The scores have fallen to about what the test claims to see four times in five.
    assert values.mean() == pytest.approx(detectable.mean(), abs=0.06)
    assert 0.6 <= fallen.mean() <= 1.0
