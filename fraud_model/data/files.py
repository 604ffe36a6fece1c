"""Reads a table of transactions from a CSV, CSV.gz or Parquet file."""

from __future__ import annotations

import csv
import gzip
import warnings
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet

from fraud_model.data.schema import check_names
from fraud_model.errors import DataError


def read_table(path: Path, numbers: Collection[str] | None = None) -> pd.DataFrame:
    """The rows of a file as they stand, with the names of its header.

    If `numbers` names columns, all others are read as text.

    Raises:
        DataError: the file is absent, empty, cut short, not a table, or its header cannot be used.
    """
    if not path.exists():
        raise DataError(
            f"{path}: no such file (looked in {Path.cwd()}). Give a CSV, CSV.gz or Parquet file, "
            "a URL, `kaggle` or `simulated` with -P data=."
        )
    if path.is_dir():
        raise DataError(f"{path} is a folder. Name the file in it that holds the transactions.")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty. Fetch or save it again.")
        if path.suffix.lower() in (".parquet", ".pq"):
            return _read_parquet(path, numbers)
        return _read_csv(path, numbers)
    except PermissionError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}. Check its permissions."
        ) from error


def _read_parquet(path: Path, numbers: Collection[str] | None) -> pd.DataFrame:
    try:
        names = pyarrow.parquet.read_schema(path).names
        check_names(names, str(path))
        table = pd.read_parquet(path)
        return table.astype(_as_text(names, numbers))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not a complete Parquet file ({_first_line(error)}). Fetch or save it again."
        ) from error


def _read_csv(path: Path, numbers: Collection[str] | None) -> pd.DataFrame:
    try:
        names = _header(path)
        check_names(names, str(path))
        with warnings.catch_warnings():
            # pandas only warns if a row is longer than the header, and drops the rest of it.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            types = _as_text(names, numbers)
            return pd.read_csv(path, index_col=False, low_memory=False, dtype=types)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: the compressed file is cut short or damaged ({_first_line(error)}). "
            "Fetch it again."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not text in UTF-8 ({error.reason}). Is it a CSV file?"
        ) from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        raise DataError(
            f"{path}: {_first_line(error)}. Rows and header must have the same number of "
            "comma-separated values: correct the row, or fetch the file again."
        ) from error


def _as_text(names: Sequence[str], numbers: Collection[str] | None) -> dict[str, type[str]]:
    return {} if numbers is None else {name: str for name in names if name not in numbers}


def _header(path: Path) -> list[str]:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as lines:
        try:
            return next(csv.reader(lines))
        except (StopIteration, csv.Error) as error:
            raise DataError(f"{path} has no header line. Is it a CSV file?") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
