"""How many transactions of a window a version flags, against how many it would of new ones.

One number says more of a fraud rate than a whole distribution, which has to allow for the movement
of each of its parts. It is compared with what the evaluation model flagged of the holdout: the
served model has learned the frauds of its own reference, and is surer of them than of new ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from fraud_model.arrays import Counts
from fraud_model.model.hours import Hours
from fraud_model.model.profile import Profile
from fraud_model.monitoring.expected import effective_rows, score_shares, share_above

# By chance alone a number leaves its range about once in a thousand windows.
FLAGGED_LEVEL = 0.999


@dataclass(frozen=True)
class FlaggedShift:
    """How many were flagged of a window's transactions, and how many are `expected`.

    Chance brings `low` to `high` of them. `ratio` is the distance from what is expected over that
    of the nearer end: above 1 the number has moved.
    """

    rows: int
    flagged: int
    expected: float
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """How far the number has moved, in distances from the expected one to its end."""
        # Where none at all is within chance, no number is too small.
        end = self.high if self.flagged > self.expected else self.low or -1.0
        return abs(self.flagged - self.expected) / abs(end - self.expected)


class FlaggedRange:
    """What a version that knows its hours is expected to flag.

    The number is negative binomial, as it is where frauds come in bursts: its variance is that of
    chance times the dispersion that the reference saw between equal hours. Added to it is how
    uncertain the expectation is: the share of frauds in the reference, and how many of the
    holdout's frauds and genuine transactions were flagged.
    """

    def __init__(self, profile: Profile, hours: Hours) -> None:
        found = profile.metrics
        frauds = found.true_positives + found.false_negatives
        genuine = found.false_positives + found.true_negatives
        # Half of one more: a few frauds that were all flagged do not prove that all others will be.
        recall = (found.true_positives + 0.5) / (frauds + 1)
        false_alarms = (found.false_positives + 0.5) / (genuine + 1)
        rate = profile.fraud_rate
        self._hours = hours
        self._dispersion = hours.dispersion[-1]
        self._share = rate * recall + (1 - rate) * false_alarms
        # Variances of the share: that of the measured shares, and for one row of the reference.
        self._of_measures = self._dispersion * (
            rate**2 * recall * (1 - recall) / max(1, frauds) + false_alarms / max(1, genuine)
        )
        self._of_a_row = self._dispersion * rate * recall**2
        counts = np.array(hours.scores, dtype=np.float64)
        self._whole = counts.sum(axis=0) / counts.sum()
        scored = counts.sum(axis=1)
        self._behind = np.append(np.where(scored > 0, scored, scored.sum()), scored.sum())
        above = share_above(np.array(profile.scores.counts, dtype=np.float64).sum(axis=0))
        # Of a threshold it is exactly the edge below it.
        self._edge = int(np.abs(above - profile.flagged_rate).argmin())

    def shift(self, flagged: int, hours: Counts) -> FlaggedShift:
        """How far a number lies from what is expected.

        Args:
            flagged: how many the version's own decision flags.
            hours: how many of the transactions came in each slot of the reference, shape
                (slots + 1,), at least one.
        """
        rows = int(hours.sum())
        of_hours, of_all = (
            float(shares[self._edge + 1 :].sum())
            for shares in (score_shares(self._hours, hours, self._whole), self._whole)
        )
        share = self._share * (of_hours / of_all if of_all else 1.0)
        behind = effective_rows(hours, self._behind)
        expected = rows * share
        uncertain = (self._of_measures + self._of_a_row / behind) / self._share**2
        # As small as makes no difference, and more than none, which is no negative binomial.
        dispersion = max(self._dispersion + expected * uncertain, 1 + 1e-9)
        number = stats.nbinom(expected / (dispersion - 1), 1 / dispersion)
        low, high = number.ppf((1 - FLAGGED_LEVEL) / 2), number.isf((1 - FLAGGED_LEVEL) / 2)
        return FlaggedShift(rows, flagged, expected, float(low), float(high))
