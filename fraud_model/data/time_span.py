"""Questions a time column whose unit is probably another."""

from __future__ import annotations

import math

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
# Fraud tables mostly cover weeks to months; of several units the nearest is asked about first.
TYPICAL = 60 * _DAY
# Seconds since 1970 in which a transaction can lie: 1990 to 2100.
EPOCH = (20 * _YEAR, 130 * _YEAR)


def question_time_span(name: str, times: Floats, unit: str | None = "s") -> str | None:
    """One line if the time that a table covers is absurd, with the unit that would mend it.

    Absurd is less than an hour for a thousand transactions or more, more than fifty years, or
    values that are a moment after 2100 but in a finer unit one since 1990.

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
    finer = _unit_of_epoch(latest, unit)
    if not (too_short or span > LONGEST or finer):
        return None
    covers = (
        f"time column '{name}' covers {span / _DAY:,.2g} days"
        if span < _DAY
        else f"time column '{name}' covers {span / _DAY:,.0f} days"
    )
    covers += f" ({in_words(span)}) for {len(times):,} transactions."
    units = [finer] if finer else _plausible_units(span, unit)
    if not units or unit is None:
        return f"{covers} Is it the time of the transaction?"
    first, *others = units
    also = "".join(f", or {each} for {_WORDS[each]}" for each in others)
    would = in_words(_span_in(span, unit, first))
    return f"{covers} If it is in {_WORDS[first]} ({would}), give -P time_unit={first}{also}."


def in_words(seconds: float) -> str:
    """A span in the largest unit of which it has at least two, such as `12 minutes`."""
    for word, length in (("years", _YEAR), ("days", _DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {word}"
    return f"{seconds:,.3g} seconds"


def _span_in(span: float, unit: str, other: str) -> float:
    return span / SECONDS[unit] * SECONDS[other]


def _plausible_units(span: float, unit: str | None) -> list[str]:
    if unit is None:
        return []
    spans = {other: _span_in(span, unit, other) for other in SECONDS if other != unit}
    plausible = [other for other, length in spans.items() if SHORTEST <= length <= LONGEST]
    return sorted(plausible, key=lambda other: abs(math.log(spans[other] / TYPICAL)))


def _unit_of_epoch(latest: float, unit: str | None) -> str | None:
    """The finer unit in which the latest moment lies between 1990 and 2100, if now it does not."""
    if unit is None or latest <= EPOCH[1]:
        return None
    for other in ("s", "ms", "us", "ns"):
        if EPOCH[0] <= _span_in(latest, unit, other) <= EPOCH[1]:
            return other
    return None
