"""Splitting by time keeps the future out of training; a split needs frauds in each part."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from fraud_model.data.dataset import Dataset, load_dataset
from fraud_model.data.split import split
from fraud_model.errors import DataError, ParameterError


def dataset_of(table: pd.DataFrame, folder: Path) -> Dataset:
    table.to_parquet(folder / "t.parquet", index=False)
    return load_dataset(str(folder / "t.parquet"), target="Class", time="Time", amount="Amount")


def test_by_time_train_comes_before_validation_before_holdout(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    parts = split(dataset_of(table, tmp_path), "time", seed=0)
    assert parts.train["Time"].max() <= parts.validation["Time"].min()
    assert parts.validation["Time"].max() <= parts.holdout["Time"].min()
    assert len(parts.train) == pytest.approx(0.6 * len(table), abs=1)
    assert len(parts.train) + len(parts.validation) + len(parts.holdout) == len(table)


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
