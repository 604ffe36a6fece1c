"""What a version's transactions and scores were at each hour of the day, or of the week.

Transactions of the night are others than those of the day, so a window of traffic is compared with
the reference of the same hours. Hours are those of the table's own time column, not those of the
server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fraud_model.arrays import Counts, Floats
from fraud_model.model.feature import Feature

HOUR = 3_600
DAY, WEEK = 24, 168
# Before a weekday has its own reference, each of its hours was seen this often.
WEEKS = 2
# Fewer rows of an hour count as none: they do not show what its transactions are like.
FEWEST_ROWS = 10
# Of a slot in the mean, before the reference tells them apart at all.
ROWS_PER_SLOT = 100
# Hours: a burst of frauds takes minutes, and something else than the hour may last for some hours.
SCALES = (1, 2, 4)
# Fewer squared differences are a guess.
FEWEST_PAIRS = 6


@dataclass(frozen=True)
class Hours:
    """Counts of the reference by hour; a slot is an hour of the day, or of the week.

    A week has hours of its own once the table covers two of them, holds enough rows, and its time
    is a date. `time` reads the time column. `rows` are those of each slot, shape (slots,).
    `features` has by name how many values lie in each group of the feature's distribution, shape
    (slots, groups), and `missing` how many have none, shape (slots,). `scores` counts the served
    model's scores in the bins of the profile, shape (slots, bins); a slot without any was not
    scored. `dispersion`, of shape (edges,), is how many times as much as chance the number of
    scores above an edge varies between equal hours, 1 or more: frauds come in bursts.
    """

    time: Feature
    rows: tuple[int, ...]
    features: dict[str, tuple[tuple[int, ...], ...]]
    missing: dict[str, tuple[int, ...]]
    scores: tuple[tuple[int, ...], ...]
    dispersion: tuple[float, ...]

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Hours:
        """The hours that `dataclasses.asdict` wrote."""
        return cls(
            time=Feature.from_dict(content["time"]),
            rows=tuple(content["rows"]),
            features={name: tuples(found) for name, found in content["features"].items()},
            missing={name: tuple(found) for name, found in content["missing"].items()},
            scores=tuples(content["scores"]),
            dispersion=tuple(content["dispersion"]),
        )

    def slots(self, seconds: Floats) -> Counts:
        """The slot of each moment, shape (rows,); after the last one where there is no moment."""
        return slots_of(seconds, len(self.rows))

    @property
    def seen(self) -> Counts:
        """The slots whose transactions are known, and the one of rows without a moment."""
        return np.append(np.flatnonzero(np.array(self.rows) >= FEWEST_ROWS), len(self.rows))


def tuples(counts: Counts | Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Rows of counts as tuples."""
    return tuple(tuple(map(int, row)) for row in counts)


def slots_of(seconds: Floats, slots: int) -> Counts:
    """The hour of each moment, of a day of 24 `slots` or a week of 168; `slots` for NaN."""
    known = ~np.isnan(seconds)
    hours = np.floor_divide(np.where(known, seconds, 0.0), HOUR).astype(np.int64) % slots
    return np.where(known, hours, slots)


def choose_slots(seconds: Floats, is_dated: bool) -> int:
    """How many slots a table's moments fill well; 0 if they are too few to tell hours apart."""
    covered = float(np.nanmax(seconds) - np.nanmin(seconds))
    if is_dated and covered >= WEEKS * WEEK * HOUR and len(seconds) >= WEEK * ROWS_PER_SLOT:
        return WEEK
    return DAY if covered >= HOUR and len(seconds) >= DAY * ROWS_PER_SLOT else 0


def count_by_slot(slots: Counts, bins: Counts, weights: Floats, shape: tuple[int, int]) -> Counts:
    """Weighted counts of shape (slots, bins), in whole numbers.

    `slots`, `bins` and `weights` have shape (rows,); a slot behind the last one is left out.
    """
    kept = slots < shape[0]
    flat = slots[kept] * shape[1] + bins[kept]
    counts = np.bincount(flat, weights[kept], shape[0] * shape[1])
    return np.rint(counts).astype(np.int64).reshape(shape)


def dispersion(seconds: Floats, bins: Counts, edges: int) -> Floats:
    """How many times as much as chance the shares above each edge vary in time, shape (edges,).

    Squared differences between blocks of time over those of chance, in blocks of one, two and four
    hours; the largest counts, and at least 1. A block is compared with that of the same hours a day
    later, so that a daily rhythm is no variation; where the table covers less than two days, with
    the next one. Frauds of a burst score alike, and few scores lie above the highest edges, so that
    an edge has at least the dispersion of those below it.

    Args:
        seconds: moments, ascending or not, shape (rows,).
        bins: the bin of each score, shape (rows,), 0 to `edges`.
        edges: the number of edges between bins.
    """
    largest = np.ones(edges)
    for scale in SCALES:
        block = np.floor_divide(seconds, HOUR * scale).astype(np.int64)
        block -= block.min()
        shape = (int(block.max()) + 1, edges + 1)
        # Years of hours with gaps between them would not fit in memory.
        if shape[0] > 100 * WEEK * WEEKS:
            break
        counts = count_by_slot(block, bins, np.ones(len(bins)), shape)
        for apart in (DAY // scale, 1):
            squares, chance = _squared_differences(counts, apart)
            if len(squares) >= FEWEST_PAIRS:
                # Of sums, since the ratio of a pair without any score above an edge says nothing.
                ratio = squares.sum(axis=0) / np.maximum(chance.sum(axis=0), 1e-300)
                largest = np.maximum(largest, ratio)
                break
    return np.maximum.accumulate(largest)


def _squared_differences(counts: Counts, apart: int) -> tuple[Floats, Floats]:
    """Of blocks so far apart, and what is expected by chance, both of shape (pairs, edges)."""
    rows = counts.sum(axis=1)
    above = rows[:, None] - np.cumsum(counts, axis=1)[:, :-1]
    pairs = np.flatnonzero((rows[:-apart] > 0) & (rows[apart:] > 0))
    a, b = above[pairs], above[pairs + apart]
    n, m = rows[pairs, None], rows[pairs + apart, None]
    share = (a + b) / (n + m)
    return (a / n - b / m) ** 2 / (1 / n + 1 / m), share * (1 - share)
