"""When a plain baseline is better than the model."""

from __future__ import annotations

from fraud_model.arrays import Floats, Labels
from fraud_model.evaluation.intervals import paired_difference


def beaten_by(
    labels: Labels,
    scores: Floats,
    baseline: Floats,
    *,
    times: Floats | None = None,
    genuine_weight: float = 1.0,
) -> bool:
    """Whether the baseline's average precision is higher by more than chance.

    Chance is the 95 % interval of the paired difference. A tie is never a defeat: on a table that
    both separate perfectly, neither can be better.

    Args:
        labels: shape (rows,), of rows that neither was fitted on.
        scores: the model's, higher for what is more likely a fraud, shape (rows,).
        baseline: likewise.
        times: seconds, shape (rows,); None treats rows as independent.
        genuine_weight: how many transactions each genuine row stands for.
    """
    difference = paired_difference(
        labels, scores, baseline, times=times, genuine_weight=genuine_weight
    )
    return difference.high < 0
