"""Parquet and Arrow tables as pandas frames: dates, booleans and numbers stay what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.compute
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet
from pyarrow import types

from fraud_model.data.column_files import stored, table_of
from fraud_model.data.content import Content, first_line
from fraud_model.data.headers import named
from fraud_model.errors import DataError

EXACT = 1 << 53
BYTES_AT_A_TIME = 1 << 26
# Of a Parquet column that is read a little at a time, rather than a row group at once.
BUFFER_BYTES = 1 << 20


def read_parquet(content: Content) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of a Parquet file, some columns at a time; see `stored_frame`."""
    with _reading(content, "Parquet") as source:
        # What is buffered before it is asked for is kept to the end of the file.
        file = pyarrow.parquet.ParquetFile(source, pre_buffer=False)
        names, rows = file.schema_arrow.names, file.metadata.num_rows
        return stored_frame(names, rows, lambda some: file.read(columns=some), content.place)


def parquet_in_batches(path: Path) -> pyarrow.parquet.ParquetFile:
    """A Parquet file whose batches are read a little at a time."""
    # What is buffered before it is asked for is kept to the end of the file.
    return pyarrow.parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)


def read_arrow(content: Content) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of an Arrow or Feather file; see `stored_frame`."""
    with _reading(content, "Arrow") as source:
        table = pyarrow.feather.read_table(source, memory_map=True)
        return stored_frame(table.column_names, len(table), table.select, content.place)


def read_folder(folder: Path, place: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of all Parquet files below a folder, in the order of their paths.

    The names of folders such as `day=2026-01-31` become columns.

    Raises:
        DataError: the folder holds no Parquet file or is a Delta table, its files have different
            columns, or one of them is damaged.
    """
    dataset = folder_dataset(folder, place)
    with reading_folder(folder, place):
        table, notes = stored_frame(
            dataset.schema.names, dataset.count_rows(), dataset.to_table, place
        )
    return table, (f"{len(dataset.files)} Parquet files, in the order of their paths", *notes)


def folder_dataset(folder: Path, place: str) -> pyarrow.dataset.FileSystemDataset:
    """All Parquet files below a folder, in the order of their paths, with one schema.

    Raises:
        DataError: as read_folder.
    """
    if (folder / "_delta_log").is_dir():
        raise DataError(
            f"{place} is a Delta table, whose folder also holds rows that were deleted. "
            "Save its current rows as Parquet, and give that."
        )
    files = _parquet_files(folder, place)
    schemas = [_schema(file, f"{place}: {file.relative_to(folder)}") for file in files]
    for file, schema in zip(files[1:], schemas[1:], strict=True):
        check_equal(schemas[0].names, schema.names, f"{place}: {file.relative_to(folder)}")
    dataset = partial(
        pyarrow.dataset.dataset,
        [str(file) for file in files],
        partitioning="hive",
        partition_base_dir=str(folder),
    )
    with reading_folder(folder, place):
        unified = pyarrow.unify_schemas(
            [dataset().schema, *schemas], promote_options="permissive"
        ).remove_metadata()
        return dataset(schema=unified)


@contextmanager
def reading_folder(folder: Path, place: str) -> Iterator[None]:
    """Raises DataError where the files of a folder cannot be read as one table."""
    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{place}: its files cannot be read as one table "
            f"({first_line(error).replace(str(folder), place)}). Save them again, with the same "
            "types of columns."
        ) from error


def check_equal(expected: Sequence[str], found: Sequence[str], place: str) -> None:
    """Raises DataError where a file has other columns than the first one of its table."""
    missing = [name for name in expected if name not in found]
    more = [name for name in found if name not in expected]
    if missing or more:
        parts = [f"- {name!r}" for name in missing] + [f"+ {name!r}" for name in more]
        raise DataError(
            f"{place} has other columns than the first file: {'; '.join(parts)}. All files of a "
            "table have the same columns: correct it, or leave it out."
        )


