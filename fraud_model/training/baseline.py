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


def undecided(reached: float, to_beat: float, frauds: int) -> str | None:
    """One line where an unbeaten model is below the baseline all the same; None otherwise.

    Args:
        reached: the model's average precision on the validation part.
        to_beat: the baseline's.
        frauds: how many frauds that part holds.
    """
    if reached >= to_beat:
        return None
    return (
        f"logistic regression has an average precision of {to_beat:.4f} on the validation part, "
        f"LightGBM {reached:.4f}. With {frauds:,} frauds there the difference may be chance. "
        "More frauds would tell."
    )
