"""The metrics agree with scikit-learn's, and the intervals cover what they claim."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, confusion_matrix, f1_score

from fraud_model.arrays import Floats
from fraud_model.evaluation.evaluate import Scored, alerts_within, evaluate
from fraud_model.evaluation.intervals import average_precision_interval, paired_difference

random = np.random.default_rng(0)
LABELS = (random.random(3_000) < 0.03).astype(np.int64)
SCORES: Floats = np.clip(0.3 * LABELS + 0.7 * random.random(3_000), 0, 1).round(3)
SCORED = Scored(LABELS, SCORES, random.exponential(50, 3_000), days=0.5)


def test_metrics_are_scikit_learns() -> None:
    metrics = evaluate(SCORED, SCORES >= 0.8, alert_budget=100)
    passed, false_alarms, missed, caught = confusion_matrix(LABELS, SCORES >= 0.8).ravel()
    assert [metrics.true_negatives, metrics.false_positives, metrics.false_negatives] == [
        passed,
        false_alarms,
        missed,
    ]
    assert metrics.true_positives == caught
    assert metrics.f1 == pytest.approx(f1_score(LABELS, SCORES >= 0.8))
    assert metrics.average_precision == average_precision_score(LABELS, SCORES)
    assert metrics.average_precision_low < metrics.average_precision
    assert metrics.average_precision < metrics.average_precision_high


def test_the_alert_budget_is_a_number_per_day() -> None:
    metrics = evaluate(SCORED, SCORES >= 0.8, alert_budget=100)
    assert metrics.alerts_in_budget == 50
    top = np.argsort(-SCORES, kind="stable")[:50]
    assert metrics.precision_at_budget == LABELS[top].mean()
    assert metrics.recall_at_budget == LABELS[top].sum() / LABELS.sum()
    assert alerts_within(SCORED, 0.001) == 1
    assert alerts_within(SCORED, 1e9) == len(LABELS)


def test_a_thinned_table_gives_the_metrics_of_the_whole_traffic() -> None:
    kept = np.flatnonzero((LABELS == 1) | (random.random(3_000) < 0.5))
    thinned = Scored(LABELS[kept], SCORES[kept], None, 0.5, genuine_weight=3.0)
    copies = np.where(LABELS[kept] == 1, 1, 3)
    whole = Scored(np.repeat(LABELS[kept], copies), np.repeat(SCORES[kept], copies), None, 0.5)
    mine = evaluate(thinned, thinned.probability >= 0.6, alert_budget=100)
    theirs = evaluate(whole, whole.probability >= 0.6, alert_budget=100)
    for name in ("accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "brier",
                 "expected_frauds", "alerts_per_day", "alerts_in_budget",
                 "recall_at_budget_reachable"):  # fmt: skip
        assert getattr(mine, name) == pytest.approx(getattr(theirs, name)), name
    # A row that stands for three may exceed the budget where one of the three would not.
    assert mine.recall_at_budget == pytest.approx(theirs.recall_at_budget, abs=0.05)
    assert mine.false_positives * 3 == theirs.false_positives


def test_the_budget_caps_the_recall_within_it() -> None:
    metrics = evaluate(SCORED, SCORES >= 0.8, alert_budget=20)
    assert metrics.alerts_in_budget == 10
    assert metrics.recall_at_budget_reachable == 10 / LABELS.sum()
    assert metrics.recall_at_budget <= metrics.recall_at_budget_reachable


def test_fraud_value_is_split_into_caught_and_missed() -> None:
    metrics = evaluate(SCORED, SCORES >= 0.8, alert_budget=100)
    assert SCORED.amounts is not None
    total = float(SCORED.amounts[LABELS == 1].sum())
    assert metrics.fraud_value_caught is not None
    assert metrics.fraud_value_missed is not None
    assert metrics.fraud_value_caught + metrics.fraud_value_missed == pytest.approx(total)
    assert metrics.fraud_value_missed > 0


def test_without_amounts_there_is_no_fraud_value() -> None:
    metrics = evaluate(Scored(LABELS, SCORES, None, 1.0), SCORES >= 0.5, alert_budget=10)
    assert (metrics.fraud_value_caught, metrics.fraud_value_missed) == (None, None)
    assert not [name for name in metrics.by_name() if "value" in name]


def test_the_interval_narrows_with_more_frauds() -> None:
    few = average_precision_interval(SCORED.labels, SCORED.probability)
    many = average_precision_interval(np.tile(LABELS, 4), np.tile(SCORES, 4))
    assert many.high - many.low == pytest.approx((few.high - few.low) / 2, rel=0.2)


def test_a_model_does_not_differ_from_itself() -> None:
    same = paired_difference(LABELS, SCORES, SCORES)
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_a_better_ranking_is_told_from_a_worse_one() -> None:
    worse: Floats = np.where(random.random(3_000) < 0.3, random.random(3_000), SCORES)
    difference = paired_difference(LABELS, SCORES, worse)
    assert difference.low > 0
    expected = average_precision_score(LABELS, SCORES) - average_precision_score(LABELS, worse)
    assert difference.value == pytest.approx(expected)
