"""How far the features of a window of traffic have moved from the reference profile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from fraud_model.arrays import Counts, Floats
from fraud_model.model.feature import UNKNOWN
from fraud_model.model.profile import Categories, Distribution, Profile, Reference
from fraud_model.monitoring.categories import chi_square, grouped, most_moved, share_of_true, words
from fraud_model.monitoring.windows import Window

# Fewer rows say too little: chance alone then moves a PSI by some hundredths.
FEWEST_ROWS = 1_000
# So few values of a feature with gaps that chance alone would bring its PSI near the threshold.
FEWEST_VALUES = 250
# The usual threshold, like 0.1 for a shift worth a look (N. Siddiqi, Credit Risk Scorecards).
PSI_THRESHOLD = 0.2

# Beyond so many values the exact distribution of the distance takes seconds for a window, and its
# limit says the same.
MOST_EXACT = 10_000

MEDIAN = "median"


@dataclass(frozen=True)
class FeatureDrift:
    """One feature of one window against the reference.

    `psi` is 0 or more, and 0 where the window or the reference holds too few values to tell.
    `distance`, 0 to 1, is the largest one of the cumulative shares (Kolmogorov-Smirnov), or of a
    category half the sum of what its shares moved (total variation). `p_value` is that of the
    distance, or of a chi-square test for a category, corrected for the number of features.
    `before` and `now` are medians, or the share that `of` names: of true, or of the category whose
    share moved most.
    """

    psi: float
    distance: float
    p_value: float
    of: str
    before: float
    now: float

    @property
    def is_median(self) -> bool:
        """Whether `before` and `now` are medians; else they are shares."""
        return self.of == MEDIAN

    def shown(self, value: float) -> str:
        """`before` or `now` for people."""
        return f"{value:.4g}" if self.is_median else f"{value:.1%}"


def feature_drifts(window: Window, profile: Profile) -> dict[str, FeatureDrift]:
    """Every feature's drift in a window with rows."""
    counts = window.feature_counts(profile)
    found = {
        name: _moved(counts[name], known, profile.rows) for name, known in profile.features.items()
    }
    # The features depend on each other in unknown ways, which Benjamini and Yekutieli's correction
    # allows.
    corrected = stats.false_discovery_control([p for _, _, p in found.values()], method="by")
    return {
        name: FeatureDrift(
            moved, distance, float(p_value), *before_and_now(counts[name], profile.features[name])
        )
        for (name, (moved, distance, _)), p_value in zip(found.items(), corrected, strict=True)
    }


def _moved(counts: Counts, known: Reference, rows: int) -> tuple[float, float, float]:
    """PSI, distance and p-value."""
    rows = round(rows * (1 - known.missing))
    distribution = known.distribution
    if isinstance(distribution, Categories):
        # Values that the version does not know are a gap, and an alarm of their own.
        counts = np.where(np.arange(len(counts)) == UNKNOWN, 0, counts)
    if min(counts.sum(), rows) < FEWEST_VALUES:
        return 0.0, 0.0, 1.0
    if isinstance(distribution, Categories):
        seen, shares = grouped(counts, distribution)
        seen, shares = seen[1:], shares[1:] / max(shares[1:].sum(), np.finfo(float).tiny)
        distance = float(np.abs(seen / seen.sum() - shares).sum() / 2)
        return stability(seen, shares), distance, chi_square(seen, shares, rows)
    return psi(counts, distribution), *kolmogorov_smirnov(counts, distribution, rows)


def before_and_now(counts: Counts, known: Reference) -> tuple[str, float, float]:
    """What stands for a feature, and what it was and is: see FeatureDrift."""
    distribution = known.distribution
    shares, now = np.array(distribution.shares), counts / max(1, counts.sum())
    if isinstance(distribution, Categories):
        return most_moved(now, known.feature, distribution)
    if known.feature.kind == "boolean":
        before, after = (share_of_true(s, distribution) for s in (shares, now))
        true, _ = words(known.feature)
        return f"share of {true}", before, after
    return MEDIAN, median(shares, distribution), median(now, distribution)


def psi(counts: Counts, known: Distribution) -> float:
    """Population stability index of a number, in bins that hold a tenth of the reference each."""
    seen, expected = (
        np.asarray(np.bincount(known.groups, part), dtype=np.float64)
        for part in (counts, np.array(known.shares))
    )
    return stability(seen, expected)


def stability(seen: Floats, expected: Floats) -> float:
    """Population stability index: sum of (a - e) ln(a / e) over groups, both of shape (groups,).

    a and e are the shares of window and reference; half a row more in each group keeps empty ones
    finite. `seen` are counts of the window, `expected` shares of the reference.
    """
    kept = (expected > 0) | (seen > 0)
    rows = max(1, seen.sum())
    actual = (seen[kept] + 0.5) / (rows + 0.5 * kept.sum())
    wanted = (expected[kept] * rows + 0.5) / (rows + 0.5 * kept.sum())
    return float(((actual - wanted) * np.log(actual / wanted)).sum())


def kolmogorov_smirnov(counts: Counts, known: Distribution, rows: int) -> tuple[float, float]:
    """Two-sample distance at the reference's edges, and its p-value.

    Between the edges the distance can only be larger, so the p-value errs to the high side.
    """
    seen = int(counts.sum())
    if seen == 0:
        return 0.0, 1.0
    distance = np.abs(np.cumsum(counts) / seen - np.cumsum(known.shares)).max()
    effective = max(1, round(seen * rows / (seen + rows)))
    if effective > MOST_EXACT:
        return float(distance), float(stats.kstwobign.sf(distance * np.sqrt(effective)))
    return float(distance), float(stats.kstwo.sf(distance, effective))


def median(shares: Floats, known: Distribution) -> float:
    """The median of shares over a distribution's bins, interpolated within its bin.

    Values outside the reference's range count as its nearest end.
    """
    edges = np.array(known.edges)
    upto = np.cumsum(shares)[:-1]
    return float(np.interp(0.5, upto, edges))