def frame_of(table: pyarrow.Table, place: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """An Arrow table as a frame, and notes on what was changed.

    Dates are datetime64, in UTC and without a zone; decimals and durations (seconds) are float64;
    dictionaries, and whole numbers with gaps that float64 would round, are text.

    Raises:
        DataError: columns hold lists, structs, maps or bytes; all of them are in the message.
    """
    names = named(table.column_names, place)
    columns, nested, notes = [], [], []
    for name, column in zip(names, table.columns, strict=True):
        if types.is_timestamp(column.type) and column.type.tz:
            notes.append(f"column {name} has the time zone {column.type.tz}: read in UTC")
        try:
            columns.append(_plain(column))
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):
            nested.append(f"{name!r} ({str(column.type)[:40]})")
    if nested:
        raise DataError(
            f"{place}: these columns hold no single values: {', '.join(nested)}. "
            "Save each part as a column of its own, or drop them."
        )
    plain = pyarrow.table(columns, names=names)
    return plain.to_pandas(date_as_object=False, ignore_metadata=True), tuple(notes)


def stored_frame(
    names: Sequence[str],
    rows: int,
    read: Callable[[list[str]], pyarrow.Table],
    place: str,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A table as `frame_of` has it, its columns in files.

    `read` reads columns; it is asked for so many at a time that few of a large table are in memory.

    Raises:
        DataError: as frame_of; or there is no space for the columns.
    """
    columns: list[pd.Series] = []
    notes: list[str] = []
    own = named(names, place)
    some = max(1, BYTES_AT_A_TIME // (8 * max(1, rows)))
    for start in range(0, len(own), some):
        wanted = list(names[start : start + some])
        table = read(wanted).select(wanted).rename_columns(own[start : start + some])
        read_frame, found = frame_of(table, place)
        columns += [stored(read_frame[name]) for name in read_frame.columns]
        notes += found
    return table_of(columns), tuple(notes)


@contextmanager
def _reading(content: Content, kind: str) -> Iterator[Any]:
    """What pyarrow reads the file from: its path, or its bytes where it was compressed."""
    try:
        if content.path:
            yield content.path
            return
        with content.open() as stream:
            source = pyarrow.BufferReader(stream.read())
        yield source
    except (pyarrow.ArrowException, OSError) as error:
        raise incomplete(content.place, kind, error) from error


def incomplete(place: str, kind: str, error: Exception) -> DataError:
    """The error of a file that is damaged or cut short."""
    return DataError(
        f"{place} is not a complete {kind} file ({first_line(error)}). Fetch or save it again."
    )


def _plain(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    kind = column.type
    if isinstance(kind, pyarrow.BaseExtensionType):
        return _plain(pyarrow.chunked_array([c.storage for c in column.chunks], kind.storage_type))
    if types.is_dictionary(kind):
        return column.cast(kind.value_type).cast(pyarrow.string())
    if types.is_nested(kind):
        raise pyarrow.ArrowInvalid(str(kind))
    if types.is_decimal(kind) or types.is_null(kind):
        return column.cast(pyarrow.float64())
    if types.is_timestamp(kind) and kind.tz:
        return column.cast(pyarrow.timestamp(kind.unit))
    if types.is_duration(kind):
        seconds = column.cast(pyarrow.duration("us"), safe=False).cast(pyarrow.int64())
        return pyarrow.compute.divide(seconds.cast(pyarrow.float64()), 1e6)
    if types.is_integer(kind) and column.null_count and _is_rounded(column):
        return column.cast(pyarrow.string())
    # Old writers store text as bytes.
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_time(kind):
        return column.cast(pyarrow.string())
    return column


def _is_rounded(column: pyarrow.ChunkedArray) -> bool:
    ends = pyarrow.compute.min_max(column).as_py()
    return any(end is not None and abs(end) > EXACT for end in ends.values())


def _schema(file: Path, place: str) -> pyarrow.Schema:
    try:
        schema = pyarrow.parquet.read_schema(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise incomplete(place, "Parquet", error) from error
    named(schema.names, place)
    return schema


def _parquet_files(folder: Path, place: str) -> list[Path]:
    shown = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    ]
    parquet = [file for file in shown if file.suffix.lower() in (".parquet", ".pq")]
    if not parquet:
        found = f" It holds {', '.join(f.name for f in shown[:3])}." if shown else ""
        raise DataError(
            f"{place} is a folder without Parquet files.{found} Name the file in it, or several "
            f"by a pattern such as {place}/*.csv."
        )
    return parquet
