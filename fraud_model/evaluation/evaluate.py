"""Measures a detector on labelled transactions.

Accuracy is reported because people expect it; it says little, since answering "genuine" always
scores 0.998. Average precision and recall at the alert budget are what decisions rest on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import brier_score_loss, roc_auc_score

from fraud_model.arrays import Counts, Flags, Floats, Labels
from fraud_model.data.columns import Columns
from fraud_model.evaluation.intervals import average_precision_interval
from fraud_model.model.metrics import Metrics


@dataclass(frozen=True)
class Scored:
    """Labelled transactions with the probabilities that a detector gave them, row by row.

    Arrays have shape (rows,). `amounts` is None where the table has no amount column, and `times`,
    in seconds, where it has no time. `days` is how many days of traffic the transactions stand for;
    1 if the table has no time. Where genuine transactions were thinned, each row of one stands for
    `genuine_weight` of them.
    """

    labels: Labels
    probability: Floats
    amounts: Floats | None
    days: float
    times: Floats | None = None
    genuine_weight: float = 1.0

    @classmethod
    def from_part(
        cls,
        part: pd.DataFrame,
        columns: Columns,
        probability: Floats,
        *,
        seconds: Floats | None,
        days: float,
        genuine_weight: float,
    ) -> Scored:
        """Pairs a part of a dataset with its probabilities."""
        return cls(
            labels=part[columns.target].to_numpy(),
            probability=probability,
            amounts=columns.amounts(part),
            days=days,
            times=seconds,
            genuine_weight=genuine_weight,
        )

    @property
    def weights(self) -> Floats:
        """How many transactions each row stands for, shape (rows,)."""
        return np.where(self.labels == 1, 1.0, self.genuine_weight)


def evaluate(scored: Scored, flagged: Flags, alert_budget: float) -> Metrics:
    """All metrics of a detector that flags the transactions `flagged`, shape (rows,).

    `alert_budget` is how many transactions a day people can review: the highest scores of the
    covered days, `max(1, budget * days)` of them. There must be a fraud and a genuine transaction.
    """
    labels, probability, weights = scored.labels, scored.probability, scored.weights
    fraud = labels == 1
    caught = int((flagged & fraud).sum())
    false_alarms = int((flagged & ~fraud).sum())
    missed = int((~flagged & fraud).sum())
    passed = int((~flagged & ~fraud).sum())
    alerts = float(weights[flagged].sum())
    interval = average_precision_interval(
        labels, probability, times=scored.times, genuine_weight=scored.genuine_weight
    )
    budget = alerts_within(scored, alert_budget)
    reviewed = ranked_within(scored, budget)
    caught_in_budget = int(labels[reviewed].sum())
    frauds = caught + missed
    amounts = scored.amounts
    return Metrics(
        rows=len(labels),
        frauds=frauds,
        accuracy=float(weights[flagged == fraud].sum() / weights.sum()),
        precision=caught / alerts if alerts else 0.0,
        recall=caught / frauds,
        f1=2 * caught / (alerts + frauds),
        roc_auc=float(roc_auc_score(labels, probability)),
        average_precision=interval.value,
        average_precision_low=interval.low,
        average_precision_high=interval.high,
        brier=float(brier_score_loss(labels, probability, sample_weight=weights)),
        expected_frauds=float((weights * probability).sum()),
        alerts_per_day=alerts / scored.days if scored.days else alerts,
        alerts_in_budget=budget,
        precision_at_budget=caught_in_budget / float(weights[reviewed].sum()),
        recall_at_budget=caught_in_budget / frauds,
        recall_at_budget_reachable=min(1.0, budget / frauds),
        true_positives=caught,
        false_positives=false_alarms,
        false_negatives=missed,
        true_negatives=passed,
        fraud_value_caught=None if amounts is None else float(amounts[flagged & fraud].sum()),
        fraud_value_missed=None if amounts is None else float(amounts[~flagged & fraud].sum()),
    )


def alerts_within(scored: Scored, alert_budget: float) -> int:
    """How many alerts a budget per day allows over the days that were scored; at least 1."""
    most = math.ceil(float(scored.weights.sum()))
    return min(most, max(1, round(alert_budget * scored.days)))


def ranked_within(scored: Scored, alerts: int) -> Counts:
    """The places of the highest scores that stand for at most so many alerts; at least one."""
    ranked = np.argsort(-scored.probability, kind="stable")
    within = np.searchsorted(np.cumsum(scored.weights[ranked]), alerts + 1e-9, side="right")
    return ranked[: max(1, int(within))]
