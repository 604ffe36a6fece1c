"""A table of any size as pieces of a few thousand rows, in order, so that memory does not grow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from fraud_model.data.arrow_files import check_equal
from fraud_model.data.content import Content, Format, unpacked
from fraud_model.data.download import public
from fraud_model.data.piece import Piece
from fraud_model.data.row_readers import (
    ArrowReader,
    CsvReader,
    FolderReader,
    JsonReader,
    ParquetReader,
    Reader,
    TableReader,
)
from fraud_model.data.sources import DEFAULT_FILE, files_of, is_database, local_path, read_source
from fraud_model.errors import DataError, ParameterError

READERS: dict[Format, Callable[[Content, Path], Reader]] = {
    "csv": CsvReader,
    "json": JsonReader,
    "parquet": ParquetReader,
    "arrow": ArrowReader,
}


class Stream:
    """The table that `data` names, whatever `train` takes but a database, in the order it stands.

    Addresses are fetched to `folder` first.

    Attributes:
        place: what messages call it.
        columns: the names of the columns; of JSON those of the first records.
        rows: how many rows there are; None where only reading them tells.
        files: how many files there are.
        notes: what was recognised, in words.
        identity: the files with what tells whether they have changed.

    Raises:
        ParameterError: `data` is empty, or a database.
        DataError: there is no such table, it cannot be read, or its files have other columns.
    """

    def __init__(self, data: str, folder: Path) -> None:
        if not data.strip():
            raise ParameterError("data is empty: name the table to score with -P data=.")
        if is_database(data):
            raise ParameterError(
                f"data={public(data)!r} is a database, whose rows have no order to go on in. "
                "Save what the query selects as Parquet, and give that."
            )
        if data == "auto":
            data = str(DEFAULT_FILE) if DEFAULT_FILE.exists() else "simulated"
        self.identity: list[dict[str, Any]] = []
        self._readers: list[Reader] = []
        if data in ("simulated", "kaggle"):
            raw = read_source(data)
            self._readers.append(TableReader(raw.frame, raw.source))
            self.identity.append({"file": raw.source})
        else:
            self._open(data, folder)
        first = self._readers[0]
        for reader in self._readers[1:]:
            check_equal(first.columns, reader.columns, reader.place)
        self.place = public(data)
        self.columns = list(first.columns)
        counts = [reader.rows for reader in self._readers]
        self.rows = None if None in counts else sum(count or 0 for count in counts)
        self.files = len(self.identity)
        self.notes = tuple(dict.fromkeys(note for each in self._readers for note in each.notes))

    def _open(self, data: str, folder: Path) -> None:
        path, place = local_path(data, folder)
        is_fetched = folder in path.parents or path == folder
        if path.is_dir():
            reader = FolderReader(path, place)
            self._readers.append(reader)
            files = [(file, str(file.relative_to(path))) for file in reader.files]
        else:
            files = files_of(path, place)
            self._readers += [_reader(file, place, folder) for file, place in files]
        self.identity += [_identity(file, place, is_fetched) for file, place in files]

    def pieces(self, names: Sequence[str], numbers: Collection[str]) -> Iterator[Piece]:
        """The rows in order, with the columns `names`; those in `numbers` are numbers in a CSV.

        Raises:
            DataError: a file is damaged, or does not hold what its beginning promised.
        """
        for reader in self._readers:
            yield from reader.pieces(names, numbers)


def _reader(path: Path, place: str, folder: Path) -> Reader:
    if not path.exists():
        raise DataError(
            f"{place}: no such file (looked in {Path.cwd()}). Give a file, a folder of Parquet "
            "files, a pattern or an address with -P data=."
        )
    try:
        content = unpacked(path, place)
        return READERS[content.format](content, folder)
    except PermissionError as error:
        raise DataError(
            f"{place} cannot be read: {error.strerror}. Check its permissions."
        ) from error


def _identity(path: Path, place: str, is_fetched: bool) -> dict[str, Any]:
    status = path.stat()
    identity: dict[str, Any] = {"file": place, "bytes": status.st_size}
    if is_fetched:
        with path.open("rb") as stream:
            return identity | {"sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    return identity | {"modified_ns": status.st_mtime_ns}
