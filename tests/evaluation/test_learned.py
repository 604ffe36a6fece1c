"""Which rows a version has learned from is known again, whatever became of their labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fraud_model.data.columns import Columns
from fraud_model.data.dataset import Dataset
from fraud_model.data.labels import IGNORE_UNLABELLED
from fraud_model.data.split import Parts, split
from fraud_model.evaluation.learned import Learned, RowHashes, read_learned
from fraud_model.tracking import open_run
from tests.support.columns import inferred
from tests.support.store import Store


@pytest.fixture(scope="module")
def columns(table: pd.DataFrame) -> Columns:
    return inferred(table)


def parts_of(table: pd.DataFrame, columns: Columns, by: str) -> Parts:
    dataset = Dataset(table, columns, "a test", "real", "", 0, table.iloc[:0], 0, IGNORE_UNLABELLED)
    return split(dataset, by, 0)


@pytest.mark.parametrize("refitted", [True, False])
@pytest.mark.parametrize("by", ["time", "stratified"])
def test_each_model_knows_its_rows_and_no_others(
    table: pd.DataFrame, columns: Columns, by: str, refitted: bool
) -> None:
    table = table.drop_duplicates(list(columns.features), ignore_index=True)
    parts = parts_of(table, columns, by)
    learned = Learned.of(table, parts, columns, refitted=refitted)
    for part in (parts.train, parts.validation):
        assert learned.seen(part, "evaluation").all()
        assert learned.seen(part, "served").all()
    assert not learned.seen(parts.holdout, "evaluation").any()
    assert learned.seen(parts.holdout, "served").all() == refitted
    if by == "time":
        ends = (parts.validation if not refitted else parts.holdout)["Time"].max()
        assert float(learned.tags()["learned_until_time"]) == ends
        assert float(learned.tags()["evaluation_until_time"]) == parts.validation["Time"].max()


def test_a_row_stays_the_same_without_its_label_and_in_other_columns_order(
    table: pd.DataFrame, columns: Columns
) -> None:
    rows = table.head(50).assign(V1=0.0)
    hashes, _ = RowHashes.of(rows, columns)
    other = rows.assign(V1=-0.0, Class=1)[list(reversed(table.columns))]
    places = hashes.places(other)
    assert (places >= 0).all()
    assert (hashes.labels[places] == rows["Class"]).all()
    moved = other.assign(V2=np.nextafter(other["V2"].to_numpy(), np.inf))
    assert (hashes.places(moved) < 0).all()
    assert not hashes.can_tell([name for name in columns.features if name != "V3"])


def test_the_hashes_of_two_runs_have_nothing_in_common(
    table: pd.DataFrame, columns: Columns
) -> None:
    first, second = (RowHashes.of(table, columns)[0].hashes for _ in range(2))
    assert not set(first.tolist()) & set(second.tolist())


def test_a_jittered_copy_of_a_learned_fraud_counts_as_learned(
    table: pd.DataFrame, columns: Columns
) -> None:
    parts = parts_of(table, columns, "stratified")
    frauds = parts.train[parts.train["Class"] == 1].head(7)
    near = frauds.assign(V1=frauds["V1"] + 0.001, Time=0.0)
    holdout = pd.concat([parts.holdout, near], ignore_index=True)
    jittered = replace(parts, holdout=holdout)
    learned = Learned.of(table, jittered, columns, refitted=False)
    assert learned.copies == 7
    assert learned.seen(holdout, "evaluation").sum() == 7


def test_what_a_run_keeps_is_read_back(store: Store, table: pd.DataFrame, columns: Columns) -> None:
    parts = parts_of(table, columns, "time")
    learned = Learned.of(table, parts, columns, refitted=True)
    with open_run("train") as run:
        learned.log()
    again = read_learned(run.info.run_id)
    assert again
    assert (
        again.seen(parts.holdout, "evaluation") == learned.seen(parts.holdout, "evaluation")
    ).all()
    assert again.tags() == learned.tags()
    assert read_learned("0" * 32) is None
