"""Bootstrap intervals of average precision, of one detector and of the difference of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from fraud_model.arrays import Floats, Labels

BOOTSTRAP_SAMPLES = 500
SEED = 0
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its bootstrap interval at `CONFIDENCE`."""

    value: float
    low: float
    high: float


def bootstrap_average_precision(
    labels: Labels, probability: Floats, *, times: Floats | None = None, genuine_weight: float = 1.0
) -> Interval:
    """Average precision with a percentile bootstrap interval over transactions."""
    (samples,) = _bootstrap(labels, [probability])
    low, high = _percentiles(samples)
    value = float(average_precision_score(labels, probability))
    return Interval(value, low, high)


def paired_difference(labels: Labels, challenger: Floats, champion: Floats) -> Interval:
    """Challenger's average precision minus the champion's on the same transactions.

    Paired: each bootstrap sample draws the same transactions for both, so that what is hard for
    both cancels out.
    """
    ours, theirs = _bootstrap(labels, [challenger, champion])
    low, high = _percentiles(ours - theirs)
    value = average_precision_score(labels, challenger) - average_precision_score(labels, champion)
    return Interval(float(value), low, high)


def _bootstrap(labels: Labels, scorings: Sequence[Floats]) -> list[Floats]:
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
    random = np.random.default_rng(SEED)
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
