"""The `data` parameter: where transactions come from, and what is dropped on the way."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from fraud_model.data.dataset import Dataset, load_dataset
from fraud_model.data.overrides import ColumnRules
from fraud_model.errors import DataError
from tests.support.file_server import serve_folder


def load(data: str | Path) -> Dataset:
    return load_dataset(str(data), target="Class", time="Time", amount="Amount")


def test_exact_duplicates_are_dropped_and_counted(tmp_path: Path, table: pd.DataFrame) -> None:
    doubled = pd.concat([table, table.head(7), table.head(3)])
    doubled.to_csv(tmp_path / "t.csv", index=False)
    dataset = load(tmp_path / "t.csv")
    assert dataset.duplicates == 10 + int(table.duplicated().sum())
    assert not dataset.table.duplicated().any()


def test_rows_come_in_the_order_of_time(tmp_path: Path, table: pd.DataFrame) -> None:
    table.sample(frac=1, random_state=3).to_csv(tmp_path / "t.csv", index=False)
    assert load(tmp_path / "t.csv").table["Time"].is_monotonic_increasing


def test_a_column_beside_the_table_has_its_rows(tmp_path: Path, table: pd.DataFrame) -> None:
    owner = table.assign(gender=["f" if value > 0 else "m" for value in table["V1"]])
    mixed = pd.concat([owner, owner.head(50)]).sample(frac=1, random_state=3)
    mixed.to_csv(tmp_path / "t.csv", index=False)
    dataset = load_dataset(
        str(tmp_path / "t.csv"),
        target="Class",
        time="Time",
        amount="Amount",
        rules=ColumnRules(exclude="gender"),
        beside=("gender", "V1"),
    )
    assert list(dataset.beside) == ["gender"], "V1 is in the table itself"
    assert ((dataset.beside["gender"] == "f") == (dataset.table["V1"] > 0)).all()


def test_the_digest_follows_the_values_and_not_the_format(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    table.assign(V1=table["V1"] + 1e-9).to_csv(tmp_path / "other.csv", index=False)
    digests = [load(tmp_path / name).digest for name in ("t.csv", "t.parquet", "other.csv")]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.slow
def test_auto_takes_the_downloaded_file_and_else_simulates(
    tmp_path: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    simulated = load("auto")
    assert (simulated.kind, len(simulated.table), simulated.frauds) == ("simulated", 284_807, 492)
    (tmp_path / "data").mkdir()
    table.to_csv(tmp_path / "data" / "creditcard.csv", index=False)
    real = load("auto")
    assert (real.kind, real.source) == ("real", "data/creditcard.csv")


def test_a_url_is_fetched_and_its_secrets_are_not_kept(tmp_path: Path, table: pd.DataFrame) -> None:
    table.to_csv(tmp_path / "t.csv.gz", index=False)
    with serve_folder(tmp_path) as url:
        dataset = load(f"{url}/t.csv.gz?token=secret")
        assert dataset.frauds == int(table["Class"].sum())
        assert dataset.source == f"{url}/t.csv.gz"


def test_a_bad_table_behind_a_url_is_named_by_its_url(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,a\n1,2\n")
    with serve_folder(tmp_path) as url, pytest.raises(DataError, match=f"{url}/t.csv: duplicate"):
        load(f"{url}/t.csv")
