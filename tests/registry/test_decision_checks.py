"""Floors of what a version flags, and the same held against the champion."""

from __future__ import annotations

import numpy as np
import pytest

from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.intervals import Interval
from fraud_model.registry.candidate import HoldoutResult
from fraud_model.registry.decision_checks import floors, workload_against_champion
from fraud_model.registry.gate_thresholds import Check, GateThresholds
from fraud_model.registry.pairing import Pair

FRAUDS, ROWS, BUDGET = 100, 10_000, 200.0
LIMITS = GateThresholds(alert_budget=BUDGET, min_accuracy=0)


def result(alerts: int = 150, expected: float = 100.0, missed: int = 0) -> HoldoutResult:
    """A day of transactions: `alerts` are flagged after the first `missed`, which are frauds.

    `expected` frauds are expected.
    """
    labels = np.zeros(ROWS, dtype=np.int64)
    labels[:FRAUDS] = 1
    probability = np.linspace(1, 0, ROWS)
    probability *= expected / probability.sum()
    flagged = (np.arange(ROWS) >= missed) & (np.arange(ROWS) < missed + alerts)
    scored = Scored(labels, probability, None, days=1.0)
    return HoldoutResult.of(scored, flagged, "the first ones", BUDGET)


def failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.passed]


def test_more_than_five_budgets_of_alerts_are_refused() -> None:
    assert failed(floors(result(alerts=1_000), LIMITS)) == []
    assert failed(floors(result(alerts=1_001), LIMITS)) == ["alerts a day"]


@pytest.mark.parametrize("expected", [45, 210])
def test_frauds_that_nobody_saw_are_refused(expected: float) -> None:
    found = floors(result(expected=expected), LIMITS)
    assert failed(found) == ["frauds expected from the probabilities"]
    assert failed(floors(result(expected=(expected + 100) / 2), LIMITS)) == []


@pytest.mark.parametrize(
    ("mine", "theirs", "passed"),
    [
        ({"alerts": 200}, {"alerts": 20}, True),
        ({"alerts": 500}, {"alerts": 400}, True),
        ({"alerts": 510}, {"alerts": 400}, False),
        # More alerts that catch more.
        ({"alerts": 510}, {"alerts": 400, "missed": 50}, True),
        # Within chance of a hundred.
        ({"expected": 115.0}, {"expected": 100.0}, True),
        ({"expected": 130.0}, {"expected": 100.0}, False),
        ({"expected": 130.0}, {"expected": 90.0}, True),
        ({"expected": 60.0}, {"expected": 150.0}, True),
        ({"expected": 60.0}, {"expected": 120.0}, False),
        ({"expected": 60.0}, {"expected": 0.0}, True),
    ],
)
def test_alerts_and_expected_frauds_are_held_against_the_champion(
    mine: dict[str, float], theirs: dict[str, float], passed: bool
) -> None:
    challenger, champion = (result(**side) for side in (mine, theirs))  # type: ignore[arg-type]
    pair = Pair(challenger, champion, Interval(0, -0.1, 0.1), "served")
    check = workload_against_champion(pair, BUDGET)
    assert check.passed == passed
    for side in (challenger, champion):
        assert f"{side.metrics.alerts_per_day:,.1f}" in check.value
        assert f"{side.metrics.expected_frauds:,.1f}" in check.value
