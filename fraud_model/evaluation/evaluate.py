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


@dataclass(frozen=True)
class Scored:
    """Labelled transactions with the probabilities that a detector gave them, row by row.

    `amounts` is None where the table has no amount column; `days` is the span of time covered.
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


def evaluate(
    scored: Scored, threshold: float, alert_budget: float, seed: int = 0
) -> dict[str, float]:
    """All figures of a detector at `threshold`, by name.

    `alert_budget` is how many transactions a day people can review: the highest scores of the
    covered days, `max(1, budget * days)` of them. Shares lie from 0 to 1; `fraud_value_*` are in
    the currency of the amounts, and absent without them.
    """
    labels, probability = scored.labels, scored.probability
    flagged = probability >= threshold
    fraud = labels == 1
    caught = int((flagged & fraud).sum())
    false_alarms = int((flagged & ~fraud).sum())
    missed = int((~flagged & fraud).sum())
    passed = int((~flagged & ~fraud).sum())
    interval = bootstrap_average_precision(labels, probability, seed)
    budget = alerts_within(scored, alert_budget)
    reviewed = np.argsort(-probability, kind="stable")[:budget]
    caught_in_budget = int(labels[reviewed].sum())
    figures = {
        "rows": float(len(labels)),
        "frauds": float(fraud.sum()),
        "accuracy": (caught + passed) / len(labels),
        "precision": caught / max(1, caught + false_alarms),
        "recall": caught / int(fraud.sum()),
        "f1": 2 * caught / (2 * caught + false_alarms + missed),
        "roc_auc": float(roc_auc_score(labels, probability)),
        "average_precision": interval.value,
        "average_precision_low": interval.low,
        "average_precision_high": interval.high,
        "brier": float(brier_score_loss(labels, probability)),
        "alerts_in_budget": float(budget),
        "precision_at_budget": caught_in_budget / budget,
        "recall_at_budget": caught_in_budget / int(fraud.sum()),
        "true_positives": float(caught),
        "false_positives": float(false_alarms),
        "false_negatives": float(missed),
        "true_negatives": float(passed),
    }
    if scored.amounts is not None:
        figures["fraud_value_caught"] = float(scored.amounts[flagged & fraud].sum())
        figures["fraud_value_missed"] = float(scored.amounts[~flagged & fraud].sum())
    return figures


def alerts_within(scored: Scored, alert_budget: float) -> int:
    """How many alerts a budget per day allows over the days that were scored; at least 1."""
    return min(len(scored.labels), max(1, round(alert_budget * scored.days)))
