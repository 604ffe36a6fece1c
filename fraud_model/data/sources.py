"""From the `data` parameter to the raw table, as it came."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from fraud_model.data.arrow_files import check_equal, read_folder
from fraud_model.data.cloud import SCHEMES, fetch_objects
from fraud_model.data.column_files import joined_rows
from fraud_model.data.csv_files import Text
from fraud_model.data.download import download_creditcard, fetch, public
from fraud_model.data.files import read_file
from fraud_model.data.headers import without_index
from fraud_model.data.queries import read_query
from fraud_model.data.simulation import simulate
from fraud_model.errors import DataError, ParameterError

DEFAULT_FILE = Path("data/creditcard.csv")

PATTERN = re.compile(r"[*?[]")

Kind = Literal["real", "simulated"]


@dataclass(frozen=True)
class RawTable:
    """A table as it came: numbers, text (`str`, NaN where missing), datetime64 and booleans.

    `source` is what messages call it. `notes` are what was recognised in it, in words.
    """

    frame: pd.DataFrame
    source: str
    kind: Kind
    notes: tuple[str, ...] = ()


def read_source(data: str, query: str = "") -> RawTable:
    """Reads the table that the `data` parameter names.

    `data` is a file, a folder of Parquet files, a pattern of files, an address of one of these
    that begins with s3://, gs:// or abfss://, an http(s) URL of a file, a database's URL together
    with `query`, `kaggle`, `simulated`, or `auto` for `data/creditcard.csv` if that exists and
    `simulated` if not.

    Raises:
        ParameterError: `data` is empty, or one of a database and a query is there without the
            other.
        DataError: there is no such table, or it cannot be read; the message says why.
    """
    if not data.strip():
        raise ParameterError("data= is empty. Name a table, `simulated`, or `auto`.")
    if data == "auto":
        data = str(DEFAULT_FILE) if DEFAULT_FILE.exists() else "simulated"
    if is_database(data):
        return _queried(data, query)
    if query:
        raise ParameterError(
            f"-P query= needs a database, and data={public(data)!r} is none. Give its URL, such as "
            "-P data=postgresql://user:password@host/name, or leave the query out."
        )
    if data == "simulated":
        return RawTable(simulate(), "simulation, seed 0", "simulated")
    if data == "kaggle":
        frame, notes = read_file(download_creditcard(DEFAULT_FILE, "kaggle"), str(DEFAULT_FILE))
        return RawTable(frame, "kaggle:mlg-ulb/creditcardfraud", "real", notes)
    with tempfile.TemporaryDirectory() as folder:
        local, place = local_path(data, Path(folder))
        frame, notes = _read_path(local, place)
    return RawTable(frame, place, "real", notes)


def local_path(data: str, folder: Path) -> tuple[Path, str]:
    """Where a file, folder or pattern lies, fetched to `folder` if `data` is an address of one.

    Also returns what messages call it.

    Raises:
        DataError: nothing is there, or it cannot be fetched.
    """
    if data.startswith(("http://", "https://")):
        place = public(data)
        return fetch(data, folder / (Path(place).name or "table")), place
    if data.startswith(SCHEMES):
        return fetch_objects(data, folder)
    return Path(data).expanduser(), data


def files_of(path: Path, place: str) -> list[tuple[Path, str]]:
    """The files that a path or pattern names, in the order of their names, as messages call them.

    Raises:
        DataError: no file fits the pattern.
    """
    if path.exists() or not PATTERN.search(str(path)):
        return [(path, place)]
    first = next(i for i, part in enumerate(path.parts) if PATTERN.search(part))
    root, pattern = Path(*path.parts[:first]), Path(*path.parts[first:])
    names = [file.relative_to(root) for file in sorted(root.glob(str(pattern))) if file.is_file()]
    names = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    if not names:
        raise DataError(f"{place}: no file fits this pattern (looked in {Path.cwd()}).")
    # Files that were fetched are named as they are where they came from.
    front = place[: -len(str(pattern))]
    return [(root / name, f"{front}{name}") for name in names]


def is_database(data: str) -> bool:
    scheme = re.match(r"([A-Za-z][\w+.-]*)://", data)
    return scheme is not None and not data.startswith(("http://", "https://", *SCHEMES))


def _queried(data: str, query: str) -> RawTable:
    frame, source = read_query(data, query)
    frame, notes = without_index(frame, ())
    return RawTable(frame, source, "real", notes)


def _read_path(path: Path, place: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    if path.is_dir():
        frame, notes = read_folder(path, place)
        frame, index_notes = without_index(frame, ())
        return frame, (*notes, *index_notes)
    files = files_of(path, place)
    return _joined(files) if files != [(path, place)] else read_file(path, place)


def _joined(files: list[tuple[Path, str]]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    read = [read_file(file, place) for file, place in files]
    first = list(read[0][0].columns)
    for (frame, _), (_, place) in zip(read, files, strict=True):
        check_equal(first, list(frame.columns), place)
    texts = [
        name
        for name in first
        if len({_is_text(frame[name]) for frame, _ in read if frame[name].notna().any()}) > 1
    ]
    if texts:
        # A column that is text in one file is text in all: codes keep their zeros and digits.
        text = Text(also=texts)
        read = [read_file(file, place, text) for file, place in files]
    frame = joined_rows([table[first] for table, _ in read])
    notes = dict.fromkeys(note for _, notes in read for note in notes)
    return frame, (f"{len(files)} files, in the order of their names", *notes)


def _is_text(values: pd.Series) -> bool:
    return isinstance(values.dtype, pd.StringDtype)
