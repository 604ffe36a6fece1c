"""Reads a table of transactions from a file, by what its bytes are."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from fraud_model.data.arrow_files import read_arrow, read_parquet
from fraud_model.data.content import unpacked
from fraud_model.data.csv_files import Text, read_csv
from fraud_model.data.headers import without_index
from fraud_model.data.json_files import read_json
from fraud_model.errors import DataError


def read_table(path: Path, numbers: Collection[str] | None = None) -> pd.DataFrame:
    """The rows of a file as they stand, with the names of its header.

    If `numbers` names columns, all others are read as text.

    Raises:
        DataError: the file is absent, empty, cut short, not a table, or its header cannot be used.
    """
    return read_file(path, str(path), Text(numbers))[0]


def read_file(
    path: Path, place: str, text: Text | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of a file as they stand, and notes on what was recognised in it.

    `place` is what messages call the file.

    Raises:
        DataError: as read_table.
    """
    text = text or Text()
    if not path.exists():
        raise DataError(
            f"{place}: no such file (looked in {Path.cwd()}). Give a file, a folder of Parquet "
            "files, a URL, `kaggle` or `simulated` with -P data=."
        )
    if path.is_dir():
        raise DataError(f"{place} is a folder. Name the file in it that holds the transactions.")
    try:
        content = unpacked(path, place)
        kind = content.format
        if kind == "csv":
            table, notes = read_csv(content, text)
        else:
            readers = {"json": read_json, "parquet": read_parquet, "arrow": read_arrow}
            table, notes = readers[kind](content)
            as_text = [name for name in map(str, table.columns) if text.covers(name)]
            table = table.astype(dict.fromkeys(as_text, str))
    except PermissionError as error:
        raise DataError(
            f"{place} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    table, index_notes = without_index(table, text.numbers or ())
    return table, (*content.notes, *notes, *index_notes)
