"""Warns where the validation part's share of frauds is not that of the others."""

from __future__ import annotations

from collections.abc import Mapping

from fraud_model.evaluation.intervals import count_interval

FOLD = 10.0


def question_fraud_rates(counts: Mapping[str, tuple[int, int]]) -> str | None:
    """One line if validation's fraud rate differs tenfold from the holdout's or the train part's.

    Differences that the exact Poisson intervals of both counts allow are passed over.

    Args:
        counts: frauds and transactions of each part: train, validation, holdout.
    """
    for other in ("holdout", "train"):
        frauds, rows = counts["validation"]
        other_frauds, other_rows = counts[other]
        ours, theirs = count_interval(frauds), count_interval(other_frauds)
        here, there = frauds / rows, other_frauds / other_rows
        apart = ours.low / rows > theirs.high / other_rows or theirs.low / other_rows > (
            ours.high / rows
        )
        if apart and max(here, there) >= FOLD * min(here, there):
            return (
                f"the share of frauds is {here:.3%} in the validation part ({frauds:,} of "
                f"{rows:,}) and {there:.3%} in the {other} part ({other_frauds:,} of "
                f"{other_rows:,}). Calibration and threshold come from validation, so "
                "probabilities and alerts are off where the rate is another. Give a table whose "
                "labels are complete and drawn alike over its time, or use -P split=stratified."
            )
    return None
