"""Splitting by time keeps the future out of training; a split needs frauds in each part."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from fraud_model.data.dataset import Dataset, load_dataset
from fraud_model.data.labels import IGNORE_UNLABELLED, LabelRule
from fraud_model.data.split import split
from fraud_model.errors import DataError, ParameterError


def dataset_of(table: pd.DataFrame, folder: Path, rule: LabelRule = IGNORE_UNLABELLED) -> Dataset:
    table.to_parquet(folder / "t.parquet", index=False)
    return load_dataset(
        str(folder / "t.parquet"), target="Class", time="Time", amount="Amount", label_rule=rule
    )


def test_by_time_train_comes_before_validation_before_holdout(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    parts = split(dataset_of(table, tmp_path), "time", seed=0)
    assert parts.train["Time"].max() <= parts.validation["Time"].min()
    assert parts.validation["Time"].max() <= parts.holdout["Time"].min()
    assert len(parts.train) == pytest.approx(0.6 * len(table), abs=1)
    assert len(parts.train) + len(parts.validation) + len(parts.holdout) == len(table)


def test_the_label_delay_stays_free_in_front_of_validation_and_holdout(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    delay = 3 * 3_600
    late = dataset_of(table, tmp_path, LabelRule(delay))
    assert late.table["Time"].max() <= table["Time"].max() - delay
    assert late.young == len(late.unknown) > 0
    parts = split(late, "time", seed=0)
    for before, after in ((parts.train, parts.validation), (parts.validation, parts.holdout)):
        gap = after["Time"].min() - before["Time"].max()
        assert delay <= gap < delay + 600
    whole = split(late, "stratified", seed=0)
    assert (whole.gap, len(pd.concat(whole.named().values()))) == (0, len(late.table))
    assert parts.gap == len(late.table) - len(pd.concat(parts.named().values())) > 0


def test_a_delay_that_leaves_too_few_frauds_is_named(tmp_path: Path, table: pd.DataFrame) -> None:
    half = 0.45 * (table["Time"].max() - table["Time"].min())
    late = dataset_of(table, tmp_path, LabelRule(half))
    with pytest.raises(DataError, match=r"train part.* label delay of .* days.*a shorter"):
        split(late, "time", seed=0)


def test_a_stratified_part_stands_for_its_share_of_the_days(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    dataset = dataset_of(table, tmp_path)
    parts = split(dataset, "stratified", seed=0)
    whole = (table["Time"].max() - table["Time"].min()) / 86_400
    assert parts.days["holdout"] == pytest.approx(whole / 5, rel=0.01)
    assert sum(parts.days.values()) == pytest.approx(whole)
    timeless = split(dataset_of(table.drop(columns="Time"), tmp_path), "time", seed=0)
    assert set(timeless.days.values()) == {1.0}


def test_stratified_parts_have_the_same_fraud_rate_and_share_no_row(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    parts = split(dataset_of(table, tmp_path), "stratified", seed=0)
    rates = [part["Class"].mean() for part in (parts.train, parts.validation, parts.holdout)]
    assert max(rates) - min(rates) < 0.001
    together = pd.concat([parts.train, parts.validation, parts.holdout])
    assert len(together) == len(table)
    assert not together.duplicated().any()


def test_without_a_time_column_the_split_is_stratified(tmp_path: Path, table: pd.DataFrame) -> None:
    parts = split(dataset_of(table.drop(columns="Time"), tmp_path), "time", seed=0)
    assert parts.how == "stratified"


def test_too_few_frauds_are_counted(tmp_path: Path, table: pd.DataFrame) -> None:
    few = pd.concat([table[table["Class"] == 0], table[table["Class"] == 1].head(12)])
    with pytest.raises(DataError, match=r"12 frauds in [\d,]+ transactions are too few"):
        split(dataset_of(few, tmp_path), "time", seed=0)


def test_a_part_without_frauds_is_named_with_its_mend(tmp_path: Path, table: pd.DataFrame) -> None:
    early = table[(table["Class"] == 0) | (table["Time"] < table["Time"].quantile(0.5))]
    with pytest.raises(DataError, match=r"the validation part, .* holds 0 frauds .*stratified"):
        split(dataset_of(early, tmp_path), "time", seed=0)


def test_an_unknown_split_is_refused(tmp_path: Path, table: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="split='random'"):
        split(dataset_of(table, tmp_path), "random", seed=0)
