"""Which rows a version has learned from is known again, whatever became of their labels."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from fraud_model.data.columns import Columns
from fraud_model.data.dataset import Dataset, load_dataset
from fraud_model.data.labels import IGNORE_UNLABELLED
from fraud_model.data.overrides import ColumnRules
from fraud_model.data.split import Parts, split
from fraud_model.evaluation.learned import ABOUT_FILE, FOLDER, ROWS_FILE, Learned, read_learned
from fraud_model.evaluation.row_hashes import RowHashes
from fraud_model.tracking import open_run
from tests.support.columns import inferred
from tests.support.store import Store
from tests.support.typed_table import AMOUNT, FRAUD, TARGET, TIME, typed_table


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
        assert learned.seen(part, columns, "evaluation").all()
        assert learned.seen(part, columns, "served").all()
    assert not learned.seen(parts.holdout, columns, "evaluation").any()
    assert learned.seen(parts.holdout, columns, "served").all() == refitted
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
    places = hashes.places(other, columns)
    assert (places >= 0).all()
    assert (hashes.labels[places] == rows["Class"]).all()
    moved = other.assign(V2=np.nextafter(other["V2"].to_numpy(np.float32), np.float32(np.inf)))
    assert (hashes.places(moved, columns) < 0).all()
    assert not hashes.can_tell([name for name in columns.features if name != "V3"])


@pytest.fixture(scope="module")
def payments_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Payments whose dates are text and whose numbers and codes have all their digits."""
    path = tmp_path_factory.mktemp("payments") / "payments.csv"
    typed_table(rows=400).to_csv(path, index=False)
    return path


def payments(path: Path, folder: Path, mcc: str = "category") -> Dataset:
    rules = folder / "columns.yaml"
    rules.write_text(json.dumps({"columns": {"mcc": {"kind": mcc}}}))
    return load_dataset(
        str(path),
        target=TARGET,
        time=TIME,
        amount=AMOUNT,
        rules=ColumnRules(file=str(rules), fraud=FRAUD),
    )


def test_a_row_is_the_same_whatever_file_format_it_came_in(
    payments_csv: Path, tmp_path: Path
) -> None:
    other = typed_table(rows=400)
    other["born"] = pd.to_datetime(other["born"], format="%d/%m/%Y")
    other[TIME] = other[TIME].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    narrow = {AMOUNT: np.float32, "device_age": np.float32, "mcc": str}
    other.astype(narrow).to_parquet(tmp_path / "payments.parquet")
    text = payments(payments_csv, tmp_path)
    typed = payments(tmp_path / "payments.parquet", tmp_path)
    assert text.digest != typed.digest
    for one, two in ((text, typed), (typed, text)):
        hashes, _ = RowHashes.of(one.table, one.columns)
        assert (hashes.places(two.table, two.columns) >= 0).all()
        changed = two.table.assign(mcc=two.table["mcc"].iloc[::-1].to_numpy())
        same = changed["mcc"] == two.table["mcc"]
        assert ((hashes.places(changed, two.columns) >= 0) == same).all()


def test_a_row_is_the_same_where_its_columns_are_described_otherwise(
    payments_csv: Path, tmp_path: Path
) -> None:
    codes = payments(payments_csv, tmp_path)
    numbers = payments(payments_csv, tmp_path, mcc="number")
    for one, two in ((codes, numbers), (numbers, codes)):
        hashes, _ = RowHashes.of(one.table, one.columns)
        assert (hashes.places(two.table, two.columns) >= 0).all()
    hashes, _ = RowHashes.of(numbers.table, numbers.columns)
    unheard_of = codes.table.assign(mcc="no number")
    assert (hashes.places(unheard_of, codes.columns) < 0).all()


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
    assert learned.seen(holdout, columns, "evaluation").sum() == 7


def test_what_a_run_keeps_is_read_back(store: Store, table: pd.DataFrame, columns: Columns) -> None:
    parts = parts_of(table, columns, "time")
    learned = Learned.of(table, parts, columns, refitted=True)
    with open_run("train") as run:
        learned.log()
    again = read_learned(run.info.run_id)
    assert again
    assert (
        again.seen(parts.holdout, columns, "evaluation")
        == learned.seen(parts.holdout, columns, "evaluation")
    ).all()
    assert again.tags() == learned.tags()
    assert read_learned("0" * 32) is None


def test_a_record_of_values_as_they_are_stored_still_tells(store: Store) -> None:
    rows = pd.DataFrame({"Amount": [1.1, 2.5, 2.6], "merchant": ["baker", "butcher", "baker"]})
    columns = Columns("Class", ("Amount", "merchant"), None, "Amount")
    about = {
        "key": bytes(range(16)).hex(),
        "features": ["Amount", "merchant"],
        "split": "stratified",
        "refitted": False,
        "near_copies": 0,
        **dict.fromkeys(("from_time", "evaluation_until", "served_until", "mostly_until")),
    }
    # As the code of that time hashed the first two rows.
    hashes = np.array([5294746528834350932, 3717298799048945752], np.uint64)
    kept = pd.DataFrame({"hash": hashes, "label": [0, 1], "evaluation": True})
    with open_run("train") as run:
        mlflow.log_dict(about, f"{FOLDER}/{ABOUT_FILE}")
        with tempfile.TemporaryDirectory() as folder:
            kept.sort_values("hash").to_parquet(Path(folder) / ROWS_FILE)
            mlflow.log_artifacts(folder, FOLDER)
    learned = read_learned(run.info.run_id)
    assert learned
    assert learned.seen(rows, columns, "served").tolist() == [True, True, False]
