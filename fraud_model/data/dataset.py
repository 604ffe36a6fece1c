"""From the `data` parameter to checked, deduplicated transactions with a digest."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from fraud_model.data.download import download_creditcard, fetch, public
from fraud_model.data.files import read_table
from fraud_model.data.schema import Columns, check_values, resolve_columns
from fraud_model.data.simulation import simulate
from fraud_model.errors import DataError

DEFAULT_FILE = Path("data/creditcard.csv")

Kind = Literal["real", "simulated"]


@dataclass(frozen=True)
class Dataset:
    """Labelled transactions, ready to split.

    `table` holds the features as float64 and the target as int64, no exact duplicates, in the
    order of time where there is a time column. `digest` is a SHA-256 of these values, whatever
    the format they were read from.
    """

    table: pd.DataFrame
    columns: Columns
    source: str
    kind: Kind
    digest: str
    duplicates: int

    @property
    def frauds(self) -> int:
        """How many transactions are labelled 1."""
        return int(self.table[self.columns.target].sum())

    @property
    def fraud_rate(self) -> float:
        """Share of transactions labelled 1."""
        return self.frauds / len(self.table)


def load_dataset(data: str, *, target: str, time: str, amount: str) -> Dataset:
    """Reads, checks and deduplicates the transactions that the `data` parameter names.

    `data` is a CSV, CSV.gz or Parquet file, an http(s) URL of one, `kaggle`, `simulated`, or
    `auto` for `data/creditcard.csv` if that exists and `simulated` if not.

    Raises:
        DataError: the table cannot be trained on; the message says where and how to fix it.
    """
    if data == "auto":
        data = str(DEFAULT_FILE) if DEFAULT_FILE.exists() else "simulated"
    if data == "simulated":
        kind: Kind = "simulated"
        source = "simulation, seed 0"
        raw = simulate()
    elif data == "kaggle":
        kind, source = "real", "kaggle:mlg-ulb/creditcardfraud"
        raw = read_table(download_creditcard(DEFAULT_FILE, "kaggle"))
    elif data.startswith(("http://", "https://")):
        kind, source = "real", public(data)
        raw = _read_url(data)
    else:
        kind, source = "real", data
        raw = read_table(Path(data).expanduser())
    columns = resolve_columns(raw, source, target, time, amount)
    table = check_values(raw, columns, source)
    table, duplicates = _drop_duplicates(table)
    if columns.time is not None:
        table = table.sort_values(columns.time, kind="stable", ignore_index=True)
    return Dataset(table, columns, source, kind, digest_of(table), duplicates)


def _read_url(url: str) -> pd.DataFrame:
    name = Path(public(url)).name
    with tempfile.TemporaryDirectory() as folder:
        try:
            return read_table(fetch(url, Path(folder) / name))
        except DataError as error:
            # The temporary file means nothing to the reader of a message; the URL does.
            raise DataError(str(error).replace(folder + "/" + name, public(url))) from error


def _drop_duplicates(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    # Comparing whole rows costs seconds at full size: only rows with equal hashes are compared.
    hashes = pd.util.hash_pandas_object(table, index=False)
    suspects = table[hashes.duplicated(keep=False)]
    repeated = suspects.index[suspects.duplicated()]
    return table.drop(index=repeated).reset_index(drop=True), len(repeated)


def digest_of(table: pd.DataFrame) -> str:
    """SHA-256 of a table's column names and values, as hexadecimal digits."""
    digest = hashlib.sha256(",".join(table.columns).encode())
    digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return digest.hexdigest()
