"""How far the scores of a window have moved from those of the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fraud_model.arrays import Counts, Floats
from fraud_model.model.hours import Hours
from fraud_model.model.profile import Scores
from fraud_model.monitoring.expected import effective_rows, score_shares, share_above

# A window like the reference leaves the band about once in a thousand.
BAND_LEVEL = 0.999
BAND_DRAWS = 4_000
SEED = 0
# Of the smaller of the shares above and below an edge: what less traffic than this moves is
# significant in a large window, and of no consequence.
LEAST_SHIFT = 0.1


@dataclass(frozen=True)
class ScoreShift:
    """The score distribution of one window against the reference's bootstrap band.

    `expected` is the share of scores above each edge that the reference leads one to expect,
    `difference` the window's minus that, and `band` how far it may lie from 0, all of shape
    (edges,). `ratio` is the largest of one over the other: above 1 the distribution has moved.
    """

    expected: Floats
    difference: Floats
    band: Floats
    ratio: float


class ScoreBand:
    """The simultaneous bootstrap band of a version's score distribution.

    A draw of the reference takes as many of its blocks of time as it has, with replacement; a draw
    of a window takes as many blocks as the window lasts, and then as many rows as it has. So the
    band knows how much the scores change over a day by themselves, and how uncertain the reference
    is. All cumulative shares are watched at once: the band is the multiple of their standard
    deviations that `BAND_LEVEL` of the draws stay within. It is at least the band of draws row by
    row, and at least `LEAST_SHIFT` of the share.

    Where the reference knows hours, the window is compared with what its own hours lead one to
    expect. The variance at an edge is then the binomial one of both samples, times the dispersion
    that the reference saw there between equal hours; and at least the one of blocks of time.
    """

    def __init__(self, scores: Scores, hours: Hours | None = None) -> None:
        self._hours = hours
        self._blocks = np.array(scores.counts, dtype=np.float64)
        self._seconds_per_block = scores.seconds_per_block
        self._rows = float(self._blocks.sum())
        self._rows_per_block = self._rows / len(self._blocks)
        self._reference = share_above(self._blocks.sum(axis=0))
        self._known: dict[tuple[int, int], Floats] = {}
        self._multiples: dict[int, float] = {}

    def shift(
        self, counts: Counts, seconds: float | None, hours: Counts | None = None
    ) -> ScoreShift:
        """Where a window's score counts lie in the band.

        Args:
            counts: of the score bins, shape (bins,), at least one score.
            seconds: how long the window lasts, None if that is not known.
            hours: how many of the scores came in each slot of the reference, shape (slots + 1,);
                None if that is not known.
        """
        rows = int(counts.sum())
        known = self._hours
        expected, band = self._reference, self._band(rows, seconds)
        if known is not None and hours is not None and hours[:-1].any():
            whole = self._blocks.sum(axis=0) / self._rows
            expected = share_above(score_shares(known, hours, whole))
            scored = np.array(known.scores).sum(axis=1)
            behind = np.where(scored > 0, np.minimum(scored, known.rows), self._rows)
            size = effective_rows(hours, np.append(behind, self._rows))
            # Equal hours of a short reference may vary less than those to come, and the served
            # model has learned its rows: the band is never narrower than that of blocks of time.
            band = np.maximum(band, self._band_of_hours(known, expected, rows, size))
        difference = share_above(counts.astype(np.float64)) - expected
        least = LEAST_SHIFT * np.minimum(expected, 1 - expected)
        band = np.maximum(band, least)
        return ScoreShift(expected, difference, band, float((np.abs(difference) / band).max()))

    def _band_of_hours(self, known: Hours, expected: Floats, rows: int, behind: float) -> Floats:
        dispersion = np.array(known.dispersion)
        variance = dispersion * expected * (1 - expected) * (1 / rows + 1 / behind)
        # Bursts leave the fewest independent scores, and so the longest tail, where they are worst.
        independent = max(1, int(np.exp(np.round(np.log(rows / dispersion.max()) * 20) / 20)))
        if independent not in self._multiples:
            random = np.random.default_rng(SEED)
            shares = self._blocks.sum(axis=0) / self._rows
            drawn = random.multinomial(independent, shares, BAND_DRAWS).astype(np.float64)
            difference = share_above(drawn) - self._reference
            deviation = np.maximum(difference.std(axis=0), 1 / independent)
            largest = np.abs(difference / deviation).max(axis=1)
            self._multiples[independent] = float(np.quantile(largest, BAND_LEVEL))
        return np.asarray(self._multiples[independent] * np.maximum(np.sqrt(variance), 1 / rows))

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
    difference = share_above(window) - share_above(reference)
    # A share that no draw moves still moves by a row.
    deviation = np.maximum(difference.std(axis=0), 1 / rows)
    multiple = np.quantile(np.abs(difference / deviation).max(axis=1), BAND_LEVEL)
    return np.asarray(multiple * deviation)
