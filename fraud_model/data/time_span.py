"""Questions a time column whose unit is probably another."""

from __future__ import annotations

import numpy as np

from fraud_model.arrays import Floats

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_WORDS = {
    "ns": "nanoseconds",
    "us": "microseconds",
    "ms": "milliseconds",
    "s": "seconds",
    "min": "minutes",
    "h": "hours",
    "d": "days",
}
_DAY = SECONDS["d"]
_YEAR = 365.25 * _DAY

# Fewer rows may well come within minutes.
FEWEST_ROWS = 1_000
SHORTEST = 3600.0
# Public card tables cover up to three decades.
LONGEST = 50 * _YEAR
# Most fraud tables cover at least a day.
USUAL = _DAY
# Of several units that would do, the one that tables use more often is asked about first.
_COMMON = ("s", "ms", "h", "d", "min", "us", "ns")
# Seconds since 1970 in which a transaction can lie: 1990 to 2100.
EPOCH = (20 * _YEAR, 130 * _YEAR)


def question_time_span(name: str, times: Floats, unit: str | None = "s") -> str | None:
    """One line if the time that a table covers is absurd, with the unit that would mend it.

    Absurd is less than an hour for a thousand transactions or more, more than fifty years, a
    moment after 2100 that in a finer unit is one since 1990, or a thousand values or more that are
    all whole thousands.

    Args:
        name: the time column.
        times: seconds, as `unit` made them of the column, shape (rows,), from any origin.
        unit: what the column was read as, a key of `SECONDS`; None for dates, which have none.

    Returns:
        None if the span is plausible.
    """
    if not len(times):
        return None
    latest = float(times.max())
    span = latest - float(times.min())
    too_short = len(times) >= FEWEST_ROWS and span < SHORTEST
    finer = _finer_unit(times, latest, unit)
    if not (too_short or span > LONGEST or finer):
        return None
    days = f"{span / _DAY:,.2g}" if span < _DAY else f"{span / _DAY:,.0f}"
    covers = f"time column '{name}' covers {days} days ({in_words(span)})"
    covers += f" for {len(times):,} transactions."
    if unit is None:
        return f"{covers} Is it the time of the transaction?"
    first, *others = [finer] if finer else _plausible_units(span, unit) or [""]
    if not first:
        return f"{covers} Is it the time of the transaction?"
    would = in_words(_span_in(span, unit, first))
    also = "".join(
        f"; in {_WORDS[each]} ({in_words(_span_in(span, unit, each))}), -P time_unit={each}"
        for each in others
    )
    return f"{covers} If it is in {_WORDS[first]} ({would}), give -P time_unit={first}{also}."


def in_words(seconds: float) -> str:
    """A span in the largest unit of which it has at least two, such as `12 minutes`."""
    for word, length in (("years", _YEAR), ("days", _DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {word}"
    return f"{seconds:,.3g} seconds"


def _span_in(span: float, unit: str, other: str) -> float:
    return span / SECONDS[unit] * SECONDS[other]


def _plausible_units(span: float, unit: str) -> list[str]:
    spans = {other: _span_in(span, unit, other) for other in _COMMON if other != unit}
    plausible = [other for other, length in spans.items() if SHORTEST <= length <= LONGEST]
    return sorted(plausible, key=lambda other: spans[other] < USUAL)


def _finer_unit(times: Floats, latest: float, unit: str | None) -> str | None:
    """The finer unit that the values themselves tell, in a column read as seconds or coarser.

    Either the latest moment lies between 1990 and 2100 in that unit alone, or all values are whole
    thousands, as whole seconds are in milliseconds.
    """
    if unit is None:
        return None
    if latest > EPOCH[1]:
        for other in ("s", "ms", "us", "ns"):
            if EPOCH[0] <= _span_in(latest, unit, other) <= EPOCH[1]:
                return other
    if unit == "s" and len(times) >= FEWEST_ROWS and times.min() < latest:
        for other in ("ns", "us", "ms"):
            if not np.any(times % round(1 / SECONDS[other])):
                return other
    return None
