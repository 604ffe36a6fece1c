"""How far a window of traffic has moved from the reference profile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from fraud_model.arrays import Counts, Floats
from fraud_model.model.profile import Distribution, Profile, Scores
from fraud_model.monitoring.windows import Window

# Fewer rows say too little: chance alone then moves a PSI by some hundredths.
FEWEST_ROWS = 1_000
PSI_BINS = 10
# The usual threshold, like 0.1 for a shift worth a look (N. Siddiqi, Credit Risk Scorecards).
PSI_THRESHOLD = 0.2

# A window like the reference leaves the band about once in a thousand.
BAND_LEVEL = 0.999
BAND_DRAWS = 4_000
SEED = 0
# Of the smaller of the shares above and below an edge: what less traffic than this moves is
# significant in a large window, and of no consequence.
LEAST_SHIFT = 0.1


@dataclass(frozen=True)
class FeatureDrift:
    """One feature of one window against the reference.

    `psi` is 0 or more; `ks` is the largest distance of the cumulative shares, 0 to 1, and
    `p_value` its, corrected for the number of features. `before` and `now` are the medians.
    """

    psi: float
    ks: float
    p_value: float
    before: float
    now: float
    missing_share: float


@dataclass(frozen=True)
class ScoreShift:
    """The score distribution of one window against the reference's bootstrap band.

    `difference` is the share of scores above each edge minus the reference's, and `band` how far
    it may lie from 0, both of shape (edges,). `ratio` is the largest of one over the other: above
    1 the distribution has moved.
    """

    difference: Floats
    band: Floats
    ratio: float


def feature_drifts(window: Window, profile: Profile) -> dict[str, FeatureDrift]:
    """Every feature's drift in a window with rows."""
    counts = window.feature_counts(profile)
    found = {
        name: (psi(counts[name], known), *kolmogorov_smirnov(counts[name], known, profile.rows))
        for name, known in profile.features.items()
    }
    # The features depend on each other in unknown ways, which Benjamini and Yekutieli's correction
    # allows.
    corrected = stats.false_discovery_control([p for _, _, p in found.values()], method="by")
    total = np.maximum(1, window.rows + window.incomplete)
    return {
        name: FeatureDrift(
            psi=moved,
            ks=distance,
            p_value=float(p_value),
            before=median(np.array(profile.features[name].shares), profile.features[name]),
            now=median(counts[name] / max(1, counts[name].sum()), profile.features[name]),
            missing_share=float(missing / total),
        )
        for (name, (moved, distance, _)), p_value, missing in zip(
            found.items(), corrected, window.missing, strict=True
        )
    }


def psi(counts: Counts, known: Distribution) -> float:
    """Population stability index: sum over about ten bins of (a - e) ln(a / e).

    a and e are the shares of window and reference in bins that hold a tenth of the reference each
    (as ties allow); half a row more in each bin keeps empty ones finite.
    """
    shares = np.array(known.shares)
    middle = np.cumsum(shares) - shares / 2
    group = np.minimum((middle * PSI_BINS).astype(np.int64), PSI_BINS - 1)
    expected = np.bincount(group, shares, PSI_BINS)
    seen = np.bincount(group, counts, PSI_BINS)
    kept = (expected > 0) | (seen > 0)
    rows = max(1, counts.sum())
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
    return float(distance), float(stats.kstwo.sf(distance, effective))


def median(shares: Floats, known: Distribution) -> float:
    """The median of shares over a distribution's bins, interpolated within its bin.

    Values outside the reference's range count as its nearest end.
    """
    edges = np.array(known.edges)
    upto = np.cumsum(shares)[:-1]
    return float(np.interp(0.5, upto, edges))


class ScoreBand:
    """The simultaneous bootstrap band of a version's score distribution.

    A draw of the reference takes as many of its blocks of time as it has, with replacement; a draw
    of a window takes as many blocks as the window lasts, and then as many rows as it has. So the
    band knows how much the scores change over a day by themselves, and how uncertain the reference
    is. All cumulative shares are watched at once: the band is the multiple of their standard
    deviations that `BAND_LEVEL` of the draws stay within. It is at least the band of draws row by
    row, and at least `LEAST_SHIFT` of the share.
    """

    def __init__(self, scores: Scores) -> None:
        self._blocks = np.array(scores.counts, dtype=np.float64)
        self._seconds_per_block = scores.seconds_per_block
        self._rows_per_block = float(self._blocks.sum() / len(self._blocks))
        self._reference = _above(self._blocks.sum(axis=0))
        self._known: dict[tuple[int, int], Floats] = {}

    def shift(self, counts: Counts, seconds: float | None) -> ScoreShift:
        """Where a window's score counts lie in the band; the window lasts `seconds`, if known."""
        difference = _above(counts.astype(np.float64)) - self._reference
        least = LEAST_SHIFT * np.minimum(self._reference, 1 - self._reference)
        band = np.maximum(self._band(int(counts.sum()), seconds), least)
        return ScoreShift(difference, band, float((np.abs(difference) / band).max()))

    def _band(self, rows: int, seconds: float | None) -> Floats:
        if seconds is None or not self._seconds_per_block:
            blocks = rows / self._rows_per_block
        else:
            blocks = seconds / self._seconds_per_block
        # Windows of about the same size share a band.
        size = int(np.exp(np.round(np.log(rows) * 20) / 20))
        key = (size, max(1, round(blocks)))
        if key not in self._known:
            self._known[key] = self._draw(*key)
        return self._known[key]

    def _draw(self, rows: int, blocks: int) -> Floats:
        random = np.random.default_rng(SEED)
        total = len(self._blocks)
        even = np.full(total, 1 / total)
        reference = random.multinomial(total, even, BAND_DRAWS) @ self._blocks
        window = random.multinomial(blocks, even, BAND_DRAWS) @ self._blocks
        held = blocks * self._rows_per_block
        if rows < held:
            # The drawn blocks are a sample themselves; only the rest of the noise is added.
            share = window / window.sum(axis=1, keepdims=True)
            drawn = random.multinomial(round(rows * held / (held - rows)), share)
            window = drawn.astype(np.float64)
        together = self._blocks.sum(axis=0)
        alone, beside = (
            random.multinomial(size, together / together.sum(), BAND_DRAWS).astype(np.float64)
            for size in (int(together.sum()), rows)
        )
        # Frauds may be spread over the blocks more evenly than chance would; traffic need not be.
        return np.maximum(_band(reference, window, rows), _band(alone, beside, rows))


def _band(reference: Floats, window: Floats, rows: int) -> Floats:
    """How far the shares above each edge differ between draws, of shape (draws, bins) each."""
    difference = _above(window) - _above(reference)
    # A share that no draw moves still moves by a row.
    deviation = np.maximum(difference.std(axis=0), 1 / rows)
    multiple = np.quantile(np.abs(difference / deviation).max(axis=1), BAND_LEVEL)
    return np.asarray(multiple * deviation)


def _above(counts: Floats) -> Floats:
    """Share of the counts above each edge, along the last axis."""
    upto = np.cumsum(counts, axis=-1)
    return 1 - upto[..., :-1] / np.maximum(upto[..., -1:], 1)
