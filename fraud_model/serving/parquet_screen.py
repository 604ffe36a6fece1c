"""What a Parquet body holds, found out at little cost.

The footer is the client's word. Arrow reads as many values as it says, so they can be counted
there; but how long they are, and how far a page unpacks, shows only when they are read: a few
hundred bytes can hold one long text for ten thousand rows, or a page of a gigabyte.
"""

from __future__ import annotations

import pyarrow
import pyarrow.parquet
from pyarrow.parquet import FileMetaData, ParquetFile

from fraud_model.serving.limits import memory_at_most, processor_at_most

ROWS_AT_ONCE = 256
# What reading may take beside what it reads: a page as it unpacks, and the text in it.
READING_BYTES = 64_000_000
# Of processor time; ten thousand rows of thirty numbers take a hundredth of it.
READING_SECONDS = 1.0


def open_body(body: bytes) -> ParquetFile | None:
    """The file with its footer read; None where that cannot be."""
    try:
        return ParquetFile(pyarrow.BufferReader(body), pre_buffer=False)
    except (pyarrow.ArrowException, OSError):
        return None


def nested_column(footer: FileMetaData) -> int | None:
    """The number, from 1, of the first column that holds anything but one value a row."""
    groups = [footer.row_group(place) for place in range(footer.num_row_groups)]
    for place in range(footer.num_columns):
        counts = [(group.column(place).num_values, group.num_rows) for group in groups]
        if footer.schema.column(place).max_repetition_level or any(a != b for a, b in counts):
            return place + 1
    return None


def rows_told(footer: FileMetaData) -> int:
    """The rows of all row groups, or of the file if it tells more."""
    told = sum(footer.row_group(place).num_rows for place in range(footer.num_row_groups))
    return int(max(told, footer.num_rows))


def fits(file: ParquetFile, most_bytes: int) -> bool:
    """Whether the values take at most so many bytes once read; stops reading where they do not.

    A file that takes longer than `READING_SECONDS` ends the process, with SIGPROF: a hundred pages
    that unpack to 50 MB each fit into 170 kB.

    Raises:
        ArrowException, OSError: it cannot be read.
    """
    footer = file.metadata
    groups = range(footer.num_row_groups)
    if sum(footer.row_group(place).total_byte_size for place in groups) > most_bytes:
        return False
    taken = 0
    try:
        with memory_at_most(most_bytes + READING_BYTES), processor_at_most(READING_SECONDS):
            for batch in file.iter_batches(ROWS_AT_ONCE, use_threads=False):
                taken += sum(map(_bytes_of, batch.columns))
                if taken > most_bytes:
                    return False
    except MemoryError:
        return False
    return True


def _bytes_of(column: pyarrow.Array) -> int:
    # Each row of a dictionary becomes a value of its own, in the audit log at the latest.
    if isinstance(column, pyarrow.DictionaryArray):
        column = column.dictionary_decode()
    return int(column.nbytes)
