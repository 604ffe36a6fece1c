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
    ROWS_PER_BATCH,
    Batch,
    Tally,
)
from fraud_model.errors import DataError
from fraud_model.model.feature import Feature

KEY_COLUMNS: tuple[str, ...] = ("request_id", "row")


class AuditTraffic:
    """The lines of one model version in an audit log: `path.1`, `path.2`, …, and `path` last.

    `time` reads the transactions' own time, where the version takes one.

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
    ) -> None:
        self.tally = Tally()
        self._path = path
        self._name = name
        self._version = version
        self._features = tuple(features)
        self._time = time
        if not _files(path):
            raise DataError(
                f"{path}: no such audit log (looked in {Path.cwd()}). The server writes one where "
                "AUDIT_LOG names a file; a table of transactions ends in .csv, .csv.gz or .parquet."
            )

    def batches(self, keys: Sequence[str]) -> Iterator[Batch]:
        """The log in order of its files; see Traffic."""
        piece = Piece(self._features, bool(keys), self._time)
        with contextlib.ExitStack() as stack:
            for file in self._opened(stack):
                try:
                    for line in file:
                        self.tally.lines += 1
                        self._read(line, piece)
                        if piece.lines >= ROWS_PER_BATCH:
                            yield piece.take()
                except (EOFError, zlib.error, gzip.BadGzipFile):
                    self.tally.torn += 1
        yield piece.take()
        tally = self.tally
        if tally.lines and tally.unreadable + tally.torn == tally.lines:
            raise DataError(
                f"{self._path}: none of its {tally.lines:,} lines is an audit line with the "
                f"features of {self._name} version {self._version}. Is it the file that AUDIT_LOG "
                "names? A table ends in .csv, .csv.gz or .parquet."
            )

    def _opened(self, stack: contextlib.ExitStack) -> list[IO[bytes]]:
        # All at once, so that a file that is rotated meanwhile is read, and read only once. A
        # rotation or deletion between listing and opening shows up when they are listed again.
        while True:
            known = _files(self._path)
            with contextlib.ExitStack() as opened:
                try:
                    files = [opened.enter_context(_open(file)) for file in known]
                except DataError:
                    if _files(self._path) == known:
                        raise
                    continue
                if _files(self._path) == known:
                    stack.push(opened.pop_all())
                    self.tally.files = len(files)
                    return files

    def _read(self, line: bytes, piece: Piece) -> None:
        try:
            entry = orjson.loads(line)
            if "shadow_of" in entry:
                served = (self._name, entry["shadow_of"])
            else:
                served = (entry["model_name"], entry["model_version"])
            if served == (self._name, self._version):
                piece.add(entry)
            else:
                label = f"{served[0] or 'unnamed'} {served[1] or 'unregistered'}"
                self.tally.other_versions[label] += 1
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            if line.endswith(b"\n"):
                self.tally.unreadable += 1
            else:
                self.tally.torn += 1


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
