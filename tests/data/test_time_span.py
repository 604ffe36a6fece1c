"""Time columns whose unit is probably another."""

from __future__ import annotations

import numpy as np
import pytest

from fraud_model.arrays import Floats
from fraud_model.data.time_span import SECONDS, in_words, question_time_span

DAY = 86_400.0


def spread(days: float, rows: int = 50_000, since: float = 0.0) -> Floats:
    return since + np.linspace(0.0, days * DAY, rows)


@pytest.mark.parametrize(
    ("days", "rows", "since"),
    [(2, 284_807, 0.0), (1, 5_000, 0.0), (365, 590_000, 1.5e9), (29 * 365, 1_000_000, 6.6e8)],
)
def test_what_card_traffic_covers_is_not_questioned(days: float, rows: int, since: float) -> None:
    assert question_time_span("Time", spread(days, rows, since)) is None


def test_a_small_table_may_cover_minutes() -> None:
    assert question_time_span("Time", spread(0.01, rows=200)) is None
    assert question_time_span("Time", np.empty(0)) is None


def test_hours_as_seconds_are_questioned() -> None:
    line = question_time_span("step", np.linspace(0.0, 743.0, 51_392))
    assert line is not None
    assert line.startswith(
        "time column 'step' covers 0.0086 days (12 minutes) for 51,392 transactions. "
        "If it is in hours (31 days), give -P time_unit=h; "
        "in days (2 years), -P time_unit=d"
    )


def test_a_unit_that_makes_at_least_a_day_is_asked_about_first() -> None:
    line = question_time_span("day", np.tile(np.arange(20, dtype=np.float64), 250))
    assert line is not None
    assert "If it is in days (19 days), give -P time_unit=d; in hours (19 hours)" in line


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_finer_units_since_1970_are_told_apart(unit: str) -> None:
    times = spread(2, since=1.7e9) / SECONDS[unit]
    line = question_time_span("t", times)
    assert line is not None
    assert line.endswith(f"(2 days), give -P time_unit={unit}.")


def test_milliseconds_from_the_first_row_are_questioned_beyond_fifty_years() -> None:
    line = question_time_span("t", spread(30) * 1000)
    assert line is not None
    assert "(82 years)" in line
    assert "If it is in milliseconds (30 days), give -P time_unit=ms" in line


def test_whole_seconds_in_milliseconds_are_questioned_from_any_origin() -> None:
    times = np.floor(spread(2)) * 1000
    line = question_time_span("Time", times)
    assert line is not None
    assert line.endswith("If it is in milliseconds (2 days), give -P time_unit=ms.")
    assert question_time_span("Time", times + 1) is None
    assert question_time_span("date", np.floor(spread(300) / DAY) * DAY) is None


def test_the_question_starts_from_the_unit_that_was_given() -> None:
    # 60 days of seconds, read as hours.
    line = question_time_span("t", spread(60) * SECONDS["h"], "h")
    assert line is not None
    assert "If it is in seconds (60 days), give -P time_unit=s" in line


def test_dates_and_a_single_moment_have_no_other_unit() -> None:
    for times, unit in ((spread(0.01), None), (np.full(5_000, 7.0), "s")):
        line = question_time_span("t", times, unit)
        assert line is not None
        assert line.endswith("Is it the time of the transaction?")
        assert "time_unit" not in line


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (90, "90 seconds"), (743, "12 minutes"), (5 * DAY, "5 days")],
)
def test_spans_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
