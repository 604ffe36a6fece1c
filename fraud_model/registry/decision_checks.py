"""Checks of what a version flags, not of how it ranks: alerts, recall, precision, calibration."""

from __future__ import annotations

from math import inf

from fraud_model.evaluation.intervals import Interval, count_interval, paired_metric_difference
from fraud_model.model.metrics import Metrics
from fraud_model.registry.candidate import HoldoutResult
from fraud_model.registry.gate_thresholds import Check, GateThresholds
from fraud_model.registry.pairing import Pair
from fraud_model.registry.verdict import shown

DECISION = "recall and precision, challenger - champion"
WORKLOAD = "alerts a day and expected frauds, challenger and champion"
# By how much more than a champion a challenger may flag, or be off in the frauds that it expects.
MOST_OF_CHAMPION = 1.25
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


def workload_against_champion(pair: Pair, budget: float) -> Check:
    """Whether the challenger flags much more than the champion, or expects much less aptly.

    Alerts within the budget, more alerts that catch more frauds, and expected frauds within chance
    of those that were, are no loss.
    """
    mine, theirs = pair.challenger.metrics, pair.champion.metrics
    chance = _chance(pair.challenger)
    most = MOST_OF_CHAMPION
    few = mine.alerts_per_day <= max(budget, most * theirs.alerts_per_day)
    alerts = few or mine.recall > theirs.recall
    apt = chance.low <= mine.expected_frauds <= chance.high or (_off(mine) <= most * _off(theirs))
    return Check(
        WORKLOAD,
        f"{mine.alerts_per_day:,.1f} alerts to the champion's {theirs.alerts_per_day:,.1f}; "
        f"{mine.expected_frauds:,.1f} frauds expected to its {theirs.expected_frauds:,.1f}, where "
        f"{mine.frauds:,} were"
        + ("" if alerts else ". If people can review so many, say so with -P alert_budget="),
        f"alerts <= {budget:g} or {most:g} times the champion's, or more caught; frauds within "
        f"chance ({chance.low:,.1f} to {chance.high:,.1f}), or off by <= {most:g} times its factor",
        alerts and apt,
    )


def _off(metrics: Metrics) -> float:
    """The factor between expected and seen frauds, 1 or more."""
    less, more = sorted((metrics.expected_frauds, metrics.frauds))
    return more / less if less else inf


def _chance(result: HoldoutResult) -> Interval:
    """How many frauds might as well have been seen."""
    scored = result.scored
    times = None if scored.times is None else scored.times[scored.labels == 1]
    return count_interval(result.metrics.frauds, times)


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
    expected, frauds = result.metrics.expected_frauds, result.metrics.frauds
    chance = _chance(result)
    return Check(
        "frauds expected from the probabilities",
        f"{expected:,.1f} where {frauds:,} were",
        f"within a factor of {factor:g}, or chance ({chance.low:,.1f} to {chance.high:,.1f})",
        _off(result.metrics) <= factor or chance.low <= expected <= chance.high,
    )
