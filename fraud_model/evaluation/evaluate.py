"""Measures a detector on labelled transactions.

Accuracy is reported because people expect it; it says little, since answering "genuine" always
scores 0.998. Average precision and recall at the alert budget are what decisions rest on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import brier_score_loss, roc_auc_score

from fraud_model.arrays import Floats, Labels
from fraud_model.data.schema import Columns, days_covered
from fraud_model.evaluation.bootstrap import bootstrap_average_precision
from fraud_model.model.metrics import Metrics


@dataclass(frozen=True)
class Scored:
    """Labelled transactions with the probabilities that a detector gave them, row by row.

    `labels`, `probability` and `amounts` have shape (rows,). `amounts` is None where the table has
    no amount column. `days` is the span of time that the transactions cover, in days; 1 if the
    table has no time.
    """

    labels: Labels
    probability: Floats
    amounts: Floats | None
    days: float

    @classmethod
    def from_part(cls, part: pd.DataFrame, columns: Columns, probability: Floats) -> Scored:
        """Pairs a part of a dataset with its probabilities."""
        return cls(
            labels=part[columns.target].to_numpy(),
            probability=probability,
            amounts=part[columns.amount].to_numpy() if columns.amount else None,
            days=days_covered(part, columns),
        )


def evaluate(scored: Scored, threshold: float, alert_budget: float) -> Metrics:
    """All metrics of a detector at `threshold`.

    `alert_budget` is how many transactions a day people can review: the highest scores of the
    covered days, `max(1, budget * days)` of them. There must be a fraud and a genuine transaction.
    """
    labels, probability = scored.labels, scored.probability
    flagged = probability >= threshold
    fraud = labels == 1
    caught = int((flagged & fraud).sum())
    false_alarms = int((flagged & ~fraud).sum())
    missed = int((~flagged & fraud).sum())
    passed = int((~flagged & ~fraud).sum())
    interval = bootstrap_average_precision(labels, probability)
    budget = alerts_within(scored, alert_budget)
    reviewed = np.argsort(-probability, kind="stable")[:budget]
    caught_in_budget = int(labels[reviewed].sum())
    frauds = caught + missed
    amounts = scored.amounts
    return Metrics(
        rows=len(labels),
        frauds=frauds,
        accuracy=(caught + passed) / len(labels),
        precision=caught / max(1, caught + false_alarms),
        recall=caught / frauds,
        f1=2 * caught / (2 * caught + false_alarms + missed),
        roc_auc=float(roc_auc_score(labels, probability)),
        average_precision=interval.value,
        average_precision_low=interval.low,
        average_precision_high=interval.high,
        brier=float(brier_score_loss(labels, probability)),
        alerts_in_budget=budget,
        precision_at_budget=caught_in_budget / budget,
        recall_at_budget=caught_in_budget / frauds,
        true_positives=caught,
        false_positives=false_alarms,
        false_negatives=missed,
        true_negatives=passed,
        fraud_value_caught=None if amounts is None else float(amounts[flagged & fraud].sum()),
        fraud_value_missed=None if amounts is None else float(amounts[~flagged & fraud].sum()),
    )


def alerts_within(scored: Scored, alert_budget: float) -> int:
    """How many alerts a budget per day allows over the days that were scored; at least 1."""
    return min(len(scored.labels), max(1, round(alert_budget * scored.days)))
