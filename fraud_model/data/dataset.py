"""From the `data` parameter to checked, deduplicated transactions with a digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fraud_model.data.labels import IGNORE_UNLABELLED, LabelRule
from fraud_model.data.schema import Columns, check_classes, check_values, resolve_columns
from fraud_model.data.sources import Kind, read_source


@dataclass(frozen=True)
class Dataset:
    """Labelled transactions, ready to split.

    `table` holds the features as float64 and the target as int64, no exact duplicates, in the
    order of time where there is a time column. `digest` is a SHA-256 of these values, whatever
    the format they were read from. `unknown` holds the features of transactions whose label is not
    known yet; `young` of them are younger than the label delay.
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
    data: str, *, target: str, time: str, amount: str, label_rule: LabelRule = IGNORE_UNLABELLED
) -> Dataset:
    """Reads, checks and deduplicates the transactions that the `data` parameter names.

    `read_source` says what `data` may be.

    Raises:
        DataError: the table cannot be trained on; the message says where and how to fix it.
    """
    read = read_source(data)
    raw, source, kind = read.frame, read.source, read.kind
    columns = resolve_columns(raw, source, target, time, amount)
    table, duplicates = _drop_duplicates(check_values(raw, columns, source))
    times = None
    if columns.time is not None:
        table = table.sort_values(columns.time, kind="stable", ignore_index=True)
        times = table[columns.time].to_numpy()
    labels, known, young = label_rule.settle(table[columns.target].to_numpy(), times, source)
    settled = labels[known].astype(np.int64)
    check_classes(settled, columns.target, source)
    labelled = table[known].assign(**{columns.target: settled}).reset_index(drop=True)
    return Dataset(
        table=labelled,
        columns=columns,
        source=source,
        kind=kind,
        digest=digest_of(labelled),
        duplicates=duplicates,
        unknown=table.loc[~known, list(columns.features)].reset_index(drop=True),
        young=int(young.sum()),
        label_rule=label_rule,
    )


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
