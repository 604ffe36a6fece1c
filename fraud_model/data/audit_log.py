"""Reads the server's audit log, including rotated files."""

from __future__ import annotations

import contextlib
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, cast

from fraud_model.data.audit_processes import on_every_core
from fraud_model.data.audit_reading import Reading
from fraud_model.data.traffic import NO_TRAFFIC, Batch, Tally
from fraud_model.errors import DataError
from fraud_model.model.feature import Feature
from fraud_model.parallel import cores

# Lines that are read at once: as many wait as twice the cores.
LINES_PER_BLOCK = 10_000
# Of a smaller log the processes would take longer to start than they save.
BYTES_WORTH_PROCESSES = 100_000_000

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
        left_out = frozenset() if with_marked else NO_TRAFFIC
        self._reading = Reading(name, version, tuple(features), time, left_out)
        check_exists(path)

    def batches(self, keys: Sequence[str]) -> Iterator[Batch]:
        """The log in order of its files; see Traffic. A large one is read on every core."""
        tally, reading = self.tally, replace(self._reading, with_keys=bool(keys))
        lines = read_lines(self._path, tally)
        blocks = iter(lambda: list(islice(lines, LINES_PER_BLOCK)), [])
        size = sum(file.stat().st_size for file in _files(self._path) if file.exists())
        is_large = size >= BYTES_WORTH_PROCESSES and cores() > 1
        for batch, found in (
            on_every_core(reading, blocks) if is_large else map(reading.read, blocks)
        ):
            tally.add(found)
            yield batch
        if tally.lines and tally.unreadable + tally.torn == tally.lines:
            raise DataError(
                f"{self._path}: none of its {tally.lines:,} lines is an audit line with the "
                f"features of {reading.name} version {reading.version}. Is it the file that "
                "AUDIT_LOG names? A table ends in .csv, .csv.gz or .parquet."
            )


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
