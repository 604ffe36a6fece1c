"""Labels are late: a transaction is genuine only once its delay is over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud_model.data.dataset import load_dataset
from fraud_model.data.labels import LabelRule
from fraud_model.errors import DataError, ParameterError

DAY = 86_400.0
TIMES = np.array([0, 1, 2, 8, 10]) * DAY
LABELS = np.array([1, 0, np.nan, np.nan, 1])


def test_by_default_a_row_without_a_label_is_left_out() -> None:
    labels, known, young = LabelRule().settle(LABELS, TIMES, "t")
    assert known.tolist() == [True, True, False, False, True]
    assert not young.any()
    assert labels[known].tolist() == [1, 0, 1]


def test_silence_is_genuine_once_the_delay_is_over_and_young_rows_stay_out() -> None:
    labels, known, young = LabelRule(7 * DAY, "genuine").settle(LABELS, TIMES, "t")
    assert labels[known].tolist() == [1, 0, 0]
    assert known.tolist() == [True, True, True, False, False]
    # A fraud that came early says nothing about its neighbours that have had no time to.
    assert young.tolist() == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("delay", "unlabelled", "message"),
    [
        ("7", "ignore", r"label_delay='7' is invalid: expected a duration such as 7d"),
        ("-1d", "ignore", "label_delay='-1d'"),
        ("week", "ignore", "label_delay='week'"),
        ("7d", "fraud", "unlabelled='fraud' is invalid: expected ignore or genuine"),
    ],
)
def test_what_is_no_rule_is_refused(delay: str, unlabelled: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        LabelRule.parse(delay, unlabelled)


def test_a_rule_reads_days_hours_and_none() -> None:
    assert LabelRule.parse("7d", "genuine") == LabelRule(7 * DAY, "genuine")
    assert LabelRule.parse("12h", "ignore") == LabelRule(DAY / 2, "ignore")
    assert LabelRule.parse("0", "ignore") == LabelRule()


def test_a_delay_needs_a_time(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2, 3], "Class": [0, 1, 0]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match="no time column, so label_delay cannot be measured"):
        load_dataset(
            str(tmp_path / "t.csv"),
            target="Class",
            time="Time",
            amount="Amount",
            label_rule=LabelRule(DAY),
        )


def test_a_chargeback_feed_of_frauds_alone_is_a_table(tmp_path: Path, table: pd.DataFrame) -> None:
    feed = table.assign(Class=table["Class"].where(table["Class"] == 1))
    feed.to_csv(tmp_path / "t.csv", index=False)
    delay = 6 * 3_600.0
    dataset = load_dataset(
        str(tmp_path / "t.csv"),
        target="Class",
        time="Time",
        amount="Amount",
        label_rule=LabelRule(delay, "genuine"),
    )
    old = table[table["Time"] <= table["Time"].max() - delay].drop_duplicates()
    assert len(dataset.table) == len(old)
    assert dataset.frauds == int(old["Class"].sum())
    assert "Class" not in dataset.unknown
