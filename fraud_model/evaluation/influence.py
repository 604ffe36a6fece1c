"""Average precision, recall and precision, and how they change with the weight of each row.

A row's influence is the derivative of the metric by the row's weight, at the weights given: 1 for a
fraud and `genuine_weight` for a genuine row, whose influence is that of all it stands for.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from sklearn.metrics import average_precision_score

from fraud_model.arrays import Flags, Floats, Labels


class AveragePrecision:
    """Sum over thresholds of (recall step) x precision, as scikit-learn defines it.

    It changes only at the scores of frauds, so every row belongs to the level of the highest fraud
    that does not stand above it; a row of level j is flagged from the j-th of these scores on.
    """

    def __init__(self, labels: Labels, scores: Floats, genuine_weight: float) -> None:
        self._fraud = labels == 1
        self._scores = scores
        self._genuine_weight = genuine_weight
        self._thresholds = np.unique(-scores[self._fraud])
        self._level = np.searchsorted(self._thresholds, -scores, side="left")
        # Rows below all frauds have the last level, which no threshold reaches.
        size = len(self._thresholds) + 1
        self._frauds = np.bincount(self._level[self._fraud], minlength=size)[:-1].astype(float)
        genuine = np.bincount(self._level[~self._fraud], minlength=size)[:-1]
        self._caught = self._frauds.cumsum()
        self._false = genuine_weight * genuine.cumsum()
        self._precision = self._caught / (self._caught + self._false)

    @cached_property
    def value(self) -> float:
        """The weighted average precision."""
        weights = np.where(self._fraud, 1.0, self._genuine_weight)
        return float(average_precision_score(self._fraud, self._scores, sample_weight=weights))

    @cached_property
    def influence(self) -> Floats:
        """Of every row, shape (rows,)."""
        squared = (self._caught + self._false) ** 2 * self._frauds.sum()
        # A row counts at the threshold of its level and at all lower ones.
        as_caught = _from_here_on(self._frauds * self._false / squared)
        as_false = _from_here_on(-self._frauds * self._caught / squared)
        own = np.append((self._precision - self.value) / self._frauds.sum(), 0.0)
        return np.asarray(
            np.where(
                self._fraud,
                own[self._level] + as_caught[self._level],
                self._genuine_weight * as_false[self._level],
            )
        )

    def of_one_more(self, scores: Floats) -> Floats:
        """The precision at each of these scores if one more fraud had it, shape of `scores`."""
        frauds, genuine = (np.sort(self._scores[side]) for side in (self._fraud, ~self._fraud))
        caught = len(frauds) - np.searchsorted(frauds, scores, side="left") + 1
        above = len(genuine) - np.searchsorted(genuine, scores, side="right")
        return np.asarray(caught / (caught + self._genuine_weight * above))


def recall_influence(labels: Labels, flags: Flags) -> tuple[float, Floats]:
    """The share of frauds that is flagged, and its influences, shape (rows,)."""
    share: Floats = labels / labels.sum()
    value = float(flags[labels == 1].mean())
    return value, share * (flags.astype(np.float64) - value)


def precision_influence(
    labels: Labels, flags: Flags, genuine_weight: float
) -> tuple[float, Floats]:
    """The share of frauds in what is flagged, and its influences; all are 0 if nothing is."""
    weights: Floats = np.where(labels == 1, 1.0, genuine_weight) * flags.astype(np.float64)
    flagged = float(weights.sum())
    if not flagged:
        return 0.0, weights
    value = float(weights[labels == 1].sum() / flagged)
    return value, np.asarray(weights * (labels - value) / flagged)


def _from_here_on(values: Floats) -> Floats:
    """The sum of each element and those after it, with a 0 for rows after all of them."""
    return np.append(values[::-1].cumsum()[::-1], 0.0)
