"""From the `data` parameter to checked, deduplicated transactions with a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from fraud_model.arrays import Flags, Floats
from fraud_model.data.column_files import stored, table_of
from fraud_model.data.columns import Columns, days_between
from fraud_model.data.kinds import Column
from fraud_model.data.labels import IGNORE_UNLABELLED, LabelRule
from fraud_model.data.overrides import ColumnRules
from fraud_model.data.sources import Kind, read_source
from fraud_model.data.table import columns_of, typed, typed_column
from fraud_model.data.target import check_classes, read_labels

# Nothing is said of any column.
INFER_ALL = ColumnRules()


@dataclass(frozen=True)
class Dataset:
    """Labelled transactions, ready to split.

    `table` holds the features as a request has them and the target as int64, in the order of time
    where there is a time column; its columns lie in files, see `column_files`. Of rows that were
    equal in every column of the table as it came, one is left. `digest` is a SHA-256 of these
    values, whatever the format they were read from. `unknown` holds the features of transactions
    whose label is not known yet; `young` of them are younger than the label delay. `described` are
    all columns of the table as it came, and `notes` what was recognised while it was read. `beside`
    holds columns that are no features and were asked for, with the rows of `table`.
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
    notes: tuple[str, ...] = ()
    beside: pd.DataFrame = field(default_factory=pd.DataFrame)

    @cached_property
    def seconds(self) -> Floats | None:
        """When each row of the table happened, shape (rows,); None if it has no time.

        Reading the times of a large table from text takes seconds.
        """
        return self.columns.seconds(self.table)

    @property
    def days(self) -> float:
        """Days from the first to the last row; 1.0 if the table has no time."""
        return days_between(self.seconds)

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
    query: str = "",
    beside: Sequence[str] = (),
) -> Dataset:
    """Reads, checks and deduplicates the transactions that the `data` parameter names.

    `read_source` says what `data` may be. Of the columns that are left out, those in `beside` are
    kept beside the table.

    Raises:
        DataError: the table cannot be trained on; the message says where and how to fix it.
    """
    read = read_source(data, query)
    raw, source = read.frame, read.source
    columns, described = columns_of(raw, source, target, time, amount, rules)
    labels = read_labels(raw[target], rules.fraud, source)
    repeated = _repeated(raw)
    places = np.flatnonzero(~repeated)
    times = None
    if columns.time is not None:
        feature = columns.described[columns.time]
        read_times = feature.read(typed_column(raw[columns.time], feature))
        places = places[np.argsort(read_times[places], kind="stable")]
        times = read_times[places]
    labels, known, young = label_rule.settle(labels[places], times, source)
    settled = labels[known].astype(np.int64)
    check_classes(settled, columns.target, source)
    labelled = typed(raw, columns, places[known]).assign(**{columns.target: settled})
    return Dataset(
        table=labelled,
        columns=columns,
        described=tuple(described),
        source=source,
        kind=read.kind,
        notes=read.notes,
        digest=digest_of(labelled),
        duplicates=int(repeated.sum()),
        unknown=typed(raw, columns, places[~known]),
        young=int(young.sum()),
        label_rule=label_rule,
        beside=table_of(
            stored(raw[name].take(places[known])) for name in columns.ignored if name in beside
        ),
    )


def _repeated(table: pd.DataFrame) -> Flags:
    """Which rows equal an earlier one in every column, shape (rows,)."""
    # Comparing whole rows costs seconds at full size: only rows with equal hashes are compared.
    hashes = pd.util.hash_pandas_object(table, index=False)
    suspects = table[hashes.duplicated(keep=False).to_numpy()]
    repeated = np.zeros(len(table), dtype=bool)
    repeated[table.index.get_indexer(suspects.index[suspects.duplicated()])] = True
    return repeated


def digest_of(table: pd.DataFrame) -> str:
    """SHA-256 of a table's column names and values, as hexadecimal digits."""
    digest = hashlib.sha256(",".join(table.columns).encode())
    digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return digest.hexdigest()
