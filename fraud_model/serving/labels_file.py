"""The labels file: one JSON line for each decision that somebody took about a transaction.

`monitor`, `compare` and `collect` read it as it is. A later decision about the same transaction
corrects the earlier one, which stays.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from fraud_model.data.audit_log import KEY_COLUMNS
from fraud_model.data.label_table import DATE
from fraud_model.errors import ParameterError
from fraud_model.serving.tail import lines_from_end

BY = "labelled_by"

# A transaction: request id and row.
Case = tuple[str, int]


class LabelsFile:
    """Appends decisions for several workers, which take turns by a lock on the file.

    A line is on the disk before `add` returns. It is made for its owner only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self) -> None:
        """Opens the file, so that a start shows whether decisions can be written.

        Raises:
            ParameterError: they cannot.
        """
        try:
            with self._opened():
                pass
        except OSError as error:
            raise ParameterError(
                f"LABELS_FILE={self._path} cannot be written: {error.strerror}."
            ) from error

    def add(self, case: Case, target: str, fraud: bool, by: str) -> dict[str, Any]:
        """Writes a decision, dated after all others in the file; returns its line.

        `target` is the column that holds labels, and `by` who decided.

        Raises:
            OSError: it cannot be written, and the file is as it was.
        """
        with self._opened() as file:
            size, latest = _mend(file)
            now = datetime.now(UTC)
            if latest is not None and latest >= now:
                # The clock was put back. Of two labels the one with the later date counts.
                now = latest + timedelta(microseconds=1)
            line = {
                **dict(zip(KEY_COLUMNS, case, strict=True)),
                target: int(fraud),
                DATE: now.isoformat(timespec="microseconds"),
                BY: by,
            }
            try:
                _write(file, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
                os.fsync(file)
            except OSError:
                os.ftruncate(file, size)
                raise
            return line

    def latest(self, cases: Iterable[Case]) -> dict[Case, dict[str, Any]]:
        """The last decision about each of these transactions that has one."""
        wanted = set(cases)
        found: dict[Case, dict[str, Any]] = {}
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return {}
        with file:
            for line in map(_read, file):
                number, row = (line.get(name) for name in KEY_COLUMNS)
                if not isinstance(number, str) or not isinstance(row, int):
                    continue
                case = (number, row)
                if case in wanted and _date(line) >= _date(found.get(case, {})):
                    found[case] = line
        return found

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The open file, whose lock this process holds."""
        while True:
            is_new = not self._path.exists()
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            file = os.open(self._path, flags, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if not self._leads_to(file):
                    # It was replaced while this process waited.
                    continue
                if is_new:
                    _sync_folder(self._path.parent)
                yield file
                return
            finally:
                os.close(file)

    def _leads_to(self, file: int) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(file))
        except FileNotFoundError:
            return False


def _mend(file: int) -> tuple[int, datetime | None]:
    """Makes a file end with a complete line; its size then, and the date of that line.

    A writer that was killed leaves part of a line, which is taken out: nobody was told that it was
    written. A whole line without its end was left by an editor, and gets one.
    """
    lines = lines_from_end(file)
    end = next(lines)
    if end and _read(end):
        _write(file, b"\n")
        last = end
    else:
        os.ftruncate(file, os.fstat(file).st_size - len(end))
        last = next((line for line in lines if line.strip()), b"")
    try:
        date = datetime.fromisoformat(_date(_read(last)))
    except ValueError:
        return os.fstat(file).st_size, None
    return os.fstat(file).st_size, date if date.tzinfo else date.replace(tzinfo=UTC)


def _date(line: Mapping[str, Any]) -> str:
    """The date of a decision as it is written, which sorts as time does."""
    return str(line.get(DATE) or "")


def _read(line: bytes) -> dict[str, Any]:
    """The object in a line; empty where there is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
