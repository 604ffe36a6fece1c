"""The rows of one file, or of a folder of Parquet files, as pieces in order."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet

from fraud_model.data.arrow_files import (
    folder_dataset,
    incomplete,
    parquet_in_batches,
    reading_folder,
)
from fraud_model.data.content import DAMAGED, Content, damaged
from fraud_model.data.csv_files import CsvRows
from fraud_model.data.headers import named
from fraud_model.data.json_files import json_tables
from fraud_model.data.piece import Piece
from fraud_model.errors import DataError

# Columns of so many doubles stay in a core's own cache.
ROWS_PER_PIECE = 1 << 14


class Reader(Protocol):
    """The rows of a file or folder; `rows` is None where only reading them tells their number."""

    @property
    def place(self) -> str: ...

    @property
    def columns(self) -> Sequence[str]: ...

    @property
    def rows(self) -> int | None: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def pieces(self, names: Sequence[str], numbers: Collection[str]) -> Iterator[Piece]:
        """The rows with the columns `names`, in order; see `stream.Stream`."""


class ParquetReader:
    """A Parquet file."""

    def __init__(self, content: Content, folder: Path) -> None:
        self.place, self.notes = content.place, content.notes
        self._path = _uncompressed(content, folder)
        try:
            metadata = pyarrow.parquet.read_metadata(self._path)
        except (pyarrow.ArrowException, OSError) as error:
            raise incomplete(self.place, "Parquet", error) from error
        self.rows = metadata.num_rows
        self.columns = named(metadata.schema.to_arrow_schema().names, self.place)

    def pieces(self, names: Sequence[str], numbers: Collection[str]) -> Iterator[Piece]:
        first = 0
        for batch in _batches(self._path, names, self.place):
            yield Piece(pyarrow.Table.from_batches([batch]).select(names), self.place, first)
            first += len(batch)


class FolderReader:
    """All Parquet files below a folder, in the order of their paths; see `read_folder`."""

    def __init__(self, folder: Path, place: str) -> None:
        self.place, self._folder = place, folder
        self._dataset = folder_dataset(folder, place)
        self.files = [Path(file) for file in self._dataset.files]
        self.columns = list(self._dataset.schema.names)
        with reading_folder(folder, place):
            self.rows = self._dataset.count_rows()
        self.notes = (f"{len(self.files)} Parquet files, in the order of their paths",)

    def pieces(self, names: Sequence[str], numbers: Collection[str]) -> Iterator[Piece]:
        schema = pyarrow.schema([self._dataset.schema.field(name) for name in names])
        for fragment in self._dataset.get_fragments():
            file, first = Path(fragment.path), 0
            place = f"{self.place}: {file.relative_to(self._folder)}"
            own = pyarrow.dataset.get_partition_keys(fragment.partition_expression)
            inside = [name for name in names if name not in own]
            for batch in _batches(file, inside, place):
                columns = [
                    pyarrow.repeat(pyarrow.scalar(own[f.name], f.type), len(batch))
                    if f.name in own
                    else _cast(batch[f.name], f.type, self._folder, self.place)
                    for f in schema
                ]
                yield Piece(pyarrow.table(columns, schema=schema), place, first)
                first += len(batch)


class ArrowReader:
    """An Arrow or Feather file."""

    def __init__(self, content: Content, folder: Path) -> None:
        self.place, self.notes = content.place, content.notes
        self._path = _uncompressed(content, folder)
        # The first version of Feather has no batches.
        self._is_whole = content.head.startswith(b"FEA1")
        try:
            self.columns = named(self._schema().names, self.place)
        except (pyarrow.ArrowException, OSError) as error:
            raise incomplete(self.place, "Arrow", error) from error
        self.rows = None

    def _schema(self) -> pyarrow.Schema:
        if self._is_whole:
            return pyarrow.feather.read_table(self._path).schema
        with pyarrow.memory_map(str(self._path)) as source:
            return pyarrow.ipc.open_file(source).schema

    def pieces(self, names: Sequence[str], numbers: Collection[str]) -> Iterator[Piece]:
        first = 0
        try:
            for table in self._tables(names):
                for start in range(0, len(table), ROWS_PER_PIECE):
                    piece = table.slice(start, ROWS_PER_PIECE)
                    yield Piece(piece, self.place, first)
                    first += len(piece)
        except (pyarrow.ArrowException, OSError) as error:
            raise incomplete(self.place, "Arrow", error) from error

    def _tables(self, names: Sequence[str]) -> Iterator[pyarrow.Table]:
        if self._is_whole:
            yield pyarrow.feather.read_table(self._path, columns=list(names))
            return
        with pyarrow.memory_map(str(self._path)) as source:
            reader = pyarrow.ipc.open_file(source)
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                yield pyarrow.Table.from_batches([batch]).select(names)


class CsvReader:
    """A CSV file."""

    def __init__(self, content: Content, folder: Path) -> None:
        self.place = content.place
        self._rows = CsvRows(content)
        self.columns = self._rows.names
        self.notes = (*content.notes, *self._rows.notes)
        self.rows = None

    def pieces(self, names: Sequence[str], numbers: Collection[str]) -> Iterator[Piece]:
        return _pieces(self._rows.tables(numbers, ROWS_PER_PIECE), names, self.place)


class JsonReader:
    """JSON Lines, or an array of records, which is held in memory."""

    def __init__(self, content: Content, folder: Path) -> None:
        self.place, self.notes = content.place, content.notes
        self._content = content
        first = next(json_tables(content, ROWS_PER_PIECE), None)
        if first is None:
            raise DataError(f"{self.place} holds no records. Fetch or save it again.")
        self.columns = list(map(str, first.columns))
        self.rows = None

    def pieces(self, names: Sequence[str], numbers: Collection[str]) -> Iterator[Piece]:
        tables = json_tables(self._content, ROWS_PER_PIECE)
        # A name that no record of a piece has is missing in all of its rows.
        return _pieces((table.reindex(columns=list(names)) for table in tables), names, self.place)


class TableReader:
    """A table in memory."""

    def __init__(self, table: pd.DataFrame, place: str) -> None:
        self.place, self._table = place, table
        self.columns = list(map(str, table.columns))
        self.rows = len(table)
        self.notes = ()

    def pieces(self, names: Sequence[str], numbers: Collection[str]) -> Iterator[Piece]:
        starts = range(0, len(self._table), ROWS_PER_PIECE)
        tables = (self._table.iloc[start : start + ROWS_PER_PIECE] for start in starts)
        return _pieces(tables, names, self.place)


def _pieces(tables: Iterator[pd.DataFrame], names: Sequence[str], place: str) -> Iterator[Piece]:
    first = 0
    for table in tables:
        yield Piece(table[list(names)], place, first)
        first += len(table)


def _batches(path: Path, names: Sequence[str], place: str) -> Iterator[pyarrow.RecordBatch]:
    try:
        with parquet_in_batches(path) as file:
            yield from file.iter_batches(ROWS_PER_PIECE, columns=list(names))
    except (pyarrow.ArrowException, OSError) as error:
        raise incomplete(place, "Parquet", error) from error


def _cast(column: pyarrow.Array, kind: Any, folder: Path, place: str) -> pyarrow.Array:
    with reading_folder(folder, place):
        return column.cast(kind)


def _uncompressed(content: Content, folder: Path) -> Path:
    """The file, or a copy in `folder` of one that is compressed, for it is read at any place."""
    if content.path:
        return content.path
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as plain:
        try:
            with content.open() as packed:
                shutil.copyfileobj(packed, plain)
        except DAMAGED as error:
            raise damaged(content.place, error) from error
    return Path(plain.name)
