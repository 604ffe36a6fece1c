"""Windows of traffic, each reduced to counts, so that memory does not grow with the traffic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from fraud_model.arrays import Counts, Flags, Floats
from fraud_model.data.traffic import Batch, Scored, Traffic
from fraud_model.durations import UNITS, seconds_of
from fraud_model.errors import ParameterError
from fraud_model.model.profile import Profile

MOST_WINDOWS = 1_000
# A window is whole although the last transactions of its day came a little before midnight.
LEAST_COVERED = 0.9


@dataclass(frozen=True)
class Span:
    """How long a window is: `seconds` of time, or a number of `rows`."""

    seconds: int | None
    rows: int | None

    @classmethod
    def parse(cls, text: str) -> Span:
        """Reads `1d`, `12h`, `30m`, or a number of rows.

        Raises:
            ParameterError: it is none of these.
        """
        seconds = seconds_of(text)
        if seconds is not None:
            return cls(seconds, None)
        if re.fullmatch(r"[1-9]\d*", text.strip(), re.ASCII):
            return cls(None, int(text))
        raise ParameterError(
            f"window={text!r} is invalid: expected a duration such as 1d, 12h or 30m, or a "
            "number of transactions."
        )

    def check(self, traffic: Traffic) -> None:
        """Raises ParameterError if the window is a duration, and the traffic has no times."""
        if self.seconds is not None and not traffic.has_time:
            raise ParameterError(
                "window is a duration, but the table has no time column: give a number of "
                "transactions, as in -P window=10000."
            )

    def label(self, number: int, in_calendar: bool) -> str:
        """The label of the window with this number."""
        if self.rows is not None:
            return f"transactions {number * self.rows:,} to {(number + 1) * self.rows - 1:,}"
        return moment(number * (self.seconds or 0), in_calendar)


def moment(seconds: float, in_calendar: bool) -> str:
    """A time for people: a date, or days or hours where seconds do not count from 1970."""
    whole_days = seconds % UNITS["d"] == 0
    if in_calendar:
        date = datetime.fromtimestamp(seconds, UTC)
        return date.strftime("%Y-%m-%d" if whole_days else "%Y-%m-%d %H:%M")
    return f"{seconds / UNITS['d']:.6g} d" if whole_days else f"{seconds / 3600:.6g} h"


@dataclass
class Window:
    """What is counted of one window.

    `features` holds the counts of all features' bins one after the other, in the profile's order,
    shape (bins of all features,); `missing` how often each has no value, shape (features,);
    `scores` the counts of the score bins. `hours` counts the rows behind `features` by the slot of
    the reference's hours, and `score_hours` those behind `scores`, both of shape (slots + 1,), or
    (1,) where it knows no hours; of the latter, the version's own decision flags `decided`,
    whatever threshold a request asked for. `rows` were scored; `incomplete` ones could not be,
    because a value is missing; `answered` and `refused` count requests. `unseen_hours` are rows of
    hours that the reference has not seen, which are in none of the distributions. `first` and
    `last` are the seconds of the earliest and the latest row; amounts are sums, and `amounts` how
    many were added up.
    """

    features: Counts
    missing: Counts
    scores: Counts
    hours: Counts
    score_hours: Counts
    decided: int = 0
    rows: int = 0
    incomplete: int = 0
    answered: int = 0
    refused: int = 0
    unseen_hours: int = 0
    flagged: int = 0
    labelled: int = 0
    amount: float = 0.0
    amount_flagged: float = 0.0
    amounts: int = 0
    first: float = np.inf
    last: float = -np.inf

    @classmethod
    def empty(cls, profile: Profile) -> Window:
        """An empty window."""
        slots = len(profile.hours.rows) + 1 if profile.hours else 1
        return cls(
            features=np.zeros(
                sum(len(known.distribution.shares) for known in profile.features.values()), np.int64
            ),
            missing=np.zeros(len(profile.features), np.int64),
            scores=np.zeros(len(profile.scores.edges) + 1, np.int64),
            hours=np.zeros(slots, np.int64),
            score_hours=np.zeros(slots, np.int64),
        )

    def add(self, other: Window) -> None:
        """Adds another window's counts."""
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        for name in self.__dataclass_fields__.keys() - {"first", "last"}:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def seconds(self) -> float | None:
        """From the first to the last scored transaction, or None without time."""
        return self.last - self.first if self.last >= self.first else None

    @property
    def requests(self) -> int:
        """All requests; each row of a table counts as one."""
        return self.answered + self.refused

    @property
    def refused_share(self) -> float:
        """Share of the requests that were refused, or of a table's rows that are incomplete."""
        return (self.refused + self.incomplete) / max(1, self.requests)

    @property
    def flagged_rate(self) -> float:
        """Share of the scored transactions that were flagged."""
        return self.flagged / max(1, self.rows)

    @property
    def mean_amount(self) -> float | None:
        """Mean amount, or None without amounts."""
        return self.amount / self.amounts if self.amounts else None

    def feature_counts(self, profile: Profile) -> dict[str, Counts]:
        """The counts of each feature's bins."""
        ends = np.cumsum([len(known.distribution.shares) for known in profile.features.values()])
        return dict(zip(profile.features, np.split(self.features, ends[:-1]), strict=True))


