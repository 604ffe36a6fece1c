"""Columns of a table in files of their own, which the system reads where they are looked at.

So a table may be larger than the memory. The files have no name: the system removes them with the
last column that looks at them, also after a kill. They lie in the folder for temporary files, which
`TMPDIR` names.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow

from fraud_model.arrays import Counts, Floats
from fraud_model.errors import DataError

# A table is encoded, hashed and scored so many rows at a time.
ROWS_AT_A_TIME = 1 << 16
TEXTS = pyarrow.schema([("text", pyarrow.large_string())])


def stored(values: pd.Series) -> pd.Series:
    """The same column in a file, numbered from 0; one of Python objects stays in memory.

    Raises:
        DataError: there is no space for it.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.StringDtype) and len(values):
        with column_file() as file:
            with pyarrow.ipc.new_stream(file, TEXTS) as stream:
                texts = pyarrow.chunked_array(pyarrow.array(values, pyarrow.large_string()))
                stream.write_table(pyarrow.table([texts], schema=TEXTS))
            file.flush()
            content = pyarrow.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        column: pd.Series = pyarrow.ipc.open_stream(content).read_all()["text"].to_pandas()
        column.name = values.name
        return column
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not len(values) or _file_of(values):
        return values.reset_index(drop=True)
    with column_file() as file:
        file.write(np.ascontiguousarray(values.to_numpy()).view(np.uint8).data)
        file.flush()
        array = np.asarray(np.memmap(file, dtype, "r", shape=(len(values),)))
    return pd.Series(array, name=values.name, copy=False)


def rows_of(table: pd.DataFrame, places: Counts) -> pd.DataFrame:
    """The rows in some places of a table, in this order and numbered from 0.

    Where they follow on one another they are looked at as they lie, otherwise they have files of
    their own.

    Raises:
        DataError: there is no space for them.
    """
    if len(places) and np.array_equal(places, np.arange(places[0], places[0] + len(places))):
        return table.iloc[places[0] : places[0] + len(places)].reset_index(drop=True)
    return table_of(stored(table[name].take(places)) for name in table.columns)


def joined_rows(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of tables with the same columns, one table after the other, in files.

    Raises:
        DataError: there is no space for them.
    """
    return table_of(
        stored(pd.concat([table[name] for table in tables], ignore_index=True))
        for name in tables[0].columns
    )


def table_of(columns: Iterable[pd.Series]) -> pd.DataFrame:
    """A table of columns that stay where they are."""
    return pd.DataFrame({column.name: column for column in columns}, copy=False)


def pieces(table: pd.DataFrame) -> Iterator[tuple[slice, pd.DataFrame]]:
    """A table `ROWS_AT_A_TIME`, with the places of the rows."""
    for start in range(0, len(table), ROWS_AT_A_TIME):
        rows = slice(start, min(start + ROWS_AT_A_TIME, len(table)))
        yield rows, table.iloc[rows]
    for name in table.columns:
        file = _file_of(table[name])
        if file is not None:
            # What was looked at counts as this process's memory until it is let go.
            file.madvise(mmap.MADV_DONTNEED)


def matrix(rows: int, columns: int) -> Floats:
    """An array to be filled, of shape (rows, columns), in a file.

    Raises:
        DataError: there is no space for it.
    """
    with column_file() as file:
        size = max(rows * columns, 1) * np.dtype(np.float64).itemsize
        # Where the space is only promised, a full disk would end the process without a word.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return np.asarray(np.memmap(file, np.float64, "r+", shape=(rows, columns)))


@contextmanager
def column_file() -> Iterator[IO[bytes]]:
    """A file without a name, which stays as long as something looks at it.

    Raises:
        DataError: the disk is full.
    """
    try:
        with tempfile.TemporaryFile() as file:
            yield file
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise DataError(
            f"no space is left in {tempfile.gettempdir()}, where the table's columns are kept "
            "while they are used. Make space, or name a folder on a larger disk in TMPDIR."
        ) from error


def _file_of(values: pd.Series) -> mmap.mmap | None:
    """The file that a column lies in; None for text, and for one in memory."""
    if not isinstance(values.dtype, np.dtype):
        return None
    base: Any = values.to_numpy()
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return base if isinstance(base, mmap.mmap) else None
