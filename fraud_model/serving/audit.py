"""The audit log: one JSON line per scored row, written before the answer is sent.

A refused request leaves one line with none of its content. The shadow's scores follow later.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import re
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from fraud_model.data.audit_log import rotated_files
from fraud_model.serving import any_json
from fraud_model.serving.model import FLAG, PREDICTION, PROBABILITY, ScoredRows
from fraud_model.serving.origin import Origin

log = logging.getLogger("fraud_model.serving")

# The search for the last complete line reads backwards in blocks of this many bytes.
BLOCK = 65_536
FIRST_TIME = re.compile(rb'{"time":"([^"]+)"')
# After the file is moved away, lines go to the moved file for this long at most.
RECHECK_SECONDS = 1.0
# With a limit of age the log is rotated once its first line has this share of it, so that a line
# stays no longer than the limit and this share.
SHARE_OF_AGE = 0.1


class AuditLog:
    """Appends to a file that several workers may share.

    A lock file beside the log makes the writers take turns, so that only one of them rotates the
    log once it has grown past `max_bytes`, or its first line is a tenth of `keep` old: to `path.1`,
    `path.2` and so on, the highest number being the latest. With `keep`, rotated files whose last
    line is older than so many seconds are deleted at a rotation and by `check`. A writer that is
    killed while it writes leaves an incomplete last line. The request was never answered, and the
    next writer removes the line.
    All files are made for their owner only.
    """

    def __init__(
        self, path: Path, max_bytes: int, origin: Origin, keep: float | None = None
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._model = {"model_name": origin.model_name, "model_version": origin.model_version}
        self._file = -1
        self._lock = -1
        # The file's size after this process last wrote, and when its path last led to it.
        self._size = 0
        self._checked = 0.0
        # When the file's first line was written, in seconds since 1970; infinite while it has none.
        self._began = math.inf
        # The lock file is held by a process. Its threads need a lock of their own.
        self._turn = threading.Lock()
        self.failure = ""

    def write(self, request_id: str, rows: ScoredRows, source: str = "") -> bool:
        """Writes the rows of one request; False if that failed, and `failure` says why.

        A line has `fraud_probability` and `is_fraud`, or `prediction` for a version that answers
        otherwise: the row's value as it was answered, null where the answer is not one for each.
        `source` is what the request's header says of where it comes from.
        """
        now = datetime.now(UTC)
        names = (PROBABILITY, FLAG) if rows.has_probabilities else (PREDICTION,)
        answers: Iterable[tuple[Any, ...]] = zip(
            *(rows.columns[name].tolist() for name in names), strict=True
        )
        marked = _mark(source)
        lines = [
            any_json.dumps(
                {
                    "time": now,
                    "request_id": request_id,
                    "row": row,
                    **self._model,
                    **marked,
                    "features": dict(zip(rows.features, values, strict=True)),
                    **dict(zip(names, answer, strict=True)),
                },
                orjson.OPT_APPEND_NEWLINE,
            )
            for row, (values, answer) in enumerate(zip(rows.values.tolist(), answers, strict=True))
        ]
        return self._tried(b"".join(lines))

    def write_refusal(self, request_id: str, kind: str, source: str = "") -> bool:
        """Writes that a request was refused and none of its content; returns what `write` does."""
        line = {
            "time": datetime.now(UTC),
            "request_id": request_id,
            **self._model,
            **_mark(source),
            "refused": kind,
        }
        return self._tried(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def write_lines(self, lines: bytes) -> bool:
        """Writes complete lines that were made elsewhere; returns what `write` does."""
        return self._tried(lines)

    def check(self) -> None:
        """Opens the log, so that a start shows whether it can be written; deletes what is old."""
        self._tried(b"")
        self._delete_old()

    def close(self) -> None:
        """Closes the files; another write would open them again."""
        with self._turn:
            self._close()

    def _tried(self, lines: bytes) -> bool:
        with self._turn:
            try:
                self._append(lines)
            except OSError as error:
                reason = f"{self._path}: {error.strerror or error}"
                if reason != self.failure:
                    log.error("audit log: %s", reason)
                self.failure = reason
                self._close()
                return False
            self.failure = ""
            return True

    def _append(self, lines: bytes) -> None:
        if self._lock < 0:
            self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            if not self._is_as_left():
                self._make_ready()
            self._write(lines)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _is_as_left(self) -> bool:
        """Whether nobody else has written since, so that the file ends with a complete line."""
        if self._file < 0 or time.monotonic() > self._checked + RECHECK_SECONDS:
            return False
        now = os.fstat(self._file)
        return now.st_size == self._size < self._max_bytes and now.st_nlink > 0

    def _write(self, lines: bytes) -> None:
        while lines:
            written = os.write(self._file, lines)
            lines = lines[written:]
            self._size += written

    def _make_ready(self) -> None:
        """Makes `_file` the current file, ending with a complete line, and `_size` its size."""
        if self._file >= 0 and not self._is_current():
            os.close(self._file)
            self._file = -1
        if self._file < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o600)
            self._began = math.inf
        self._size = _cut_torn_line(self._file)
        self._checked = time.monotonic()
        if self._keep is not None and self._began == math.inf:
            self._began = _first_time(self._file)
        old = self._keep is not None and time.time() - self._began > SHARE_OF_AGE * self._keep
        if self._size >= self._max_bytes or old:
            self._rotate()
            self._make_ready()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        numbers = [number for number, _ in rotated_files(self._path)]
        self._path.rename(f"{self._path}.{max(numbers, default=0) + 1}")
        self._delete_old()

    def _delete_old(self) -> None:
        if self._keep is None:
            return
        for _, file in rotated_files(self._path):
            try:
                # A rotated file was last changed by its last line; gzip keeps that time.
                if file.stat().st_mtime >= time.time() - self._keep:
                    continue
                file.unlink()
            except FileNotFoundError:
                # Another worker was quicker.
                continue
            except OSError as error:
                log.error("audit log: %s cannot be deleted: %s", file, error.strerror or error)
                continue
            log.info("audit log: %s is older than AUDIT_KEEP and was deleted", file)

    def _close(self) -> None:
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1


def _cut_torn_line(file: int) -> int:
    """Truncates an open file after its last line feed; returns its size then."""
    size = end = os.fstat(file).st_size
    while end:
        start = max(0, end - BLOCK)
        # Nearly always the file ends with a complete line, and one byte is enough to see it.
        if end == size and os.pread(file, 1, size - 1) == b"\n":
            return size
        place = os.pread(file, end - start, start).rfind(b"\n")
        if place >= 0:
            end = start + place + 1
            break
        end = start
    os.ftruncate(file, end)
    return end


def _first_time(file: int) -> float:
    """When the first line of an open file was written, in seconds since 1970; infinite without."""
    found = FIRST_TIME.match(os.pread(file, BLOCK, 0))
    return datetime.fromisoformat(found[1].decode()).timestamp() if found else math.inf


def _mark(source: str) -> dict[str, str]:
    """The part of a line that says where its request comes from, if it told."""
    return {"source": source} if source else {}
