"""Makes a training table of an audit log and the labels that have arrived.

The rows of the log go to a temporary folder beside the output first: only at the end of the log is
it known what columns there are, which rows are doubles, and which labels are late.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from fraud_model.arrays import Floats
from fraud_model.data.arrow_files import parquet_in_batches
from fraud_model.data.collected import Collected
from fraud_model.data.collected_columns import (
    check_names,
    column_of,
    common_schema,
    partly_sent,
)
from fraud_model.data.content import first_line
from fraud_model.data.doubles import Doubles
from fraud_model.data.label_table import DATE, LabelTable
from fraud_model.data.labels import LabelRule
from fraud_model.data.sent_rows import OWN, REQUEST, ROW, TIME, SentRows
from fraud_model.errors import DataError

# Rows of an earlier table that are held at a time.
ROWS_PER_BATCH = 50_000


def collect(
    sent: SentRows,
    labels: LabelTable,
    rule: LabelRule,
    target: str,
    output: Path,
    base: tuple[Path, str] | None,
) -> Collected:
    """Writes the table to `output`, which is replaced at the end, whole.

    The columns are those of `OWN`, the features of all versions, since when the label is known, if
    that was said, and the label in `target`: 1, 0, or null while it is not known. `base` is the
    file of an earlier table, and what messages call it. Its rows come first; labels that have
    arrived since are theirs too, unless the table holds one of a later date. Of several rows with
    the same request id and row, the first stays.

    Raises:
        DataError: the log holds no row of the model, `base` is no such table, columns have the same
            name, or the output cannot be written.
    """
    earlier = _Earlier(*base, target) if base else None
    try:
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
            return _collect(sent, labels, rule, target, output, earlier, Path(folder))
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror or error}.") from error


def _collect(
    sent: SentRows,
    labels: LabelTable,
    rule: LabelRule,
    target: str,
    output: Path,
    earlier: _Earlier | None,
    folder: Path,
) -> Collected:
    doubles, now = Doubles(), -np.inf
    schemas: list[pyarrow.Schema] = []
    parts: list[Path] = []
    if earlier:
        schemas.append(earlier.schema)
        for table in earlier.tables([REQUEST, ROW, TIME]):
            doubles.add(_keys(table))
            now = max(now, float(_seconds(table).max()))
    for table in sent.tables():
        check_names(sent.seen, target)
        doubles.add(_keys(table))
        now = max(now, float(_seconds(table).max()))
        schemas.append(table.schema)
        parts.append(folder / f"{len(parts)}.parquet")
        pyarrow.parquet.write_table(table, parts[-1], compression="lz4")
    if not parts and not earlier:
        raise DataError(
            f"{sent.describe()}. Name the log of the server, and the model with -P model_name=."
        )
    schema, as_text = common_schema(schemas, target)
    first = doubles.first()
    writer = _Writer(folder / "table", schema, labels, rule, target, now)
    with writer:
        place = 0
        for is_new, table in _all(earlier, parts):
            writer.write(table.filter(first[place : place + len(table)]), is_new)
            place += len(table)
    # Card data: for its owner only, as the log is.
    (folder / "table").chmod(0o600)
    (folder / "table").replace(output)
    return Collected(
        seen=sent.seen,
        rows=writer.rows,
        new=writer.new,
        doubles=len(first) - writer.rows,
        frauds=writer.frauds,
        unknown=writer.unknown,
        young=writer.young,
        corrected=writer.corrected,
        partly=partly_sent(sent.seen),
        as_text=as_text,
        columns=tuple(schema.names),
    )


class _Earlier:
    """A table that was collected before."""

    def __init__(self, path: Path, place: str, target: str) -> None:
        try:
            self._file = parquet_in_batches(path)
        except (pyarrow.ArrowException, OSError) as error:
            raise _damaged(place, error) from error
        self._place = place
        self.schema = self._file.schema_arrow
        missing = [name for name in (*OWN, target) if name not in self.schema.names]
        if missing:
            raise DataError(
                f"base={place} lacks the columns {', '.join(map(repr, missing))}. Give a table "
                "that collect wrote with the same target."
            )

    def tables(self, columns: list[str] | None = None) -> Iterator[pyarrow.Table]:
        try:
            for batch in self._file.iter_batches(ROWS_PER_BATCH, columns=columns):
                yield pyarrow.Table.from_batches([batch])
        except (pyarrow.ArrowException, OSError) as error:
            raise _damaged(self._place, error) from error


def _damaged(place: str, error: Exception) -> DataError:
    return DataError(
        f"base={place} cannot be read as a Parquet file ({first_line(error)}). Give a table that "
        "collect wrote, or leave base out."
    )


class _Writer:
    """Writes tables with labels as one Parquet file, and counts."""

    def __init__(
        self,
        path: Path,
        schema: pyarrow.Schema,
        labels: LabelTable,
        rule: LabelRule,
        target: str,
        now: float,
    ) -> None:
        self.rows = self.new = self.frauds = self.unknown = self.young = self.corrected = 0
        self._file = pyarrow.parquet.ParquetWriter(path, schema, compression="zstd")
        self._schema = schema
        self._labels = labels
        self._rule = rule
        self._target = target
        self._now = now

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, table: pyarrow.Table, is_new: bool) -> None:
        if not len(table):
            return
        before, dates = np.full(len(table), np.nan), np.full(len(table), -np.inf)
        if self._target in table.column_names:
            before = _floats(table[self._target])
        if DATE in table.column_names:
            dates = np.nan_to_num(_seconds(table, DATE), nan=-np.inf)
        keys = [(request, str(row)) for request, row in _keys(table)]
        found, found_dates = self._labels.of(keys), self._labels.dates_of(keys)
        is_later = ~np.isnan(found) & (np.isnan(before) | (found_dates >= dates))
        labels, dates = np.where(is_later, found, before), np.where(is_later, found_dates, dates)
        self.corrected += int((~np.isnan(before) & (labels != before)).sum())
        settled, known, young = self._rule.settle(labels, _seconds(table), "the log", self._now)
        self.rows += len(table)
        self.new += len(table) * is_new
        self.frauds += int((settled[known] == 1).sum())
        self.unknown += int((~known).sum())
        self.young += int(young.sum())
        undated = ~known | np.isinf(dates)
        moments = np.where(undated, 0, dates * 1e6).round().astype(np.int64)
        own = {
            self._target: pyarrow.array(np.nan_to_num(settled).astype(np.int64), mask=~known),
            DATE: pyarrow.array(moments, mask=undated).cast(OWN[TIME]),
        }
        columns = [own[f.name] if f.name in own else column_of(table, f) for f in self._schema]
        self._file.write_table(pyarrow.table(columns, schema=self._schema))


def _all(earlier: _Earlier | None, parts: list[Path]) -> Iterator[tuple[bool, pyarrow.Table]]:
    for table in earlier.tables() if earlier else ():
        yield False, table
    for part in parts:
        yield True, pyarrow.parquet.ParquetFile(part).read()


def _keys(table: pyarrow.Table) -> Iterator[tuple[str, int]]:
    return zip(table[REQUEST].to_pylist(), table[ROW].to_pylist(), strict=True)


def _seconds(table: pyarrow.Table, column: str = TIME) -> Floats:
    return _floats(table[column].cast(OWN[TIME]).cast(pyarrow.int64())) / 1e6


def _floats(column: pyarrow.ChunkedArray) -> Floats:
    return np.asarray(column.cast(pyarrow.float64()), dtype=np.float64)
