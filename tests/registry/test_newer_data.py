"""What counts as newer data, where neither of two versions is better."""

from __future__ import annotations

import pandas as pd
import pytest

from fraud_model.data.dataset import Dataset
from fraud_model.data.labels import IGNORE_UNLABELLED
from fraud_model.data.split import split
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.evaluation.learned import Learned
from fraud_model.registry.candidate import Candidate
from fraud_model.registry.knowledge import Knowledge
from tests.support.columns import inferred


def known(table: pd.DataFrame) -> Knowledge:
    columns = inferred(table)
    dataset = Dataset(table, columns, "t", "real", "", 0, table.iloc[:0], 0, IGNORE_UNLABELLED)
    learned = Learned.of(table, split(dataset, "time", 0), columns, refitted=True)
    return Knowledge(Candidate("models:/m/1", "version 1", "real", None, facts=learned.tags()))


def test_rows_of_a_clock_that_runs_fast_are_no_newer_data(table: pd.DataFrame) -> None:
    fast = table.copy()
    fast.loc[fast.index[-5:], "Time"] += 3 * SECONDS_PER_DAY
    assert known(fast).new_days(known(table)) == pytest.approx(0, abs=0.1)


def test_a_nightly_table_that_ends_a_few_seconds_early_is_a_day_newer(table: pd.DataFrame) -> None:
    next_night = table.assign(Time=table["Time"] + SECONDS_PER_DAY - 30)
    assert known(next_night).new_days(known(table)) == 1


def test_days_that_the_challenger_has_not_learned_either_are_not_counted(
    table: pd.DataFrame,
) -> None:
    days = (table["Time"].max() - table["Time"].min()) / SECONDS_PER_DAY
    a_month_later = table.assign(Time=table["Time"] + 30 * SECONDS_PER_DAY)
    assert known(a_month_later).new_days(known(table)) == pytest.approx(days, abs=0.1)
    assert known(table).new_days(known(a_month_later)) == pytest.approx(-30)


def test_a_row_that_is_dated_late_was_learned_all_the_same(table: pd.DataFrame) -> None:
    fast = table.copy()
    fast.loc[fast.index[-1], "Time"] += 3 * SECONDS_PER_DAY
    assert known(fast).until("served") == fast["Time"].max()
