"""Reads the server's audit log, including rotated files."""

from __future__ import annotations

import contextlib
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, cast

import orjson

from fraud_model.data.audit_batch import Piece
from fraud_model.data.traffic import (
    NO_TRAFFIC,
    ROWS_PER_BATCH,
    Batch,
    Tally,
)
from fraud_model.errors import DataError
from fraud_model.model.feature import Feature

KEY_COLUMNS: tuple[str, ...] = ("request_id", "row")


class AuditTraffic:
    """The lines of one model version in an audit log: `path.1`, `path.2`, …, and `path` last.

    Requests that their source marks as no traffic are left out, unless `with_marked`. `time` reads
    the transactions' own time, where the version takes one.

    Raises:
        DataError: there is no such file, or it holds no audit line.
    """

    key_columns = KEY_COLUMNS
    has_time = True
    in_calendar = True

    def __init__(
        self,
        path: Path,
        name: str,
        version: str,
        features: Sequence[Feature],
        time: Feature | None = None,
        *,
        with_marked: bool = False,
    ) -> None:
        self.tally = Tally()
        self._path = path
        self._name = name
        self._version = version
        self._features = tuple(features)
        self._time = time
        self._left_out = frozenset() if with_marked else NO_TRAFFIC
        check_exists(path)

    def batches(self, keys: Sequence[str]) -> Iterator[Batch]:
        """The log in order of its files; see Traffic."""
        piece = Piece(self._features, bool(keys), self._time)
        for line in read_lines(self._path, self.tally):
            self._read(line, piece)
            if piece.lines >= ROWS_PER_BATCH:
                yield piece.take()
        yield piece.take()
        tally = self.tally
        if tally.lines and tally.unreadable + tally.torn == tally.lines:
            raise DataError(
                f"{self._path}: none of its {tally.lines:,} lines is an audit line with the "
                f"features of {self._name} version {self._version}. Is it the file that AUDIT_LOG "
                "names? A table ends in .csv, .csv.gz or .parquet."
            )

    def _read(self, line: bytes, piece: Piece) -> None:
        try:
            entry = orjson.loads(line)
            if "shadow_of" in entry:
                served = (self._name, entry["shadow_of"])
            else:
                served = (entry["model_name"], entry["model_version"])
            if served != (self._name, self._version):
                label = f"{served[0] or 'unnamed'} {served[1] or 'unregistered'}"
                self.tally.other_versions[label] += 1
            elif entry.get("source") in self._left_out:
                self.tally.marked[entry["source"]] += 1
            else:
                piece.add(entry)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            count_unreadable(line, self.tally)


def check_exists(path: Path) -> None:
    """Raises DataError if there is no audit log `path`, and no rotated file of it."""
    if not _files(path):
        raise DataError(
            f"{path}: no such audit log (looked in {Path.cwd()}). The server writes one where "
            "AUDIT_LOG names a file; a table of transactions ends in .csv, .csv.gz or .parquet."
        )


def read_lines(path: Path, tally: Tally) -> Iterator[bytes]:
    """The lines of the log `path` and its rotated files, in order; counts them in `tally`."""
    with contextlib.ExitStack() as stack:
        for file in _opened(path, stack, tally):
            try:
                for line in file:
                    tally.lines += 1
                    yield line
            except (EOFError, zlib.error, gzip.BadGzipFile):
                tally.torn += 1


def count_unreadable(line: bytes, tally: Tally) -> None:
    """Counts a line that is no audit line: one without a line end is torn."""
    if line.endswith(b"\n"):
        tally.unreadable += 1
    else:
        tally.torn += 1


def rotated_files(path: Path) -> list[tuple[int, Path]]:
    """The rotated files of the log `path` with their numbers, compressed ones too, oldest first."""
    rotated = re.compile(re.escape(path.name) + r"\.(\d+)(\.gz)?")
    numbered = []
    for file in path.parent.glob("*"):
        match = rotated.fullmatch(file.name)
        if match:
            numbered.append((int(match[1]), file))
    return sorted(numbered)


def _files(path: Path) -> list[Path]:
    return [file for _, file in rotated_files(path)] + ([path] if path.is_file() else [])


def _open(file: Path) -> IO[bytes]:
    try:
        return cast(IO[bytes], gzip.open(file)) if file.suffix == ".gz" else file.open("rb")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}.") from error


def _opened(path: Path, stack: contextlib.ExitStack, tally: Tally) -> list[IO[bytes]]:
    # All at once, so that a file that is rotated meanwhile is read, and read only once. A
    # rotation or deletion between listing and opening shows up when they are listed again.
    while True:
        known = _files(path)
        with contextlib.ExitStack() as opened:
            try:
                files = [opened.enter_context(_open(file)) for file in known]
            except DataError:
                if _files(path) == known:
                    raise
                continue
            if _files(path) == known:
                stack.push(opened.pop_all())
                tally.files = len(files)
                return files
