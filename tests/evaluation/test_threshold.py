"""Each threshold policy keeps the promise in its name."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from fraud_model.arrays import Floats
from fraud_model.errors import DataError, ParameterError
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.threshold import (
    choose_threshold,
    cost_of,
    decide,
    operating_points,
    parse_policy,
    parse_risk_bounds,
    total_cost,
)
from fraud_model.model.detector import Decision

random = np.random.default_rng(0)
LABELS = (random.random(2_000) < 0.05).astype(np.int64)
# Rounded, so that scores tie as a step-wise model's do.
SCORES: Floats = np.clip(0.35 * LABELS + 0.65 * random.random(2_000), 0, 1).round(2)
AMOUNTS = random.exponential(100, 2_000)
SCORED = Scored(LABELS, SCORES, AMOUNTS, days=2.0)
CALIBRATION = Decision(1.0, 0.0, threshold=0.5, medium=0.5, high=0.5)


def chosen(policy: str, days: float = 2.0) -> float:
    return choose_threshold(parse_policy(policy), Scored(LABELS, SCORES, AMOUNTS, days))


def test_f1_is_the_best_that_any_threshold_reaches() -> None:
    best = max(f1_score(LABELS, t <= SCORES) for t in np.unique(SCORES))
    assert f1_score(LABELS, chosen("f1") <= SCORES) == pytest.approx(best)


def test_precision_is_reached_with_the_highest_recall() -> None:
    flagged = chosen("precision:0.5") <= SCORES
    assert precision_score(LABELS, flagged) >= 0.5
    others = [t <= SCORES for t in np.unique(SCORES)]
    possible = [recall_score(LABELS, f) for f in others if precision_score(LABELS, f) >= 0.5]
    assert recall_score(LABELS, flagged) == pytest.approx(max(possible))


def test_recall_is_reached_with_the_fewest_alerts() -> None:
    threshold = chosen("recall:0.8")
    assert recall_score(LABELS, threshold <= SCORES) >= 0.8
    stricter = SCORES[threshold <= SCORES].min() + 0.005
    assert recall_score(LABELS, stricter <= SCORES) < 0.8


def test_alerts_a_day_are_not_exceeded_and_nearly_used_up() -> None:
    flagged = int((chosen("alerts:50", days=2.0) <= SCORES).sum())
    ties = int(np.bincount((SCORES * 100).round().astype(int)).max())
    assert 100 - ties < flagged <= 100


def test_the_cost_of_each_threshold_is_that_of_its_flags() -> None:
    thresholds, costs = total_cost(SCORED, AMOUNTS, 20)
    for threshold, cost in zip(thresholds, costs, strict=True):
        flagged = threshold <= SCORES
        expected = AMOUNTS[~flagged & (LABELS == 1)].sum() + 20 * flagged.sum()
        assert cost == pytest.approx(expected)
        assert cost == pytest.approx(cost_of(SCORED, AMOUNTS, flagged, 20))


def test_a_cost_flags_where_the_expected_loss_exceeds_it_and_is_cheaper_than_a_threshold() -> None:
    probability = np.clip(random.beta(0.3, 3, 5_000), 0, 1)
    labels = (random.random(5_000) < probability).astype(np.int64)
    amounts = random.exponential(100, 5_000)
    scored = Scored(labels, probability, amounts, days=1.0)
    decision = decide(parse_policy("cost:5"), CALIBRATION, scored, "Amount", None)
    flagged = decision.flags(probability, amounts)
    assert (flagged == (probability * amounts >= 5)).all()
    assert (decision.threshold, decision.amount) == (None, "Amount")
    _, costs = total_cost(scored, amounts, 5)
    assert cost_of(scored, amounts, flagged, 5) < 0.9 * costs.min()


@pytest.mark.parametrize(
    ("policy", "bounds", "expected"),
    [
        ("0.05", "auto", (0.05, 0.7)),
        ("0.9", "auto", (0.9, 0.9)),
        ("0.05", "0.2,0.4", (0.2, 0.4)),
        ("cost:5", "auto", (0.7, 0.7)),
        ("cost:5", "0.2,0.4", (0.2, 0.4)),
    ],
)
def test_the_risk_bounds_follow_the_threshold_unless_they_are_set(
    policy: str, bounds: str, expected: tuple[float, float]
) -> None:
    decision = decide(
        parse_policy(policy), CALIBRATION, SCORED, "Amount", parse_risk_bounds(bounds)
    )
    assert (decision.medium, decision.high) == expected
    flagged = decision.flags(SCORES, AMOUNTS)
    assert "Low" not in set(decision.risk_levels(SCORES, flagged)[flagged])


@pytest.mark.parametrize("text", ["", "0.5", "0.7,0.1", "0,0.5", "0.1,1.1", "a,b", "0.1,0.2,0.3"])
def test_bounds_that_are_no_two_ascending_probabilities_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match=r"risk_bounds=.*such as 0\.1,0\.7"):
        parse_risk_bounds(text)


def test_a_number_is_taken_as_it_is() -> None:
    assert chosen("0.37") == 0.37


def test_operating_points_count_what_each_threshold_flags() -> None:
    points = operating_points(SCORED)
    for i in (0, len(points.threshold) // 2, -1):
        flagged = points.threshold[i] <= SCORES
        assert points.flagged[i] == flagged.sum()
        assert points.caught[i] == LABELS[flagged].sum()


@pytest.mark.parametrize(
    "text",
    ["", "F2", "precision", "precision:", "precision:2", "recall:0", "alerts:-1", "alerts:inf",
     "cost:nan", "1.5", "-0.1", "f1:3", "fixed:0.5"],
)  # fmt: skip
def test_what_is_no_policy_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ParameterError, match=r"precision:0\.9, recall:0\.8, alerts:100"):
        parse_policy(text)


@pytest.mark.parametrize(
    "text", ["f1", "precision:0.9", "recall:0.8", "alerts:100", "cost:5", "0.5"]
)
def test_a_policy_prints_as_it_was_written(text: str) -> None:
    assert str(parse_policy(text)) == text


def test_what_cannot_be_met_is_refused() -> None:
    scored = Scored(np.array([0, 1, 0, 1]), np.array([0.9, 0.2, 0.8, 0.1]), None, days=0.1)
    with pytest.raises(DataError, match=r"the best is 0\.500"):
        choose_threshold(parse_policy("precision:0.9"), scored)
    with pytest.raises(DataError, match="no amount column"):
        decide(parse_policy("cost:5"), CALIBRATION, scored, None, None)
    with pytest.raises(DataError, match="more alerts a day"):
        choose_threshold(parse_policy("alerts:1"), scored)
