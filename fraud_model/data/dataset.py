"""From the `data` parameter to checked, deduplicated transactions with a digest."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from fraud_model.arrays import Flags
from fraud_model.data.columns import Columns
from fraud_model.data.download import download_creditcard, fetch, public
from fraud_model.data.files import read_table
from fraud_model.data.kinds import Column
from fraud_model.data.labels import IGNORE_UNLABELLED, LabelRule
from fraud_model.data.overrides import ColumnRules
from fraud_model.data.simulation import simulate
from fraud_model.data.table import columns_of, typed
from fraud_model.data.target import check_classes, read_labels
from fraud_model.errors import DataError

DEFAULT_FILE = Path("data/creditcard.csv")

Kind = Literal["real", "simulated"]

# Nothing is said of any column.
INFER_ALL = ColumnRules()


@dataclass(frozen=True)
class Dataset:
    """Labelled transactions, ready to split.

    `table` holds the features as a request has them and the target as int64, in the order of time
    where there is a time column. Of rows that were equal in every column of the table as it came,
    one is left. `digest` is a SHA-256 of these values, whatever the format they were read from.
    `unknown` holds the features of transactions whose label is not known yet; `young` of them are
    younger than the label delay. `described` are all columns of the table as it came.
    """

    table: pd.DataFrame
    columns: Columns
    source: str
    kind: Kind
    digest: str
    duplicates: int
    unknown: pd.DataFrame
    young: int
    label_rule: LabelRule
    described: tuple[Column, ...] = ()

    @property
    def frauds(self) -> int:
        """How many transactions are labelled 1."""
        return int(self.table[self.columns.target].sum())

    @property
    def fraud_rate(self) -> float:
        """Share of transactions labelled 1."""
        return self.frauds / len(self.table)

    def genuine_weight(self, fraud_rate: float) -> float:
        """How many transactions each genuine row stands for if frauds are `fraud_rate` of all.

        1 if `fraud_rate` is 0.
        """
        if not fraud_rate:
            return 1.0
        genuine = len(self.table) - self.frauds
        return (1 - fraud_rate) / fraud_rate * self.frauds / genuine


def load_dataset(
    data: str,
    *,
    target: str,
    time: str,
    amount: str,
    label_rule: LabelRule = IGNORE_UNLABELLED,
    rules: ColumnRules = INFER_ALL,
) -> Dataset:
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
    columns, described = columns_of(raw, source, target, time, amount, rules)
    labels = read_labels(raw[target], rules.fraud, source)
    table = typed(raw, columns).assign(**{target: labels})
    repeated = _repeated(raw)
    table = table[~repeated].reset_index(drop=True)
    times = columns.seconds(table)
    if times is not None:
        order = np.argsort(times, kind="stable")
        table, times = table.iloc[order].reset_index(drop=True), times[order]
    labels, known, young = label_rule.settle(table[target].to_numpy(), times, source)
    settled = labels[known].astype(np.int64)
    check_classes(settled, columns.target, source)
    labelled = table[known].assign(**{columns.target: settled}).reset_index(drop=True)
    return Dataset(
        table=labelled,
        columns=columns,
        described=tuple(described),
        source=source,
        kind=kind,
        digest=digest_of(labelled),
        duplicates=int(repeated.sum()),
        unknown=table.loc[~known, list(columns.features)].reset_index(drop=True),
        young=int(young.sum()),
        label_rule=label_rule,
    )


def _read_url(url: str) -> pd.DataFrame:
    name = Path(public(url)).name
    with tempfile.TemporaryDirectory() as folder:
        try:
            return read_table(fetch(url, Path(folder) / name))
        except DataError as error:
            # The temporary file means nothing to the reader of a message; the URL does.
            raise DataError(str(error).replace(folder + "/" + name, public(url))) from error


def _repeated(table: pd.DataFrame) -> Flags:
    """Which rows equal an earlier one in every column, shape (rows,)."""
    # Comparing whole rows costs seconds at full size: only rows with equal hashes are compared.
    suspects = table[_row_hashes(table).duplicated(keep=False).to_numpy()]
    repeated = np.zeros(len(table), dtype=bool)
    repeated[table.index.get_indexer(suspects.index[suspects.duplicated()])] = True
    return repeated


def digest_of(table: pd.DataFrame) -> str:
    """SHA-256 of a table's column names and values, as hexadecimal digits."""
    digest = hashlib.sha256(",".join(table.columns).encode())
    digest.update(_row_hashes(table).to_numpy().tobytes())
    return digest.hexdigest()


def _row_hashes(table: pd.DataFrame) -> pd.Series:
    # A column of booleans with gaps holds several types, which pandas does not hash.
    mixed = [name for name in table if pd.api.types.is_object_dtype(table[name].dtype)]
    return pd.util.hash_pandas_object(table.astype(dict.fromkeys(mixed, "str")), index=False)
