"""Values that are missing, and categories that the version does not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from fraud_model.model.feature import UNKNOWN
from fraud_model.model.profile import Categories, Profile
from fraud_model.monitoring.windows import Window

Kind = Literal["missing", "unknown"]

# A window like the reference is beyond it once in a thousand, as its scores are.
LEVEL = 0.001
# In a large window every rise is beyond chance. One of ten points changes what the model can tell
# from the column; a smaller one is worth a look where the share was small, and tripled.
RISE = 0.10
LEAST_RISE, TIMES = 0.01, 3.0


@dataclass(frozen=True)
class Gap:
    """A share of a feature's values in one window, 0 to 1, and that of the reference.

    Of all rows those where it is missing, or of its values those that are not in the vocabulary.
    `p_value` is that of a rise, corrected for the number of shares that are watched.
    """

    feature: str
    kind: Kind
    before: float
    now: float
    p_value: float

    @property
    def has_risen(self) -> bool:
        """Whether the share rose beyond chance, and by enough to matter."""
        rise = self.now - self.before
        matters = rise >= RISE or (rise >= LEAST_RISE and self.now >= TIMES * self.before)
        return matters and self.p_value <= LEVEL


def gaps(window: Window, profile: Profile) -> list[Gap]:
    """The shares of every feature in a window; rows that could not be scored count as well.

    The test of a rise is Fisher's exact one, as the reference is a sample too, and the correction
    Benjamini and Yekutieli's.
    """
    arrived = int(window.hours.sum())
    watched: list[tuple[str, Kind, float]] = []
    counts: list[tuple[float, float, float]] = []
    for missing, (name, known) in zip(window.missing, profile.features.items(), strict=True):
        watched.append((name, "missing", known.missing))
        counts.append((float(missing), arrived, profile.rows))
    values = window.feature_counts(profile)
    for name, known in profile.features.items():
        if isinstance(known.distribution, Categories):
            seen = values[name]
            watched.append((name, "unknown", known.distribution.shares[UNKNOWN]))
            counts.append((seen[UNKNOWN], seen.sum(), profile.rows * (1 - known.missing)))
    found, rows, known_rows = np.rint(np.array(counts)).T
    before = np.array([share for *_, share in watched])
    known_found = np.rint(before * known_rows)
    p_values = stats.hypergeom.sf(found - 1, rows + known_rows, found + known_found, rows)
    # Without any value, here or in the reference, nothing is known of a rise.
    corrected = stats.false_discovery_control(np.nan_to_num(p_values, nan=1.0), method="by")
    return [
        Gap(name, kind, share, float(now), float(p_value))
        for (name, kind, share), now, p_value in zip(
            watched, found / np.maximum(rows, 1), corrected, strict=True
        )
    ]
