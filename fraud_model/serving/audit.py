"""The audit log: one JSON line per scored row, written before the answer leaves.

A refused request leaves one line without any of its content, and what a shadow scores follows.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from fraud_model.serving.origin import Origin

log = logging.getLogger("fraud_model.serving")

# Read back from the end at a time, looking for the last whole line.
BLOCK = 65_536
# A file that somebody has moved away is written to for this long at most.
RECHECK_SECONDS = 1.0


class AuditLog:
    """Appends to a file that several workers may share.

    A lock beside the file orders the writers, so that only one of them turns the file over when it
    has grown past `max_bytes` (to `path.1`, `path.2`, …, the highest being the latest; none is
    deleted). A writer that was killed half-way leaves a torn line at the end: its request was
    never answered, and whoever writes next cuts it off first. A server of one worker, not `shared`,
    takes the lock once a second, and where it finds the file otherwise than it left it.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        origin: Origin,
        features: Sequence[str],
        shared: bool = True,
    ) -> None:
        self._path = path
        self._shared = shared
        self._max_bytes = max_bytes
        self._features = features
        self._model = {"model_name": origin.model_name, "model_version": origin.model_version}
        self._file = -1
        self._lock = -1
        # Of the file, as this process left it, and when its path was last found to be the same.
        self._size = 0
        self._checked = 0.0
        # The lock of the file is the process's; its threads need one among themselves.
        self._turn = threading.Lock()
        self.failure = ""

    def write(
        self,
        request_id: str,
        values: npt.NDArray[np.float64],
        scored: Mapping[str, npt.NDArray[Any]],
    ) -> bool:
        """Writes the rows of one request; False where that failed, with `failure` saying why."""
        now = datetime.now(UTC)
        rows = zip(
            values.tolist(),
            scored["fraud_probability"].tolist(),
            scored["is_fraud"].tolist(),
            strict=True,
        )
        lines = [
            orjson.dumps(
                {
                    "time": now,
                    "request_id": request_id,
                    "row": row,
                    **self._model,
                    "features": dict(zip(self._features, features, strict=True)),
                    "fraud_probability": probability,
                    "is_fraud": flagged,
                },
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for row, (features, probability, flagged) in enumerate(rows)
        ]
        return self._tried(b"".join(lines))

    def write_refusal(self, request_id: str, kind: str) -> bool:
        """Writes that a request was refused, and nothing of what it held; False as `write`."""
        line = {
            "time": datetime.now(UTC),
            "request_id": request_id,
            **self._model,
            "refused": kind,
        }
        return self._tried(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def write_lines(self, lines: bytes) -> bool:
        """Writes whole lines that somebody else has made; False as `write`."""
        return self._tried(lines)

    def check(self) -> None:
        """Opens the log, so that a start shows whether it can be written."""
        self._tried(b"")

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
        if not self._shared and self._is_as_left():
            self._write(lines)
            return
        if self._lock < 0:
            self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._make_ready()
            self._write(lines)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _is_as_left(self) -> bool:
        """Whether nobody has written since, so that the file ends with a whole line."""
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
        """Makes `_file` the current file, ending with a whole line, and `_size` its size."""
        if self._file >= 0 and not self._is_current():
            os.close(self._file)
            self._file = -1
        if self._file < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o600)
        self._size = _cut_torn_line(self._file)
        self._checked = time.monotonic()
        if self._size >= self._max_bytes:
            self._turn_over()
            self._make_ready()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _turn_over(self) -> None:
        prefix = f"{self._path.name}."
        numbers = [
            int(file.name.removeprefix(prefix))
            for file in self._path.parent.glob(f"{self._path.name}.*")
            if file.name.removeprefix(prefix).isdecimal()
        ]
        self._path.rename(f"{self._path}.{max(numbers, default=0) + 1}")

    def _close(self) -> None:
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1


def _cut_torn_line(file: int) -> int:
    """Truncates an open file behind its last line end; returns the size it then has."""
    size = end = os.fstat(file).st_size
    while end:
        start = max(0, end - BLOCK)
        # Nearly always the file ends with a line: one byte tells.
        if end == size and os.pread(file, 1, size - 1) == b"\n":
            return size
        place = os.pread(file, end - start, start).rfind(b"\n")
        if place >= 0:
            end = start + place + 1
            break
        end = start
    os.ftruncate(file, end)
    return end