class Windows:
    """The windows of traffic by number, filled batch by batch.

    Attributes:
        by_number: the windows; the numbers count spans from time 0, or from the first row.
        first: seconds of the earliest row or refused request.
        last: seconds of the latest one.
    """

    def __init__(self, profile: Profile, span: Span, has_time: bool) -> None:
        self.by_number: dict[int, Window] = {}
        self.first, self.last = np.inf, -np.inf
        self._profile = profile
        self._span = span
        self._rows = 0
        self._has_time = has_time
        self._amount = profile.amount_column

    def add(self, batch: Batch) -> Counts:
        """Counts a batch; returns the number of the window of each scored row.

        Raises:
            ParameterError: there are too many windows to keep.
        """
        scored = batch.scored
        span = self._span
        if span.rows is not None:
            numbers = (self._rows + np.arange(len(scored.seconds))) // span.rows
            self._rows += len(scored.seconds)
            # Refused requests have no place among the rows but the latest one.
            refused = np.full(len(batch.refused), max(0, self._rows - 1) // span.rows)
        else:
            numbers, refused = (
                np.floor_divide(seconds, span.seconds or 1).astype(np.int64)
                for seconds in (scored.seconds, batch.refused)
            )
            for seconds in (scored.seconds, batch.refused):
                self.first = min(self.first, float(seconds.min(initial=np.inf)))
                self.last = max(self.last, float(seconds.max(initial=-np.inf)))
        for number in np.unique(numbers):
            self._window(int(number)).add(self._count(scored, numbers == number))
        for number, count in zip(*np.unique(refused, return_counts=True), strict=True):
            self._window(int(number)).refused += int(count)
        return numbers

    def is_whole(self, number: int) -> bool:
        """Whether the traffic covers all of a window: only the first and the last may lack some."""
        span = self._span
        if span.rows is not None:
            window = self.by_number[number]
            arrived = window.rows + window.incomplete
            return arrived >= span.rows or not arrived
        length = span.seconds or 1
        begin, end = max(self.first, number * length), min(self.last, (number + 1) * length)
        latest, earliest = max(self.by_number), min(self.by_number)
        late = begin - number * length if number == earliest else 0.0
        early = (number + 1) * length - end if number == latest else 0.0
        return max(late, early) <= (1 - LEAST_COVERED) * length

    def _window(self, number: int) -> Window:
        if number not in self.by_number:
            if len(self.by_number) == MOST_WINDOWS:
                raise ParameterError(
                    f"the traffic covers more than {MOST_WINDOWS:,} windows. Choose "
                    "longer ones with -P window=, or check less traffic at a time."
                )
            self.by_number[number] = Window.empty(self._profile)
        return self.by_number[number]

    def _count(self, scored: Scored, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Window:
        values, probability = scored.values[chosen], scored.probability[chosen]
        flagged = scored.flagged[chosen]
        window = Window.empty(self._profile)
        slots, seen = self._slots(scored.moments[chosen])
        whole = ~np.isnan(probability)
        kept = seen & whole
        window.hours = np.bincount(slots[seen], minlength=len(window.hours))
        window.score_hours = np.bincount(slots[kept], minlength=len(window.hours))
        window.unseen_hours = len(seen) - int(seen.sum())
        first = 0
        for column, reference in enumerate(self._profile.features.values()):
            known = reference.distribution
            given = values[seen, column]
            present = given[~np.isnan(given)]
            window.features[first : first + len(known.shares)] = known.count(present)
            window.missing[column] = len(given) - len(present)
            first += len(known.shares)
        window.scores = self._profile.scores.count(probability[kept])
        paid = None if self._amount is None else values[kept, self._amount]
        window.decided = int(self._profile.flags(probability[kept], paid).sum())
        window.rows = int(whole.sum())
        window.incomplete = len(values) - window.rows
        window.answered = len(values) if scored.opens is None else int(scored.opens[chosen].sum())
        window.flagged = int(flagged[whole].sum())
        seconds = scored.seconds[chosen]
        if self._has_time and len(seconds):
            window.first, window.last = float(seconds.min()), float(seconds.max())
        if self._amount is not None:
            amounts: Floats = np.nan_to_num(values[:, self._amount])
            window.amount = float(amounts.sum())
            window.amount_flagged = float(amounts[flagged].sum())
            window.amounts = int((~np.isnan(values[:, self._amount])).sum())
        return window

    def _slots(self, moments: Floats) -> tuple[Counts, Flags]:
        """The slot of each row, and whether the reference has seen it, both of shape (rows,)."""
        hours = self._profile.hours
        if hours is None:
            return np.zeros(len(moments), np.int64), np.ones(len(moments), dtype=bool)
        slots = hours.slots(moments)
        return slots, np.isin(slots, hours.seen)
