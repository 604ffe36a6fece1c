"""Checks of what a version flags, not of how it ranks: alerts, recall, precision, calibration."""

from __future__ import annotations

from fraud_model.evaluation.intervals import count_interval, paired_metric_difference
from fraud_model.registry.candidate import HoldoutResult
from fraud_model.registry.gate_thresholds import Check, GateThresholds
from fraud_model.registry.pairing import Pair
from fraud_model.registry.verdict import shown

DECISION = "recall and precision, challenger - champion"
# More alerts than this many budgets a day mean that most of them are never looked at.
MOST_BUDGETS = 5.0


def floors(result: HoldoutResult, thresholds: GateThresholds) -> list[Check]:
    """What the challenger must reach on its own holdout."""
    metrics = result.metrics
    reachable = metrics.recall_at_budget_reachable
    budget = f"recall at {thresholds.alert_budget:g} alerts a day"
    least = thresholds.min_recall_at_budget
    return [
        _floor("accuracy", metrics.accuracy, thresholds.min_accuracy),
        _floor("average precision", metrics.average_precision, thresholds.min_average_precision),
        Check(
            budget,
            f"{metrics.recall_at_budget:.4f} of {reachable:.4f} that the budget can reach",
            f">= {least:g} of that",
            metrics.recall_at_budget >= least * reachable,
        ),
        _alerts(result, thresholds.alert_budget),
        _floor("recall of the decision", metrics.recall, thresholds.min_recall),
        _floor("precision of the decision", metrics.precision, thresholds.min_precision),
        _calibration(result, thresholds.max_miscalibration),
    ]


def against_champion(pair: Pair, tolerance: float) -> Check:
    """Whether the decision gives up recall or precision without gaining the other."""
    mine, scored = pair.challenger, pair.challenger.scored
    recall, precision = (
        paired_metric_difference(
            scored.labels,
            mine.flagged,
            pair.champion.flagged,
            metric,
            times=scored.times,
            genuine_weight=scored.genuine_weight,
        )
        for metric in ("recall", "precision")
    )
    lost = (recall.high < -tolerance and not precision.low > 0) or (
        precision.high < -tolerance and not recall.low > 0
    )
    return Check(
        DECISION,
        f"recall {shown(recall)}, precision {shown(precision)}",
        f"neither below -{tolerance:g} without a gain of the other",
        not lost,
    )


def _floor(name: str, value: float, least: float) -> Check:
    return Check(name, f"{value:.4f}", f">= {least:g}", value >= least)


def _alerts(result: HoldoutResult, budget: float) -> Check:
    alerts = result.metrics.alerts_per_day
    above = " (above the budget)" if budget < alerts <= MOST_BUDGETS * budget else ""
    return Check(
        "alerts a day",
        f"{alerts:,.1f} where {result.decision}{above}",
        f"<= {MOST_BUDGETS * budget:g}, {MOST_BUDGETS:g} times the budget",
        alerts <= MOST_BUDGETS * budget,
    )


def _calibration(result: HoldoutResult, factor: float) -> Check:
    scored, metrics = result.scored, result.metrics
    expected, frauds = metrics.expected_frauds, metrics.frauds
    times = None if scored.times is None else scored.times[scored.labels == 1]
    chance = count_interval(frauds, times)
    return Check(
        "frauds expected from the probabilities",
        f"{expected:,.1f} where {frauds:,} were",
        f"within a factor of {factor:g}, or chance ({chance.low:,.1f} to {chance.high:,.1f})",
        frauds / factor <= expected <= frauds * factor or chance.low <= expected <= chance.high,
    )
