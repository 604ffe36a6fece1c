"""Measures a detector on labelled transactions.

Accuracy is reported because people expect it; it says little, since answering "genuine" always
scores 0.998. Average precision and recall at the alert budget are what decisions rest on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from fraud_model.schema import Columns, days_covered

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

BOOTSTRAP_SAMPLES = 500
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its bootstrap interval at `CONFIDENCE`."""

    value: float
    low: float
    high: float


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
    interval = bootstrap_average_precision(scored, seed)
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


def bootstrap_average_precision(scored: Scored, seed: int = 0) -> Interval:
    """Average precision with a percentile bootstrap interval over transactions."""
    (samples,) = _bootstrap(scored.labels, [scored.probability], seed)
    low, high = _percentiles(samples)
    value = float(average_precision_score(scored.labels, scored.probability))
    return Interval(value, low, high)


def paired_difference(
    labels: Labels, challenger: Floats, champion: Floats, seed: int = 0
) -> Interval:
    """Challenger's average precision minus the champion's on the same transactions.

    Paired: each bootstrap sample draws the same transactions for both, so that what is hard for
    both cancels out.
    """
    ours, theirs = _bootstrap(labels, [challenger, champion], seed)
    low, high = _percentiles(ours - theirs)
    value = average_precision_score(labels, challenger) - average_precision_score(labels, champion)
    return Interval(float(value), low, high)


def _bootstrap(labels: Labels, scorings: Sequence[Floats], seed: int) -> list[Floats]:
    """Average precision of each scoring on `BOOTSTRAP_SAMPLES` samples drawn with replacement.

    Average precision changes only at the scores of frauds. Transactions that lie between the same
    two of them, under every scoring, are alike; so a sample is one multinomial draw of how many of
    each kind it holds, which is the same distribution as drawing row by row.
    """
    # The scores of the frauds, highest first; a row of level j is flagged from the j-th on.
    levels = [
        np.searchsorted(np.unique(-scores[labels == 1]), -scores, side="left")
        for scores in scorings
    ]
    kinds, sizes = np.unique(np.column_stack([labels, *levels]), axis=0, return_counts=True)
    shares = sizes / len(labels)
    fraud = kinds[:, 0]
    random = np.random.default_rng(seed)
    samples = []
    for _ in range(BOOTSTRAP_SAMPLES):
        drawn = random.multinomial(len(labels), shares)
        if (drawn * fraud).any():
            samples.append([_average_precision(drawn, fraud, kind) for kind in kinds[:, 1:].T])
    return [np.array(column) for column in zip(*samples, strict=True)]


def _average_precision(drawn: Labels, fraud: Labels, level: Labels) -> float:
    """Sum over thresholds of (recall step) x precision, as scikit-learn defines it."""
    flagged = np.cumsum(np.bincount(level, drawn))
    caught = np.cumsum(np.bincount(level, drawn * fraud))
    precision = np.divide(caught, flagged, out=np.zeros_like(caught), where=flagged > 0)
    return float((np.diff(caught, prepend=0.0) * precision).sum() / caught[-1])


def _percentiles(samples: Floats) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(samples, (tail, 1 - tail))
    return float(low), float(high)
